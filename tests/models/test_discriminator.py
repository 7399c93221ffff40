"""Discriminators: one verdict of small images, one per patch of others."""

import numpy as np
import pytest
import tensorflow as tf

from dfcvae_tf.models.discriminator import build_discriminator


@pytest.mark.parametrize(
    ("shape", "patches"), [((28, 28, 1), 1), ((64, 64, 3), 64), ((64, 96, 3), 96)]
)
def test_shapes(shape, patches):
    model = build_discriminator(shape, 4, "mixed_bfloat16", seed=0)
    images = np.random.default_rng(0).random((2, *shape)).astype(np.float32)
    logits = model(images)
    assert logits.shape == (2, patches) and logits.dtype == tf.float32
    assert {v.dtype for v in model.trainable_variables} <= {"float32", tf.float32}


def test_a_verdict_sees_46_pixels():
    model = build_discriminator((64, 64, 1), 4, "float32", seed=0)
    image = tf.fill([1, 64, 64, 1], 0.5)
    with tf.GradientTape() as tape:
        tape.watch(image)
        one = model(image)[0, 4 * 8 + 4]
    seen = np.abs(tape.gradient(one, image)[0, :, :, 0])
    assert [np.ptp(np.flatnonzero(seen.sum(axis=a))) + 1 for a in (0, 1)] == [46, 46]


def test_the_seed_alone_makes_the_weights():
    kernels = []
    for seed in (0, 1, 0):
        model = build_discriminator((28, 28, 1), 4, "float32", seed)
        kernels.append(model.get_layer("conv1").kernel.numpy())
    np.testing.assert_array_equal(kernels[0], kernels[2])
    assert np.abs(kernels[0] - kernels[1]).max() > 0
