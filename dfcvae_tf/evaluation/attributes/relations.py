"""Which attributes' vectors point the same way."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.cluster import hierarchy
from scipy.spatial.distance import squareform

from dfcvae_tf.errors import UserError


@dataclass(frozen=True)
class Correlations:
    """Correlations of attribute vectors, ordered so that those alike stand together.

    Attributes:
      names: of K attributes.
      values: [K, K] float64 in [-1, 1], Pearson's r over the latent dimensions.
    """

    names: tuple[str, ...]
    values: np.ndarray

    def to_json(self) -> dict[str, Any]:
        """Returns both, ready for JSON."""
        return {"names": list(self.names), "correlation": self.values.tolist()}


def correlate(names: Sequence[str], vectors: np.ndarray) -> Correlations:
    """Correlates vectors, as Hou et al. (2017) do in section 4.4.

    The order is that of the leaves of a hierarchical clustering: average linkage, with
    distance 1 - r, turned so that neighbours are as near as can be (Bar-Joseph et al.
    2001).

    Args:
      names: of the K attributes.
      vectors: [K, D].

    Raises:
      UserError: fewer than two attributes or latent dimensions.
    """
    if min(vectors.shape) < 2:
        raise UserError(
            "correlations need two attributes and two latent dimensions, here are "
            f"{vectors.shape[0]} and {vectors.shape[1]}"
        )
    values = np.clip(np.corrcoef(vectors.astype(np.float64)), -1, 1)
    values = (values + values.T) / 2
    np.fill_diagonal(values, 1.0)
    distances = squareform(1 - values)
    tree = hierarchy.linkage(distances, "average", optimal_ordering=True)
    order = hierarchy.leaves_list(tree)
    return Correlations(tuple(names[i] for i in order), values[np.ix_(order, order)])
