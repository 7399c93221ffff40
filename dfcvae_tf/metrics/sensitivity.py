"""How sensitive a loss is to shift and rotation: the case for a perceptual loss, measured.

Two pictures of one digit, one of them shifted by two pixels, are the same to a person and
far apart pixel by pixel. A loss is asked for the distance between an image and its moved
copy, relative to the distance between the image and a random other one.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from dfcvae_tf.errors import UserError

# images [N, H, W, C], others [N, H, W, C] -> [N] distances
Loss = Callable[[np.ndarray, np.ndarray], np.ndarray]

PIXEL_LOSS = "pixel loss (squared error)"
SHIFTS = (0, 1, 2, 3, 4)  # pixels
ANGLES = (0, 5, 10, 15, 20, 25, 30)  # degrees
_RESAMPLES = 1000


@dataclass(frozen=True)
class Curve:
    """A loss against the amount of movement, relative to a random other image.

    Attributes:
      amounts: [K], pixels or degrees.
      relative: [K], mean loss to the moved copy / mean loss to a random other image.
      low, high: [K], 95 % percentile bootstrap over images.
    """

    amounts: tuple[float, ...]
    relative: np.ndarray
    low: np.ndarray
    high: np.ndarray


def draw_moves(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Draws where each image is moved to, the same for every amount.

    Returns:
      [count, 2] int64, a step to the right and down: one of them is 1 or -1, the other 0;
      and [count] int64, the sense of rotation, 1 or -1.
    """
    steps = np.array([(1, 0), (-1, 0), (0, 1), (0, -1)])
    return (
        steps[np.random.default_rng(seed).integers(0, 4, count)],
        np.random.default_rng(seed).choice([-1, 1], count),
    )


def shift(images: np.ndarray, pixels: np.ndarray) -> np.ndarray:
    """Moves each image by whole pixels; what enters repeats the border.

    Args:
      images: [N, H, W, C] float32.
      pixels: [N, 2] int, to the right and down.
    """
    return _warp(images, [np.array([[1, 0, dx], [0, 1, dy]]) for dx, dy in pixels])


def rotate(images: np.ndarray, degrees: np.ndarray) -> np.ndarray:
    """Turns each image about its centre (bilinear), by [N] degrees."""
    height, width = images.shape[1:3]
    centre = ((width - 1) / 2, (height - 1) / 2)
    return _warp(
        images, [cv2.getRotationMatrix2D(centre, float(d), 1.0) for d in degrees]
    )


def random_others(count: int, labels: np.ndarray | None, seed: int) -> np.ndarray:
    """Returns for each image the index of another, of another class if there are labels.

    Args:
      count: number of images, N.
      labels: [N] int, or None.
      seed: of the draw.

    Returns:
      [N] int64.

    Raises:
      ValueError: some image has no other.
    """
    own = np.arange(count) if labels is None else labels
    if len(np.unique(own)) < 2:
        raise ValueError("there is no other image to compare with")
    rng = np.random.default_rng(seed)
    others = rng.integers(0, count, count)
    while (same := own[others] == own).any():
        others[same] = rng.integers(0, count, int(same.sum()))
    return others


def measure_sensitivity(
    images: Callable[[np.ndarray], np.ndarray],
    count: int,
    batch_size: int,
    labels: np.ndarray | None,
    losses: Mapping[str, Loss],
    seed: int,
) -> dict[str, dict[str, Curve]]:
    """Measures the losses between images and their moved copies, batch by batch.

    Args:
      images: [B] int, numbers from 0 -> these images, [B, H, W, C] float32 in [0, 1].
      count: number of images, N.
      batch_size: how many are moved at a time.
      labels: [N] int, or None.
      losses: by name; the pixel loss is added to them.
      seed: of directions, of the other images and of the intervals.

    Returns:
      "shift" and "rotation" -> loss name -> curve. A loss is left out that has no mean
      above 0 between images and others, or is not finite.

    Raises:
      UserError: the images are all alike, so that no loss can be relative to another.
    """
    losses = {PIXEL_LOSS: squared_pixel_error, **losses}
    others = random_others(count, labels, seed)
    steps, senses = draw_moves(count, seed)
    units: dict[str, list[np.ndarray]] = {name: [] for name in losses}
    shifted: dict[str, list[np.ndarray]] = {name: [] for name in losses}
    rotated: dict[str, list[np.ndarray]] = {name: [] for name in losses}
    for start in range(0, count, batch_size):
        rows = np.arange(start, min(start + batch_size, count))
        batch, strangers = images(rows), images(others[rows])
        shifts = [shift(batch, n * steps[rows]) for n in SHIFTS]
        rotations = [rotate(batch, n * senses[rows]) for n in ANGLES]
        for name, loss in losses.items():
            units[name].append(loss(batch, strangers))
            shifted[name].append(np.stack([loss(batch, moved) for moved in shifts]))
            rotated[name].append(np.stack([loss(batch, moved) for moved in rotations]))
    unit = {name: np.concatenate(parts) for name, parts in units.items()}
    if not unit[PIXEL_LOSS].any():
        raise UserError(
            f"the {count} images are all alike, and there is no other to compare with"
        )
    measured = [
        name
        for name in losses
        if unit[name].mean() > 0
        and all(np.isfinite(part).all() for part in shifted[name] + rotated[name])
    ]
    return {
        kind: {
            name: _curve(
                amounts,
                np.concatenate(distances[name], axis=1),
                unit[name],
                seed,
            )
            for name in measured
        }
        for kind, amounts, distances in (
            ("shift", SHIFTS, shifted),
            ("rotation", ANGLES, rotated),
        )
    }


def squared_pixel_error(images: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Squared error summed over pixels, [N] float64."""
    difference = images.astype(np.float64) - others
    return (difference**2).reshape(len(images), -1).sum(axis=1)


def _warp(images: np.ndarray, matrices: Sequence[np.ndarray]) -> np.ndarray:
    height, width = images.shape[1:3]
    return np.stack(
        [
            cv2.warpAffine(
                image,
                matrix.astype(np.float64),
                (width, height),
                flags=cv2.INTER_LINEAR,
                borderMode=cv2.BORDER_REPLICATE,
            )
            for image, matrix in zip(images, matrices, strict=True)
        ]
    ).reshape(images.shape)


def _curve(
    amounts: Sequence[float],
    distances: np.ndarray,
    unit: np.ndarray,
    seed: int,
) -> Curve:
    """The curve of distances [K, N] at K amounts, relative to `unit` [N]."""
    count = len(unit)
    drawn = np.random.default_rng(seed).integers(0, count, (_RESAMPLES, count))
    unit_means = unit[drawn].mean(axis=1)
    # Where most images are alike, a resample may hold none that differs from its other.
    drawn, unit_means = drawn[unit_means > 0], unit_means[unit_means > 0]
    ratios = [d[drawn].mean(axis=1) / unit_means for d in distances]
    low, high = np.percentile(ratios, [2.5, 97.5], axis=1)
    relative = distances.mean(axis=1) / unit.mean()
    return Curve(tuple(amounts), relative, low, high)
