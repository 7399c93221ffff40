"""The second VAE on distributions that are known."""

import numpy as np
import pytest
import tensorflow as tf
from scipy import stats

from dfcvae_tf.training import prior_fitting
from dfcvae_tf.training.prior_fitting import Posteriors
from tools import two_stage_vae
from tools.two_stage_vae import TwoStageVAE

MEAN, STD = np.array([1.0, -2.0]), np.array([0.5, 2.0])


def linear_vae(draws: int, encoder_std: float) -> TwoStageVAE:
    """One that decodes to u / 2, observed with a variance of 3/4: N(MEAN, STD^2) in all.

    ReLU passes a number and its negative on in turn. The encoder has the true mean, and
    the true standard deviation where `encoder_std` is the root of 3/4.
    """
    parameters = two_stage_vae.initial_parameters(MEAN, STD, seed=0)
    for name, value in parameters.items():
        if "/" in name:
            value[:] = 0
    both = np.array([[1, 0, -1, 0], [0, 1, 0, -1]], np.float32)
    for network in ("encoder", "decoder"):
        parameters[f"{network}/kernel1"][:, :4] = both
        parameters[f"{network}/kernel2"][:4, :4] = np.eye(4)
        parameters[f"{network}/kernel3"][:4, :2] = 0.5 * both.T
    parameters["encoder/bias3"][2:] = 2 * np.log(encoder_std)
    parameters["log_gamma"] = np.float32(0.5 * np.log(0.75))
    return TwoStageVAE(parameters, draws)


def points(count: int) -> np.ndarray:
    return np.float32(MEAN + STD * np.random.default_rng(0).normal(size=(count, 2)))


def test_with_the_true_posterior_the_bound_is_the_density():
    z = points(50)
    expected = stats.norm.logpdf(z, MEAN, STD).sum(1)
    found = linear_vae(draws=1, encoder_std=0.75**0.5).log_prob(z)
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_with_another_one_more_draws_come_nearer_from_below():
    z = points(1000)
    expected = stats.norm.logpdf(z, MEAN, STD).sum(1).mean()
    gaps = [
        expected - np.mean(linear_vae(draws, encoder_std=0.5).log_prob(z))
        for draws in (1, 10, 200)
    ]
    # With one draw the gap is the divergence of the encoder's from the true posterior.
    divergence = 2 * (np.log(0.75**0.5 / 0.5) + 0.5 * (0.25 / 0.75 - 1))
    assert gaps[0] == pytest.approx(divergence, abs=0.03)
    assert gaps[0] > gaps[1] + 0.05 > gaps[2] + 0.05 > 0.03


def test_samples_have_the_noise_of_what_is_observed():
    noise = np.random.default_rng(1).normal(size=(20_000, 4)).astype(np.float32)
    z = linear_vae(1, 1.0).from_noise(tf.constant(noise)).numpy()
    np.testing.assert_allclose(z.mean(axis=0), MEAN, atol=0.05)
    np.testing.assert_allclose(z.std(axis=0), STD, rtol=0.03)


def test_it_finds_a_known_gaussian(monkeypatch):
    monkeypatch.setattr(prior_fitting, "FLOW_STEPS", 200)
    monkeypatch.setattr(prior_fitting, "_LOOK_EVERY", 200)
    monkeypatch.setattr(prior_fitting, "_HELD_OUT", 2000)
    gaussian = Posteriors(points(2000), np.full((2000, 2), -10, np.float32))
    fit = two_stage_vae.fit_two_stage_vae(gaussian, gaussian, seed=0)
    entropy = stats.norm.entropy(MEAN, STD).sum()
    vae = TwoStageVAE(fit.parameters, draws=50)
    bound = prior_fitting.mean_log_prob(vae.log_prob, points(2000))
    assert -entropy - 0.1 < bound < -entropy + 0.05
