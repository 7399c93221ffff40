"""Priors fitted to latents whose distribution is known."""

import dataclasses

import numpy as np
import pytest

from dfcvae_tf.labels import ATTRIBUTES, CLASSES, Labels
from dfcvae_tf.models.flow import CouplingFlow
from dfcvae_tf.models.prior import LEARNED
from dfcvae_tf.training import prior_fitting
from dfcvae_tf.training.prior_fitting import Posteriors, fit_flow, fit_mixture

FITS = {"flow": fit_flow, "gmm": fit_mixture}


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setattr(prior_fitting, "FLOW_STEPS", 400)
    monkeypatch.setattr(prior_fitting, "LABELLED_FLOW_STEPS", 600)
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


def labelled_heaps(count, kind, seed=0):
    """The two heaps in order, as classes, or as an attribute beside one of chance."""
    heaps = two_heaps(count, seed=seed)
    second = heaps.z_mean[:, 0] > 0
    if kind == CLASSES:
        rows, names = np.stack([~second, second], axis=1), ("low", "high")
    else:
        chance = np.random.default_rng(seed + 9).random(count) < 0.5
        rows, names = 2 * np.stack([second, chance], axis=1) - 1, ("high", "chance")
    labels = Labels(kind, names)
    return Posteriors(heaps.z_mean, heaps.z_log_var, rows.astype(np.int8), labels)


@pytest.mark.parametrize(
    ("kind", "low", "high"), [(CLASSES, [1, 0], [0, 1]), (ATTRIBUTES, [-1, 0], [1, 0])]
)
def test_a_flow_learns_what_labels_say_and_what_there_is_without(kind, low, high):
    train, test = labelled_heaps(2000, kind), labelled_heaps(500, kind, seed=1)
    fit = fit_flow(train, test, seed=0)
    flow = CouplingFlow(fit.parameters)
    z = two_heaps(2000, seed=2).draw(np.random.default_rng(0), 2000)
    gap = true_log_prob(z).mean() - np.mean(flow.log_prob(z))
    assert -0.05 < gap < 0.2
    noise = np.random.default_rng(3).normal(size=(1000, 2)).astype(np.float32)
    drawn = [
        np.asarray(flow.given(np.tile(np.float32(row), (1000, 1))).from_noise(noise))
        for row in (low, high)
    ]
    assert np.mean(drawn[0] < 0) > 0.98 and np.mean(drawn[1] > 0) > 0.98
    assert 0.4 < np.mean(np.asarray(flow.from_noise(noise)) > 0) < 0.6


def test_labels_that_say_nothing_of_test_images_are_not_known(caplog, monkeypatch):
    monkeypatch.setattr(prior_fitting, "LABELLED_FLOW_STEPS", 200)
    train, test = labelled_heaps(30, CLASSES), labelled_heaps(200, CLASSES, seed=1)
    train = dataclasses.replace(train, label=train.label[:, ::-1])
    fit = fit_flow(train, test, seed=0)
    assert CouplingFlow(fit.parameters).num_labels == 0
    assert "the prior knows none; it takes more" in caplog.text


def test_it_starts_where_the_images_of_classes_are(monkeypatch):
    monkeypatch.setattr(prior_fitting, "LABELLED_FLOW_STEPS", 0)
    heaps = labelled_heaps(2000, CLASSES)
    fit = fit_flow(heaps, heaps, seed=0)
    assert fit.facts["best_step"] == 0 and fit.facts["label_gain_nats"] > 0.5
    drawn = (
        CouplingFlow(fit.parameters)
        .given(np.float32([[0, 1]]))
        .from_noise(np.zeros((1, 2), np.float32))
    )
    second = heaps.z_mean[heaps.label[:, 1] > 0]
    np.testing.assert_allclose(drawn[0], second.mean(axis=0), atol=0.05)


def test_labels_that_too_few_images_have_are_left_out(caplog):
    heaps = labelled_heaps(50, CLASSES)
    rows = np.zeros((50, 4), np.int8)
    rows[:, :2] = heaps.label
    rows[0] = [0, 0, 1, 0]
    labels = Labels(CLASSES, ("low", "high", "lonely", "none"))
    train = Posteriors(heaps.z_mean, heaps.z_log_var, rows, labels)
    found, test = prior_fitting._with_usable_labels(train, train, "flow", True)
    assert found.labels == test.labels == Labels(CLASSES, ("low", "high"))
    assert found.label.sum() == 49  # the lonely one is of no class
    (told,) = caplog.messages
    assert "fewer than 2 training images of the class: lonely, none;" in told
    caplog.clear()
    for kind, labelled in (("gmm", True), ("flow", False)):
        found, _ = prior_fitting._with_usable_labels(train, train, kind, labelled)
        assert found.label is None and found.labels is None
    (told,) = caplog.messages
    assert "gmm knows no labels" in told
