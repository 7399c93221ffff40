"""The one pass over the images: what it keeps, and that it keeps no more."""

import dataclasses
import weakref

import numpy as np
import pytest

from dfcvae_tf.checkpoints import load_for_inference
from dfcvae_tf.errors import UserError
from dfcvae_tf.evaluation import measuring
from dfcvae_tf.evaluation.judge import build_judge
from dfcvae_tf.evaluation.measuring import measure_runs
from dfcvae_tf.evaluation.table import ORIGINALS
from dfcvae_tf.metrics.measures import measure_images
from tests.evaluation.streams import digits

RUNS = {"vae": "pretrained:mnist_vae", "dfc": "pretrained:mnist_dfc_vae"}


@pytest.fixture(scope="module")
def models():
    return {name: load_for_inference(path) for name, path in RUNS.items()}


@pytest.fixture(scope="module")
def judge(models):
    configs = [model.config for model in models.values()]
    data = digits(1)
    return build_judge(None, (), "", data.image_shape, data.class_names, configs)


def in_batches_of(data, size):
    return dataclasses.replace(data, read=lambda count, _: data.read(count, size))


def test_in_batches_as_in_one(models, judge):
    data = digits(50)
    (images,) = data.batches()
    found = measure_runs(models, in_batches_of(data, 17), judge, [3, 40], [8], seed=0)
    made = {name: model.reconstruct(images) for name, model in models.items()}
    of_originals, expected = measure_images(images, made)
    assert list(found.table.values) == [ORIGINALS, "vae", "dfc"]
    for name, measures in {ORIGINALS: of_originals, **expected}.items():
        for measure, values in measures.items():
            np.testing.assert_allclose(
                found.table.values[name][measure], values, rtol=1e-3, atol=1e-6
            )
    for name, model in models.items():
        mean, log_var = model.encode(images)
        of_run = found.table.values[name]
        np.testing.assert_allclose(found.latents[name].z_mean, mean, atol=1e-5)
        kl = 0.5 * (mean.astype(float) ** 2 + np.exp(log_var) - 1 - log_var)
        np.testing.assert_allclose(of_run["kl_nats"], kl.sum(axis=1), rtol=1e-4)
        np.testing.assert_allclose(
            of_run["negative_elbo"], of_run["bernoulli_nll"] + of_run["kl_nats"]
        )
        agrees = judge(images).labels == judge(made[name]).labels
        np.testing.assert_array_equal(of_run["label_agreement"], agrees)
        np.testing.assert_allclose(
            found.reconstructions[name].images([40]), made[name][[40]], atol=1 / 500
        )
    np.testing.assert_array_equal(
        found.originals.images([8, 40, 3]), images[[8, 40, 3]]
    )
    assert len(found.judged["dfc"].features) == 50


def test_no_image_outlives_its_batch(models, judge, monkeypatch):
    """Originals and reconstructions: each is gone before the next batch but one."""
    alive = []

    def spy(images, made):
        assert sum(ref() is not None for ref in alive) <= 3  # of the batch before
        alive.extend(weakref.ref(x) for x in (images, *made.values()))
        return measure_images(images, made)

    monkeypatch.setattr(measuring, "measure_images", spy)
    data = digits(60)

    def read(count, size):
        for batch in data.read(count, 6):
            yield batch.copy()

    found = measure_runs(
        models, dataclasses.replace(data, read=read), judge, [0], [1], seed=0
    )
    assert len(alive) == 30
    assert not any(ref() is not None for ref in alive)
    assert len(found.table.values["dfc"]["mse"]) == 60


def test_without_a_judge_there_are_no_labels(models):
    found = measure_runs(models, digits(6), None, [0], [], seed=0)
    assert found.judged == {} and "label_agreement" not in found.table.values["vae"]


def test_what_is_not_finite_is_an_error():
    model = load_for_inference(RUNS["vae"])
    variable = model.vae.decoder.trainable_variables[-1]
    variable.assign(np.full(variable.shape, np.nan))
    with pytest.raises(UserError, match="broken .*mnist_vae.* that are not finite"):
        measure_runs({"broken": model}, digits(4), None, [0], [], seed=0)
