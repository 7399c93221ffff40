"""Paired tests of one measure, for several pairs and groups of images, as one family."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from dfcvae_tf.metrics.paired import PairedComparison, compare_paired, holm


@dataclass(frozen=True)
class GroupTest:
    """The paired test of a pair in one group of images.

    Attributes:
      group: its name.
      test: the test.
      holm_log10_p: log10 of the t test's p, corrected for all tests of the family.
    """

    group: str
    test: PairedComparison
    holm_log10_p: float


@dataclass(frozen=True)
class PairTests:
    """All tests of a pair; differences are `first` minus `second`."""

    first: str
    second: str
    groups: tuple[GroupTest, ...]


def compare_groups(
    values: Mapping[str, np.ndarray],
    pairs: Sequence[tuple[str, str]],
    groups: Mapping[str, np.ndarray],
    seed: int,
) -> list[PairTests]:
    """Tests every pair in every group, Holm-corrected over all of them.

    Args:
      values: name -> [N], a measure of N images; image i is the same in all.
      pairs: names (first, second) to compare.
      groups: name -> bool [N]; a group of fewer than two images is left out.
      seed: of the bootstrap intervals.
    """
    usable = {name: mask for name, mask in groups.items() if mask.sum() >= 2}
    tests = [
        [
            compare_paired(values[a][mask], values[b][mask], seed)
            for mask in usable.values()
        ]
        for a, b in pairs
    ]
    corrected = iter(holm([test.log10_p for row in tests for test in row]))
    return [
        PairTests(
            first,
            second,
            tuple(
                GroupTest(group, test, next(corrected))
                for group, test in zip(usable, row, strict=True)
            ),
        )
        for (first, second), row in zip(pairs, tests, strict=True)
    ]
