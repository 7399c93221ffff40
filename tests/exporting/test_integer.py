"""What is done to a decoder before its activations become 8-bit numbers."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from dfcvae_tf.config import ModelConfig
from dfcvae_tf.exporting import integer
from dfcvae_tf.models.vae import build_vae


def unequal_decoder(name, shape):
    """A decoder whose hidden channels differ in range by 30; biases are not zero."""
    config = ModelConfig(
        network=name,
        conv_design="full_resolution",
        latent_dim=3,
        depth=2,
        width=4,
    )
    decoder = build_vae(config, shape, "float32").decoder
    rng = np.random.default_rng(0)
    for layer in decoder.layers:
        if layer.weights:
            kernel, bias = layer.get_weights()
            axis = -2 if "Transpose" in type(layer).__name__ else -1
            factors = 30.0 ** rng.uniform(-0.5, 0.5, kernel.shape[axis])
            kernel *= factors if axis == -1 else factors[:, None]
            layer.set_weights([kernel, rng.normal(0, 0.1, bias.shape)])
    return decoder


def channel_ranges(decoder, layer, latents):
    """Largest value of each channel in front of the layer that takes it."""
    before = tf.keras.Model(decoder.input, decoder.get_layer(layer).input)
    values = before(latents).numpy()
    return values.reshape(-1, values.shape[-1]).max(0)


@pytest.mark.parametrize(
    ("name", "shape", "layers"),
    [
        ("article", (28, 28, 1), ("deconv1", "conv1")),
        ("conv", (8, 12, 3), ("conv1", "conv0", "to_logits")),
    ],
)
def test_ranges_become_equal_and_the_outputs_stay(name, shape, layers, latents):
    decoder = unequal_decoder(name, shape)
    expected = decoder(latents).numpy()
    before = [channel_ranges(decoder, layer, latents) for layer in layers]
    integer.equalize_channels(decoder, latents)
    scale = np.abs(expected).max()
    np.testing.assert_allclose(decoder(latents), expected, atol=1e-5 * scale)
    for layer, was in zip(layers, before, strict=True):
        ranges = channel_ranges(decoder, layer, latents)
        # Those with less than a 16th of the largest range keep some of their room.
        usual = (was > was.max() / 16) & (was > 0)
        assert was.max() / was[usual].min() > 1.3
        np.testing.assert_allclose(ranges[usual], was.max(), rtol=1e-4)


def test_a_silent_layer_is_left_alone(latents):
    decoder = unequal_decoder("article", (28, 28, 1))
    kernel, bias = decoder.get_layer("hidden").get_weights()
    decoder.get_layer("hidden").set_weights([0 * kernel, 0 * bias - 1])
    expected = decoder(latents[:2]).numpy()
    integer.equalize_channels(decoder, latents)
    np.testing.assert_allclose(decoder(latents[:2]), expected, atol=1e-6)


@pytest.mark.parametrize("channels", [1, 3])
def test_images_are_those_of_cut_outputs(vae, channels):
    outputs = np.linspace(-9, 9, 60, dtype=np.float32).reshape(1, 5, 4, 3)
    outputs = outputs[..., :channels]
    found = integer.bounded_images(vae, tf.constant(outputs), -5.0, 4.0)
    expected = 1 / (1 + np.exp(-np.clip(outputs, -5, 4)))
    np.testing.assert_allclose(found, expected, atol=1e-6)
    linear = dataclasses.replace(vae, decoder_output="linear")
    found = integer.bounded_images(linear, tf.constant(outputs), 0.0, 1.0)
    np.testing.assert_allclose(found, np.clip(outputs, 0, 1), atol=1e-6)


def test_the_range_is_what_logits_reach_but_never_more_than_counts(vae, latents):
    latents = latents / 10
    low, high = integer.output_range(vae, latents)
    logits = np.abs(vae.decoder(latents))
    assert -low == high <= logits.max()
    assert np.mean(logits > high) < 0.002
    # A few latents far out make the others' steps hardly coarser.
    many = np.concatenate(
        [np.resize(latents, (950, latents.shape[1])), latents[:50] * 8]
    )
    assert integer.output_range(vae, many)[1] < 1.5 * high
    assert np.abs(vae.decoder(many)).max() > 4 * high
    for factor in (0.01, 100):
        decoder = tf.keras.Model(vae.decoder.input, vae.decoder.output * factor)
        scaled = dataclasses.replace(vae, networks={**vae.networks, "decoder": decoder})
        _, scaled_high = integer.output_range(scaled, latents)
        assert scaled_high == pytest.approx(min(factor * high, 7), rel=1e-4)
    # Beyond 7, 8 bits show no difference.
    assert np.exp(-integer.MAX_LOGIT_BOUND) < 1 / 255 / 2
    linear = dataclasses.replace(vae, decoder_output="linear")
    assert integer.output_range(linear, latents) == (0, 1)
