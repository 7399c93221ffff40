"""The one table of an evaluation: a number per image, measure and maker of images."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

ORIGINALS = "originals"


@dataclass(frozen=True)
class MeasureTable:
    """What was measured of N images; everything said of single images is read from here.

    Attributes:
      values: name -> measure -> [N] float64, the ORIGINALS first, then the runs in the
        order they were given. Row i belongs to original i everywhere. Runs have measures
        that originals have not.
    """

    values: Mapping[str, Mapping[str, np.ndarray]]

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
        """The runs in pairs (first, second), whose difference is first minus second.

        Everywhere in an evaluation the run that was given later comes first, so that a
        difference says what it has above those given before it.
        """
        return [(later, earlier) for earlier, later in combinations(self.runs, 2)]

    def pairs(self) -> list[tuple[str, str]]:
        """`run_pairs`, then the originals, as if given last, with each run."""
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
