"""The loss terms against NumPy, SciPy and closed forms."""

import numpy as np
import pytest
import scipy.integrate
import scipy.stats
import tensorflow as tf

from dfcvae_tf import losses


@pytest.fixture(name="rng")
def _rng():
    return np.random.default_rng(0)


def test_bernoulli_nll_is_scipys(rng):
    images = rng.random((3, 4, 5, 1)).astype(np.float32)
    logits = rng.normal(0, 2, images.shape).astype(np.float32)
    binary = np.round(images)
    p = 1 / (1 + np.exp(-logits.astype(np.float64)))
    expected = -scipy.stats.bernoulli.logpmf(binary, p).sum(axis=(1, 2, 3))
    np.testing.assert_allclose(
        losses.bernoulli_nll_nats(binary, logits), expected, rtol=1e-5
    )
    grey = -(images * np.log(p) + (1 - images) * np.log1p(-p)).sum(axis=(1, 2, 3))
    np.testing.assert_allclose(
        losses.bernoulli_nll_nats(images, logits), grey, rtol=1e-5
    )


def test_bernoulli_nll_stays_finite_at_extreme_logits():
    logits = tf.constant([[-1e4], [1e4]])
    np.testing.assert_allclose(
        losses.bernoulli_nll_nats(tf.constant([[0.0], [1.0]]), logits), 0.0
    )
    np.testing.assert_allclose(
        losses.bernoulli_nll_nats(tf.constant([[1.0], [0.0]]), logits), 1e4
    )


def test_squared_error_is_numpys(rng):
    a, b = rng.normal(size=(2, 3, 4, 4, 8)).astype(np.float32)
    np.testing.assert_allclose(
        losses.squared_error(a, b), ((a - b) ** 2).sum(axis=(1, 2, 3)), rtol=1e-5
    )


def test_kl_is_the_integral(rng):
    for mean, log_var in [(0.0, 0.0), (1.5, -2.0), (-3.0, 1.0), (0.1, 0.01)]:
        std = np.exp(log_var / 2)
        q, p = scipy.stats.norm(mean, std), scipy.stats.norm(0, 1)
        integral, _ = scipy.integrate.quad(
            lambda z, q=q, p=p: q.pdf(z) * (q.logpdf(z) - p.logpdf(z)),
            mean - 12 * std,
            mean + 12 * std,
        )
        value = losses.kl_nats_per_dimension([[mean]], [[log_var]])
        np.testing.assert_allclose(value, [[integral]], rtol=1e-5, atol=1e-7)


def test_kl_sums_dimensions_and_keeps_small_values():
    per_dimension = losses.kl_nats_per_dimension([[0.0, 1.0]], [[1e-3, 0.0]])
    # The naive exp(v) - 1 - v loses half of the digits here.
    np.testing.assert_allclose(per_dimension, [[0.25e-6, 0.5]], rtol=1e-3)
    np.testing.assert_allclose(losses.kl_nats([[0.0, 1.0]], [[0.0, 0.0]]), [0.5])


@pytest.mark.parametrize("dtype", [tf.float16, tf.bfloat16])
def test_low_precision_inputs_are_reduced_in_float32(dtype):
    # 784 terms of 1 overflow nothing, but a bfloat16 sum would stop at 256.
    ones = tf.ones([2, 28, 28, 1], dtype)
    value = losses.squared_error(ones, tf.zeros_like(ones))
    assert value.dtype == tf.float32
    np.testing.assert_array_equal(value, [784.0, 784.0])


def test_shapes_that_would_broadcast_are_an_error():
    with pytest.raises(ValueError, match="one shape"):
        losses.squared_error(tf.zeros([4, 1]), tf.zeros([4, 3]))
    with pytest.raises(ValueError, match="one shape"):
        losses.kl_nats(tf.zeros([4]), tf.zeros([4]))
