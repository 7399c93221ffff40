"""Pictures for the page."""

import cv2
import numpy as np

from dfcvae_tf.evaluation.strips import draw_strip, shrink_figure


def decode(file: bytes) -> np.ndarray:
    picture = cv2.imdecode(np.frombuffer(file, np.uint8), cv2.IMREAD_UNCHANGED)
    assert picture is not None
    return picture


def test_small_images_keep_every_pixel_with_gaps_between():
    images = np.random.default_rng(0).integers(0, 256, (3, 28, 28, 1)) / 255
    strip = decode(draw_strip(images))
    assert strip.shape == (28, 3 * 28 + 2 * 2, 4)
    for place in range(3):
        part = strip[:, place * 30 : place * 30 + 28]
        assert (part[..., 3] == 255).all()
        np.testing.assert_array_equal(
            part[..., 0], np.rint(images[place, ..., 0] * 255)
        )
    assert (strip[:, 28:30, 3] == 0).all()


def test_large_images_are_shrunk_and_keep_their_colours():
    images = np.zeros((2, 200, 100, 3), np.float32)
    images[0, ..., 0] = 1  # red
    strip = decode(draw_strip(images))
    assert strip.shape[:2] == (64, 2 * 32 + 2)
    blue, green, red, alpha = strip[32, 16].astype(int)
    assert red > 240 and max(blue, green) < 15 and alpha == 255


def test_a_figure_becomes_smaller():
    lines = np.full((200, 300, 3), 255, np.uint8)
    lines[::20] = 0
    png = cv2.imencode(".png", lines, [cv2.IMWRITE_PNG_COMPRESSION, 0])[1].tobytes()
    small = shrink_figure(png)
    assert small is not None and len(small) < len(png) / 10
    np.testing.assert_array_equal(decode(small)[..., :3], lines)
    long = cv2.imencode(".png", np.zeros((17_000, 9, 3), np.uint8))[1].tobytes()
    assert shrink_figure(long) is None
