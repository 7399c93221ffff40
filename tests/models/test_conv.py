"""The network for any size, and the design of it that runs made before have."""

import numpy as np
import pytest
import tensorflow as tf

from dfcvae_tf.config import ModelConfig
from dfcvae_tf.errors import UserError
from dfcvae_tf.models.vae import build_vae


def build(shape, **settings):
    return build_vae(ModelConfig(network="conv", **settings), shape, "float32")


def conv_shapes(model):
    convs = [x for x in model.layers if isinstance(x, tf.keras.layers.Conv2D)]
    return [tuple(layer.output.shape[1:]) for layer in convs]


@pytest.mark.parametrize("design", ["strided", "full_resolution"])
@pytest.mark.parametrize(
    ("shape", "depth"),
    [((28, 28, 1), 2), ((16, 24, 3), 3), ((8, 4, 1), 2), ((6, 10, 3), 1)],
)
def test_images_have_the_size_they_came_with(shape, depth, design):
    vae = build(shape, depth=depth, width=2, latent_dim=3, conv_design=design)
    z_mean, z_log_var = vae.encoder(tf.zeros([2, *shape]))
    assert z_mean.shape == z_log_var.shape == (2, 3)
    assert vae.decoder(z_mean).shape == (2, *shape)
    assert not any("transpose" in type(x).__name__.lower() for x in vae.decoder.layers)


def test_nothing_but_the_image_is_made_at_full_resolution():
    vae = build((64, 64, 3), depth=4, latent_dim=5)
    down = [(32, 32, 32), (16, 16, 64), (8, 8, 128), (4, 4, 256)]
    assert conv_shapes(vae.encoder) == down
    assert conv_shapes(vae.decoder) == [*reversed(down[:-1]), (64, 64, 3)]
    assert vae.decoder.get_layer("reshape").output.shape[1:] == down[-1]


@pytest.mark.parametrize("shape", [(64, 96, 3), (128, 128, 3), (144, 144, 3)])
def test_latents_depend_on_few_features_at_any_size(shape):
    vae = build(shape, depth=4, latent_dim=5)
    assert 4000 < vae.encoder.get_layer("flatten").output.shape[1] <= 4096


def test_full_resolution_is_the_network_of_before():
    vae = build((8, 8, 1), depth=1, width=2, conv_design="full_resolution")
    assert conv_shapes(vae.encoder) == [(8, 8, 2), (4, 4, 4), (4, 4, 4)]
    assert conv_shapes(vae.decoder) == [(8, 8, 2), (8, 8, 1)]
    assert {v.name.split("/")[-1].split(":")[0] for v in vae.variables} == {
        "kernel",
        "bias",
    }
    images = np.random.default_rng(0).random((3, 8, 8, 1)).astype("f")
    # Of the seed 0, as it was.
    z_mean, _ = vae.encoder(images)
    np.testing.assert_allclose(
        z_mean[:, 0], [-0.102413, -0.088159, -0.012262], rtol=1e-4
    )


def test_even_the_smallest_decoder_is_not_linear():
    vae = build((4, 4, 1), depth=1, width=2, latent_dim=1)
    low, middle, high = vae.decoder(np.array([[-1], [0], [1]], "f")).numpy()
    assert np.abs(low + high - 2 * middle).max() > 1e-3


def test_latents_start_calm():
    vae = build((64, 64, 3), depth=4, latent_dim=64)
    images = np.random.default_rng(0).random((4, 64, 64, 3)).astype("f")
    z_mean, z_log_var = vae.encoder(images, training=True)
    assert np.std(z_mean) < 1.5 and np.std(z_log_var) < 1.5


def test_another_size_names_one_that_fits():
    with pytest.raises(UserError, match="multiples of 8.*30x50.*--image_size=32x48"):
        build((30, 50, 3), depth=3)
