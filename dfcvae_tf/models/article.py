"""The MNIST network of Krasser, "Deep feature consistent variational auto-encoder" (2018)."""

import tensorflow as tf

from dfcvae_tf.config import ModelConfig
from dfcvae_tf.errors import UserError
from dfcvae_tf.models.blocks import conv, output_conv

layers = tf.keras.layers


def build(
    config: ModelConfig, image_shape: tuple[int, int, int], dtype: str
) -> tuple[tf.keras.Model, tf.keras.Model]:
    """Encoder [N, 28, 28, 1] -> 2 x [N, D]; decoder [N, D] -> outputs [N, 28, 28, 1].

    Raises:
      UserError: the images are not 28x28x1.
    """
    if image_shape != (28, 28, 1):
        raise UserError(
            "network 'article' takes 28x28x1 images, these are "
            f"{'x'.join(map(str, image_shape))}; choose --network=conv, or "
            "--image_size=28 --color=grey"
        )
    images = tf.keras.Input(image_shape, name="image")
    x = conv(32, dtype, "conv1")(images)
    x = conv(64, dtype, "conv2", strides=2)(x)
    x = conv(64, dtype, "conv3")(x)
    x = conv(64, dtype, "conv4")(x)
    x = layers.Flatten(dtype=dtype, name="flatten")(x)
    # Biases start at 1, not 0: sums over pixels and features make large gradients, and
    # the first steps would switch most of these few units off for good.
    x = layers.Dense(
        32, activation="relu", bias_initializer="ones", dtype=dtype, name="hidden"
    )(x)
    z_mean = layers.Dense(config.latent_dim, dtype="float32", name="z_mean")(x)
    z_log_var = layers.Dense(config.latent_dim, dtype="float32", name="z_log_var")(x)
    encoder = tf.keras.Model(images, [z_mean, z_log_var], name="encoder")

    z = tf.keras.Input((config.latent_dim,), name="z")
    x = layers.Dense(14 * 14 * 64, activation="relu", dtype=dtype, name="hidden")(z)
    x = layers.Reshape((14, 14, 64), dtype=dtype, name="reshape")(x)
    x = layers.Conv2DTranspose(
        32, 3, 2, padding="same", activation="relu", dtype=dtype, name="deconv1"
    )(x)
    outputs = output_conv(x, 1, config.decoder_output, dtype, "conv1")
    return encoder, tf.keras.Model(z, outputs, name="decoder")
