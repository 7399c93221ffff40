"""How much of their latents runs use, and whose negative ELBO is shown."""

import numpy as np
import pytest

from dfcvae_tf.checkpoints import load_for_inference
from dfcvae_tf.evaluation import inference
from dfcvae_tf.evaluation.likelihood import describe_latents, measure_likelihood
from dfcvae_tf.evaluation.measuring import Latents
from dfcvae_tf.evaluation.settings import Settings
from dfcvae_tf.evaluation.table import MeasureTable
from tests.evaluation.streams import digits


def test_a_dead_dimension_is_not_active():
    z_mean = np.random.default_rng(0).normal(size=(60, 3)).astype(np.float32)
    z_mean[:, 2] = 0
    kl = np.tile(np.float32([1.0, 2.0, 0.0]), (60, 1))
    section = describe_latents({"a": Latents(z_mean, kl)})
    assert section.runs["a"]["active_units"] == 2
    np.testing.assert_allclose(section.runs["a"]["kl_per_dimension"], [1, 2, 0])


def test_the_first_images_are_weighed_in_batches_that_the_draws_allow():
    model, data = load_for_inference("pretrained:mnist_vae"), digits(9)
    table = MeasureTable({"vae": {"negative_elbo": np.arange(9.0)}})
    settings = Settings(importance_samples=100, importance_images=7)
    section = measure_likelihood({"vae": model}, data, table, settings)
    assert section.runs["vae"]["negative_elbo_of_the_same"] == np.arange(7).mean()
    images = np.concatenate(list(data.batches()))
    expected = inference.importance_weighted_nll(
        model, [images[:5], images[5:7]], 100, seed=0
    )
    found = section.runs["vae"]["importance_weighted_nll"]
    assert found == pytest.approx(expected.mean())
    assert section.results["num_images"] == 7
