"""Sharpness on images whose answer is known."""

import cv2
import numpy as np
import pytest

from dfcvae_tf import run_dir
from dfcvae_tf.files import read_arrays
from dfcvae_tf.metrics import sharpness


@pytest.fixture(name="digits", scope="module")
def _digits():
    sample = read_arrays(run_dir.ASSETS_DIR / "mnist_sample.npz")
    return sample["test_images"][:500].astype(np.float32) / 255


@pytest.mark.parametrize("channels", [1, 3])
def test_blur_is_a_gaussian_of_one_pixel(channels):
    image = np.zeros((1, 21, 21, channels), np.float32)
    image[0, 10, 10, 0] = 1.0
    blurred = sharpness.blur(image)
    assert blurred.shape == image.shape
    y, x = np.indices((21, 21)) - 10
    bell = np.exp(-(x**2 + y**2) / 2) / (2 * np.pi)
    np.testing.assert_allclose(blurred[0, ..., 0], bell, atol=1e-3)
    np.testing.assert_array_equal(blurred[..., 1:], 0.0)


def test_high_frequency_energy_of_known_frequencies():
    y, x = np.indices((16, 24))
    checkerboard = np.where((x + y) % 2, 1.0, -1.0)
    slow = np.sin(2 * np.pi * x / 8)  # an eighth of a cycle per pixel
    diagonal = np.sin(2 * np.pi * (x * 5 / 24 + y * 3 / 16))  # 0.21 and 0.19: 0.28
    images = [checkerboard, np.full((16, 24), 0.7), slow, diagonal]
    images.append(0.5 + 0.3 * checkerboard + 0.2 * slow)
    energy = sharpness.high_frequency_energy(np.float32(images)[..., np.newaxis])
    np.testing.assert_allclose(energy, [1.0, 0.0, 0.0, 0.5, 0.3**2], atol=1e-6)


def test_high_frequency_energy_is_the_mean_over_channels():
    images = np.random.default_rng(0).random((3, 10, 11, 3)).astype(np.float32)
    each = [sharpness.high_frequency_energy(images[..., c : c + 1]) for c in range(3)]
    np.testing.assert_allclose(
        sharpness.high_frequency_energy(images), np.mean(each, axis=0), rtol=1e-6
    )


def test_high_and_low_frequencies_add_up_to_the_mean_square():
    image = np.random.default_rng(0).normal(size=(15, 20))
    frequency = np.hypot(np.fft.fftfreq(15)[:, np.newaxis], np.fft.fftfreq(20))
    spectrum = np.fft.fft2(image)
    low = np.fft.ifft2(np.where(frequency > 0.25, 0, spectrum)).real
    energy = sharpness.high_frequency_energy(np.float32(image)[np.newaxis, ..., None])
    np.testing.assert_allclose(
        energy + np.square(low).mean(), np.square(image).mean(), rtol=1e-6
    )


def test_edge_recovery_of_known_truth(digits):
    def mean(images):
        return sharpness.edge_recovery(digits, np.float32(images)).mean()

    noise = np.random.default_rng(0).normal(0, 0.1, digits.shape)
    assert mean(digits) == pytest.approx(1.0)
    assert mean(0.3 * digits + 0.2) == pytest.approx(0.3, rel=1e-5)
    assert mean(np.zeros_like(digits)) == 0.0
    assert mean(noise) == pytest.approx(0.0, abs=0.01)
    assert mean(digits + noise) == pytest.approx(1.0, abs=0.01)
    assert mean(np.roll(digits, 10, axis=2)) == pytest.approx(0.0, abs=0.05)


def test_edge_recovery_is_the_slope_of_the_least_squares_line():
    a, b = np.random.default_rng(0).random((2, 1, 9, 8, 3)).astype(np.float32)
    x, y = (cv2.Laplacian(v[0], cv2.CV_32F).ravel() for v in (a, b))
    np.testing.assert_allclose(
        sharpness.edge_recovery(a, b), np.polyfit(x, y, 1)[0], rtol=1e-5
    )


def test_constant_originals_have_no_edges_to_recover(digits):
    originals = digits[:20].copy()
    originals[:3] = np.array([0.0, 0.1, 0.7]).reshape(3, 1, 1, 1)
    recovery = sharpness.edge_recovery(originals, digits[:20])
    np.testing.assert_array_equal(np.isnan(recovery), np.arange(20) < 3)


def test_outputs_of_another_shape_are_an_error(digits):
    with pytest.raises(ValueError, match="one shape"):
        sharpness.edge_recovery(digits, digits[:, 1:])
