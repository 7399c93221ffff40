"""How much a loss minds that an image is moved: the case for a perceptual loss, measured.

Two pictures of one digit, one of them shifted by two pixels, are the same to a person and
far apart pixel by pixel. A loss is asked for the distance between an image and its moved
copy, relative to the distance between the image and a random other one.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

# images [N, H, W, C], others [N, H, W, C] -> [N] distances
Loss = Callable[[np.ndarray, np.ndarray], np.ndarray]

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


def shift(images: np.ndarray, pixels: int, seed: int) -> np.ndarray:
    """Moves each image by `pixels`, up, down, left or right, drawn per image.

    What enters repeats the border. [N, H, W, C] float32 in, the same out.
    """
    directions = np.array([(1, 0), (-1, 0), (0, 1), (0, -1)])
    drawn = np.random.default_rng(seed).integers(0, 4, len(images))
    return _warp(
        images,
        [np.array([[1, 0, dx], [0, 1, dy]]) for dx, dy in pixels * directions[drawn]],
    )


def rotate(images: np.ndarray, degrees: float, seed: int) -> np.ndarray:
    """Turns each image about its centre, left or right, drawn per image (bilinear)."""
    height, width = images.shape[1:3]
    centre = ((width - 1) / 2, (height - 1) / 2)
    signs = np.random.default_rng(seed).choice([-1, 1], len(images))
    return _warp(
        images, [cv2.getRotationMatrix2D(centre, s * degrees, 1.0) for s in signs]
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


def measure_robustness(
    images: np.ndarray,
    labels: np.ndarray | None,
    losses: Mapping[str, Loss],
    seed: int,
) -> dict[str, dict[str, Curve]]:
    """Measures the losses between images and their moved copies.

    Args:
      images: [N, H, W, C] float32 in [0, 1].
      labels: [N] int, or None.
      losses: by name; the pixel loss is added to them.
      seed: of directions, of the other images and of the intervals.

    Returns:
      "shift" and "rotation" -> loss name -> curve.
    """
    losses = {"pixel loss (squared error)": squared_pixel_error, **losses}
    others = images[random_others(len(images), labels, seed)]
    curves: dict[str, dict[str, Curve]] = {"shift": {}, "rotation": {}}
    for name, loss in losses.items():
        unit = loss(images, others)
        shifted = [loss(images, shift(images, n, seed)) for n in SHIFTS]
        rotated = [loss(images, rotate(images, n, seed)) for n in ANGLES]
        curves["shift"][name] = _curve(SHIFTS, shifted, unit, seed)
        curves["rotation"][name] = _curve(ANGLES, rotated, unit, seed)
    return curves


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
    distances: Sequence[np.ndarray],
    unit: np.ndarray,
    seed: int,
) -> Curve:
    count = len(unit)
    drawn = np.random.default_rng(seed).integers(0, count, (_RESAMPLES, count))
    unit_means = unit[drawn].mean(axis=1)
    ratios = [d[drawn].mean(axis=1) / unit_means for d in distances]
    low, high = np.percentile(ratios, [2.5, 97.5], axis=1)
    relative = np.array([d.mean() for d in distances]) / unit.mean()
    return Curve(tuple(amounts), relative, low, high)
