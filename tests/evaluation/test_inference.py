"""What a run makes of images: against its own networks, and likelihood by quadrature."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from dfcvae_tf.checkpoints import load_for_inference
from dfcvae_tf.config import Config, ModelConfig
from dfcvae_tf.evaluation import inference
from dfcvae_tf.files import read_arrays
from dfcvae_tf.loaded_run import LoadedRun
from dfcvae_tf.models.mixture import GaussianMixture
from dfcvae_tf.models.vae import VAE
from dfcvae_tf.run_dir import ASSETS_DIR, RunDir


@pytest.fixture(scope="module")
def digits():
    images = read_arrays(ASSETS_DIR / "mnist_sample.npz")["test_images"]
    return images[:30].astype(np.float32) / 255


@pytest.fixture(scope="module")
def one_dimensional():
    """A run with 2x2 images and one latent, so that p(x) is a plain integral."""
    tf.keras.utils.set_random_seed(0)
    images = tf.keras.Input((2, 2, 1))
    flat = tf.keras.layers.Flatten()(images)
    dense = tf.keras.layers.Dense
    encoder = tf.keras.Model(images, [dense(1)(flat), dense(1)(flat) + 0.5])
    z = tf.keras.Input((1,))
    logits = tf.keras.layers.Reshape((2, 2, 1))(dense(4, bias_initializer="ones")(z))
    config = Config(model=ModelConfig(latent_dim=1), image_shape=(2, 2, 1))
    return LoadedRun(
        config,
        RunDir("none"),
        VAE({"encoder": encoder, "decoder": tf.keras.Model(z, logits)}),
    )


def test_outputs_are_those_of_the_networks(digits):
    model = load_for_inference("pretrained:mnist_vae")
    outputs = inference.build_forward(model, seed=0)(digits, 0)
    mean, log_var = model.encode(digits)
    np.testing.assert_allclose(outputs.z_mean, mean, atol=1e-5)
    recon = model.decode(mean)
    np.testing.assert_allclose(outputs.reconstructions, recon, atol=1e-5)
    np.testing.assert_allclose(
        outputs.kl, model.vae.prior.kl(mean, log_var), rtol=1e-4, atol=1e-6
    )
    # At a drawn z the picture is a little worse than at the mean, on average.
    x, p = digits, np.clip(recon, 1e-6, 1 - 1e-6)
    at_mean = -(x * np.log(p) + (1 - x) * np.log(1 - p)).sum(axis=(1, 2, 3)).mean()
    assert at_mean < outputs.bernoulli_nll.mean() < at_mean + 30
    # Drawn anew for another seed or batch, and only then.
    for seed, index, same in ((0, 0, True), (1, 0, False), (0, 1, False)):
        again = inference.build_forward(model, seed)(digits, index)
        assert np.array_equal(again.bernoulli_nll, outputs.bernoulli_nll) == same


def test_importance_weighted_nll_is_the_integral(one_dimensional):
    model = one_dimensional
    x = np.random.default_rng(0).random((3, 2, 2, 1)).astype(np.float32)
    z = np.linspace(-8, 8, 4001, dtype=np.float32)[:, np.newaxis]
    logits = model.vae.decoder(z).numpy().astype(np.float64)
    log_px = [
        (image * logits - np.logaddexp(0, logits)).sum(axis=(1, 2, 3)) for image in x
    ]
    prior = np.exp(-0.5 * z[:, 0].astype(np.float64) ** 2) / np.sqrt(2 * np.pi)
    exact = [-np.log(np.sum(np.exp(p) * prior) * (z[1, 0] - z[0, 0])) for p in log_px]
    estimate = inference.importance_weighted_nll(model, [x], 20_000, seed=0)
    np.testing.assert_allclose(estimate, exact, atol=0.015)
    # With one draw it is the negative ELBO, whose mean is further away.
    many = np.repeat(x, 4000, axis=0)
    one_draw = inference.importance_weighted_nll(model, [many], 1, seed=0)
    elbo = inference.build_forward(model, seed=3)(many, 0).negative_elbo
    np.testing.assert_allclose(
        one_draw.reshape(3, -1).mean(1), elbo.reshape(3, -1).mean(1), atol=0.08
    )
    assert (one_draw.reshape(3, -1).mean(1) > exact).all()


def test_perceptual_loss_is_that_of_the_run(digits):
    assert inference.perceptual_loss(load_for_inference("pretrained:mnist_vae")) is None
    loss = inference.perceptual_loss(load_for_inference("pretrained:mnist_dfc_vae"))
    assert loss is not None
    np.testing.assert_array_equal(loss(digits, digits), 0)
    # Energies are mean squared features of digits: an empty picture is about as far away
    # as the weights say (50 + 60 + 80 + 60).
    empty = loss(digits, np.zeros_like(digits))
    assert 100 < empty.mean() < 500


def test_as_many_images_are_weighed_as_are_decoded_elsewhere():
    model = load_for_inference("pretrained:mnist_vae")
    assert inference.importance_batch(model, 50) * 50 == model.batch_size
    assert inference.importance_batch(model, 10_000) == 1


def test_the_rate_with_a_learned_prior(one_dimensional):
    x = np.random.default_rng(0).random((3, 2, 2, 1)).astype(np.float32)
    assert inference.build_forward(one_dimensional, 0)(x, 0).kl_learned is None
    # N(2, 3^2): the divergence of two Gaussians has a closed form.
    parameters = {"weights": [1.0], "means": [[2.0]], "factors": [[[3.0]]]}
    prior = GaussianMixture({k: np.float32(v) for k, v in parameters.items()})
    model = dataclasses.replace(one_dimensional, prior=prior)
    outputs = inference.build_forward(model, 0)(np.repeat(x, 5000, axis=0), 0)
    mean, log_var = (v[:, 0] for v in model.encode(x))
    expected = 0.5 * ((np.exp(log_var) + (mean - 2) ** 2) / 9 - 1 + np.log(9) - log_var)
    found = outputs.kl_learned.reshape(3, -1).mean(axis=1)
    np.testing.assert_allclose(found, expected, atol=0.05)
