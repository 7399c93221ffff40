"""Images kept as a stream passes."""

import numpy as np

from dfcvae_tf.evaluation.chosen import ChosenImages


def test_images_are_found_at_their_places_without_loss():
    rng = np.random.default_rng(0)
    images = (rng.integers(256, size=(11, 3, 4, 3)) / 255).astype(np.float32)
    chosen = ChosenImages([10, 0, 4, 4])
    for start in (0, 4, 8):
        chosen.add(start, images[start : start + 4])
    places = [4, 10, 4, 0]
    np.testing.assert_array_equal(chosen.images(places), images[places])
    assert chosen.pixels(places).dtype == np.uint8
