"""The decoder in the form for devices makes the pictures of the one that was trained."""

import itertools

import numpy as np
import pytest
import tensorflow as tf
from scipy.signal import convolve, correlate

from dfcvae_tf.config import ModelConfig
from dfcvae_tf.exporting import integer
from dfcvae_tf.exporting.device_form import device_decode, fold, of_blocks
from dfcvae_tf.models.vae import VAE, build_vae


def random_vae(image_shape, **settings) -> VAE:
    """Every weight random: a channel, a bias or a scale in the wrong place must show."""
    vae = build_vae(ModelConfig(latent_dim=4, **settings), image_shape, "float32")
    rng = np.random.default_rng(0)
    for layer in vae.decoder.layers:
        normalizes = type(layer).__name__ == "BatchNormalization"
        layer.set_weights(
            [
                rng.uniform(0.5, 1.5, w.shape)
                if normalizes
                else rng.normal(0, max(1, np.prod(w.shape[:-1])) ** -0.5, w.shape)
                for w in layer.get_weights()
            ]
        )
    return vae


def graph_operators(decode) -> list[str]:
    graph = tf.function(decode).get_concrete_function(tf.TensorSpec([1, 4])).graph
    return [operation.type for operation in graph.get_operations()]


def test_fold_is_the_same_sum_at_each_pixel_of_a_block():
    rng = np.random.default_rng(0)
    kernel = rng.normal(size=(3, 3, 2, 3))
    window = rng.normal(size=(4, 4, 2))
    folded = np.einsum("yxi,yxio->o", window, fold(kernel)).reshape(2, 2, 3)
    for channel in range(3):
        oracle = correlate(window, kernel[..., channel], mode="valid")[..., 0]
        np.testing.assert_allclose(folded[..., channel], oracle, atol=1e-12)


def test_blocks_between_pixels_see_what_they_would_if_those_were_resized():
    rng = np.random.default_rng(0)
    kernel = rng.normal(size=(3, 3, 2, 3))
    pixels = rng.normal(size=(2, 2, 2))
    blocks = np.einsum("yxi,yxio->o", pixels, of_blocks(kernel)).reshape(2, 2, 3)
    resized = pixels.repeat(2, axis=0).repeat(2, axis=1)
    for channel in range(3):
        oracle = correlate(resized, kernel[..., channel], mode="valid")[..., 0]
        np.testing.assert_allclose(blocks[..., channel], oracle, atol=1e-12)


def test_a_transposed_convolution_spreads_each_pixel():
    """Against the definition: a pixel every two, and a kernel around each."""
    vae = random_vae((28, 28, 1), network="article")
    layer = vae.decoder.get_layer("deconv1")
    kernel, bias = layer.get_weights()  # [3, 3, O, I]
    x = np.random.default_rng(1).normal(size=(1, 14, 14, 64))
    apart = np.zeros((28, 28, 64))
    apart[::2, ::2] = x[0]
    oracle = [
        sum(convolve(apart[..., i], kernel[:, :, 5, i]) for i in range(64)) + bias[5]
    ]
    made = layer(x.astype("f")).numpy()[0, ..., 5]
    np.testing.assert_allclose(made, np.maximum(oracle[0][:28, :28], 0), atol=1e-4)
    operators = graph_operators(device_decode(vae, vae.to_images))
    assert "Conv2DBackpropInput" not in operators and operators.count("Conv2D") == 5


HOU = [
    {"network": network, "decoder_padding": padding, "decoder_output": output}
    for network, padding, output in itertools.product(
        ("hou64", "facenet64"), ("same", "replicate"), ("sigmoid", "linear")
    )
]


@pytest.mark.parametrize(
    ("shape", "settings"),
    [
        *(((64, 64, 3), settings) for settings in HOU),
        ((28, 28, 1), {"network": "article"}),
        ((24, 48, 3), {"network": "conv", "depth": 3, "width": 4}),
        ((24, 48, 1), {"network": "conv", "conv_design": "full_resolution"}),
        (
            (15, 16, 1),
            {"network": "conv", "conv_design": "full_resolution", "depth": 0},
        ),
    ],
)
def test_pictures_stay_the_same(shape, settings):
    vae = random_vae(shape, **settings)
    decode = device_decode(vae, vae.to_images)
    z = np.random.default_rng(1).normal(size=(3, 4)).astype("f")
    images = vae.decode(z).numpy()
    assert images.std() > 0.01
    np.testing.assert_allclose(decode(z).numpy(), images, atol=5e-6)


def own_decoder(kind: str) -> tf.keras.Model:
    """What a user may write, and none of the forms is for."""
    layers = tf.keras.layers
    z = tf.keras.Input((4,))
    conv = layers.Conv2D(3, 3, padding="same", activation="relu")
    norm = layers.BatchNormalization(scale=False)
    plain = [
        layers.Dense(48, activation="relu"),
        layers.Reshape((4, 4, 3)),
        layers.UpSampling2D(2),
    ]
    rest = {
        "sequential": [conv],
        "softmax": [conv, layers.Activation("softmax")],
        "no scale": [layers.Conv2D(3, 3, padding="same"), norm],
        "resized last": [conv, layers.UpSampling2D(2)],
        "no bias": [layers.Conv2D(3, 3, use_bias=False, activation="relu"), conv],
        "not scaled": [conv, layers.Activation("tanh"), layers.Conv2D(1, 3)],
    }
    if kind in rest:
        return tf.keras.Sequential([z, *plain, *rest[kind]])
    x = tf.keras.Sequential(plain)(z)  # a model in the model
    return tf.keras.Model(z, layers.Add()([x, conv(x)]))


@pytest.mark.parametrize(
    "kind",
    [
        "sequential",
        "softmax",
        "no scale",
        "resized last",
        "no bias",
        "not scaled",
        "branches",
    ],
)
def test_pictures_of_decoders_of_any_kind_stay_the_same(kind):
    decoder = own_decoder(kind)
    vae = VAE({"decoder": decoder}, decoder_output="linear")
    z = np.random.default_rng(1).normal(size=(30, 4)).astype("f")
    images = vae.decode(z).numpy()
    assert images.std() > 0.01
    decode = device_decode(vae, vae.to_images)
    np.testing.assert_allclose(decode(z).numpy(), images, atol=5e-6)
    integer.equalize_channels(decoder, z)
    np.testing.assert_allclose(vae.decode(z).numpy(), images, atol=5e-6)


def test_blocks_are_made_where_that_adds_few_weights():
    vae = random_vae((64, 64, 3), network="hou64")
    operators = graph_operators(device_decode(vae, vae.to_images))
    assert operators.count("ResizeNearestNeighbor") == 2
    assert operators.count("DepthToSpace") == 2


def test_images_of_odd_height_stay_as_they_are():
    vae = random_vae(
        (15, 16, 1), network="conv", conv_design="full_resolution", depth=0
    )
    assert "DepthToSpace" not in graph_operators(device_decode(vae, vae.to_images))
