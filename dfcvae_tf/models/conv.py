"""A network for any size that halves well: 3x3 convolutions, only the last at full size.

The encoder halves the size with each convolution, the decoder doubles it before each, as
the networks of Hou et al. (see `hou`) do for two sizes. Each size but the full one has
`width` channels times a power of two; full size has the image alone.

Nearest-neighbour resize followed by a convolution replaces the transposed convolution:
it leaves no checkerboard (Odena et al., "Deconvolution and Checkerboard Artifacts", 2016)
and converts to plain operators on devices.
"""

import math

import tensorflow as tf

from dfcvae_tf.config import ModelConfig
from dfcvae_tf.errors import UserError
from dfcvae_tf.models import conv_full_resolution
from dfcvae_tf.models.blocks import norm_relu, output_conv

layers = tf.keras.layers

_DECAY = 0.9  # of the moving statistics
_SLOPE = 0.2  # of the leaky ReLU below 0
# What z_mean and z_log_var are linear in. A step of Adam moves them by the more the more
# it is; with 16,384 (128x128 pixels, depth 4) and a rate of 0.001 the KL never settles.
_MOST_FEATURES = 4096


def build(
    config: ModelConfig, image_shape: tuple[int, int, int], dtype: str
) -> tuple[tf.keras.Model, tf.keras.Model]:
    """Encoder [N, H, W, C] -> 2 x [N, D]; decoder [N, D] -> outputs [N, H, W, C].

    `config.depth` halvings; channels double with each, from `config.width` after the
    first. Where that leaves more than 4,096 features, a 1x1 convolution makes them so many
    before the encoder's two outputs.

    Raises:
      UserError: height or width is not a multiple of 2 ** depth.
    """
    height, width, _ = image_shape
    unit = 2**config.depth
    if height % unit or width % unit:
        fits = [max(unit, round(size / unit) * unit) for size in (height, width)]
        raise UserError(
            f"network 'conv' with --depth={config.depth} takes heights and widths that "
            f"are multiples of {unit}, these images are {height}x{width}; "
            f"--image_size={fits[0]}x{fits[1]} would fit"
        )
    if config.conv_design == "full_resolution":
        return conv_full_resolution.build(config, image_shape, dtype)
    filters = [config.width * 2**level for level in range(config.depth)]
    encoder = _encoder(filters, config.latent_dim, image_shape, dtype)
    return encoder, _decoder(filters, config, image_shape, dtype)


def _encoder(
    filters: list[int], latent_dim: int, image_shape: tuple[int, int, int], dtype: str
) -> tf.keras.Model:
    images = x = tf.keras.Input(image_shape, name="image")
    for number, channels in enumerate(filters, 1):
        x = _conv(x, channels, number, dtype, strides=2)
    cells = math.prod(x.shape[1:3])
    if cells * filters[-1] > _MOST_FEATURES:
        count = max(1, _MOST_FEATURES // cells)
        x = _conv(x, count, len(filters) + 1, dtype, size=1)
    x = layers.Flatten(dtype=dtype, name="flatten")(x)
    z_mean = layers.Dense(latent_dim, dtype="float32", name="z_mean")(x)
    z_log_var = layers.Dense(latent_dim, dtype="float32", name="z_log_var")(x)
    return tf.keras.Model(images, [z_mean, z_log_var], name="encoder")


def _decoder(
    filters: list[int],
    config: ModelConfig,
    image_shape: tuple[int, int, int],
    dtype: str,
) -> tf.keras.Model:
    height, width, channels = image_shape
    *others, deepest = filters
    small = (height // 2**config.depth, width // 2**config.depth, deepest)

    z = tf.keras.Input((config.latent_dim,), name="z")
    x = layers.Dense(
        small[0] * small[1] * small[2],
        kernel_initializer="he_normal",
        dtype=dtype,
        name="hidden",
    )(z)
    x = layers.Reshape(small, dtype=dtype, name="reshape")(x)
    # Else the decoder of a single halving would be linear.
    x = layers.LeakyReLU(_SLOPE, dtype=dtype, name="relu0")(x)
    for number, count in enumerate(reversed(others), 1):
        x = layers.UpSampling2D(2, dtype=dtype, name=f"resize{number}")(x)
        x = _conv(x, count, number, dtype)
    x = layers.UpSampling2D(2, dtype=dtype, name=f"resize{config.depth}")(x)
    # Small, as images start grey.
    kernel = tf.keras.initializers.RandomNormal(stddev=0.02)
    outputs = output_conv(
        x, channels, config.decoder_output, dtype, "to_logits", kernel
    )
    return tf.keras.Model(z, outputs, name="decoder")


def _conv(
    x, channels: int, number: int, dtype: str, strides: int = 1, size: int = 3
) -> tf.Tensor:
    # No bias: batch normalisation adds one.
    x = layers.Conv2D(
        channels,
        size,
        strides,
        padding="same",
        use_bias=False,
        kernel_initializer="he_normal",
        dtype=dtype,
        name=f"conv{number}",
    )(x)
    return norm_relu(x, _DECAY, _SLOPE, dtype, number)
