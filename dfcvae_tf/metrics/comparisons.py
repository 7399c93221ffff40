"""Paired comparisons of measures, for pairs of names and groups of images."""

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


class Comparisons:
    """Compares a table's names, measure by measure; each comparison is made once."""

    def __init__(
        self,
        values: Mapping[str, Mapping[str, np.ndarray]],
        groups: Mapping[str, np.ndarray],
        seed: int,
    ):
        """Takes what is compared.

        Args:
          values: name -> measure -> [N] float; image i is the same in all.
          groups: name -> bool [N].
          seed: of the bootstrap intervals.
        """
        self._values = values
        self._groups = groups
        self._seed = seed
        self._made: dict[tuple[str, str, str, str], PairedComparison | None] = {}

    def compare(
        self, first: str, second: str, measure: str, group: str
    ) -> PairedComparison | None:
        """Compares first with second over the images of a group.

        Images for which one of the two has no finite value are left out: an original
        without edges has none to recover, a perfect copy has an infinite PSNR. None where
        fewer than two are left.
        """
        key = first, second, measure, group
        if key not in self._made:
            a, b = (self._values[name][measure] for name in (first, second))
            used = self._groups[group] & np.isfinite(a) & np.isfinite(b)
            self._made[key] = (
                compare_paired(a[used], b[used], self._seed)
                if used.sum() >= 2
                else None
            )
        return self._made[key]

    def compare_measures(
        self, first: str, second: str, group: str
    ) -> dict[str, PairedComparison]:
        """Compares every measure that both have and that can be compared."""
        shared = [m for m in self._values[first] if m in self._values[second]]
        found = {m: self.compare(first, second, m, group) for m in shared}
        return {m: test for m, test in found.items() if test is not None}

    def compare_groups(
        self, pairs: Sequence[tuple[str, str]], measure: str
    ) -> list[PairTests]:
        """Tests every pair in every group, Holm-corrected over all of them.

        A group of fewer than two images is left out.

        Args:
          pairs: names (first, second) to compare.
          measure: that is compared.
        """
        tests = [
            {
                group: test
                for group in self._groups
                if (test := self.compare(first, second, measure, group)) is not None
            }
            for first, second in pairs
        ]
        corrected = iter(holm([t.log10_p for row in tests for t in row.values()]))
        return [
            PairTests(
                first,
                second,
                tuple(
                    GroupTest(group, test, next(corrected))
                    for group, test in row.items()
                ),
            )
            for (first, second), row in zip(pairs, tests, strict=True)
        ]
