"""The flow of splines: invertible, a density, and fitted to what is known."""

import numpy as np
import pytest
import tensorflow as tf
from scipy import stats

from dfcvae_tf.training import prior_fitting
from dfcvae_tf.training.prior_fitting import Posteriors
from tools import spline_flow
from tools.spline_flow import BINS, BOUND, SplineFlow, inverse_spline, spline

VALUES = 3 * BINS - 1


def bent_flow(dim: int) -> SplineFlow:
    """A flow whose parameters are far from those it starts with."""
    rng = np.random.default_rng(1)
    parameters = spline_flow.initial_parameters(
        rng.normal(size=dim), rng.uniform(0.5, 2, dim), seed=0
    )
    for name, value in parameters.items():
        if name not in spline_flow.FIXED:
            change = rng.normal(0, 1 / max(value.shape[1], 1), value.shape)
            parameters[name] = value + change.astype(np.float32)
    return SplineFlow(parameters)


def random_spline(count: int) -> tuple[tf.Tensor, tf.Tensor]:
    """Positions [count, 2] within and beyond the bounds, and what their splines are of."""
    rng = np.random.default_rng(0)
    x = rng.uniform(-1.5 * BOUND, 1.5 * BOUND, (count, 2))
    return tf.constant(x, tf.float32), tf.constant(
        rng.normal(size=(count, 2, VALUES)), tf.float32
    )


def test_a_spline_and_its_inverse():
    x, raw = random_spline(500)
    y, _ = spline(x, raw)
    again, _ = spline(inverse_spline(y, raw), raw)
    np.testing.assert_allclose(again, y, atol=1e-4)
    beyond = np.abs(x) >= BOUND
    np.testing.assert_allclose(y.numpy()[beyond], x.numpy()[beyond], rtol=1e-6)
    assert np.abs(y - x)[~beyond].max() > 0.5


def test_the_log_slope_is_that_of_autodiff():
    x, raw = random_spline(500)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y, log_slope = spline(x, raw)
    slope = tape.gradient(y, x).numpy()
    assert slope.min() > 0
    np.testing.assert_allclose(log_slope, np.log(slope), atol=2e-3)


def test_a_spline_of_zeros_is_the_identity():
    x, raw = random_spline(50)
    y, log_slope = spline(x, tf.zeros_like(raw))
    np.testing.assert_allclose(y, x, atol=1e-5)
    np.testing.assert_allclose(log_slope, 0, atol=1e-5)


@pytest.mark.parametrize("dim", [1, 2, 5, 64])
def test_there_and_back(dim):
    flow = bent_flow(dim)
    noise = np.random.default_rng(2).normal(size=(100, dim)).astype(np.float32)
    z = flow.from_noise(tf.constant(noise))
    np.testing.assert_allclose(flow.to_noise(z), noise, atol=5e-3)
    assert np.abs(z - noise).max() > 0.5


def test_the_density_is_that_of_the_map():
    flow = bent_flow(3)
    noise = tf.constant(np.random.default_rng(2).normal(size=(20, 3)), tf.float32)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(noise)
        z = flow.from_noise(noise)
    jacobian = tape.batch_jacobian(z, noise, experimental_use_pfor=False).numpy()
    expected = stats.norm.logpdf(noise.numpy()).sum(1)
    expected -= np.linalg.slogdet(jacobian)[1]
    np.testing.assert_allclose(flow.log_prob(z), expected, atol=5e-3)


def test_it_starts_near_a_normal_distribution():
    mean, std = np.array([1.0, -2.0, 3.0]), np.array([0.5, 1.0, 2.0])
    flow = SplineFlow(spline_flow.initial_parameters(mean, std, seed=0))
    z = mean + std * np.random.default_rng(0).normal(size=(50, 3))
    expected = stats.norm.logpdf(z, mean, std).sum(1)
    np.testing.assert_allclose(flow.log_prob(z.astype("f")), expected, atol=0.3)


def test_it_finds_two_heaps(monkeypatch):
    monkeypatch.setattr(spline_flow, "NUM_LAYERS", 2)  # is sooner ready
    monkeypatch.setattr(prior_fitting, "FLOW_STEPS", 200)
    monkeypatch.setattr(prior_fitting, "_LOOK_EVERY", 200)
    monkeypatch.setattr(prior_fitting, "_HELD_OUT", 2000)
    rng = np.random.default_rng(0)
    heaps = Posteriors(
        rng.choice(np.array([-2, 2], np.float32), (2000, 1)).repeat(2, axis=1),
        np.full((2000, 2), 2 * np.log(0.5), np.float32),
    )
    fit = spline_flow.fit_spline_flow(heaps, heaps, seed=0)
    entropy = np.log(2) + np.log(2 * np.pi * np.e * 0.5**2)
    assert -entropy - 0.15 < fit.facts["held_out_log_prob"] < -entropy + 0.05
