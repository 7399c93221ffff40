"""The objective against an independent NumPy computation."""

import numpy as np
import pytest
import tensorflow as tf

from dfcvae_tf.config import ObjectiveConfig, apply_settings
from dfcvae_tf.errors import UserError
from dfcvae_tf.models.prior import StandardNormal
from dfcvae_tf.models.vae import ForwardPass
from dfcvae_tf.objective import build_objective, measure_layer_energies
from dfcvae_tf.presets import preset_config

STEP = tf.constant(0, tf.int64)


class FakeFeatures:
    """Two "layers" that NumPy computes just as easily."""

    layers = ("a", "b")

    def __call__(self, images):
        return [2.0 * images, tf.reduce_mean(images, axis=(1, 2))]


def forward(images, outputs, z_mean, z_log_var, step=STEP, linear=False):
    return ForwardPass(
        images=tf.constant(images),
        z_mean=tf.constant(z_mean),
        z_log_var=tf.constant(z_log_var),
        z=tf.constant(z_mean),
        outputs=tf.convert_to_tensor(outputs),
        judged=tf.convert_to_tensor(outputs),
        samples=None,
        draws=None,
        reconstruction=outputs if linear else tf.sigmoid(outputs),
        prior=StandardNormal(),
        step=step,
    )


@pytest.fixture(name="batch")
def _batch():
    rng = np.random.default_rng(0)
    return (
        rng.random((4, 6, 6, 1)).astype(np.float32),
        rng.normal(size=(4, 6, 6, 1)).astype(np.float32),
        rng.normal(size=(4, 3)).astype(np.float32),
        rng.normal(size=(4, 3)).astype(np.float32),
    )


def config(**settings) -> ObjectiveConfig:
    name = "mnist-dfc-vae"
    base = apply_settings(preset_config(name), {"objective": "vae"})
    base = apply_settings(base, {"objective": "dfc_vae"})
    return apply_settings(base, settings).objective


def numpy_terms(images, logits, z_mean, z_log_var):
    recon = 1 / (1 + np.exp(-logits.astype(np.float64)))
    bce = -(images * np.log(recon) + (1 - images) * np.log(1 - recon))
    distance1 = 4 * ((images - recon) ** 2)
    distance2 = (images.mean((1, 2)) - recon.mean((1, 2))) ** 2
    kl = 0.5 * (z_mean**2 + np.exp(z_log_var) - 1 - z_log_var)
    return bce, (images - recon) ** 2, distance1, distance2, kl


def test_plain_vae_is_negative_elbo(batch):
    bce, _, _, _, kl = numpy_terms(*batch)
    objective = build_objective(preset_config("article-vae").objective)
    terms = objective(forward(*batch))
    expected = bce.sum((1, 2, 3)) + kl.sum(1)
    np.testing.assert_allclose(terms["loss"], expected, rtol=1e-5)
    assert objective.parts == ("pixel_loss", "kl_loss")


def test_dfc_vae_is_the_articles_sum(batch):
    _, _, distance1, distance2, kl = numpy_terms(*batch)
    objective = build_objective(
        preset_config("article-dfc-vae").objective, FakeFeatures()
    )
    terms = objective(forward(*batch))
    expected = distance1.sum((1, 2, 3)) + distance2.sum(1) + kl.sum(1)
    np.testing.assert_allclose(terms["loss"], expected, rtol=1e-5)
    np.testing.assert_allclose(terms["distance/b"], distance2.sum(1), rtol=1e-4)


