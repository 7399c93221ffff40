"""The adversarial loss against NumPy, and its weight."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from dfcvae_tf.adversarial import (
    AdversarialLoss,
    AdversarialWeight,
    Adversary,
    verdict,
)
from dfcvae_tf.config import AdversarialConfig
from dfcvae_tf.models.prior import StandardNormal
from dfcvae_tf.models.vae import ForwardPass

N, PATCHES = 3, 4
KERNEL = np.random.default_rng(0).normal(size=(4 * 4, PATCHES)).astype(np.float32)
OUTPUTS, SAMPLES = np.random.default_rng(1).normal(size=(2, N, 4, 4, 1))
IMAGES = np.random.default_rng(2).random((N, 4, 4, 1))


def linear(images, training):
    """A discriminator that is a matrix."""
    return tf.matmul(tf.reshape(images, [-1, 16]), KERNEL)


def adversary(**settings):
    settings = {"adversarial_start": 0, **settings}
    config = AdversarialConfig(adversarial_weight=0.5, **settings)
    return Adversary(config, linear, AdversarialWeight(config))


def forward(step=1, samples=False):
    z = tf.zeros([N, 2])
    outputs = tf.constant(OUTPUTS, tf.float32)
    return ForwardPass(
        images=tf.constant(IMAGES, tf.float32),
        z_mean=z,
        z_log_var=z,
        z=z,
        outputs=outputs,
        judged=outputs,
        samples=tf.constant(SAMPLES, tf.float32) if samples else None,
        draws=None,
        reconstruction=tf.sigmoid(outputs),
        prior=StandardNormal(),
        step=None if step is None else tf.constant(step, tf.int64),
    )


def softplus(x):
    return np.log1p(np.exp(x))


def logits(images):
    return images.reshape(N, 16) @ KERNEL.astype(np.float64)


def shown(outputs):
    return 1 / (1 + np.exp(-outputs))


REAL, FAKE, DRAWN = logits(IMAGES), logits(shown(OUTPUTS)), logits(shown(SAMPLES))


def test_logistic_losses_of_both_players():
    player = adversary(discriminator_r1=0.0)
    terms = player(forward())
    expected = softplus(-REAL).mean(1) + softplus(FAKE).mean(1)
    np.testing.assert_allclose(terms["loss"], expected, rtol=1e-5)
    np.testing.assert_allclose(terms["real_logits"], REAL.mean(1), rtol=1e-4)
    np.testing.assert_allclose(terms["fake_logits"], FAKE.mean(1), rtol=1e-4)
    np.testing.assert_allclose(terms["real_right"], (REAL > 0).mean(1))
    np.testing.assert_allclose(terms["fake_right"], (FAKE < 0).mean(1))
    loss = player.fooling_loss(forward())
    np.testing.assert_allclose(loss, softplus(-FAKE).mean(1), rtol=1e-5)


def test_hinge_losses_with_samples_that_count_by_their_weight():
    player = adversary(
        adversarial_loss="hinge", adversarial_sample_weight=3.0, discriminator_r1=0.0
    )
    made = forward(samples=True)
    fakes = np.maximum(0, 1 + FAKE).mean(1) + 3 * np.maximum(0, 1 + DRAWN).mean(1)
    expected = np.maximum(0, 1 - REAL).mean(1) + fakes / 4
    np.testing.assert_allclose(player(made)["loss"], expected, rtol=1e-5)
    fooling = -(FAKE.mean(1) + 3 * DRAWN.mean(1)) / 4
    np.testing.assert_allclose(player.fooling_loss(made), fooling, rtol=1e-4)


def test_the_gradient_penalty_is_lazy_and_that_of_a_patch():
    player = adversary(discriminator_r1=2.0, discriminator_r1_every=4)
    squares = np.square(KERNEL.sum(axis=1)).sum() / PATCHES
    for step, expected in ((3, 0.0), (4, 0.5 * 2.0 * 4 * squares)):
        terms = player(forward(step=step))
        found = terms["gradient_penalty"]
        np.testing.assert_allclose(found, np.full(N, expected), rtol=1e-5)
        rest = softplus(-REAL).mean(1) + softplus(FAKE).mean(1)
        np.testing.assert_allclose(terms["loss"] - found, rest, rtol=1e-4)


def test_the_weight_is_relative_to_the_other_gradients_and_bounded():
    config = AdversarialConfig(adversarial_weight=0.5, adversarial_start=10)
    weight = AdversarialWeight(config)

    def at(step):
        return float(weight(None if step is None else tf.constant(step, tf.int64)))

    assert at(20) == 0.0  # before anything is known
    weight.update(tf.constant(36.0), tf.constant(4.0))
    assert (at(9), at(10)) == (0.0, pytest.approx(1.5))
    assert at(None) == at(10)
    # An overflow of float16 is no measurement.
    for others, own in ((np.inf, 1.0), (1.0, np.nan)):
        weight.update(tf.constant(others, tf.float32), tf.constant(own, tf.float32))
        assert at(10) == pytest.approx(1.5)
    # Of about 20 steps.
    weight.update(tf.constant(0.0), tf.constant(4.0))
    assert at(10) == pytest.approx(0.5 * (9 * 0.95 / 1.95) ** 0.5)
    weight.update(tf.constant(1e30), tf.constant(0.0))
    assert at(10) == pytest.approx(5e3)
    plain = dataclasses.replace(config, adversarial_adaptive=False)
    assert float(AdversarialWeight(plain)(None)) == 0.5


def test_the_value_is_weighted_and_the_gradient_is_not_yet():
    player = adversary(adversarial_adaptive=False)
    made = forward()
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(made.judged)
        terms = AdversarialLoss(player)(made)
        unweighted = player.fooling_loss(made)
    loss = terms["adversarial_loss"]
    np.testing.assert_allclose(loss, 0.5 * unweighted, rtol=1e-6)
    np.testing.assert_allclose(terms["adversarial_weight"], np.full(N, 0.5))
    np.testing.assert_allclose(
        tape.gradient(loss, made.judged), tape.gradient(unweighted, made.judged)
    )


@pytest.mark.parametrize(
    ("real", "right", "said"),
    [
        (3.0, 0.995, "it has won"),
        (-0.995, 0.5, "knows no difference"),
        (1.0, 0.9, None),
    ],
)
def test_a_discriminator_that_teaches_nothing_is_told_of(real, right, said):
    means = {"real_logits": real, "fake_logits": -1.0}
    found = verdict({**means, "real_right": right, "fake_right": 0.999})
    assert found is None if said is None else said in found
