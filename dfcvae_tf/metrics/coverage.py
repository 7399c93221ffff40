"""How much of a set of images another set covers, in the feature space of a network.

A Fréchet distance is low where means and covariances agree; that a kind of image is never
made need not show in it. Here it does.
"""

from dataclasses import dataclass

import numpy as np
from sklearn.metrics import pairwise_distances_chunked
from sklearn.neighbors import NearestNeighbors

NEIGHBORS = 5
_PART_MIB = 64


@dataclass(frozen=True)
class Coverage:
    """See `measure_coverage`.

    Attributes:
      density: about 1 for two sets of one distribution, unbounded above: how crowded with
        real images the places of the made ones are.
      coverage: in [0, 1], the share of real images that have a made one nearby; for sets
        of one distribution and size 1 - 0.5**k.
    """

    density: float
    coverage: float


def measure_coverage(
    real: np.ndarray, made: np.ndarray, neighbors: int = NEIGHBORS
) -> Coverage:
    """Density and coverage (Naeem et al. 2020, equations 4 and 7).

    Around each real image lies a ball that reaches to its k-th nearest real neighbour.

    Args:
      real: [N, F], N more than `neighbors`.
      made: [M, F], M at least 1; compare only values over equally many.
      neighbors: k.

    Raises:
      ValueError: not two finite matrices of equal width, or too few rows.
    """
    real, made = np.asarray(real), np.asarray(made)
    if real.ndim != 2 or made.ndim != 2 or real.shape[1] != made.shape[1]:
        raise ValueError(f"expected [N, F] and [M, F], got {real.shape}, {made.shape}")
    if len(real) <= neighbors or len(made) < 1:
        raise ValueError(
            f"{len(real)} and {len(made)} rows are too few for {neighbors} neighbours"
        )
    # scikit-learn raises ValueError for values that are not finite.
    nearest, _ = NearestNeighbors(n_neighbors=neighbors).fit(real).kneighbors()
    radius = nearest[:, -1:]  # kneighbors() leaves the image itself out
    inside, covered, start = 0, 0, 0
    parts = pairwise_distances_chunked(real, made, working_memory=_PART_MIB)
    for distances in parts:
        within = distances <= radius[start : start + len(distances)]
        inside += int(within.sum())
        covered += int(within.any(axis=1).sum())
        start += len(distances)
    return Coverage(inside / (neighbors * len(made)), covered / len(real))
