"""Priors fitted to latents whose distribution is known."""

import numpy as np
import pytest

from dfcvae_tf.models.prior import LEARNED
from dfcvae_tf.training import prior_fitting
from dfcvae_tf.training.prior_fitting import Posteriors, fit_flow, fit_mixture

FITS = {"flow": fit_flow, "gmm": fit_mixture}


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setattr(prior_fitting, "FLOW_STEPS", 400)
    monkeypatch.setattr(prior_fitting, "_LOOK_EVERY", 200)
    monkeypatch.setattr(prior_fitting, "_MIXTURE_DRAWS", 3000)
    monkeypatch.setattr(prior_fitting, "_HELD_OUT", 3000)
    monkeypatch.setattr(prior_fitting, "COMPONENTS", (4, 1))


def two_heaps(count, dim=2, seed=0):
    """Posteriors with a deviation of 0.5 around two points, and of 1 in other dimensions."""
    rng = np.random.default_rng(seed)
    mean = np.zeros((count, dim), np.float32)
    mean[:, :2] = rng.choice([-2, 2], count)[:, np.newaxis]
    deviation = np.ones((count, dim), np.float32)
    deviation[:, :2] = 0.5
    return Posteriors(mean, 2 * np.log(deviation))


def true_log_prob(z):
    squares = [((z[:, :2] - centre) ** 2).sum(1) / 0.5 for centre in (-2, 2)]
    heaps = np.log(0.5 * sum(np.exp(-square) for square in squares) / (0.5 * np.pi))
    rest = z[:, 2:]
    return heaps - 0.5 * (rest**2).sum(1) - 0.5 * rest.shape[1] * np.log(2 * np.pi)


@pytest.mark.parametrize("kind", FITS)
def test_it_finds_the_density_of_draws_not_of_means(kind):
    fit = FITS[kind](two_heaps(2000), two_heaps(500, seed=1), seed=0)
    z = two_heaps(2000, seed=2).draw(np.random.default_rng(0), 2000)
    found = np.asarray(LEARNED[kind](fit.parameters).log_prob(z))
    gap = true_log_prob(z).mean() - found.mean()
    assert -0.05 < gap < 0.15
    assert fit.facts["held_out_log_prob"] == pytest.approx(found.mean(), abs=0.15)


@pytest.mark.parametrize("kind", FITS)
def test_the_same_seed_fits_the_same_prior(kind, monkeypatch):
    monkeypatch.setattr(prior_fitting, "FLOW_STEPS", 50)
    monkeypatch.setattr(prior_fitting, "_LOOK_EVERY", 50)
    monkeypatch.setattr(prior_fitting, "_MIXTURE_ROUNDS", 5)
    fits = [
        FITS[kind](two_heaps(300), two_heaps(50, seed=1), seed=seed)
        for seed in (0, 0, 1)
    ]
    first, same, other = (
        np.concatenate([v.ravel() for v in f.parameters.values()]) for f in fits
    )
    np.testing.assert_array_equal(first, same)
    assert first.shape != other.shape or np.abs(first - other).max() > 1e-3


@pytest.mark.parametrize("kind", FITS)
@pytest.mark.parametrize(("count", "dim"), [(10, 40), (400, 1)])
def test_few_images_many_dimensions_and_collapsed_ones(kind, count, dim):
    """What there is nothing to learn of is left as it is."""
    collapsed = Posteriors(*np.zeros((2, count, dim), np.float32))
    fit = FITS[kind](collapsed, collapsed, seed=0)
    z = np.random.default_rng(0).normal(size=(2000, dim)).astype(np.float32)
    prior = LEARNED[kind](fit.parameters)
    expected = -0.5 * (z**2).sum(1) - 0.5 * dim * np.log(2 * np.pi)
    assert np.mean(expected - prior.log_prob(z)) < 0.05 * dim
    drawn = np.asarray(prior.from_noise(z))
    assert np.isfinite(drawn).all() and drawn.std() == pytest.approx(1, abs=0.15)


def test_a_mixture_of_no_more_components_than_are_allowed():
    heaps = two_heaps(500)
    counts = [
        len(fit_mixture(heaps, heaps, 0, most).parameters["weights"])
        for most in (50, 3)
    ]
    assert counts == [4, 1]


@pytest.mark.parametrize("kind", FITS)
def test_it_stops_when_test_images_gain_no_more(kind, monkeypatch):
    monkeypatch.setattr(prior_fitting, "FLOW_STEPS", 2000)
    monkeypatch.setattr(prior_fitting, "_LOOK_EVERY", 50)
    monkeypatch.setattr(prior_fitting, "_PATIENCE", 2)
    few, others = two_heaps(4, dim=6), two_heaps(200, dim=6, seed=1)
    few = Posteriors(
        few.z_mean + np.random.default_rng(0).normal(size=(4, 6)).astype("f"),
        few.z_log_var - 2,
    )
    fit = FITS[kind](few, others, seed=0)
    assert fit.facts["best_step"] < fit.facts["steps"] < 2000
