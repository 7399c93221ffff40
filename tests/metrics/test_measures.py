"""All measures of single images."""

import numpy as np
import pytest

from dfcvae_tf.metrics import measures, pixels, sharpness


@pytest.fixture(name="images")
def _images():
    return np.random.default_rng(0).random((5, 16, 12, 1)).astype(np.float32)


def test_a_copy_is_perfect_and_a_blur_is_measured_as_such(images):
    images[0] = 0.5
    soft = sharpness.blur(images)
    originals, made = measures.measure_images(images, {"copy": images, "soft": soft})
    assert set(originals) < set(made["copy"])
    for name, values in originals.items():
        np.testing.assert_array_equal(made["copy"][name], values)
    np.testing.assert_array_equal(made["copy"]["mse"], 0)
    np.testing.assert_array_equal(made["copy"]["psnr"], np.inf)
    np.testing.assert_allclose(made["copy"]["ssim"], 1)
    for name in ("edge_recovery", "blurred_edge_recovery"):
        np.testing.assert_allclose(made["copy"][name], [np.nan, 1, 1, 1, 1])
    np.testing.assert_array_equal(
        made["soft"]["laplacian_variance"], originals["blurred_laplacian_variance"]
    )
    np.testing.assert_array_equal(made["soft"]["mse"], pixels.mse(images, soft))
    np.testing.assert_array_equal(
        made["soft"]["blurred_edge_recovery"],
        sharpness.edge_recovery(soft, sharpness.blur(soft)),
    )


def test_images_too_small_for_ssim_have_none(images):
    small = images[:, :10]
    assert "ssim" not in measures.measure_images(small, {"a": small})[1]["a"]
