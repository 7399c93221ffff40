"""Pairs to learn a perceptual distance from: crops of photos, and what becomes of them.

Crops differ in scale, colour and contrast, more than photos do, so that what was learned
on photos of one kind holds for others. Distortions are those a VAE makes while it learns
(blur, wrong colours, wrong contrast, small shifts, noise, parts of another photo), each
from hardly visible to strong.
"""

import cv2
import numpy as np

SIZE = 32
# A crop is a square of SIZE to so many times SIZE pixels of the photo.
_LARGEST = 2.0
_MAX_SHIFT = 3
_MIXING = 0.3  # standard deviation of what a colour gets of another


def draw_pairs(
    photos: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Returns crops, and a distorted one for each.

    Args:
      photos: [N, H, W, 3] float32 in [0, 1], at least SIZE + 2 * _MAX_SHIFT a side.
      rng: what is drawn with.

    Returns:
      float32 [N, SIZE, SIZE, 3] in [0, 1] each.
    """
    crops, moved = zip(*(_crops(photo, rng) for photo in photos), strict=True)
    others = np.roll(crops, 1, axis=0)
    distorted = [
        _distorted(*images, rng) for images in zip(crops, moved, others, strict=True)
    ]
    return np.stack(crops), np.stack(distorted)


def _crops(
    photo: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Returns a crop of a photo, and in half of the cases one that is shifted."""
    height, width = photo.shape[:2]
    space = SIZE + 2 * _MAX_SHIFT
    scale = rng.uniform(1.0, min(_LARGEST, min(height, width) / space))
    corner = rng.uniform(0, (height - scale * space, width - scale * space))
    flip = rng.random() < 0.5
    mixing = np.eye(3) + _MIXING * rng.standard_normal((3, 3))
    gain, offset = np.exp(rng.uniform(-0.7, 0.3)), rng.uniform(-0.2, 0.2)
    side = int(scale * space)
    top, left = corner.astype(int)
    part = cv2.resize(
        photo[top : top + side, left : left + side],
        (space, space),
        interpolation=cv2.INTER_AREA,
    )
    part = part[:, ::-1] if flip else part
    part = np.clip((part @ mixing.T - 0.5) * gain + 0.5 + offset, 0.0, 1.0)
    shift = rng.integers(-_MAX_SHIFT, _MAX_SHIFT + 1, 2) * (rng.random() < 0.4)
    starts = (_MAX_SHIFT, _MAX_SHIFT), _MAX_SHIFT + shift
    crop, moved = (part[y : y + SIZE, x : x + SIZE] for y, x in starts)
    return crop.astype(np.float32), moved.astype(np.float32)


def _distorted(
    crop: np.ndarray, moved: np.ndarray, other: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    image = moved
    is_noisy = rng.random() < 0.4
    # One of the two always: two equal images have no direction to learn.
    if not is_noisy or rng.random() < 0.5:
        blurred = _blur(image, float(_strength(rng, 0.5, 4.0)))
        image = image + rng.uniform(0.5, 1.0) * (blurred - image)
    if rng.random() < 0.5:  # colours wrong in large spots
        coarse = rng.standard_normal((4, 4, 3)).astype(np.float32)
        spots = cv2.resize(coarse, (SIZE, SIZE), interpolation=cv2.INTER_CUBIC)
        image = image + _strength(rng, 0.01, 0.15) * spots
    if rng.random() < 0.3:
        difference = _blur(other - crop, rng.uniform(1.0, 4.0))
        image = image + rng.uniform(0.05, 0.5) * difference
    if rng.random() < 0.3:
        mean = image.mean(axis=(0, 1))
        image = mean + rng.uniform(0.6, 1.3) * (image - mean)
    if rng.random() < 0.1:
        image = other
    if is_noisy:
        noise = rng.standard_normal(image.shape, np.float32)
        image = image + _strength(rng, 0.002, 0.2) * noise
    return np.clip(image, 0.0, 1.0).astype(np.float32)


def _blur(image: np.ndarray, sigma: float) -> np.ndarray:
    return cv2.GaussianBlur(image, (0, 0), sigma)


def _strength(rng: np.random.Generator, least: float, most: float) -> np.float32:
    return np.float32(np.exp(rng.uniform(np.log(least), np.log(most))))
