"""Grounds: that a digit on paper becomes the digit that a network knows."""

import numpy as np
import pytest

from dfcvae_tf.data.ground import ground_of, put_on


def digit() -> np.ndarray:
    image = np.zeros((28, 28, 1), np.float32)
    image[6:22, 12:16] = 1.0
    image[6:9, 8:20] = 0.5
    return image


@pytest.mark.parametrize(
    ("image", "ground"),
    [
        (digit(), "dark"),
        (1 - digit(), "light"),
        (0.3 + 0.4 * digit(), None),
        (np.zeros((28, 28, 3), np.float32), None),
    ],
)
def test_the_border_tells_the_ground(image, ground):
    assert ground_of(image) == ground


def test_what_lies_on_the_wanted_ground_stays_as_it_is():
    # Also a stroke that reaches the border, and one that is not quite white.
    image = 0.05 + 0.8 * digit()
    image[:, :3] = 0.85
    found, done = put_on(image, "dark")
    assert found is image and done is None
    assert put_on(1 - image, None)[1] is None


@pytest.mark.parametrize(("paper", "ink"), [(1.0, 0.0), (0.8, 0.15)])
def test_ink_on_paper_becomes_light_in_the_dark_and_back(paper, ink):
    written = (paper + (ink - paper) * digit()).astype(np.float32)
    found, done = put_on(written, "dark")
    np.testing.assert_allclose(found, digit(), atol=1e-6)
    assert done == "inverted and stretched" and found.dtype == np.float32
    chalk = (1 - written).astype(np.float32)
    np.testing.assert_allclose(put_on(chalk, "light")[0], 1 - digit(), atol=1e-6)


def test_a_grey_ground_is_stretched_and_an_empty_picture_is_ground():
    found, done = put_on(0.3 + 0.5 * digit(), "dark")
    np.testing.assert_allclose(found, digit(), atol=1e-6)
    assert done == "stretched"
    blank, _ = put_on(np.full((1, 1, 1), 0.7, np.float32), "dark")
    np.testing.assert_array_equal(blank, 0.0)
