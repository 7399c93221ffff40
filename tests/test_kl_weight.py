"""The weight of the KL term: as given, or found for a rate."""

import numpy as np
import pytest
import tensorflow as tf

from dfcvae_tf.kl_weight import GivenWeight, TargetRate


def at(step):
    return tf.constant(step, tf.int64)


def test_a_given_weight_rises_during_the_warm_up():
    weights = [float(GivenWeight(2.0, 4)(at(step))) for step in range(6)]
    np.testing.assert_allclose(weights, [0.5, 1.0, 1.5, 2.0, 2.0, 2.0])
    assert float(GivenWeight(2.0, 4)(None)) == 2.0
    assert float(GivenWeight(2.0)(at(0))) == 2.0


def reverse_water_filling(weight, variances):
    """KL in nats of the optimal Gaussian codes for loss = squared error + weight * KL.

    The rate of independent Gaussians at a distortion of weight / 2 each (Cover and
    Thomas, theorem 10.3.3).
    """
    return 0.5 * tf.reduce_sum(tf.math.log(tf.maximum(2 * variances / weight, 1.0)))


def simulate(rate, variances, of_unseen=None):
    """Returns the KL of 800 steps; the KL of images no step sees is measured if given."""
    kl = tf.Variable(0.0)

    @tf.function
    def train(first, noise):
        measured = tf.TensorArray(tf.float32, len(noise))
        for i in tf.range(len(noise)):
            step = first + tf.cast(i, tf.int64)
            # Networks follow a weight slowly, and batches differ.
            kl.assign_add(0.03 * (reverse_water_filling(rate(step), variances) - kl))
            rate.update(step, kl * noise[i], tf.reduce_sum(variances))
            measured = measured.write(i, kl)
        return measured.stack()

    noise = np.random.default_rng(0).normal(1, 0.015, (16, 50)).astype(np.float32)
    steps = []
    for number in range(16):
        steps.append(train(at(50 * number), noise[number]).numpy())
        if of_unseen is not None:
            rate.measure(of_unseen * steps[-1].mean())
    return np.concatenate(steps)


@pytest.mark.parametrize("scale", [1e-4, 1e4])
@pytest.mark.parametrize(("dimensions", "target"), [(5, 12.0), (64, 100.0)])
def test_the_weight_is_found_for_the_rate(scale, dimensions, target):
    variances = tf.constant(scale * 100 * 0.9 ** np.arange(dimensions), tf.float32)
    rate = TargetRate(target)
    steps = simulate(rate, variances)
    np.testing.assert_allclose(steps[400:], target, rtol=0.02)
    np.testing.assert_allclose(np.mean(steps[400:]), target, rtol=0.003)
    settled = reverse_water_filling(rate(None), variances)
    np.testing.assert_allclose(settled, target, rtol=0.01)
    assert max(steps) < 1.3 * target


@pytest.mark.parametrize("of_unseen", [0.94, 1.02])
def test_it_is_images_no_step_sees_that_come_to_the_target(of_unseen):
    variances = tf.constant(100 * 0.9 ** np.arange(64), tf.float32)
    steps = simulate(TargetRate(100.0), variances, of_unseen)
    np.testing.assert_allclose(of_unseen * np.mean(steps[600:]), 100, rtol=0.005)
    np.testing.assert_allclose(of_unseen * steps[600:], 100, rtol=0.03)


def test_steps_are_asked_for_a_third_more_at_most():
    variances = tf.constant(100 * 0.9 ** np.arange(64), tf.float32)
    steps = simulate(TargetRate(50.0), variances, of_unseen=0.5)
    np.testing.assert_allclose(np.mean(steps[700:]), 50 * np.exp(0.3), rtol=0.02)


def test_state_is_all_that_the_weight_depends_on():
    rate, again = TargetRate(10.0), TargetRate(10.0)
    for step, kl in enumerate([1.0, 5.0, 9.9, 12.0]):
        rate.update(at(step), tf.constant(kl), tf.constant(300.0))
    for to, value in zip(again.variables, rate.variables, strict=True):
        to.assign(value)
    for each in (rate, again):
        each.update(at(4), tf.constant(11.0), tf.constant(200.0))
        each.measure(9.0)
        each.update(at(5), tf.constant(11.0), tf.constant(200.0))
    assert float(rate(at(6))) == float(again(at(6))) != float(TargetRate(10.0)(at(6)))


def test_a_rate_that_was_missed_is_said():
    rate = TargetRate(50.0)
    assert rate.missed(50.9, None) is None and rate.missed(49.1, 60.0) is None
    assert "is 43.21 nats on the test split, not the 50 that" in rate.missed(
        43.21, 43.0
    )
    assert "more than these images can carry" in rate.missed(43.21, None)
    assert "training images have (50.3): there are few" in rate.missed(43.21, 50.3)
    assert "can carry" not in rate.missed(52.0, 52.0)
