"""Priors p(z): what latents are compared with in training, and drawn from afterwards.

Training compares with N(0, I), the VAE's own. Where latents then lie in truth is another
distribution, the aggregated posterior; a run may have a prior that was fitted to it, from
which images are drawn.
"""

import math
from collections.abc import Callable, Mapping
from typing import Protocol, cast

import numpy as np
import tensorflow as tf

from dfcvae_tf import losses
from dfcvae_tf.models.flow import CouplingFlow
from dfcvae_tf.models.mixture import GaussianMixture


class Prior(Protocol):
    """A distribution of latents [D] that is a map of standard normal noise.

    Attributes:
      num_labels: A, of the labels that it knows; one that knows any is a `LabelledPrior`.
    """

    @property
    def num_labels(self) -> int: ...

    def log_prob(self, z: tf.Tensor) -> tf.Tensor:
        """log p(z), [N, D] -> [N] float32, nats."""

    def from_noise(self, noise: tf.Tensor) -> tf.Tensor:
        """Standard normal noise [N, D] -> z [N, D], float32, distributed as p."""

    def to_noise(self, z: tf.Tensor) -> tf.Tensor:
        """z [N, D] -> noise [N, D], float32, that `from_noise` makes it of."""


class LabelledPrior(Prior, Protocol):
    """A prior that knows labels."""

    def given(self, label: tf.Tensor) -> Prior:
        """p(z | label), of rows [N, A] float32 as `labels.Labels` has them."""


def prior_given(prior: Prior, label: tf.Tensor | None) -> Prior:
    """The prior itself, or where a label is given p(z | label)."""
    return prior if label is None else cast(LabelledPrior, prior).given(label)


class StandardNormal:
    """N(0, I)."""

    num_labels = 0

    def kl(self, z_mean: tf.Tensor, z_log_var: tf.Tensor) -> tf.Tensor:
        """KL(N(z_mean, exp(z_log_var)) || p), [N, D] -> [N, D] float32, nats.

        The sum over the dimensions is the divergence (Kingma and Welling 2014, appendix
        B).
        """
        return losses.kl_nats_per_dimension(z_mean, z_log_var)

    def log_prob(self, z: tf.Tensor) -> tf.Tensor:
        return -0.5 * tf.reduce_sum(tf.square(z) + math.log(2 * math.pi), axis=-1)

    def from_noise(self, noise: tf.Tensor) -> tf.Tensor:
        return noise

    def to_noise(self, z: tf.Tensor) -> tf.Tensor:
        return z


# Those that are learned, by name; each is built from its parameters, name -> array.
LEARNED: dict[str, Callable[[Mapping[str, np.ndarray]], Prior]] = {
    "flow": CouplingFlow,
    "gmm": GaussianMixture,
}
STANDARD = "standard"
