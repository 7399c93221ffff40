"""Everything that is measured of each single image; numpy in, numpy out."""

import numpy as np

from dfcvae_tf.metrics import pixels, sharpness


def blur_measures(originals: np.ndarray, images: np.ndarray) -> dict[str, np.ndarray]:
    """How sharp images are, and whether it is the sharpness of their originals.

    Args:
      originals: [N, H, W, C] float32 in [0, 1].
      images: the same shape; image i is to show what original i shows.

    Returns:
      name -> [N] float64; edge recovery is nan where the original has no edge. What is
      called blurred is measured after `sharpness.blur`.
    """
    blurred = sharpness.blur(images)
    return {
        "laplacian_variance": sharpness.laplacian_variance(images),
        "blurred_laplacian_variance": sharpness.laplacian_variance(blurred),
        "high_frequency_energy": sharpness.high_frequency_energy(images),
        "edge_recovery": sharpness.edge_recovery(originals, images),
        "blurred_edge_recovery": sharpness.edge_recovery(
            sharpness.blur(originals), blurred
        ),
    }


def pixel_measures(originals: np.ndarray, images: np.ndarray) -> dict[str, np.ndarray]:
    """How far images are from their originals, pixel by pixel.

    Takes and returns what `blur_measures` does. "psnr" is inf for a perfect copy;
    "ssim" is left out for images too small for its window.
    """
    measures = {
        "mse": pixels.mse(originals, images),
        "psnr": pixels.psnr(originals, images),
    }
    if min(originals.shape[1:3]) >= pixels.SSIM_WINDOW_SIZE:
        measures["ssim"] = pixels.ssim(originals, images)
    return measures
