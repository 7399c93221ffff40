"""Latent vectors laid out in the plane, to be drawn as a scatter plot."""

from dataclasses import dataclass

import numpy as np
from sklearn.manifold import TSNE
from threadpoolctl import threadpool_limits


@dataclass(frozen=True)
class Projection:
    """Points of a scatter plot.

    Attributes:
      points: [N, 2] float32.
      axis_labels: what the first and the second coordinate are.
    """

    points: np.ndarray
    axis_labels: tuple[str, str]


def pca(z: np.ndarray) -> Projection:
    """Principal components, those of the greatest variance; coordinates in units of z.

    The sign of a component is free; here its largest weight is positive, so the same
    points give the same picture. A latent space of 1 dimension has no second component:
    the second coordinate is 0 and its label says so.

    Args:
      z: [N, D], N at least 2.

    Raises:
      ValueError: not a matrix of at least 2 rows.
    """
    z = _as_points(z, at_least=2)
    one_dimensional = z.shape[1] == 1
    if one_dimensional:
        z = np.pad(z, ((0, 0), (0, 1)))
    centred = z - z.mean(axis=0)
    _, singular_values, components = np.linalg.svd(centred, full_matrices=False)
    axes = components[:2]
    largest = np.argmax(np.abs(axes), axis=1, keepdims=True)
    axes = axes * np.sign(np.take_along_axis(axes, largest, axis=1))
    variances = singular_values**2
    shares = 100 * variances / max(variances.sum(), np.finfo(np.float64).tiny)
    labels = (
        f"1st component ({shares[0]:.0f} % of variance)",
        "no 2nd component (1 latent dimension)"
        if one_dimensional
        else f"2nd component ({shares[1]:.0f} % of variance)",
    )
    return Projection((centred @ axes.T).astype(np.float32), labels)


def tsne(z: np.ndarray, seed: int) -> Projection:
    """t-SNE (van der Maaten and Hinton 2008) as scikit-learn computes it.

    Neighbours stay neighbours; distances between groups and axes have no meaning.
    Perplexity is 30, or (N - 1) / 3 for fewer than 91 points, so that there are three
    times as many neighbours as it asks for. Points start from their first two principal
    components; in 1 dimension, which has one, at random. 2,000 points take about 8
    seconds of one core, twice as many somewhat more than twice that: give it a subset of
    a large set.

    Args:
      z: [N, D], N at least 4.
      seed: of the optimisation.

    Raises:
      ValueError: not a matrix of at least 4 rows.
    """
    z = _as_points(z, at_least=4)
    perplexity = min(30.0, (len(z) - 1) / 3)
    spread = np.ptp(z, axis=0).max()
    if spread:
        model = TSNE(
            perplexity=perplexity,
            init="pca" if z.shape[1] > 1 else "random",
            random_state=seed,
        )
        # Its threads wait for each other in every one of a thousand short steps: where
        # anything else keeps a core busy, one thread is several times faster.
        with threadpool_limits(limits=1, user_api="openmp"):
            # The unit does not matter to t-SNE, but scikit-learn squares in float32,
            # where the spread of an encoder that all but collapsed would vanish.
            points = model.fit_transform((z - z.mean(axis=0)) / spread)
    else:  # scikit-learn crashes where all points are one
        points = np.zeros((len(z), 2))
    labels = ("1st t-SNE coordinate", "2nd t-SNE coordinate")
    return Projection(points.astype(np.float32), labels)


def _as_points(z: np.ndarray, at_least: int) -> np.ndarray:
    z = np.asarray(z, np.float64)
    if z.ndim != 2 or len(z) < at_least or z.shape[1] == 0:
        raise ValueError(
            f"expected [N, D] with N at least {at_least}, got shape {z.shape}"
        )
    return z
