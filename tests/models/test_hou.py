"""The networks for faces: sizes as published, batch normalisation, padding, output."""

import numpy as np
import pytest
import tensorflow as tf

from dfcvae_tf.config import ModelConfig
from dfcvae_tf.errors import UserError
from dfcvae_tf.models.vae import build_vae

IMAGES = np.random.default_rng(0).random((3, 64, 64, 3)).astype(np.float32)


def build(network="hou64", size=64, dtype="float32", **settings):
    config = ModelConfig(network=network, latent_dim=100, **settings)
    return build_vae(config, (size, size, 3), dtype)


def conv_shapes(model):
    convs = [
        layer for layer in model.layers if isinstance(layer, tf.keras.layers.Conv2D)
    ]
    return [(layer.kernel_size[0], *layer.output.shape[1:]) for layer in convs]


def arrays(network):
    return np.concatenate([np.ravel(v.numpy()) for v in network.variables])


@pytest.mark.parametrize("family", ["hou", "facenet"])
def test_sizes_are_those_of_the_paper_and_its_code(family):
    small, large = build(f"{family}64"), build(f"{family}128", 128)
    assert conv_shapes(small.encoder) == [
        (4, 32, 32, 32),
        (4, 16, 16, 64),
        (4, 8, 8, 128),
        (4, 4, 4, 256),
    ]
    assert conv_shapes(small.decoder) == [
        (3, 8, 8, 128),
        (3, 16, 16, 64),
        (3, 32, 32, 32),
        (3, 64, 64, 3),
    ]
    assert small.decoder.get_layer("reshape").output.shape[1:] == (4, 4, 256)
    assert conv_shapes(large.encoder)[-2:] == [(4, 8, 8, 256), (4, 4, 4, 256)]
    assert large.decoder.get_layer("reshape").output.shape[1:] == (4, 4, 512)
    assert [shape[-1] for shape in conv_shapes(large.decoder)] == [256, 128, 64, 32, 3]
    conv = 16 * (3 * 32 + 32 * 64 + 64 * 128 + 128 * 256)
    norm = 4 * (32 + 64 + 128 + 256)
    assert small.encoder.count_params() == conv + norm + 2 * (4096 * 100 + 100)


@pytest.mark.parametrize(
    ("network", "slope", "decay", "deviation"),
    # A normal distribution cut off at two deviations keeps 0.88 of its deviation.
    [("hou64", 0.2, 0.9, 0.02), ("facenet64", 0.1, 0.995, 0.088)],
)
def test_what_the_two_families_differ_in(network, slope, decay, deviation):
    vae = build(network)
    for model in (vae.encoder, vae.decoder):
        relu = model.get_layer("relu1")
        np.testing.assert_allclose(relu(tf.constant([-1.0, 2.0])), [-slope, 2.0])
        assert model.get_layer("norm1").momentum == decay
        kernel = model.get_layer("conv2").kernel.numpy()
        np.testing.assert_allclose(kernel.std(), deviation, rtol=0.02)
    hidden = vae.decoder.get_layer("hidden").kernel.numpy()
    np.testing.assert_allclose(hidden.std(), deviation, rtol=0.02)
    # Deviations of the latents start near 1.
    _, z_log_var = vae.encoder(IMAGES, training=True)
    assert np.std(z_log_var) < 1.5


def test_moving_statistics_follow_the_batch_in_training_only():
    vae = build()
    norm = vae.encoder.get_layer("norm1")
    images = tf.constant(IMAGES)
    before = arrays(vae.encoder)
    vae.encoder(images, training=False)
    np.testing.assert_array_equal(arrays(vae.encoder), before)
    vae.encoder(images, training=True)
    seen = vae.encoder.get_layer("conv1")(images).numpy().reshape(-1, 32)
    np.testing.assert_allclose(norm.moving_mean, 0.1 * seen.mean(0), atol=1e-6)
    np.testing.assert_allclose(norm.moving_variance, 0.9 + 0.1 * seen.var(0), rtol=1e-3)


def test_an_image_is_treated_alike_alone_and_among_others():
    vae = build()
    for _ in range(3):  # statistics that are not those at the start
        z_mean, _ = vae.encoder(IMAGES, training=True)
        vae.decoder(z_mean, training=True)
    together, _ = vae.encoder(IMAGES, training=False)
    alone, _ = vae.encoder(IMAGES[1:2], training=False)
    np.testing.assert_allclose(alone[0], together[1], atol=1e-6)
    np.testing.assert_allclose(
        vae.decode(together[1:2])[0], vae.decode(together)[1], atol=1e-6
    )


@pytest.mark.parametrize(
    ("padding", "mode"), [("same", "constant"), ("replicate", "edge")]
)
def test_decoder_padding(padding, mode):
    vae = build(decoder_padding=padding)
    z = np.random.default_rng(1).normal(size=(2, 100)).astype(np.float32)
    conv = vae.decoder.get_layer("conv4")
    before, after = (
        tf.keras.Model(vae.decoder.input, vae.decoder.get_layer(name).output)(z)
        for name in ("resize4", "conv4")
    )
    padded = np.pad(before, [(0, 0), (1, 1), (1, 1), (0, 0)], mode)
    expected = tf.nn.conv2d(padded, conv.kernel.numpy(), 1, "VALID")
    np.testing.assert_allclose(after, expected + conv.bias.numpy(), atol=1e-6)


@pytest.mark.parametrize("dtype", ["mixed_bfloat16", "mixed_float16"])
def test_mixed_precision_keeps_statistics_and_outputs_float32(dtype):
    tf.keras.utils.set_random_seed(0)
    exact = build("facenet64")
    tf.keras.utils.set_random_seed(0)
    vae = build("facenet64", dtype=dtype)
    expected = exact.encoder(IMAGES, training=True)
    found = vae.encoder(IMAGES, training=True)
    tolerance = 0.1 if dtype == "mixed_bfloat16" else 0.02
    for a, b in zip(expected, found, strict=True):
        assert b.dtype == tf.float32
        np.testing.assert_allclose(b, a, atol=tolerance * np.std(a))
    statistics = [v for v in vae.encoder.variables if "moving" in v.name]
    assert len(statistics) == 8
    for variable, other in zip(
        vae.encoder.variables, exact.encoder.variables, strict=True
    ):
        assert variable.numpy().dtype == np.float32
        np.testing.assert_allclose(variable, other, rtol=0.01, atol=1e-3)
    assert vae.encoder.get_layer("conv1").compute_dtype == dtype.removeprefix("mixed_")


def test_other_sizes_name_the_way_out():
    with pytest.raises(
        UserError, match="128x128; choose .*=64, or --network=facenet128"
    ):
        build("facenet64", 128)
    with pytest.raises(UserError, match="28x28; choose --image_size=128$"):
        build("hou128", 28)
