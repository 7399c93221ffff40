"""Samples of runs: where they come from, and whether they are copies."""

import dataclasses

import numpy as np
import pytest

from dfcvae_tf.checkpoints import load_for_inference
from dfcvae_tf.evaluation import samples
from dfcvae_tf.evaluation.judge import Judgement
from dfcvae_tf.evaluation.samples import TrainingImages
from dfcvae_tf.loaded_run import LoadedRun
from dfcvae_tf.models.flow import CouplingFlow, initial_parameters
from tests.evaluation.streams import digits, stream


@pytest.fixture(scope="module")
def models():
    model = load_for_inference("pretrained:mnist_dfc_vae", prior="standard")
    prior = CouplingFlow(initial_parameters(np.ones(5), np.full(5, 0.5), seed=0))
    return {
        "plain": model,
        "flow": LoadedRun(model.config, model.run, model.vae, prior),
    }


@pytest.fixture(scope="module")
def training(models):
    return TrainingImages(models, digits(700), 0)


def as_features(images):
    return Judgement(images.reshape(len(images), -1), None, None)


def test_samples_are_the_runs_own_and_stand_beside_those_of_others(
    models, training, monkeypatch
):
    rows = []
    monkeypatch.setattr(
        samples.figures, "image_rows", lambda given: rows.extend(given) or b""
    )
    _, drawn = samples.draw_samples(models, training, as_features, 1100, 0.8, seed=3)
    own = {name: model.sample(1100, 3, 0.8) for name, model in models.items()}
    for name, images in own.items():
        found = drawn[name]["samples"].features
        np.testing.assert_array_equal(found, images.reshape(1100, -1))
        found = drawn[name]["posterior"].features
        expected = models[name].decode(training.draw(name, 1100, 3))
        np.testing.assert_array_equal(found, expected.reshape(1100, -1))
    assert "standard" not in drawn["plain"]
    standard = drawn["flow"]["standard"].features
    np.testing.assert_array_equal(standard, own["plain"].reshape(1100, -1))
    assert np.abs(own["flow"] - own["plain"]).max() > 0.5
    assert [title for title, _ in rows if title] == [
        "plain",
        "plain, posterior",
        "flow",
        "flow, N(0, I)",
        "flow, posterior",
    ]
    np.testing.assert_array_equal(
        np.concatenate([images for _, images in rows[:5]]), own["plain"][:50]
    )
    rows.clear()
    _, drawn = samples.draw_samples(models, training, None, 1100, 0.8, seed=3)
    assert drawn == {"plain": {}, "flow": {}}
    np.testing.assert_allclose(rows[0][1], own["plain"][:10], atol=1e-5)


def test_latents_of_training_images_are_those_of_the_posterior(models, training):
    z = training.draw("plain", 70_000, seed=0)
    mean, log_var = training.z_mean["plain"], training.z_log_var["plain"]
    np.testing.assert_allclose(z.mean(0), mean.mean(0), atol=0.02)
    variance = mean.var(0) + np.exp(log_var).mean(0)
    np.testing.assert_allclose(z.var(0), variance, rtol=0.03)


def test_copies_are_nearer_than_test_images(models, monkeypatch):
    few = stream(next(digits(400).read(400, 400))[::2])
    # Of a few that are evaluated, all training images are looked through.
    data = dataclasses.replace(digits(400), num_images=100, read=few.read)
    training = TrainingImages(models, data, 0)
    assert training.z_mean["plain"].shape == (100, 5)
    own = {name: model.sample(50) for name, model in models.items()}
    monkeypatch.setattr(
        LoadedRun, "sample", lambda self, count, *_: next(digits(50).read(50, 50))
    )
    section = samples.look_for_copies(models, training, data, 1.0, 0)
    assert section.runs["plain"]["distance_to_training"] < 0.005
    monkeypatch.setattr(LoadedRun, "sample", lambda self, count, *_: own["plain"])
    section = samples.look_for_copies(models, training, data, 1.0, 0)
    assert section.runs["plain"]["distance_to_training"] > 0.05
    facts = section.results
    assert (facts["num_training"], facts["all_training"]) == (400, 400)


@pytest.mark.parametrize("shape", [(64, 48, 3), (28, 28, 1), (512, 8, 1)])
def test_what_is_compared_is_small(shape):
    images = np.random.default_rng(0).random((2, *shape), np.float32)
    small = samples._shrunk(images)
    assert small.shape[0] == 2 and small.shape[3] == shape[2]
    assert small[0].size <= 1024
    np.testing.assert_allclose(small.mean(), images.mean(), atol=0.01)
