"""Linear discriminant analysis of latents: the parameters of a `LabelMap`.

Means of labels are drawn to that of all images by the factor of James and Stein (1961,
"Estimation with quadratic loss"): of few images, or in many dimensions, a mean is a matter
of chance. So is a covariance: that of the images that have an attribute is drawn to that of
all as Ledoit and Wolf (2004, "A well-conditioned estimator for large-dimensional covariance
matrices") draw one to a multiple of the identity.
"""

from collections.abc import Mapping

import numpy as np
import scipy.linalg

from dfcvae_tf.models.label_map import (
    AXES,
    COMMON,
    MOVES,
    OVERLAP,
    SHIFT,
    SLIGHT,
    STRETCH,
    LabelMap,
)

# Axes of its own that an attribute has.
OWN_AXES = 8
# Deviations of labels are drawn to those within labels, as by so many more images.
_MORE_IMAGES = 20
# What is narrower could hardly be widened again.
_LEAST_DEVIATION = 0.1
# What is wider takes many steps to undo.
_GREATEST_DEVIATION = 2.0


def moments_of_classes(
    z_mean: np.ndarray, z_log_var: np.ndarray, label: np.ndarray
) -> dict[str, np.ndarray]:
    """Returns the parameters for classes.

    Args:
      z_mean, z_log_var: [N, D], of q(z|x).
      label: [N, A], 1 at each image's class, else 0.
    """
    around, variance, covariance = _moments(z_mean, z_log_var)
    dim, num_classes = around.shape[1], label.shape[1]
    label = label.astype(np.float64)
    sizes = label.sum(axis=0)[:, np.newaxis]
    means = label.T @ around / sizes
    distances = np.sum(means * np.linalg.solve(covariance, means.T).T, axis=1)
    means *= _kept(distances[:, np.newaxis], dim / sizes)
    between = (sizes * means).T @ means / len(around)
    axes = scipy.linalg.eigh(between, covariance)[1][:, ::-1]
    axes = axes[:, : min(num_classes - 1, dim)]
    shift = means @ axes
    squares = np.square(around @ axes - label @ shift) + variance @ np.square(axes)
    stretch = _deviations(label.T @ squares, sizes, squares.mean(axis=0)) - 1.0
    # No picture is asked not to be of a class.
    without = np.zeros_like(shift)
    return _named(
        axes,
        covariance @ axes,
        np.concatenate([shift, without]),
        np.concatenate([stretch, without]),
    )


def moments_of_attributes(
    z_mean: np.ndarray, z_log_var: np.ndarray, label: np.ndarray
) -> dict[str, np.ndarray]:
    """Returns the parameters for attributes.

    Args:
      z_mean, z_log_var: [N, D], of q(z|x).
      label: [N, A], 1 where an image has the attribute, -1 where not.
    """
    around, variance, covariance = _moments(z_mean, z_log_var)
    dim, num_labels = around.shape[1], label.shape[1]
    having = (label > 0).astype(np.float64)
    counts = having.sum(axis=0)[:, np.newaxis]
    others = len(around) - counts
    total = around.sum(axis=0)
    sums = having.T @ around
    difference = sums / counts - (total - sums) / others
    axes = np.linalg.solve(covariance, difference.T)
    distances = np.sum(difference.T * axes, axis=0)[:, np.newaxis]
    kept = _kept(distances, dim * (1 / counts + 1 / others))
    axes /= np.sqrt(distances).T  # latents have variance 1 along each
    apart = (kept * np.sqrt(distances))[:, 0]
    rate = counts[:, 0] / len(around)
    shift = np.concatenate([apart * (1.0 - rate), -apart * rate])
    along = around @ axes
    expected = np.where(label > 0, shift[:num_labels], shift[num_labels:])
    squares = np.square(along - expected) + variance @ np.square(axes)
    within = squares.mean(axis=0)
    own = np.concatenate([(having * squares).sum(0), ((1 - having) * squares).sum(0)])
    sizes = np.concatenate([counts, others])[:, 0]
    deviations = _deviations(own, sizes, np.tile(within, 2))
    known = np.tile(kept[:, 0] > 0, 2)
    stretch = np.where(known, deviations - 1.0, 0.0)
    root = np.linalg.cholesky(covariance)
    directions, own_stretch = _own_axes(around, variance, having, root, root.T @ axes)
    stretch = np.concatenate([stretch[np.newaxis], own_stretch])
    directions = np.concatenate([(root.T @ axes)[np.newaxis], directions])
    diagonal = np.tile(np.eye(num_labels), (2, 1))
    all_axes = np.linalg.solve(root.T, np.concatenate(directions, axis=1))
    moments = _named(
        all_axes,
        covariance @ all_axes,
        shift[:, np.newaxis] * diagonal,
        np.concatenate(stretch[:, :, np.newaxis] * diagonal, axis=1),
    )
    # A mean that is more a matter of chance is to leave others their shares.
    weight = np.minimum(1.0, kept / np.maximum(kept.T, 1e-12))
    overlap = axes.T @ covariance @ axes * np.sqrt(weight)
    common = _in_common(directions, stretch)
    return moments | {
        OVERLAP: overlap.astype(np.float32),
        COMMON: common.astype(np.float32),
    }


