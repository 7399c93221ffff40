"""How sharp images are, and whether it is the sharpness of their originals.

Every function takes batches [N, H, W, C] of floats in [0, 1], C 1 or 3. The variance of
the Laplacian rises with every edge, but with noise and ringing as well; the others tell
them apart, see `sharpness_verdict`.
"""

import cv2
import numpy as np
import scipy.fft

from dfcvae_tf.metrics.image_batches import as_image_batches

# In float32 the Laplacian of a constant image has a variance of about 1e-14; one pixel of
# a 512 x 512 image that differs by one grey level of 256 has 1e-9.
_FLAT_VARIANCE = 1e-12


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


def blur(images: np.ndarray) -> np.ndarray:
    """Gaussian blur with a standard deviation of 1 pixel.

    Args:
      images: [N, H, W, 1 or 3] float in [0, 1].

    Returns:
      Same shape, float32.
    """
    (images,) = as_image_batches(images)
    blurred = np.empty_like(images)
    for image, out in zip(images, blurred, strict=True):
        # OpenCV drops a last axis of 1.
        out[:] = cv2.GaussianBlur(image, (0, 0), 1.0).reshape(image.shape)
    return blurred


def high_frequency_energy(images: np.ndarray) -> np.ndarray:
    """Power in spatial frequencies above a quarter cycle per pixel, half of Nyquist's.

    The power of all frequencies together is the mean square of the pixels (Parseval); the
    mean over channels is taken. The discrete Fourier transform continues an image
    periodically, so a jump between opposite borders counts as high frequency.

    Args:
      images: [N, H, W, 1 or 3] float in [0, 1].

    Returns:
      [N] float64, mean square per pixel.
    """
    (images,) = as_image_batches(images)
    _, height, width, channels = images.shape
    y = scipy.fft.fftfreq(height)[:, np.newaxis]
    x = scipy.fft.fftfreq(width)[np.newaxis, :]
    high = np.hypot(y, x) > 0.25
    scale = (height * width) ** 2 * channels
    return np.array(
        [
            np.square(np.abs(scipy.fft.fft2(image, axes=(0, 1))[high])).sum(
                dtype=np.float64
            )
            / scale
            for image in images
        ],
        np.float64,
    )


def edge_recovery(originals: np.ndarray, images: np.ndarray) -> np.ndarray:
    """How much of its original's edges an image has, at their places.

    The slope of the least-squares line of the image's Laplacian on the original's: 1 for a
    copy, c for a copy with c times the contrast, and in expectation 0 for noise and for
    edges that are elsewhere. Adding noise that is independent of the original does not
    raise it, unlike the variance of the Laplacian; that is what it is for.

    Args:
      originals: [N, H, W, 1 or 3] float in [0, 1].
      images: same shape as `originals`; what a model made of each.

    Returns:
      [N] float64; NaN where the original is constant, as without edges there are none to
      recover: leave those pairs out.
    """
    originals, images = as_image_batches(originals, images)
    slopes = np.full(len(originals), np.nan)
    for index, (original, image) in enumerate(zip(originals, images, strict=True)):
        x = cv2.Laplacian(original, cv2.CV_32F).astype(np.float64)
        y = cv2.Laplacian(image, cv2.CV_32F).astype(np.float64)
        x -= x.mean()
        variance = np.square(x).mean()
        if variance > _FLAT_VARIANCE:
            slopes[index] = (x * y).mean() / variance
    return slopes
