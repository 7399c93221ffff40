"""The networks: shapes, sizes, precision."""

import numpy as np
import pytest
import tensorflow as tf

from dfcvae_tf.config import ModelConfig
from dfcvae_tf.errors import UserError
from dfcvae_tf.models.vae import build_vae, sample_z


def output_shapes(model):
    return [tuple(layer.output.shape[1:]) for layer in model.layers]


def test_article_network_is_the_articles():
    vae = build_vae(
        ModelConfig(network="article", latent_dim=5), (28, 28, 1), "float32"
    )
    assert output_shapes(vae.encoder)[1:] == [
        (28, 28, 32),
        (14, 14, 64),
        (14, 14, 64),
        (14, 14, 64),
        (12544,),
        (32,),
        (5,),
        (5,),
    ]
    assert output_shapes(vae.decoder)[1:] == [
        (12544,),
        (14, 14, 64),
        (28, 28, 32),
        (28, 28, 1),
        (28, 28, 1),
    ]
    conv = 9 * (1 * 32 + 32 * 64 + 64 * 64 + 64 * 64) + 32 + 3 * 64
    assert vae.encoder.count_params() == conv + 12544 * 32 + 32 + 2 * (32 * 5 + 5)
    assert vae.decoder.count_params() == (
        (5 * 12544 + 12544) + (9 * 64 * 32 + 32) + (9 * 32 + 1)
    )


def test_article_network_names_the_way_out_for_other_images():
    with pytest.raises(UserError, match="32x32x3; choose --network=conv"):
        build_vae(ModelConfig(network="article"), (32, 32, 3), "float32")


def test_unknown_network_lists_the_known():
    with pytest.raises(UserError, match="'artcle'; known: article, conv, hou64"):
        build_vae(ModelConfig(network="artcle"), (28, 28, 1), "float32")


@pytest.mark.parametrize("network", ["article", "conv"])
@pytest.mark.parametrize("dtype", ["mixed_bfloat16", "mixed_float16"])
def test_mixed_precision_keeps_variables_latents_and_logits_float32(network, dtype):
    config = ModelConfig(network=network, width=4)
    vae = build_vae(config, (28, 28, 1), dtype)
    z_mean, z_log_var = vae.encoder(tf.zeros([1, 28, 28, 1]))
    logits = vae.decoder(z_mean)
    assert {z_mean.dtype, z_log_var.dtype, logits.dtype} == {tf.float32}
    assert {
        v.dtype if isinstance(v.dtype, str) else v.dtype.name for v in vae.variables
    } == {"float32"}
    hidden = vae.decoder.get_layer("hidden")
    assert hidden.compute_dtype == dtype.removeprefix("mixed_")


@pytest.mark.parametrize("output", ["sigmoid", "linear"])
def test_decode_gives_images_in_range(output):
    config = ModelConfig(decoder_output=output)
    vae = build_vae(config, (28, 28, 1), "float32")
    z = 100.0 * np.random.default_rng(0).normal(size=(4, 5)).astype(np.float32)
    images = vae.decode(z).numpy()
    assert images.min() >= 0.0 and images.max() <= 1.0
    np.testing.assert_allclose(vae.decode(np.zeros([1, 5], np.float32)), 0.5)
    if output == "linear":
        outputs = vae.decoder(z)
        np.testing.assert_array_equal(images, np.clip(outputs, 0.0, 1.0))
    logits = vae.decode_logits(z)
    assert np.isfinite(logits).all()
    np.testing.assert_allclose(tf.sigmoid(logits), images, atol=0.51 / 255)


def test_sampled_latents_have_the_asked_mean_and_deviation():
    noise = np.random.default_rng(0).normal(size=(100_000, 2)).astype(np.float32)
    z = sample_z(tf.constant([[1.0, -2.0]]), tf.math.log([[4.0, 0.25]]), noise).numpy()
    np.testing.assert_allclose(z.mean(0), [1.0, -2.0], atol=0.03)
    np.testing.assert_allclose(z.std(0), [2.0, 0.5], rtol=0.02)


@pytest.mark.parametrize("network", ["article", "conv", "hou64", "facenet64"])
def test_weights_start_from_the_seed_alone(network):
    shape = (28, 28, 1) if network in ("article", "conv") else (64, 64, 3)
    config = ModelConfig(network=network, width=2)

    def start(dtype="float32", seed=3):
        return [v.numpy() for v in build_vae(config, shape, dtype, seed).variables]

    first = start()
    # Whatever was drawn and built before, and in every precision.
    tf.keras.utils.set_random_seed(17)
    tf.keras.layers.Dense(3)(tf.zeros([1, 2]))
    for other in (start(), start("mixed_float16"), start("mixed_bfloat16")):
        for a, b in zip(first, other, strict=True):
            np.testing.assert_array_equal(a, b)
    kernels = [(a, b) for a, b in zip(first, start(seed=4), strict=True) if a.ndim > 1]
    assert all(np.abs(a - b).max() > 1e-3 for a, b in kernels)
    # Layers of one shape start differently, and as their initializer says.
    assert len({a.tobytes() for a, _ in kernels}) == len(kernels)
