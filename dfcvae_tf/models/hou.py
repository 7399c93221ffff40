"""The networks of Hou et al. (2017) for faces, also as the facenet repository has them.

Hou, Shen, Sun and Qiu, "Deep feature consistent variational autoencoder" (WACV 2017,
arXiv:1610.00291), figure 2, and their code https://github.com/houxianxu/DFC-VAE;
https://github.com/davidsandberg/facenet, src/generative/models/dfc_vae.py.

Convolutions have no bias where batch normalisation adds one. Left out of the published
code: in that of Hou et al., no leaky ReLU at the encoder's end and a ReLU at the decoder's
start (not in the paper); in facenet, batch normalisation of the image itself, which fixes
the contrast of a batch, at 128x128 pixels a squeeze through 3 channels at 64x64, and latents
that start like all other layers: their deviations then reach thousands, and the moving
statistics of the decoder remember that for thousands of steps.
"""

import dataclasses
from collections.abc import Callable

import tensorflow as tf

from dfcvae_tf.config import ModelConfig
from dfcvae_tf.errors import UserError
from dfcvae_tf.models.blocks import ReplicationPadding, norm_relu, output_bias

layers = tf.keras.layers
initializers = tf.keras.initializers


@dataclasses.dataclass(frozen=True)
class Recipe:
    """What the networks differ in.

    Attributes:
      size: height and width of the images.
      encoder_filters: channels of the 4x4 convolutions, each of which halves the size.
      decoder_filters: channels of the 4x4 start and of the 3x3 convolutions behind it.
      slope: of the leaky ReLU below 0.
      decay: of the moving statistics of batch normalisation.
      kernel: makes the initializer of a layer's kernel, but for those of the latents.
    """

    size: int
    encoder_filters: tuple[int, ...]
    decoder_filters: tuple[int, ...]
    slope: float = 0.2
    decay: float = 0.9
    kernel: Callable = lambda: initializers.RandomNormal(stddev=0.02)


_HOU64 = Recipe(64, (32, 64, 128, 256), (256, 128, 64, 32))
_HOU128 = Recipe(128, (32, 64, 128, 256, 256), (512, 256, 128, 64, 32))


def _as_in_facenet(recipe: Recipe) -> Recipe:
    def kernel() -> tf.keras.initializers.Initializer:
        return initializers.TruncatedNormal(stddev=0.1)

    return dataclasses.replace(recipe, slope=0.1, decay=0.995, kernel=kernel)


RECIPES = {
    "hou64": _HOU64,
    "hou128": _HOU128,
    "facenet64": _as_in_facenet(_HOU64),
    "facenet128": _as_in_facenet(_HOU128),
}


def build(
    config: ModelConfig, image_shape: tuple[int, int, int], dtype: str
) -> tuple[tf.keras.Model, tf.keras.Model]:
    """Encoder [N, S, S, C] -> 2 x [N, D]; decoder [N, D] -> outputs [N, S, S, C].

    S is 64 or 128, by the network's name (one of `RECIPES`).

    Raises:
      UserError: the images are not SxS.
    """
    recipe = RECIPES[config.network]
    if image_shape[:2] != (recipe.size, recipe.size):
        height, width, _ = image_shape
        other = config.network.replace(str(recipe.size), str(height))
        fits = f", or --network={other}" if height == width and other in RECIPES else ""
        raise UserError(
            f"network {config.network!r} takes {recipe.size}x{recipe.size} images, these "
            f"are {height}x{width}; choose --image_size={recipe.size}{fits}"
        )

    encoder = _encoder(recipe, config, image_shape, dtype)
    return encoder, _decoder(recipe, config, image_shape[2], dtype)


def _encoder(
    recipe: Recipe, config: ModelConfig, image_shape: tuple[int, int, int], dtype: str
) -> tf.keras.Model:
    images = x = tf.keras.Input(image_shape, name="image")
    for number, filters in enumerate(recipe.encoder_filters, 1):
        x = layers.Conv2D(
            filters,
            4,
            2,
            padding="same",
            use_bias=False,
            kernel_initializer=recipe.kernel(),
            dtype=dtype,
            name=f"conv{number}",
        )(x)
        x = norm_relu(x, recipe.decay, recipe.slope, dtype, number)
    x = layers.Flatten(dtype=dtype, name="flatten")(x)
    z_mean = layers.Dense(config.latent_dim, dtype="float32", name="z_mean")(x)
    z_log_var = layers.Dense(config.latent_dim, dtype="float32", name="z_log_var")(x)
    return tf.keras.Model(images, [z_mean, z_log_var], name="encoder")


def _decoder(
    recipe: Recipe, config: ModelConfig, channels: int, dtype: str
) -> tf.keras.Model:
    def resize_conv(x, filters: int, number: int, **kwargs):
        x = layers.UpSampling2D(2, dtype=dtype, name=f"resize{number}")(x)
        padding = config.decoder_padding
        if padding == "replicate":
            x = ReplicationPadding(dtype=dtype, name=f"pad{number}")(x)
        return layers.Conv2D(
            filters,
            3,
            padding="valid" if padding == "replicate" else "same",
            kernel_initializer=recipe.kernel(),
            dtype=dtype,
            name=f"conv{number}",
            **kwargs,
        )(x)

    z = tf.keras.Input((config.latent_dim,), name="z")
    start, *others = recipe.decoder_filters
    x = layers.Dense(
        4 * 4 * start,
        kernel_initializer=recipe.kernel(),
        dtype=dtype,
        name="hidden",
    )(z)
    x = layers.Reshape((4, 4, start), dtype=dtype, name="reshape")(x)
    for number, filters in enumerate(others, 1):
        x = resize_conv(x, filters, number, use_bias=False)
        x = norm_relu(x, recipe.decay, recipe.slope, dtype, number)
    x = resize_conv(
        x,
        channels,
        len(recipe.decoder_filters),
        bias_initializer=output_bias(config.decoder_output),
    )
    outputs = layers.Activation("linear", dtype="float32", name="recon_logits")(x)
    return tf.keras.Model(z, outputs, name="decoder")
