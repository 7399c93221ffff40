"""The article's idea for any image size: strided convolutions down, resize + conv up.

Nearest-neighbour resize followed by a convolution replaces the transposed convolution:
it leaves no checkerboard (Odena et al., "Deconvolution and Checkerboard Artifacts", 2016)
and converts to plain operators on devices.
"""

import tensorflow as tf

from dfcvae_tf.config import ModelConfig
from dfcvae_tf.errors import UserError
from dfcvae_tf.models.blocks import conv, output_conv

layers = tf.keras.layers


def build(
    config: ModelConfig, image_shape: tuple[int, int, int], dtype: str
) -> tuple[tf.keras.Model, tf.keras.Model]:
    """Encoder [N, H, W, C] -> 2 x [N, D]; decoder [N, D] -> outputs [N, H, W, C].

    `config.depth` halvings; channels double with each, from `config.width`.

    Raises:
      UserError: height or width is not a multiple of 2 ** depth.
    """
    height, width, channels = image_shape
    unit = 2**config.depth
    if height % unit or width % unit:
        fits = [max(unit, round(size / unit) * unit) for size in (height, width)]
        raise UserError(
            f"network 'conv' with --depth={config.depth} takes heights and widths that "
            f"are multiples of {unit}, these images are {height}x{width}; "
            f"--image_size={fits[0]}x{fits[1]} would fit"
        )
    deepest = config.width * unit

    images = tf.keras.Input(image_shape, name="image")
    x = conv(config.width, dtype, "conv0")(images)
    for level in range(1, config.depth + 1):
        x = conv(config.width * 2**level, dtype, f"conv{level}", strides=2)(x)
    x = conv(deepest, dtype, f"conv{config.depth + 1}")(x)
    x = layers.Flatten(dtype=dtype, name="flatten")(x)
    x = layers.Dense(8 * config.width, activation="relu", dtype=dtype, name="hidden")(x)
    z_mean = layers.Dense(config.latent_dim, dtype="float32", name="z_mean")(x)
    z_log_var = layers.Dense(config.latent_dim, dtype="float32", name="z_log_var")(x)
    encoder = tf.keras.Model(images, [z_mean, z_log_var], name="encoder")

    z = tf.keras.Input((config.latent_dim,), name="z")
    small = (height // unit, width // unit, deepest)
    x = layers.Dense(
        small[0] * small[1] * small[2], activation="relu", dtype=dtype, name="hidden"
    )(z)
    x = layers.Reshape(small, dtype=dtype, name="reshape")(x)
    for level in reversed(range(config.depth)):
        x = layers.UpSampling2D(2, dtype=dtype, name=f"resize{level}")(x)
        x = conv(config.width * 2**level, dtype, f"conv{level}")(x)
    outputs = output_conv(x, channels, config.decoder_output, dtype, "to_logits")
    return encoder, tf.keras.Model(z, outputs, name="decoder")
