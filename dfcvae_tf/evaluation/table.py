"""The one table of an evaluation: a number per image, measure and maker of images."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

ORIGINALS = "originals"


@dataclass(frozen=True)
class MeasureTable:
    """What was measured of N images; everything said of single images is read from here.

    Attributes:
      values: name -> measure -> [N] float64, the ORIGINALS first, then the runs in the
        order they were given. Row i belongs to original i everywhere. Runs have measures
        that originals have not.
      baseline: the run that the others are compared with; the first when None.
      siblings: other trainings of the baseline's setting. By its images, two of them
        differ beyond doubt, which says nothing of any setting: they are not compared.
    """

    values: Mapping[str, Mapping[str, np.ndarray]]
    baseline: str | None = None
    siblings: tuple[str, ...] = ()

    @property
    def runs(self) -> list[str]:
        """Names of the runs, in the order they were given."""
        return [name for name in self.values if name != ORIGINALS]

    def column(self, measure: str) -> dict[str, np.ndarray]:
        """One measure of all who have it: name -> [N]."""
        return {
            name: measures[measure]
            for name, measures in self.values.items()
            if measure in measures
        }

    def run_pairs(self) -> list[tuple[str, str]]:
        """Runs of other settings with the baseline; differences are run minus baseline."""
        runs = self.runs
        baseline = runs[0] if self.baseline is None else self.baseline
        alike = {baseline, *self.siblings}
        return [(run, baseline) for run in runs if run not in alike]

    def pairs(self) -> list[tuple[str, str]]:
        """`run_pairs`, then the originals with each run."""
        return [*self.run_pairs(), *((ORIGINALS, name) for name in self.runs)]


def join(parts: Sequence[MeasureTable]) -> MeasureTable:
    """Puts tables of batches, at least one, one below the other."""
    return MeasureTable(
        {
            name: {
                measure: np.concatenate(
                    [part.values[name][measure] for part in parts]
                ).astype(np.float64)
                for measure in measures
            }
            for name, measures in parts[0].values.items()
        }
    )
