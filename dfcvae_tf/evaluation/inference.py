"""What a run makes of batches of images: the only part that runs its networks in a graph.

Everything random is drawn from (seed, index of the batch), so it does not depend on
which runs are evaluated together.
"""

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from dfcvae_tf import losses
from dfcvae_tf.errors import UserError
from dfcvae_tf.files import read_json
from dfcvae_tf.images import inference_batch
from dfcvae_tf.loaded_run import IMPORTANCE, POSTERIOR, LoadedRun, stream_seed
from dfcvae_tf.models.vae import sample_z
from dfcvae_tf.objective import build_perceptual_loss
from dfcvae_tf.perceptual.registry import build_perceptual_model


@dataclass(frozen=True)
class RunOutputs:
    """What a run makes of a batch of B images.

    Attributes:
      z_mean: [B, D] float32.
      reconstructions: [B, H, W, C] float32 in [0, 1], decoded from z_mean.
      kl: [B, D] float32, nats to N(0, I) per dimension.
      bernoulli_nll: [B] float32, nats: -log p(x|z) at one z drawn from q(z|x).
      kl_learned: [B] float32, nats: log q(z|x) - log p(z) at that z, whose mean is the KL
        to the run's learned prior p; None without one.
    """

    z_mean: np.ndarray
    reconstructions: np.ndarray
    kl: np.ndarray
    bernoulli_nll: np.ndarray
    kl_learned: np.ndarray | None = None

    @property
    def negative_elbo(self) -> np.ndarray:
        """[B] float32, nats: a bound on -log p(x) for a Bernoulli decoder."""
        return self.bernoulli_nll + self.kl.sum(axis=1)


def batches(images: np.ndarray, size: int | None = None) -> Iterator[np.ndarray]:
    """Cuts an array along its first axis; the last part holds what is left.

    Args:
      images: [N, H, W, C] where no size is given, else any.
      size: of a part; `inference_batch` when None.
    """
    size = size or inference_batch(images.shape[1:])
    for start in range(0, len(images), size):
        yield images[start : start + size]


def build_forward(
    model: LoadedRun, seed: int
) -> Callable[[np.ndarray, int], RunOutputs]:
    """Returns what encodes and reconstructs a batch.

    It takes images [B, H, W, C] float32 in [0, 1] and the index of the batch.
    """

    @tf.function(reduce_retracing=True)
    def compute(x: tf.Tensor, index: tf.Tensor) -> tuple:
        z_mean, z_log_var = model.encoder(x)
        noise = tf.random.stateless_normal(
            tf.shape(z_mean), stream_seed(seed, POSTERIOR, index)
        )
        z = sample_z(z_mean, z_log_var, noise)
        nll = losses.bernoulli_nll_nats(x, model.vae.decode_logits(z))
        kl = model.vae.prior.kl(z_mean, z_log_var)
        results = z_mean, model.decoder(z_mean), kl, nll
        if not model.has_learned_prior:
            return results
        return *results, _log_q(noise, z_log_var) - model.prior.log_prob(z)

    return lambda images, index: RunOutputs(
        *(part.numpy() for part in compute(images, tf.constant(index)))
    )


def importance_weighted_nll(
    model: LoadedRun, images: Iterable[np.ndarray], num_samples: int, seed: int
) -> np.ndarray:
    """-log p(x) by importance sampling with a Bernoulli decoder, in nats.

    Burda, Grosse and Salakhutdinov (2016), equation 8: -log of the mean of
    p(x|z) p(z) / q(z|x) over z drawn from q(z|x). An upper bound in expectation, closer
    with more samples; with one it is the negative ELBO.

    Args:
      model: the run.
      images: batches [B, H, W, C] float32 in [0, 1], at least one; num_samples * B images
        are decoded at a time, see `importance_batch`.
      num_samples: draws per image, at least 1.
      seed: of the draws.

    Returns:
      [N] float32.
    """

    @tf.function(reduce_retracing=True)
    def compute(x: tf.Tensor, index: tf.Tensor) -> tf.Tensor:
        z_mean, z_log_var = model.encoder(x)
        shape = tf.concat([[num_samples], tf.shape(z_mean)], 0)
        noise = tf.random.stateless_normal(shape, stream_seed(seed, IMPORTANCE, index))
        z = sample_z(z_mean, z_log_var, noise)
        log_q = _log_q(noise, z_log_var)
        flat = tf.reshape(z, [-1, z_mean.shape[-1]])
        nll = losses.bernoulli_nll_nats(
            tf.tile(x, [num_samples, 1, 1, 1]), model.vae.decode_logits(flat)
        )
        log_joint = model.vae.prior.log_prob(flat) - nll
        log_weights = tf.reshape(log_joint, tf.shape(log_q)) - log_q
        return math.log(num_samples) - tf.reduce_logsumexp(log_weights, axis=0)

    return np.concatenate(
        [compute(x, tf.constant(index)).numpy() for index, x in enumerate(images)]
    )


def _log_q(noise: tf.Tensor, z_log_var: tf.Tensor) -> tf.Tensor:
    """log q(z|x) of the z drawn with this noise, both [..., D] -> [...] float32, nats."""
    return -0.5 * tf.reduce_sum(
        tf.square(noise) + z_log_var + math.log(2 * math.pi), axis=-1
    )


def importance_batch(model: LoadedRun, num_samples: int) -> int:
    """How many images to weigh at once, so that memory does not grow with the draws."""
    return max(1, model.batch_size // num_samples)


def perceptual_loss(
    model: LoadedRun,
) -> Callable[[np.ndarray, np.ndarray], np.ndarray] | None:
    """Returns the perceptual loss a run was trained with, None for a plain VAE.

    It maps two batches of images [N, H, W, C] float32 in [0, 1] to [N] float32.

    Raises:
      UserError: the run's perceptual model cannot be had here.
    """
    config = model.config
    if not config.objective.is_perceptual:
        return None
    assert config.image_shape is not None
    features = build_perceptual_model(
        config.objective, config.image_shape, config.training.seed
    )
    energies = None
    if config.objective.perceptual_normalization == "energy":
        stored = read_json(model.run.layer_energies)
        try:
            energies = [float(stored[layer]) for layer in features.layers]
        except (KeyError, TypeError, ValueError) as error:
            raise UserError(
                f"{model.run.layer_energies} has no energy of each layer"
            ) from error
    term = build_perceptual_loss(config.objective, features, energies)
    compute = tf.function(
        lambda a, b: term.compare(a, b)[term.name], reduce_retracing=True
    )

    def loss(images: np.ndarray, others: np.ndarray) -> np.ndarray:
        pairs = zip(batches(images), batches(others), strict=True)
        return np.concatenate([compute(a, b).numpy() for a, b in pairs])

    return loss
