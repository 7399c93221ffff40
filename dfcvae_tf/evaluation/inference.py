"""What a run makes of the test images, as arrays: the only part that runs its networks.

Everything random is drawn from (seed, index of the batch), so it does not depend on
which runs are evaluated together.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from dfcvae_tf import losses
from dfcvae_tf.errors import UserError
from dfcvae_tf.files import read_json
from dfcvae_tf.images import inference_batch
from dfcvae_tf.loaded_run import LoadedRun
from dfcvae_tf.models.vae import sample_z
from dfcvae_tf.objective import build_perceptual_loss
from dfcvae_tf.perceptual.registry import build_perceptual_model

# Streams of random numbers, apart from each other for one seed.
_POSTERIOR, _IMPORTANCE, _PRIOR = range(3)


@dataclass(frozen=True)
class RunOutputs:
    """What a run makes of N images.

    Attributes:
      z_mean, z_log_var: [N, D] float32.
      reconstructions: [N, H, W, C] float32 in [0, 1], decoded from z_mean.
      kl: [N, D] float32, nats to the prior per dimension.
      bernoulli_nll: [N] float32, nats: -log p(x|z) at one z drawn from q(z|x).
    """

    z_mean: np.ndarray
    z_log_var: np.ndarray
    reconstructions: np.ndarray
    kl: np.ndarray
    bernoulli_nll: np.ndarray

    @property
    def negative_elbo(self) -> np.ndarray:
        """[N] float32, nats: a bound on -log p(x) for a Bernoulli decoder."""
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


def run_on_images(model: LoadedRun, images: np.ndarray, seed: int) -> RunOutputs:
    """Encodes and reconstructs images, [N, H, W, C] float32 in [0, 1]."""

    @tf.function(reduce_retracing=True)
    def compute(x: tf.Tensor, index: tf.Tensor) -> tuple:
        z_mean, z_log_var = model.encoder(x)
        noise = tf.random.stateless_normal(
            tf.shape(z_mean), _seed(seed, _POSTERIOR, index)
        )
        z = sample_z(z_mean, z_log_var, noise)
        nll = losses.bernoulli_nll_nats(x, model.vae.decode_logits(z))
        kl = losses.kl_nats_per_dimension(z_mean, z_log_var)
        return z_mean, z_log_var, model.decoder(z_mean), kl, nll

    parts = [
        [part.numpy() for part in compute(batch, tf.constant(index))]
        for index, batch in enumerate(batches(images))
    ]
    return RunOutputs(*(np.concatenate(part) for part in zip(*parts, strict=True)))


def importance_weighted_nll(
    model: LoadedRun, images: np.ndarray, num_samples: int, seed: int
) -> np.ndarray:
    """-log p(x) by importance sampling with a Bernoulli decoder, in nats.

    Burda, Grosse and Salakhutdinov (2016), equation 8: -log of the mean of
    p(x|z) p(z) / q(z|x) over z drawn from q(z|x). An upper bound in expectation, closer
    with more samples; with one it is the negative ELBO.

    Args:
      model: the run.
      images: [N, H, W, C] float32 in [0, 1].
      num_samples: draws per image, at least 1.
      seed: of the draws.

    Returns:
      [N] float32.
    """

    @tf.function(reduce_retracing=True)
    def compute(x: tf.Tensor, index: tf.Tensor) -> tf.Tensor:
        z_mean, z_log_var = model.encoder(x)
        shape = tf.concat([[num_samples], tf.shape(z_mean)], 0)
        noise = tf.random.stateless_normal(shape, _seed(seed, _IMPORTANCE, index))
        z = sample_z(z_mean, z_log_var, noise)
        flat = tf.reshape(z, [-1, z_mean.shape[-1]])
        logits = model.vae.decode_logits(flat)
        nll = losses.bernoulli_nll_nats(tf.tile(x, [num_samples, 1, 1, 1]), logits)
        # log p(z) - log q(z|x); the two constants log(2 pi) cancel.
        log_ratio = 0.5 * tf.reduce_sum(noise**2 + z_log_var - z**2, axis=-1)
        log_weights = log_ratio - tf.reshape(nll, tf.shape(log_ratio))
        return math.log(num_samples) - tf.reduce_logsumexp(log_weights, axis=0)

    # As many decoded images at a time as elsewhere: memory must not grow with k.
    size = max(1, inference_batch(images.shape[1:]) // num_samples)
    return np.concatenate(
        [
            compute(batch, tf.constant(index)).numpy()
            for index, batch in enumerate(batches(images, size))
        ]
    )


def sample_images(
    model: LoadedRun, count: int, temperature: float, seed: int
) -> np.ndarray:
    """Decodes z = temperature * standard normal, [count, H, W, C] float32 in [0, 1]."""
    shape = [count, model.config.model.latent_dim]
    noise = tf.random.stateless_normal(shape, _seed(seed, _PRIOR, tf.constant(0)))
    return decode(model, temperature * noise.numpy())


def decode(model: LoadedRun, z: np.ndarray) -> np.ndarray:
    """Decodes z [N, D], in batches, to [N, H, W, C] float32 in [0, 1]."""
    assert model.config.image_shape is not None
    size = inference_batch(model.config.image_shape)
    return np.concatenate([model.decoder(part).numpy() for part in batches(z, size)])


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


def _seed(seed: int, stream: int, index: tf.Tensor) -> tf.Tensor:
    """The seed of one batch in one stream, int64 [2]."""
    return tf.stack(
        [tf.constant(seed, tf.int64), tf.cast(index, tf.int64) * 4 + stream]
    )
