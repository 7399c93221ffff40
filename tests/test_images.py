"""Value ranges, grids, PNG."""

import numpy as np
import pytest
from PIL import Image

from dfcvae_tf import images as images_lib


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
def test_a_png_has_red_first(tmp_path, channels):
    image = np.random.default_rng(0).integers(0, 256, (5, 7, channels)) / 255
    path = tmp_path / "image.png"
    path.write_bytes(images_lib.encode_png(image))
    found = np.asarray(Image.open(path)).reshape(image.shape)
    np.testing.assert_allclose(found / 255, image, atol=1e-6)


def test_larger_images_are_taken_in_smaller_batches():
    shapes = [(28, 28, 1), (64, 64, 3), (128, 128, 3), (1000, 1000, 3)]
    assert [images_lib.inference_batch(shape) for shape in shapes] == [500, 125, 31, 1]
