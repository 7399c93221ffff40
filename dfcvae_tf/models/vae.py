"""A VAE as its two networks, and the registry of networks by name."""

from collections.abc import Callable
from dataclasses import dataclass

import tensorflow as tf

from dfcvae_tf.config import ModelConfig
from dfcvae_tf.errors import unknown_name
from dfcvae_tf.models import article, conv

ImageShape = tuple[int, int, int]
# (settings, (H, W, C), Keras dtype policy) -> encoder, decoder
NetworkBuilder = Callable[
    [ModelConfig, ImageShape, str], tuple[tf.keras.Model, tf.keras.Model]
]

NETWORKS: dict[str, NetworkBuilder] = {
    "article": article.build,
    "conv": conv.build,
}


@dataclass(frozen=True)
class VAE:
    """The two networks.

    Attributes:
      encoder: images [N, H, W, C] float32 in [0, 1] -> z_mean, z_log_var [N, D] float32.
      decoder: z [N, D] float32 -> recon_logits [N, H, W, C] float32, unbounded; their
        sigmoid is the image.
    """

    encoder: tf.keras.Model
    decoder: tf.keras.Model

    @property
    def trainable_variables(self) -> list[tf.Variable]:
        return self.encoder.trainable_variables + self.decoder.trainable_variables

    @property
    def variables(self) -> list[tf.Variable]:
        return self.encoder.variables + self.decoder.variables

    def decode(self, z: tf.Tensor) -> tf.Tensor:
        """z [N, D] -> images [N, H, W, C] float32 in [0, 1], in inference mode."""
        return tf.sigmoid(self.decoder(z, training=False))


def sample_z(z_mean: tf.Tensor, z_log_var: tf.Tensor, noise: tf.Tensor) -> tf.Tensor:
    """The reparameterisation z = mean + std * noise (Kingma and Welling 2014, 2.4).

    All arguments and the result are [N, D] float32; `noise` is standard normal.
    """
    return z_mean + tf.exp(0.5 * z_log_var) * noise


def build_vae(config: ModelConfig, image_shape: ImageShape, dtype: str) -> VAE:
    """Builds the networks with fresh weights.

    Args:
      config: the network's name and sizes.
      image_shape: (height, width, channels).
      dtype: "float32", "mixed_float16" or "mixed_bfloat16"; variables, latents and
        logits are float32 with each of them.

    Raises:
      UserError: the name is unknown, or the network cannot take images of this shape.
    """
    if config.network not in NETWORKS:
        raise unknown_name("network", config.network, NETWORKS)
    return VAE(*NETWORKS[config.network](config, image_shape, dtype))
