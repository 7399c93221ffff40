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
