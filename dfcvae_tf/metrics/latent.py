"""The latent space: ways through it, what its dimensions do, how smooth it is."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dfcvae_tf.errors import UserError, unknown_name

PATHS = ("linear", "spherical")
_BOOTSTRAP_SAMPLES = 10_000


def interpolate(
    z_start: np.ndarray, z_end: np.ndarray, steps: int, path: str = "linear"
) -> np.ndarray:
    """Points from one latent vector to another, both ends included exactly.

    Args:
      z_start: [D].
      z_end: [D].
      steps: number of equal steps, a whole number from 1.
      path: "linear", the straight line (as in Hou et al. 2017), or "spherical", the arc on
        which direction turns at a constant rate (Shoemake 1985; White 2016 for latents).
        Where both ends have the same direction, that is the line.

    Returns:
      [steps + 1, D] float32.

    Raises:
      UserError: no step, an unknown path, or a spherical one between ends that no single arc
        joins: opposite directions, or the zero vector.
      ValueError: not two vectors of equal length.
    """
    start, end = np.asarray(z_start, np.float64), np.asarray(z_end, np.float64)
    if start.ndim != 1 or start.shape != end.shape:
        raise ValueError(f"expected [D] and [D], got {start.shape} and {end.shape}")
    if not isinstance(steps, int | np.integer) or steps < 1:
        raise UserError(f"--steps is {steps!r}; a whole number from 1 is needed")
    if path not in PATHS:
        raise unknown_name("--path", path, PATHS)
    fraction = np.arange(steps + 1)[:, np.newaxis] / steps
    angle = _angle(start, end) if path == "spherical" else 0.0
    if angle == 0.0:
        return ((1 - fraction) * start + fraction * end).astype(np.float32)
    # Dividing the weights, not the points, makes them exactly 0 and 1 at the ends.
    start_weight = np.sin((1 - fraction) * angle) / np.sin(angle)
    end_weight = np.sin(fraction * angle) / np.sin(angle)
    return (start_weight * start + end_weight * end).astype(np.float32)


def traverse(
    z: np.ndarray, dimension: int, values: Sequence[float] | np.ndarray
) -> np.ndarray:
    """Varies one dimension alone.

    Args:
      z: [D].
      dimension: in [0, D).
      values: [V], what the dimension is set to in turn.

    Returns:
      [V, D] float32.
    """
    rows = np.tile(np.asarray(z, np.float32), (len(values), 1))
    rows[:, dimension] = values
    return rows


@dataclass(frozen=True)
class ActiveUnits:
    """See `active_units`.

    Attributes:
      count: dimensions whose variance is above the threshold.
      variances: [D] float64, of each dimension's mean over the images.
    """

    count: int
    variances: np.ndarray


def active_units(z_mean: np.ndarray, threshold: float = 0.01) -> ActiveUnits:
    """Counts the dimensions that the encoder uses.

    Burda et al. (2016): a unit is active if its mean varies from image to
    image, Var_x(E[z_d | x]) > threshold.

    Args:
      z_mean: [N, D], the encoder's means, N at least 2.
      threshold: in squared units of z; the paper's is 0.01.
    """
    if np.ndim(z_mean) != 2 or len(z_mean) < 2:
        raise ValueError(
            f"expected [N, D] with N at least 2, got shape {np.shape(z_mean)}"
        )
    variances = np.var(np.asarray(z_mean, np.float64), axis=0)
    return ActiveUnits(int(np.sum(variances > threshold)), variances)


def random_pairs(count: int, num_examples: int, seed: int) -> np.ndarray:
    """Draws pairs of different examples, as ends of interpolations.

    Returns:
      [count, 2] int64 in [0, num_examples); pairs may repeat.

    Raises:
      ValueError: fewer than 2 examples.
    """
    if num_examples < 2:
        raise ValueError(f"a pair needs 2 examples, got {num_examples}")
    rng = np.random.default_rng(seed)
    first = rng.integers(num_examples, size=count)
    offset = rng.integers(1, num_examples, size=count)
    return np.stack([first, (first + offset) % num_examples], axis=1)


def label_changes(labels: np.ndarray) -> np.ndarray:
    """How often the label changes along each interpolation.

    Args:
      labels: [P, S], a classifier's label of each of the S images on each of P of them.

    Returns:
      [P] int64 in [0, S - 1].
    """
    labels = np.asarray(labels)
    return np.sum(labels[:, 1:] != labels[:, :-1], axis=1)


@dataclass(frozen=True)
class Smoothness:
    """See `smoothness`.

    Attributes:
      mean_changes: label changes per interpolation.
      ci_low: lower end of its 95 % bootstrap interval over interpolations.
      ci_high: upper end.
      num_interpolations: those measured.
    """

    mean_changes: float
    ci_low: float
    ci_high: float
    num_interpolations: int


def smoothness(labels: np.ndarray, seed: int = 0) -> Smoothness:
    """Mean number of label changes along interpolations, with its interval.

    Between two classes 1 change is needed; what is above it are detours through other
    classes. The interval is the percentile bootstrap's (Efron 1979) over interpolations.

    Args:
      labels: [P, S], see `label_changes`; P at least 1.
      seed: of the bootstrap.

    Raises:
      ValueError: no interpolation.
    """
    changes = label_changes(labels)
    if len(changes) == 0:
        raise ValueError("expected labels of at least 1 interpolation")
    rng = np.random.default_rng(seed)
    means = [
        rng.choice(changes, len(changes)).mean() for _ in range(_BOOTSTRAP_SAMPLES)
    ]
    low, high = np.percentile(means, [2.5, 97.5])
    return Smoothness(float(changes.mean()), float(low), float(high), len(changes))


def _angle(start: np.ndarray, end: np.ndarray) -> float:
    """The angle in [0, pi) between two vectors that one arc joins."""
    lengths = np.linalg.norm(start), np.linalg.norm(end)
    if 0.0 in lengths:
        raise UserError(
            "no spherical interpolation from or to the zero vector, which has no direction; "
            "take --path=linear"
        )
    a, b = start / lengths[0], end / lengths[1]
    # Kahan's formula: arccos of the inner product loses half of the digits near 0 and pi.
    angle = 2 * np.arctan2(np.linalg.norm(a - b), np.linalg.norm(a + b))
    if np.pi - angle < 1e-6:  # what float32 latents can resolve
        raise UserError(
            "no single spherical interpolation between opposite directions; take "
            "--path=linear"
        )
    return float(angle)
