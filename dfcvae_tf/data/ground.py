"""What grey pictures lie on: strokes of light in the dark, or ink on paper.

A network that has seen one kind reads the other as if all of it were strokes. Pictures
here are [H, W, 1] float32 in [0, 1]; their ground is the median of their border.
"""

from typing import Literal

import numpy as np

Ground = Literal["dark", "light"]

_LEVELS: dict[Ground, float] = {"dark": 0.0, "light": 1.0}
# From there to black or white, a ground is one.
_NEAR = 0.1
# The least strength of strokes, one step of 8 bits: fainter ones are none.
_FAINTEST = 1 / 255


def ground_of(image: np.ndarray) -> Ground | None:
    """Returns what a picture lies on; None of one with other borders, and of colour."""
    if image.shape[-1] != 1:
        return None
    level = _level(image)
    for ground, pure in _LEVELS.items():
        if abs(level - pure) <= _NEAR:
            return ground
    return None


def put_on(image: np.ndarray, ground: Ground | None) -> tuple[np.ndarray, str | None]:
    """Puts a picture on another ground than its own.

    Light becomes dark where its ground is nearer to the other end; then grey values are
    stretched, so that the ground is pure and the strokes are as strong as can be.

    Args:
      image: the picture.
      ground: the one wanted; None for any.

    Returns:
      The picture, and in words what was done to it; itself and None where nothing was.
    """
    if ground is None:
        return image, None
    pure, level = _LEVELS[ground], _level(image)
    if abs(level - pure) <= _NEAR:
        return image, None
    done = "stretched"
    if abs(level - pure) > 0.5:
        image, level, done = 1.0 - image, 1.0 - level, "inverted and stretched"
    strength = image - level if ground == "dark" else level - image
    strength = np.clip(strength / max(strength.max(), _FAINTEST), 0.0, 1.0)
    image = strength if ground == "dark" else 1.0 - strength
    return image.astype(np.float32), done


def _level(image: np.ndarray) -> float:
    """The median of the outermost pixels."""
    border = np.ones(image.shape[:2], bool)
    border[1:-1, 1:-1] = False
    return float(np.median(image[border]))
