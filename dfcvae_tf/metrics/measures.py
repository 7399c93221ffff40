"""Everything that is measured of each single image; numpy in, numpy out."""

from collections.abc import Mapping

import numpy as np

from dfcvae_tf.metrics import pixels, sharpness


def measure_images(
    originals: np.ndarray, made: Mapping[str, np.ndarray]
) -> tuple[dict[str, np.ndarray], dict[str, dict[str, np.ndarray]]]:
    """Measures originals and what was made of them.

    What is called blurred is measured after `sharpness.blur` of the images, and of the
    originals where these are compared with them.

    Args:
      originals: [N, H, W, C] float32 in [0, 1].
      made: maker -> the same shape; image i is to show what original i shows.

    Returns:
      measure -> [N] float64 of the originals (how sharp they are), and maker -> measure
      -> [N] float64 (how sharp, and how far from the originals). Edge recovery is nan
      where the original has no edge, "psnr" is inf for a perfect copy, and "ssim" is left
      out for images too small for its window.
    """
    blurred_originals = sharpness.blur(originals)
    of_made = {}
    for maker, images in made.items():
        blurred = sharpness.blur(images)
        of_made[maker] = {
            **_sharpness(images, blurred),
            "edge_recovery": sharpness.edge_recovery(originals, images),
            "blurred_edge_recovery": sharpness.edge_recovery(
                blurred_originals, blurred
            ),
            **_distances(originals, images),
        }
    return _sharpness(originals, blurred_originals), of_made


def _sharpness(images: np.ndarray, blurred: np.ndarray) -> dict[str, np.ndarray]:
    return {
        "laplacian_variance": sharpness.laplacian_variance(images),
        "blurred_laplacian_variance": sharpness.laplacian_variance(blurred),
        "high_frequency_energy": sharpness.high_frequency_energy(images),
    }


def _distances(originals: np.ndarray, images: np.ndarray) -> dict[str, np.ndarray]:
    measures = {
        "mse": pixels.mse(originals, images),
        "psnr": pixels.psnr(originals, images),
    }
    if min(originals.shape[1:3]) >= pixels.SSIM_WINDOW_SIZE:
        measures["ssim"] = pixels.ssim(originals, images)
    return measures
