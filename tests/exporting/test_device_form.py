"""The folded last convolution makes the pictures of the decoder as it was trained."""

import numpy as np
import pytest
import tensorflow as tf
from scipy.signal import correlate

from dfcvae_tf.config import ModelConfig
from dfcvae_tf.exporting.folding import fast_decode, fold
from dfcvae_tf.models.vae import VAE, build_vae


def random_vae(image_shape, **settings) -> VAE:
    """Every weight random: a channel or bias in the wrong place must show."""
    vae = build_vae(ModelConfig(latent_dim=4, **settings), image_shape, "float32")
    rng = np.random.default_rng(0)
    last = [layer for layer in vae.decoder.layers if layer.weights][-1]
    last.set_weights(
        [rng.normal(0, 0.3, w.shape).astype("f") for w in last.get_weights()]
    )
    return vae


def graph_operators(decode) -> set[str]:
    graph = tf.function(decode).get_concrete_function(tf.TensorSpec([1, 4])).graph
    return {operation.type for operation in graph.get_operations()}


def test_fold_is_the_same_sum_at_each_pixel_of_a_block():
    rng = np.random.default_rng(0)
    kernel = rng.normal(size=(3, 3, 2, 3))
    window = rng.normal(size=(4, 4, 2))
    folded = np.einsum("yxi,yxio->o", window, fold(kernel)).reshape(2, 2, 3)
    for channel in range(3):
        oracle = correlate(window, kernel[..., channel], mode="valid")[..., 0]
        np.testing.assert_allclose(folded[..., channel], oracle, atol=1e-12)


@pytest.mark.parametrize(
    ("network", "shape"),
    [("article", (28, 28, 1)), ("hou64", (64, 64, 3))],
)
def test_pictures_stay_the_same(network, shape):
    vae = random_vae(shape, network=network)
    decode = fast_decode(vae, vae.to_images)
    assert "DepthToSpace" in graph_operators(decode)
    z = np.random.default_rng(1).normal(0, 20, (3, 4)).astype("f")
    images = vae.decode(z).numpy()
    assert images.std() > 0.01
    np.testing.assert_allclose(decode(z).numpy(), images, atol=2e-6)


@pytest.mark.parametrize(
    ("shape", "settings"),
    [
        ((64, 64, 3), {"network": "hou64", "decoder_padding": "replicate"}),
        (
            (15, 16, 1),
            {"network": "conv", "conv_design": "full_resolution", "depth": 0},
        ),
    ],
)
def test_another_last_layer_stays_as_it_is(shape, settings):
    vae = random_vae(shape, **settings)
    decode = fast_decode(vae, vae.to_images)
    assert "DepthToSpace" not in graph_operators(decode)
    z = np.ones((1, 4), "f")
    np.testing.assert_array_equal(decode(z).numpy(), vae.decode(z).numpy())