def test_every_weight_and_reduction(batch):
    _, squared, distance1, distance2, kl = numpy_terms(*batch)
    objective = build_objective(
        config(
            kl_weight=0.3,
            pixel_weight=2.0,
            pixel_loss="gaussian",
            pixel_reduction="mean",
            perceptual_weight=5.0,
            perceptual_layer_weights=(1.0, 0.25),
            perceptual_reduction="mean",
            perceptual_normalization="energy",
        ),
        FakeFeatures(),
        layer_energies=(8.0, 0.5),
    )
    terms = objective(forward(*batch))
    perceptual = distance1.mean((1, 2, 3)) / 8.0 + 0.25 * distance2.mean(1) / 0.5
    np.testing.assert_allclose(
        terms["pixel_loss"], 2 * 0.5 * squared.mean((1, 2, 3)), rtol=1e-5
    )
    np.testing.assert_allclose(terms["perceptual_loss"], 5 * perceptual, rtol=1e-5)
    np.testing.assert_allclose(terms["kl_loss"], 0.3 * kl.sum(1), rtol=1e-5)
    total = sum(terms[part] for part in objective.parts)
    np.testing.assert_allclose(terms["loss"], total, rtol=1e-6)
    assert {v.dtype for v in terms.values()} == {tf.float32}
    assert {
        tuple(v.shape) for k, v in terms.items() if k != "kl_nats_per_dimension"
    } == {(4,)}


def test_kl_warmup_and_free_bits(batch):
    *_, kl = numpy_terms(*batch)
    objective = build_objective(config(kl_weight=2.0, kl_warmup_steps=4, free_bits=1.0))
    terms = objective(forward(*batch))
    penalised = np.maximum(kl, np.log(2)).sum(1)
    np.testing.assert_allclose(terms["kl_loss"], 2.0 / 4 * penalised, rtol=1e-5)
    np.testing.assert_allclose(terms["kl_nats"], kl.sum(1), rtol=1e-5)


def test_a_perfect_reconstruction_costs_nothing_but_kl(batch):
    images = (batch[0] > 0.5).astype(np.float32)
    logits = np.where(images > 0.5, 50.0, -50.0).astype(np.float32)
    objective = build_objective(config(pixel_weight=1.0), FakeFeatures())
    terms = objective(forward(images, logits, batch[2], batch[3]))
    np.testing.assert_allclose(terms["pixel_loss"], 0, atol=1e-6)
    np.testing.assert_allclose(terms["perceptual_loss"], 0, atol=1e-6)


def test_gradient_reaches_the_reconstruction_only_through_its_own_features(batch):
    images, logits = tf.constant(batch[0]), tf.constant(batch[1])
    objective = build_objective(config(), FakeFeatures())
    with tf.GradientTape() as tape:
        tape.watch([images, logits])
        loss = tf.reduce_sum(objective(forward(images, logits, *batch[2:]))["loss"])
    to_images, to_logits = tape.gradient(loss, [images, logits])
    assert to_images is None
    assert np.abs(to_logits).min() > 0


def test_linear_outputs_are_compared_as_they_are_also_beyond_white(batch):
    images, outputs = batch[0], tf.constant(3.0 + batch[1])
    objective = build_objective(
        config(pixel_weight=1.0, pixel_loss="gaussian"),
        FakeFeatures(),
    )
    with tf.GradientTape() as tape:
        tape.watch(outputs)
        terms = objective(forward(images, outputs, *batch[2:], linear=True))
    squared = (images - outputs.numpy()) ** 2
    np.testing.assert_allclose(
        terms["pixel_loss"], 0.5 * squared.sum((1, 2, 3)), rtol=1e-5
    )
    np.testing.assert_allclose(
        terms["distance/a"], 4 * squared.sum((1, 2, 3)), rtol=1e-5
    )
    assert np.abs(tape.gradient(terms["loss"], outputs)).min() > 0


def test_layer_energies_are_means_over_images():
    images = np.random.default_rng(0).random((5, 6, 6, 1)).astype(np.float32)
    energies = measure_layer_energies(
        FakeFeatures(), [tf.constant(images[:3]), tf.constant(images[3:])]
    )
    expected = [(4 * images**2).sum() / 5, (images.mean((1, 2)) ** 2).sum() / 5]
    np.testing.assert_allclose(energies, expected, rtol=1e-5)


def test_a_dead_layer_is_refused():
    with pytest.raises(UserError, match="no finite, positive energy"):
        measure_layer_energies(FakeFeatures(), [tf.zeros([2, 4, 4, 1])])


def test_wrong_number_of_layer_weights_is_named():
    with pytest.raises(UserError, match="3 values for 2 layers \\(a, b\\)"):
        build_objective(
            config(perceptual_layer_weights=(1.0, 1.0, 1.0)), FakeFeatures()
        )
