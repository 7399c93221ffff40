"""Measures of single images and of pairs of images, one number per image, on NumPy arrays.

Every function takes batches [N, H, W, C] of floats in [0, 1], C 1 or 3, and returns
[N] float64. A mistake in a shape raises ValueError; nothing broadcasts.
"""

import cv2
import numpy as np

SSIM_WINDOW_SIZE = 11
_SSIM_BATCH_SIZE = 500


def laplacian_variance(images: np.ndarray) -> np.ndarray:
    """Variance of each image's Laplacian: high where edges are many and steep.

    Pech-Pacheco et al. (2000), "Diatom autofocusing in brightfield microscopy": per image
    `cv2.Laplacian(image, cv2.CV_32F).var()`, over all channels together. It measures blur
    only between images that are alike otherwise, as noise raises it too.

    Args:
      images: [N, H, W, 1 or 3] float in [0, 1].

    Returns:
      [N] float64.
    """
    (images,) = as_image_batches(images)
    return np.array(
        [cv2.Laplacian(i, cv2.CV_32F).var(dtype=np.float64) for i in images], np.float64
    )


def mse(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Squared difference, mean over pixels and channels, [N] float64."""
    a, b = as_image_batches(a, b)
    return np.square(a - b).mean(axis=(1, 2, 3), dtype=np.float64)


def psnr(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Peak signal-to-noise ratio with peak 1, [N] float64 in dB; inf for equal images."""
    with np.errstate(divide="ignore"):
        return -10.0 * np.log10(mse(a, b))


def ssim(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Structural similarity of Wang et al. (2004), with peak 1.

    Their settings: Gaussian window of 11 x 11 pixels with standard deviation 1.5,
    K1 = 0.01, K2 = 0.03; mean over the places where the whole window fits, then over
    channels.

    Args:
      a: [N, H, W, 1 or 3] float in [0, 1], H and W at least 11.
      b: same shape as `a`.

    Returns:
      [N] float64 in [-1, 1], 1 for equal images.
    """
    # Imported here because no other measure needs TensorFlow.
    import tensorflow as tf

    a, b = as_image_batches(a, b)
    if min(a.shape[1:3]) < SSIM_WINDOW_SIZE:
        raise ValueError(
            f"SSIM needs images of at least {SSIM_WINDOW_SIZE} x {SSIM_WINDOW_SIZE} "
            f"pixels, got {a.shape[1]} x {a.shape[2]}"
        )
    values = np.empty(len(a), np.float64)
    for start in range(0, len(a), _SSIM_BATCH_SIZE):
        part = slice(start, start + _SSIM_BATCH_SIZE)
        values[part] = tf.image.ssim(a[part], b[part], max_val=1.0)
    return values


def as_image_batches(*batches: np.ndarray) -> list[np.ndarray]:
    """Returns batches of images as float32 arrays.

    Raises:
      ValueError: one is not [N, H, W, 1 or 3], holds integers (as 8-bit images do, whose
        range is another), or their shapes differ.
    """
    arrays = [np.asarray(batch) for batch in batches]
    for array in arrays:
        if array.ndim != 4 or array.shape[-1] not in (1, 3):
            raise ValueError(f"expected images [N, H, W, 1 or 3], got {array.shape}")
        if array.dtype.kind != "f":
            raise ValueError(f"expected floats in [0, 1], got {array.dtype}")
        if array.shape != arrays[0].shape:
            raise ValueError(
                f"expected batches of one shape, got {arrays[0].shape} and {array.shape}"
            )
    return [array.astype(np.float32, copy=False) for array in arrays]
