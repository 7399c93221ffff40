"""Image measures against OpenCV, NumPy and scikit-image."""

import cv2
import numpy as np
import pytest
import skimage.metrics

from dfcvae_tf.metrics import pixels, sharpness


@pytest.fixture(name="pair", params=[1, 3], ids=["grey", "colour"])
def _pair(request):
    rng = np.random.default_rng(0)
    a = rng.random((4, 20, 17, request.param)).astype(np.float32)
    b = np.clip(a + rng.normal(0, 0.2, a.shape), 0, 1).astype(np.float32)
    return a, b


def test_laplacian_variance_is_opencvs(pair):
    images = pair[0]
    values = sharpness.laplacian_variance(images)
    assert values.dtype == np.float64
    expected = [cv2.Laplacian(image, cv2.CV_32F).var() for image in images]
    np.testing.assert_allclose(values, expected, rtol=1e-6)


def test_laplacian_variance_of_one_point():
    image = np.zeros((1, 10, 10, 1), np.float32)
    image[0, 5, 5] = 0.5
    # The kernel is -4 in the middle and 1 at four neighbours: its sum is 0, that of its
    # squares 20.
    np.testing.assert_allclose(sharpness.laplacian_variance(image), [20 * 0.25 / 100])


def test_mse_and_psnr_are_scikit_images(pair):
    a, b = pair
    for index in range(len(a)):
        np.testing.assert_allclose(
            pixels.mse(a, b)[index],
            skimage.metrics.mean_squared_error(a[index], b[index]),
            rtol=1e-6,
        )
        np.testing.assert_allclose(
            pixels.psnr(a, b)[index],
            skimage.metrics.peak_signal_noise_ratio(a[index], b[index], data_range=1),
            rtol=1e-6,
        )


def test_ssim_is_scikit_images(pair, monkeypatch):
    monkeypatch.setattr(pixels, "_SSIM_BATCH_SIZE", 3)  # and one left over
    a, b = pair
    expected = [
        skimage.metrics.structural_similarity(
            x,
            y,
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
            data_range=1,
            channel_axis=-1,
        )
        for x, y in zip(a, b, strict=True)
    ]
    np.testing.assert_allclose(pixels.ssim(a, b), expected, atol=1e-5)


def test_equal_images(pair):
    a = pair[0]
    np.testing.assert_array_equal(pixels.mse(a, a), 0.0)
    np.testing.assert_array_equal(pixels.psnr(a, a), np.inf)
    np.testing.assert_allclose(pixels.ssim(a, a), 1.0)


@pytest.mark.parametrize("measure", ["mse", "psnr", "ssim"])
def test_batches_that_would_broadcast_are_an_error(measure):
    a = np.zeros((4, 16, 16, 1), np.float32)
    for b in (a[:1], a[:, :, :1], np.repeat(a, 3, axis=-1)):
        with pytest.raises(ValueError, match="one shape"):
            getattr(pixels, measure)(a, b)


def test_what_is_no_batch_of_images_is_an_error():
    for shape in [(4, 16, 16), (16, 16, 1), (4, 16, 16, 2)]:
        with pytest.raises(ValueError, match="expected images"):
            sharpness.laplacian_variance(np.zeros(shape, np.float32))
    with pytest.raises(ValueError, match="uint8"):
        sharpness.laplacian_variance(np.zeros((4, 16, 16, 1), np.uint8))
    small = np.zeros((2, 10, 16, 1), np.float32)
    with pytest.raises(ValueError, match="11 x 11 pixels, got 10 x 16"):
        pixels.ssim(small, small)
