import cv2
import numpy as np
import pytest
import tensorflow as tf

from dfcvae_tf.data.prepare import prepare_image


def _image(height, width, channels, seed=0):
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (height, width, channels), dtype=np.uint8)


def _prepare(image, shape, crop="none"):
    return prepare_image(tf.constant(image), shape, crop).numpy()


def _triangle_filter(size_in, size_out):
    """The matrix of an antialiased bilinear resize along one side."""
    scale = max(size_in / size_out, 1)
    centers = (np.arange(size_out) + 0.5) * size_in / size_out
    offsets = (np.arange(size_in) + 0.5)[None, :] - centers[:, None]
    weights = np.maximum(0, 1 - np.abs(offsets) / scale)
    return weights / weights.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("shape", [(8, 8), (13, 9), (64, 50), (40, 11)])
def test_resizes_as_the_antialiased_bilinear_filter(shape):
    image = _image(30, 21, 3)
    rows, columns = _triangle_filter(30, shape[0]), _triangle_filter(21, shape[1])
    expected = np.einsum("ij,jkc,lk->ilc", rows, image, columns)
    result = _prepare(image, (*shape, 3))
    assert result.dtype == np.uint8
    # Rounded to the nearest, once.
    assert np.abs(result - expected).max() < 0.501


def test_enlarges_as_opencv_does():
    image = _image(10, 12, 3)
    expected = cv2.resize(image, (30, 40), interpolation=cv2.INTER_LINEAR)
    difference = _prepare(image, (40, 30, 3)).astype(int) - expected
    assert np.abs(difference).max() <= 1


def test_grey_is_luma_and_rgb_of_grey_is_grey():
    color = _image(9, 7, 3)
    grey = _prepare(color, (9, 7, 1))
    expected = cv2.cvtColor(color, cv2.COLOR_RGB2GRAY)
    assert np.abs(grey[..., 0].astype(int) - expected).max() <= 1
    np.testing.assert_array_equal(
        _prepare(grey, (9, 7, 3)), np.repeat(grey, 3, axis=-1)
    )


@pytest.mark.parametrize(
    ("size", "wanted", "part"),
    [
        ((60, 100), (20, 20), (slice(0, 60), slice(20, 80))),
        ((109, 89), (64, 64), (slice(10, 99), slice(0, 89))),
        ((50, 50), (10, 20), (slice(12, 37), slice(0, 50))),
        ((40, 20), (20, 10), (slice(0, 40), slice(0, 20))),
    ],
)
def test_center_crop_keeps_the_aspect_ratio(size, wanted, part):
    image = _image(*size, 3)
    np.testing.assert_array_equal(
        _prepare(image, (*wanted, 3), "center"), _prepare(image[part], (*wanted, 3))
    )


def test_no_crop_stretches():
    image = np.zeros((10, 30, 1), np.uint8)
    image[:, :10] = 255
    assert _prepare(image, (10, 10, 1), "none")[:, :3].min() == 255
    assert _prepare(image, (10, 10, 1), "center").max() == 0


def test_sizes_known_only_at_run_time_give_the_same():
    image = _image(31, 45, 3)
    spec = tf.TensorSpec([None, None, 3], tf.uint8)
    prepare = tf.function(
        lambda x: prepare_image(x, (16, 16, 1), "center"), input_signature=[spec]
    )
    np.testing.assert_array_equal(
        prepare(image).numpy(), _prepare(image, (16, 16, 1), "center")
    )


@pytest.mark.parametrize("crop", ["center", "none"])
def test_right_size_is_left_alone(crop):
    image = _image(11, 17, 3)
    np.testing.assert_array_equal(_prepare(image, image.shape, crop), image)
