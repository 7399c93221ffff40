"""The same decoder in other runtimes, against Keras and against NumPy."""

from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf

from dfcvae_tf.errors import UserError
from dfcvae_tf.models.blocks import ReplicationPadding
from tools import decoder_runtimes as runtimes

layers = tf.keras.layers


def odd_decoder() -> tf.keras.Model:
    """Every layer and setting that is translated; no number is that of its neighbour."""
    z = tf.keras.Input((3,))
    x = layers.Dense(2 * 3 * 4, use_bias=False)(z)
    x = layers.BatchNormalization(scale=False)(x)
    x = layers.LeakyReLU(0.3)(x)
    x = layers.Reshape((2, 3, 4))(x)
    x = layers.Conv2DTranspose(5, 3, 2, padding="same", activation="relu")(x)
    x = layers.BatchNormalization(center=False)(x)  # [4, 6, 5]
    x = layers.Conv2D(4, (4, 3), (1, 2), padding="same")(x)
    x = layers.UpSampling2D((2, 3))(x)  # [8, 9, 4]
    x = layers.Conv2DTranspose(3, 2, 3)(x)  # the stride is wider than the kernel
    x = layers.ReLU(negative_slope=0.1)(x)
    x = layers.Conv2DTranspose(3, (4, 1), (1, 2), padding="same")(x)  # [24, 54, 3]
    x = ReplicationPadding()(x)
    x = layers.Conv2D(2, 3, padding="valid")(x)
    return tf.keras.Model(z, layers.Activation("linear")(x))


@pytest.fixture(name="vae", params=["sigmoid", "linear"], scope="module")
def _vae(request):
    decoder = odd_decoder()
    rng = np.random.default_rng(0)
    decoder.set_weights(
        [rng.normal(0.1, 0.5, array.shape) for array in decoder.get_weights()]
    )
    for layer in decoder.layers:
        if isinstance(layer, layers.BatchNormalization):
            layer.moving_variance.assign(rng.uniform(0.5, 2, layer.moving_mean.shape))
    return SimpleNamespace(decoder=decoder, decoder_output=request.param)


@pytest.fixture(name="latents")
def _latents() -> np.ndarray:
    return np.random.default_rng(1).normal(size=(4, 3)).astype(np.float32)


@pytest.fixture(name="pictures")
def _pictures(vae, latents) -> np.ndarray:
    outputs = vae.decoder(latents, training=False).numpy()
    if vae.decoder_output == "sigmoid":
        return 1 / (1 + np.exp(-outputs))
    assert (outputs < 0).any() and (outputs > 1).any()
    return np.clip(outputs, 0, 1)


def in_numpy(steps, z: np.ndarray) -> np.ndarray:
    """[D] -> [H, W, C]: what the steps say, word by word."""
    x = z
    for step in steps:
        match step:
            case runtimes.Dense():
                x = x @ step.kernel + step.bias
            case runtimes.Convolution(transposed=False):
                x = np.pad(x, (*zip(step.begin, step.end, strict=True), (0, 0)))
                windows = np.lib.stride_tricks.sliding_window_view(
                    x, step.kernel.shape[:2], axis=(0, 1)
                )[:: step.strides[0], :: step.strides[1]]
                x = np.einsum("yxihw,hwio->yxo", windows, step.kernel) + step.bias
            case runtimes.Convolution():
                height, width, _, channels = step.kernel.shape
                down, across = step.strides
                reached = np.zeros(
                    (
                        (x.shape[0] - 1) * down + height + max(0, -step.end[0]),
                        (x.shape[1] - 1) * across + width + max(0, -step.end[1]),
                        channels,
                    )
                )
                for i, j in np.ndindex(*x.shape[:2]):
                    reached[
                        i * down : i * down + height, j * across : j * across + width
                    ] += x[i, j] @ step.kernel
                top, left = step.begin
                bottom, right = (max(0, pixels) for pixels in step.end)
                rows, columns = reached.shape[0] - bottom, reached.shape[1] - right
                x = reached[top:rows, left:columns] + step.bias
            case runtimes.Affine():
                x = x * step.scale + step.shift
            case runtimes.Relu():
                x = np.where(x > 0, x, x * step.slope)
            case runtimes.ToImage():
                x = x.reshape(step.shape)
            case runtimes.Enlarge():
                x = x.repeat(step.factors[0], 0).repeat(step.factors[1], 1)
            case runtimes.RepeatBorder():
                x = np.pad(x, ((1, 1), (1, 1), (0, 0)), "edge")
            case runtimes.Sigmoid():
                x = 1 / (1 + np.exp(-x))
            case runtimes.Clip():
                x = np.clip(x, 0, 1)
    return x


def test_the_steps_compute_what_keras_does(vae, latents, pictures):
    steps = runtimes.decoder_steps(vae)
    found = np.stack([in_numpy(steps, z) for z in latents])
    assert found.shape == pictures.shape == (4, 24, 54, 2)
    np.testing.assert_allclose(found, pictures, atol=1e-5)


def test_batch_normalization_is_a_step_only_behind_an_activation(vae):
    steps = runtimes.decoder_steps(vae)
    kinds = [type(step).__name__ for step in steps]
    assert kinds.count("Affine") == 1
    assert kinds[kinds.index("Affine") - 1] == "Relu"


def test_onnx_runtime_shows_what_keras_does(vae, latents, pictures, tmp_path):
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    path = tmp_path / "decoder.onnx"
    runtimes.write_onnx(runtimes.decoder_steps(vae), path)
    decode = runtimes.onnx_decode(path, num_threads=1)
    found = np.concatenate([decode(z[None]) for z in latents])
    np.testing.assert_allclose(found, pictures, atol=1e-5)


def test_pytorch_shows_what_keras_does(vae, latents, pictures):
    pytest.importorskip("torch")
    decode = runtimes.torch_decode(runtimes.decoder_steps(vae), num_threads=1)
    found = np.concatenate([decode(z[None]) for z in latents])
    np.testing.assert_allclose(found, pictures, atol=1e-5)


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (
            layers.GaussianNoise(1.0, name="noise"),
            "layer 'noise': 'GaussianNoise'; known",
        ),
        (layers.Conv2D(1, 2, dilation_rate=2), r"Conv2D with dilation_rate=\(2, 2\)"),
        (layers.Conv2D(1, 3, activation="tanh"), "Conv2D with activation tanh"),
        (layers.BatchNormalization(axis=1), "BatchNormalization over axis 1"),
        (layers.UpSampling2D(interpolation="bilinear"), "interpolation=bilinear"),
        (layers.ReLU(max_value=6.0), "ReLU with max_value=6.0"),
        (layers.Reshape((16, 2)), r"Reshape to shape \(16, 2\)"),
    ],
)
def test_a_layer_that_is_not_translated_is_named(layer, message):
    image = tf.keras.Input((4, 4, 2))
    decoder = tf.keras.Model(image, layer(image))
    with pytest.raises(UserError, match=message):
        runtimes.decoder_steps(SimpleNamespace(decoder=decoder))
