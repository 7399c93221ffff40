"""dfcvae_tf/perceptual/preprocessing.py"""

import numpy as np
import pytest
import tensorflow as tf

from dfcvae_tf.perceptual.preprocessing import PREPROCESSING

IMAGES = np.random.default_rng(0).uniform(size=(2, 3, 4, 3)).astype(np.float32)


@pytest.mark.parametrize(
    ("name", "mode"), [("caffe", "caffe"), ("torch", "torch"), ("-1_1", "tf")]
)
def test_equals_that_of_keras_applications(name, mode):
    expected = tf.keras.applications.imagenet_utils.preprocess_input(
        IMAGES * 255.0, mode=mode
    )
    # Values reach 150; float32 has seven digits.
    np.testing.assert_allclose(
        PREPROCESSING[name](tf.constant(IMAGES)), expected, rtol=1e-5, atol=2e-5
    )


def test_plain_ranges():
    assert PREPROCESSING["none"] is None
    np.testing.assert_array_equal(
        PREPROCESSING["0_255"](tf.constant(IMAGES)), IMAGES * np.float32(255)
    )


def test_whitening_is_that_of_tensorflow_for_pixels_up_to_255():
    faint = np.float32(0.5) + IMAGES[:1] * np.float32(1e-5)  # below the least deviation
    images = tf.constant(np.concatenate([IMAGES, faint]))
    np.testing.assert_allclose(
        PREPROCESSING["whiten"](images),
        tf.image.per_image_standardization(images * 255.0),
        rtol=1e-4,
        atol=1e-4,
    )


def test_whitening_one_colour_has_a_finite_gradient():
    images = tf.fill([1, 4, 4, 3], 0.5)
    with tf.GradientTape() as tape:
        tape.watch(images)
        loss = tf.reduce_sum(PREPROCESSING["whiten"](images) * IMAGES[:1, :1, :1])
    assert np.isfinite(tape.gradient(loss, images)).all()
