"""Value ranges, grids, PNG."""

import cv2
import numpy as np
import pytest

from dfcvae_tf import images as images_lib
from dfcvae_tf.errors import UserError


def test_uint8_survives_the_way_to_float_and_back():
    every = np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1)
    floats = images_lib.to_float(every).numpy()
    assert floats.dtype == np.float32
    assert (floats.min(), floats.max()) == (0.0, 1.0)
    np.testing.assert_array_equal(images_lib.to_uint8(floats), every)


def test_values_outside_are_clipped():
    np.testing.assert_array_equal(images_lib.to_uint8(np.array([-0.2, 1.7])), [0, 255])


def test_grid_places_images_row_by_row():
    images = np.stack([np.full((2, 3, 1), i / 10, np.float32) for i in range(5)])
    grid = images_lib.make_grid(images, columns=3, padding=1)
    assert grid.shape == (2 * 3 + 1, 3 * 4 + 1, 1)
    assert grid[1, 1, 0] == 0.0
    np.testing.assert_allclose(grid[1:3, 9:12, 0], 0.2)
    np.testing.assert_allclose(grid[4:6, 5:8, 0], 0.4)
    np.testing.assert_array_equal(grid[4:6, 9:12, 0], 1.0)  # the empty place
    np.testing.assert_array_equal(grid[0], 1.0)


@pytest.mark.parametrize("channels", [1, 3])
def test_png_round_trip_keeps_colour_order(tmp_path, channels):
    image = np.random.default_rng(0).integers(0, 256, (5, 7, channels)) / 255
    path = tmp_path / "image.png"
    path.write_bytes(images_lib.encode_png(image))
    np.testing.assert_allclose(images_lib.read_image(path, channels), image, atol=1e-6)
    if channels == 3:  # OpenCV's own reading is blue first
        np.testing.assert_allclose(
            cv2.imread(str(path))[..., ::-1] / 255, image, atol=1e-6
        )


def test_unreadable_images_are_named(tmp_path):
    image = images_lib.encode_png(np.zeros((40, 40, 3)))
    path = tmp_path / "not.png"
    for content in (b"", b"text", image[:60]):
        path.write_bytes(content)
        with pytest.raises(UserError, match="not.png is not a readable image"):
            images_lib.read_image(path, 1)
    for path, message in (
        (tmp_path / "absent.png", "No such file"),
        (tmp_path, "Is a directory"),
    ):
        with pytest.raises(UserError, match=f"cannot read image .*{message}"):
            images_lib.read_image(path, 1)


def test_larger_images_are_taken_in_smaller_batches():
    shapes = [(28, 28, 1), (64, 64, 3), (128, 128, 3), (1000, 1000, 3)]
    assert [images_lib.inference_batch(shape) for shape in shapes] == [500, 125, 31, 1]
