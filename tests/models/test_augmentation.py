"""Augmentation against NumPy."""

import numpy as np
import tensorflow as tf

from dfcvae_tf.models.augmentation import NUM_DRAWS, augment

# Brightness, saturation, contrast, both shifts and the hidden square's place.
NEUTRAL = [0.5, 0.5, 0.5, 0.5, 0.5, 0.0, 0.0]


def changed(image, **draws):
    names = ("brightness", "saturation", "contrast", "down", "right", "top", "left")
    values = dict(zip(names, NEUTRAL, strict=True)) | draws
    draws = tf.constant([list(values.values())], tf.float32)
    return augment(tf.constant(image[np.newaxis], tf.float32), draws)[0].numpy()


def test_each_draw_changes_what_it_says():
    assert len(NEUTRAL) == NUM_DRAWS
    image = np.random.default_rng(0).random((16, 24, 3))
    same = image.copy()
    same[:4, :6] = 0  # a square of half the size around the upper left corner
    np.testing.assert_allclose(changed(image), same, atol=1e-6)

    def hidden(expected):
        return np.where(same == 0, 0, expected)

    brighter = changed(image, brightness=0.75)
    np.testing.assert_allclose(brighter, hidden(image + 0.25), atol=1e-6)
    grey = np.broadcast_to(image.mean(axis=2, keepdims=True), image.shape)
    np.testing.assert_allclose(changed(image, saturation=0), hidden(grey), atol=1e-6)
    flat = image.mean() + 0.5 * (image - image.mean())
    np.testing.assert_allclose(changed(image, contrast=0), hidden(flat), atol=1e-6)
    # By up to 2 rows and 3 columns, an eighth.
    moved = np.zeros_like(image)
    moved[2:, :-3] = image[:-2, 3:]
    found = changed(image, down=0.0, right=0.999)
    np.testing.assert_allclose(found, hidden(moved), atol=1e-6)
    middle = changed(image, top=0.5, left=0.5)
    assert (middle[4:12, 6:18] == 0).all() and (middle != 0).sum() == image.size * 3 / 4


def test_gradients_pass_and_images_have_draws_of_their_own():
    images = tf.constant(np.random.default_rng(0).random((3, 8, 8, 1)), tf.float32)
    draws = tf.constant(np.random.default_rng(1).random((3, NUM_DRAWS)), tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(images)
        result = augment(images, draws)
    assert np.abs(tape.gradient(result, images)).max() > 0
    for index in range(3):
        alone = augment(images[index : index + 1], draws[index : index + 1])[0]
        np.testing.assert_allclose(alone, result[index], atol=1e-6)