def _own_axes(
    around: np.ndarray,
    variance: np.ndarray,
    having: np.ndarray,
    root: np.ndarray,
    apart: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Where images with and without an attribute are narrower or wider than all are.

    Args:
      around, variance: [N, D], as `_moments` has them.
      having: [N, A], 1 where an image has the attribute, else 0.
      root: [D, D], Cholesky's of the covariance of all latents.
      apart: [D, A], the unit vectors along which the means of whitened latents are apart.

    Returns:
      Directions of whitened latents, [Q, D, A], at right angles to each other and to
      `apart` of the same attribute; and the stretch along them, [Q, 2 A], of images with
      and without it.
    """
    dim, num_labels = apart.shape
    to_white = np.linalg.inv(root).T
    white = around @ to_white
    count = min(OWN_AXES, dim - 1)
    directions = np.zeros((count, dim, num_labels))
    stretch = np.zeros((count, 2 * num_labels))
    for k in range(num_labels):
        rows = having[:, k] > 0
        rest = np.eye(dim) - np.outer(apart[:, k], apart[:, k])
        x = (white[rows] - white[rows].mean(axis=0)) @ rest
        of_means = x.T @ x / len(x)
        blurred = rest @ to_white.T * np.sqrt(variance[rows].mean(axis=0))
        more = of_means + blurred @ blurred.T - rest
        spread = np.mean(np.square(np.square(x).sum(axis=1))) - np.sum(of_means**2)
        rate = len(x) / len(around)
        by_chance = spread / len(x) * (1.0 - rate)
        more *= _kept(np.sum(more**2), by_chance)
        values, vectors = np.linalg.eigh(more)
        # What those that have it are wider, the others are narrower.
        values = np.stack([values, -values * rate / (1.0 - rate)])
        values = np.clip(1.0 + values, _LEAST_DEVIATION**2, _GREATEST_DEVIATION**2)
        best = np.argsort(-np.sum(values - 1.0 - np.log(values), axis=0))[:count]
        directions[:, :, k] = vectors[:, best].T
        stretch[:, [k, num_labels + k]] = np.sqrt(values[:, best]).T - 1.0
    return directions, stretch


def _in_common(directions: np.ndarray, stretch: np.ndarray) -> np.ndarray:
    """How much labels have in common of what they do to distances.

    With shares 1 / (the sum of what each has in common with all that are asked for) no
    distance shrinks or grows by more than it would with one of them: of labels k and l that
    narrow by S_k and S_l along directions W_k and W_l, that is the spectral norm of
    sqrt(S_k) W_k' W_l sqrt(S_l) in units of the largest S_k and S_l; so of those that widen.
    A label that does little is to leave the others their shares: no unit is below `SLIGHT`.

    Args:
      directions: [1 + Q, D, A] unit vectors, those of a label at right angles.
      stretch: [1 + Q, 2 A], along them.

    Returns:
      [2 A, 2 A], at most 1.
    """
    most = np.zeros((stretch.shape[1],) * 2)
    for part in (np.maximum(-stretch, 0.0), np.maximum(stretch, 0.0)):
        part = np.sqrt(part / np.maximum(part.max(axis=0), SLIGHT))
        scaled = np.tile(directions, (1, 1, 2)) * part[:, np.newaxis]
        blocks = np.einsum("idk,jdl->klij", scaled, scaled, optimize=True)
        most = np.maximum(most, np.linalg.norm(blocks, 2, axis=(2, 3)))
    return most


def label_gain(
    parameters: Mapping[str, np.ndarray],
    z_mean: np.ndarray,
    z_log_var: np.ndarray,
    z: np.ndarray,
    label: np.ndarray,
) -> float:
    """How much likelier labels make latents: mean of the log ratio of densities, nats.

    Of normal distributions: of one with the moments of all latents, and of what labels
    make of it.

    Args:
      parameters: of the `LabelMap`.
      z_mean, z_log_var: [N, D], what the parameters are of.
      z: [M, D] float32, other images' latents.
      label: [M, A] float32, what is asked of them; rows of zeros are passed over.
    """
    asked = np.any(label, axis=1)
    y = z[asked] - z_mean.mean(axis=0)
    x, log_det = LabelMap(parameters).invert(y, label[asked])
    *_, covariance = _moments(z_mean, z_log_var)
    to_white = np.linalg.cholesky(np.linalg.inv(covariance))
    squares = [np.square(part @ to_white).sum(axis=1) for part in (y, x.numpy())]
    return float(np.mean(0.5 * (squares[0] - squares[1]) + log_det.numpy()))


def _moments(
    z_mean: np.ndarray, z_log_var: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Means around their mean, variances, [N, D], and the covariance of all draws."""
    around = z_mean.astype(np.float64) - z_mean.mean(axis=0, dtype=np.float64)
    variance = np.exp(z_log_var.astype(np.float64))
    covariance = around.T @ around / len(around) + np.diag(variance.mean(axis=0))
    return around, variance, covariance


def _kept(distance: np.ndarray, by_chance: np.ndarray) -> np.ndarray:
    """What is kept of what lies so far, squared, from that of all, where chance does too."""
    return np.maximum(0.0, 1.0 - by_chance / np.maximum(distance, 1e-12))


def _deviations(sums: np.ndarray, sizes: np.ndarray, within: np.ndarray) -> np.ndarray:
    """Deviations from sums of squares, drawn to those within all labels."""
    variance = (sums + _MORE_IMAGES * within) / (sizes + _MORE_IMAGES)
    return np.maximum(np.sqrt(variance), _LEAST_DEVIATION)


def _named(
    axes: np.ndarray, moves: np.ndarray, shift: np.ndarray, stretch: np.ndarray
) -> dict[str, np.ndarray]:
    arrays = {AXES: axes, MOVES: moves.T, SHIFT: shift, STRETCH: stretch}
    return {name: array.astype(np.float32) for name, array in arrays.items()}
