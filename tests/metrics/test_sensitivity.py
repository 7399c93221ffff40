"""Losses on moved images: losses whose curve is known, and real digits."""

import dataclasses
import warnings

import cv2
import numpy as np
import pytest

from dfcvae_tf.errors import UserError
from dfcvae_tf.files import read_arrays
from dfcvae_tf.metrics import sensitivity
from dfcvae_tf.run_dir import ASSETS_DIR


@pytest.fixture(scope="module")
def digits():
    """Digits on a black border that a shift of 4 pixels stays within."""
    sample = read_arrays(ASSETS_DIR / "mnist_sample.npz")
    images = sample["test_images"][:200].astype(np.float32) / 255
    images = np.pad(images, ((0, 0), (4, 4), (4, 4), (0, 0)))
    return images, sample["test_labels"][:200].astype(np.int64)


def test_shift_moves_whole_pixels(digits):
    images, _ = digits
    for pixels in (0, 3):
        steps, _ = sensitivity.draw_moves(len(images), seed=0)
        moved = sensitivity.shift(images, pixels * steps)
        rolled = [
            np.roll(images, step, axis) for axis in (1, 2) for step in (pixels, -pixels)
        ]
        errors = [np.abs(moved - r).max(axis=(1, 2, 3)) for r in rolled]
        assert np.min(errors, axis=0).max() == 0
        if pixels:
            assert len(set(np.argmin(errors, axis=0))) == 4


def test_without_other_images_there_is_nothing_to_be_relative_to(digits):
    images = np.repeat(digits[0][:1], 40, axis=0)

    def measure(**losses):
        return sensitivity.measure_sensitivity(
            lambda rows: images[rows], len(images), 7, None, losses, seed=0
        )

    with pytest.raises(UserError, match="the 40 images are all alike"):
        measure()
    images[7] = digits[0][1]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        shift = measure(
            zero=lambda a, b: np.zeros(len(a)), nan=lambda a, b: np.full(len(a), np.nan)
        )["shift"]
    (curve,) = shift.values()  # that of the pixel loss
    assert np.isfinite([curve.relative, curve.low, curve.high]).all()


def test_rotation_keeps_the_centre_and_turns_the_rest():
    image = np.zeros((1, 29, 29, 3), np.float32)
    image[0, 14, 14:] = 1  # from the centre to the right
    turned = sensitivity.rotate(image, np.array([90]))[0, ..., 0]
    assert turned[14, 14] == pytest.approx(1)
    assert turned[:, 14].sum() == pytest.approx(15, abs=0.01)
    np.testing.assert_array_equal(sensitivity.rotate(image, np.array([0])), image)


def test_others_are_of_another_class(digits):
    _, labels = digits
    others = sensitivity.random_others(len(labels), labels, seed=0)
    assert (labels[others] != labels).all()
    assert (sensitivity.random_others(5, None, seed=0) != np.arange(5)).all()
    with pytest.raises(ValueError, match="no other image"):
        sensitivity.random_others(3, np.array([1, 1, 1]), seed=0)


def test_curves_of_losses_that_are_known(digits):
    images, labels = digits

    def brightness(a, b):  # does not mind where things are
        return (a.mean(axis=(1, 2, 3)) - b.mean(axis=(1, 2, 3))) ** 2

    def constant(a, b):
        return np.ones(len(a))

    losses = {"brightness": brightness, "constant": constant}

    def measure(batch_size):
        return sensitivity.measure_sensitivity(
            lambda rows: images[rows], len(images), batch_size, labels, losses, seed=0
        )

    curves = measure(len(images))
    for kind, losses_of_kind in measure(7).items():  # whatever the size of a batch
        for name, curve in losses_of_kind.items():
            expected = dataclasses.asdict(curves[kind][name])
            np.testing.assert_equal(dataclasses.asdict(curve), expected)
    shift = curves["shift"]
    np.testing.assert_allclose(shift["brightness"].relative, 0, atol=1e-9)
    np.testing.assert_allclose(shift["constant"].relative, 1)
    np.testing.assert_allclose(shift["constant"].low, 1)
    for curve in (
        curves["shift"]["pixel loss (squared error)"],
        curves["rotation"]["pixel loss (squared error)"],
    ):
        assert curve.relative[0] == 0
        assert (np.diff(curve.relative) > 0).all()
        assert (curve.low <= curve.relative).all()
        assert (curve.relative <= curve.high).all()


def test_pixel_loss_is_opencvs(digits):
    images, _ = digits
    ours = sensitivity.squared_pixel_error(images[:1], images[1:2])
    norm = cv2.norm(images[0].astype(float), images[1].astype(float), cv2.NORM_L2SQR)
    np.testing.assert_allclose(ours, norm)
