"""The one place for value ranges, image grids and writing PNG files.

Everywhere else an image is float32 in [0, 1], NHWC, RGB order when it has 3 channels.
"""

import typing
from collections.abc import Sequence

import cv2
import numpy as np

if typing.TYPE_CHECKING:
    import tensorflow as tf


def to_float(images: "tf.Tensor") -> "tf.Tensor":
    """uint8 in [0, 255] -> float32 in [0, 1], any shape."""
    import tensorflow as tf  # here: all else is needed without it too

    return tf.cast(images, tf.float32) / 255.0


def to_uint8(images: np.ndarray) -> np.ndarray:
    """float in [0, 1] (values outside are clipped) -> uint8 in [0, 255], any shape."""
    return np.rint(np.clip(images, 0.0, 1.0) * 255.0).astype(np.uint8)


def inference_batch(image_shape: Sequence[int]) -> int:
    """How many images to take at once where nothing is trained: 500, fewer above 32x32.

    What a perceptual model makes of 500 images of 64x64 takes gigabytes.

    Args:
      image_shape: (H, W, C).
    """
    return max(1, min(500, 500 * 32 * 32 // (image_shape[0] * image_shape[1])))


def make_grid(images: np.ndarray, columns: int, padding: int = 2) -> np.ndarray:
    """Lays images out row by row on a white ground.

    Args:
      images: [N, H, W, C] float in [0, 1], C 1 or 3.
      columns: images per row, at least 1.
      padding: white pixels around each image.

    Returns:
      [rows * (H + padding) + padding, columns * (W + padding) + padding, C] float32.
    """
    count, height, width, channels = images.shape
    rows = -(-count // columns)
    grid = np.ones(
        (
            rows * (height + padding) + padding,
            columns * (width + padding) + padding,
            channels,
        ),
        np.float32,
    )
    for index, image in enumerate(images):
        top = padding + (index // columns) * (height + padding)
        left = padding + (index % columns) * (width + padding)
        grid[top : top + height, left : left + width] = np.clip(image, 0.0, 1.0)
    return grid


def encode_png(image: np.ndarray) -> bytes:
    """Returns the PNG file of an image [H, W, 1 or 3], float in [0, 1], RGB."""
    pixels = to_uint8(image)
    if pixels.shape[-1] == 3:
        pixels = cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR)
    return cv2.imencode(".png", pixels)[1].tobytes()
