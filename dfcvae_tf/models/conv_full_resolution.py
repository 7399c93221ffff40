"""The network `conv` of runs made before it was strided from its first layer on.

It has convolutions before the first halving and behind the last doubling, a dense layer
in front of the latents, and no batch normalisation: `--conv_design=full_resolution`.
"""

import tensorflow as tf

from dfcvae_tf.config import ModelConfig
from dfcvae_tf.models.blocks import conv, output_conv

layers = tf.keras.layers


def build(
    config: ModelConfig, image_shape: tuple[int, int, int], dtype: str
) -> tuple[tf.keras.Model, tf.keras.Model]:
    """Encoder [N, H, W, C] -> 2 x [N, D]; decoder [N, D] -> outputs [N, H, W, C].

    H and W are multiples of 2 ** depth; channels double with each halving, from
    `config.width` at full resolution.
    """
    height, width, channels = image_shape
    unit = 2**config.depth
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
