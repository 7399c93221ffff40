"""The coupling flow: invertible, a density, and smooth."""

import numpy as np
import pytest
import tensorflow as tf
from scipy import stats

from dfcvae_tf.models.flow import FIXED, CouplingFlow, initial_parameters
from dfcvae_tf.models.label_map import AXES, MOVES, SHIFT, STRETCH


def bent_flow(dim: int, num_labels: int = 0) -> CouplingFlow:
    """A flow whose parameters are far from those it starts with."""
    rng = np.random.default_rng(1)
    mean, std = rng.normal(size=dim), rng.uniform(0.5, 2, dim)
    parameters = initial_parameters(mean, std, 0, num_labels)
    for name, value in parameters.items():
        if name not in FIXED:
            change = rng.normal(0, 1 / value.shape[1], value.shape)
            parameters[name] = value + change.astype(np.float32)
    if num_labels:
        parameters |= {
            AXES: np.eye(dim, num_labels, dtype=np.float32),
            MOVES: np.eye(num_labels, dim, dtype=np.float32),
            SHIFT: np.full((2 * num_labels, num_labels), 0.5, np.float32),
            STRETCH: np.full((2 * num_labels, num_labels), -0.2, np.float32),
        }
    return CouplingFlow(parameters)


@pytest.mark.parametrize("dim", [1, 2, 5, 64])
def test_there_and_back(dim):
    flow = bent_flow(dim)
    noise = np.random.default_rng(2).normal(size=(100, dim)).astype(np.float32)
    z = flow.from_noise(tf.constant(noise))
    np.testing.assert_allclose(flow.to_noise(z), noise, atol=2e-3)
    assert np.abs(z - noise).max() > 0.5


def test_the_density_is_that_of_the_map():
    flow = bent_flow(3)
    noise = tf.constant(np.random.default_rng(2).normal(size=(20, 3)), tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(noise)
        z = flow.from_noise(noise)
    jacobian = tape.batch_jacobian(z, noise).numpy()
    expected = stats.norm.logpdf(noise.numpy()).sum(1)
    expected -= np.linalg.slogdet(jacobian)[1]
    np.testing.assert_allclose(flow.log_prob(z), expected, atol=1e-3)


def test_labels_bend_it_and_none_leave_it_as_it_is():
    flow = bent_flow(4, num_labels=2)
    noise = np.random.default_rng(2).normal(size=(30, 4)).astype(np.float32)
    z = flow.from_noise(noise).numpy()
    anything = flow.given(np.zeros((30, 2), np.float32))
    np.testing.assert_allclose(anything.from_noise(noise), z, atol=1e-5)
    np.testing.assert_allclose(anything.log_prob(z), flow.log_prob(z), atol=1e-4)
    asked = np.tile(np.array([[1, 0], [0, 1], [-1, 1]], np.float32), (10, 1))
    flow = flow.given(tf.constant(asked))
    with tf.GradientTape() as tape:
        inputs = tf.constant(noise)
        tape.watch(inputs)
        drawn = flow.from_noise(inputs)
    assert np.abs(drawn - z).max(axis=1).min() > 0.05
    np.testing.assert_allclose(flow.to_noise(drawn), noise, atol=2e-3)
    expected = stats.norm.logpdf(noise).sum(1)
    expected -= np.linalg.slogdet(tape.batch_jacobian(drawn, inputs).numpy())[1]
    np.testing.assert_allclose(flow.log_prob(drawn), expected, atol=2e-3)
    with pytest.raises(ValueError, match="knows no labels"):
        bent_flow(4).given(asked)


def test_the_density_adds_up_to_one():
    flow = bent_flow(2)
    steps = np.linspace(-40, 40, 1001, dtype=np.float32)
    points = np.stack(np.meshgrid(steps, steps), axis=-1).reshape(-1, 2)
    density = np.exp(flow.log_prob(points))
    assert density.sum() * 0.08**2 == pytest.approx(1, abs=0.01)


def test_it_starts_near_a_normal_distribution():
    mean, std = np.array([1.0, -2.0, 3.0]), np.array([0.5, 1.0, 2.0])
    flow = CouplingFlow(initial_parameters(mean, std, seed=0))
    z = mean + std * np.random.default_rng(0).normal(size=(50, 3))
    expected = stats.norm.logpdf(z, mean, std).sum(1)
    np.testing.assert_allclose(flow.log_prob(z.astype("f")), expected, atol=0.5)
