import cv2
import numpy as np
import pytest
import tensorflow as tf

from dfcvae_tf.data.prepare import PARTS, part_box, prepare_image


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


# Of full-size and half-size CelebA: (top, bottom, left, right).
FACE_PARTS = {
    "hou": [(40, 178, 30, 168), (20, 89, 15, 84)],
    "center148": [(35, 183, 15, 163), (18, 92, 8, 82)],
    "facenet160": [(29, 189, 9, 169), (15, 95, 5, 85)],
}


@pytest.mark.parametrize("crop", FACE_PARTS)
@pytest.mark.parametrize("half", [False, True])
def test_face_crops_cut_known_pixels(crop, half):
    image = _image(109, 89, 3) if half else _image(218, 178, 3)
    top, bottom, left, right = FACE_PARTS[crop][half]
    part = image[top:bottom, left:right]
    assert part.shape[0] == part.shape[1]
    # As large as it is: cut and nothing else, also where the image has the size wanted.
    np.testing.assert_array_equal(_prepare(image, part.shape, crop), part)
    for shape in ((16, 16, 1), image.shape):
        np.testing.assert_array_equal(
            _prepare(image, shape, crop), _prepare(part, shape)
        )


@pytest.mark.parametrize("crop", PARTS)
def test_face_crops_are_shares_of_any_picture(crop):
    for height, width in [(1, 1), (3, 2), (17, 500), (500, 17), (1090, 890)]:
        top, left, part_height, part_width = part_box(crop, height, width)
        assert part_height >= 1 and top + part_height <= height
        assert part_width >= 1 and left + part_width <= width
        exact = np.array(PARTS[crop]) / (218, 178, 218, 178)
        exact *= (height, width, height, width)
        assert np.abs(exact - (top, left, part_height, part_width)).max() <= 0.5
    # The proportions of CelebA give a square.
    assert all(
        box[2] == box[3]
        for box in (part_box(crop, round(218 * k), round(178 * k)) for k in (0.25, 2))
    )


def test_sizes_known_only_at_run_time_give_the_same():
    image = _image(31, 45, 3)
    spec = tf.TensorSpec([None, None, 3], tf.uint8)
    for crop in ("center", "hou"):
        prepare = tf.function(
            lambda x, crop=crop: prepare_image(x, (16, 16, 1), crop),
            input_signature=[spec],
        )
        np.testing.assert_array_equal(
            prepare(image).numpy(), _prepare(image, (16, 16, 1), crop)
        )


@pytest.mark.parametrize("crop", ["center", "none"])
def test_right_size_is_left_alone(crop):
    image = _image(11, 17, 3)
    np.testing.assert_array_equal(_prepare(image, image.shape, crop), image)
