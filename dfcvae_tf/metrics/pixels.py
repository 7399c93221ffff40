"""How far images are from others, pixel by pixel: one number per pair of images.

Every function takes two batches [N, H, W, C] of floats in [0, 1], C 1 or 3, and returns
[N] float64. A mistake in a shape raises ValueError; nothing broadcasts.
"""

import numpy as np

from dfcvae_tf.metrics.image_batches import as_image_batches

SSIM_WINDOW_SIZE = 11
_SSIM_BATCH_SIZE = 500


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
