"""The prior p(z): what latents are compared with in training and drawn from afterwards.

Whatever speaks of the prior asks the VAE's own; nothing else knows that it is N(0, I).
"""

import math
from typing import Protocol

import tensorflow as tf

from dfcvae_tf import losses


class Prior(Protocol):
    """A distribution of latents [D] that is a map of standard normal noise."""

    def kl(self, z_mean: tf.Tensor, z_log_var: tf.Tensor) -> tf.Tensor:
        """KL(N(z_mean, exp(z_log_var)) || p), [N, D] -> [N, D] float32, nats.

        The sum over the dimensions is the divergence.
        """

    def log_prob(self, z: tf.Tensor) -> tf.Tensor:
        """log p(z), [N, D] -> [N] float32, nats."""

    def from_noise(self, noise: tf.Tensor) -> tf.Tensor:
        """Standard normal noise [N, D] -> z [N, D], float32, distributed as p."""


class StandardNormal:
    """N(0, I)."""

    def kl(self, z_mean: tf.Tensor, z_log_var: tf.Tensor) -> tf.Tensor:
        """Kingma and Welling (2014), appendix B; see `Prior`."""
        return losses.kl_nats_per_dimension(z_mean, z_log_var)

    def log_prob(self, z: tf.Tensor) -> tf.Tensor:
        return -0.5 * tf.reduce_sum(tf.square(z) + math.log(2 * math.pi), axis=-1)

    def from_noise(self, noise: tf.Tensor) -> tf.Tensor:
        return noise
