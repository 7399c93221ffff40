"""A trained run, ready to use: images to latents, latents to images, NumPy in and out."""

import dataclasses
import functools
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from dfcvae_tf.config import Config
from dfcvae_tf.errors import UserError
from dfcvae_tf.images import inference_batch
from dfcvae_tf.models.prior import Prior, StandardNormal
from dfcvae_tf.models.vae import VAE
from dfcvae_tf.run_dir import RunDir

# Streams of random numbers, apart from each other for one seed.
POSTERIOR, IMPORTANCE, PRIOR = range(3)
_IMAGE_LIMITS = (0.0, 1.0)
# How far beyond them resizing and rounding may leave a value; a quarter of an 8-bit step.
_ROUNDING = 1e-3


@dataclasses.dataclass(frozen=True)
class LoadedRun:
    """A trained run; float32, in inference mode.

    `encode`, `decode`, `reconstruct`, `generate` and `sample` take and return arrays of
    any length and work in batches; `encoder` and `decoder` are for use in a graph.

    Attributes:
      config: the settings of the run.
      run: the run it was loaded from.
      vae: its networks.
      prior: what images are drawn from.
    """

    config: Config
    run: RunDir
    vae: VAE
    prior: Prior = dataclasses.field(default_factory=StandardNormal)

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(height, width, channels) of the images."""
        assert self.config.image_shape is not None  # loading saw to it
        return self.config.image_shape

    @property
    def latent_dim(self) -> int:
        """Number of latent dimensions, D."""
        return self.config.model.latent_dim

    @property
    def batch_size(self) -> int:
        """How many images the networks work on at a time."""
        return inference_batch(self.image_shape)

    @property
    def has_learned_prior(self) -> bool:
        """Whether images are drawn from another distribution than N(0, I)."""
        return not isinstance(self.prior, StandardNormal)

    def encode(self, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """images [N, H, W, C] float in [0, 1] -> z_mean, z_log_var [N, D] float32.

        Raises:
          ValueError: they are not images of the run's shape, not floats, or not in [0, 1].
          UserError: what the run makes of them is not finite.
        """
        z_mean, z_log_var = self._in_batches(
            self._encode, _checked(images, self.image_shape, "images", _IMAGE_LIMITS)
        )
        if not (np.isfinite(z_mean).all() and np.isfinite(z_log_var).all()):
            raise UserError(
                f"{self.run} encodes images to values that are not finite: its weights "
                "are damaged, or training went wrong"
            )
        return z_mean, z_log_var

    def decode(self, z: np.ndarray) -> np.ndarray:
        """z [N, D] float -> images [N, H, W, C] float32 in [0, 1].

        Raises:
          ValueError: z is not [N, D], not floats, or not finite.
        """
        (images,) = self._in_batches(
            self._decode, _checked(z, (self.latent_dim,), "latents")
        )
        return images

    def reconstruct(self, images: np.ndarray) -> np.ndarray:
        """images [N, H, W, C] float in [0, 1] -> the same decoded from their z_mean.

        Raises:
          ValueError: see `encode`.
        """
        return self.decode(self.encode(images)[0])

    def generate(self, noise: np.ndarray) -> np.ndarray:
        """Standard normal noise [N, D] float -> images [N, H, W, C] drawn from the prior.

        Raises:
          ValueError: noise is not [N, D], not floats, or not finite.
        """
        noise = _checked(noise, (self.latent_dim,), "noise")
        return self.decode(self.prior.from_noise(tf.constant(noise)).numpy())

    def to_noise(self, z: np.ndarray) -> np.ndarray:
        """z [N, D] float -> noise [N, D] float32 that the prior makes it of.

        Raises:
          ValueError: z is not [N, D], not floats, or not finite.
        """
        z = _checked(z, (self.latent_dim,), "latents")
        return self.prior.to_noise(tf.constant(z)).numpy()

    def sample(self, count: int, seed: int = 0, temperature: float = 1.0) -> np.ndarray:
        """Draws images from the prior.

        Args:
          count: number of images.
          seed: the same seed gives the same images, and the first of more.
          temperature: standard deviation of the noise they are made of.

        Returns:
          [count, H, W, C] float32 in [0, 1].
        """
        return self.generate(self.noise(count, seed, temperature))

    def noise(self, count: int, seed: int, temperature: float) -> np.ndarray:
        """What `sample` gives to `generate`, [count, D] float32.

        With it, more samples than memory holds can be generated part by part.

        Raises:
          ValueError: count is no whole number from 0.
        """
        if count != int(count) or count < 0:
            raise ValueError(f"expected a whole number of samples from 0, got {count}")
        noise = tf.random.stateless_normal(
            [count, self.latent_dim], stream_seed(seed, PRIOR, 0)
        )
        return temperature * noise.numpy()

    def encoder(self, images: tf.Tensor | np.ndarray) -> tuple[tf.Tensor, tf.Tensor]:
        """One batch of images, as tensors; see `encode`.

        Raises:
          ValueError: see `encode`; of tensors in a graph, whose values are not known when
            it is made, shape and type alone are looked at.
        """
        images = _checked(images, self.image_shape, "images", _IMAGE_LIMITS)
        z_mean, z_log_var = self.vae.encoder(
            tf.convert_to_tensor(images), training=False
        )
        return z_mean, z_log_var

    def decoder(self, z: tf.Tensor | np.ndarray) -> tf.Tensor:
        """One batch of latents, as tensors; see `decode`.

        Raises:
          ValueError: see `decode`; of tensors in a graph only of shape and type.
        """
        z = _checked(z, (self.latent_dim,), "latents")
        return self.vae.decode(tf.convert_to_tensor(z))

    @functools.cached_property
    def _encode(self) -> Callable:
        return tf.function(self.encoder, reduce_retracing=True)

    @functools.cached_property
    def _decode(self) -> Callable:
        return tf.function(lambda z: (self.decoder(z),), reduce_retracing=True)

    def _in_batches(self, function: Callable, rows: np.ndarray) -> list[np.ndarray]:
        parts = [
            [values.numpy() for values in function(tf.constant(part))]
            # No rows are one part of none: its results have the right shapes.
            for part in np.split(
                rows, range(self.batch_size, len(rows), self.batch_size)
            )
        ]
        return [np.concatenate(part) for part in zip(*parts, strict=True)]


def stream_seed(seed: int, stream: int, index: tf.Tensor | int) -> tf.Tensor:
    """The seed of one batch in one stream of random numbers, int64 [2]."""
    return tf.stack(
        [tf.constant(seed, tf.int64), tf.cast(index, tf.int64) * 4 + stream]
    )


def _checked(
    rows: np.ndarray | tf.Tensor,
    shape: tuple[int, ...],
    what: str,
    limits: tuple[float, float] | None = None,
) -> np.ndarray | tf.Tensor:
    """Returns rows [N, *shape] as float32, or raises ValueError when they are others.

    Args:
      rows: anything NumPy takes for an array, or a tensor.
      shape: of a row.
      what: they are.
      limits: least and greatest value, but for rounding.
    """
    # What a graph is made of has no values yet.
    symbolic = tf.is_tensor(rows) and not tf.executing_eagerly()
    if not symbolic:
        rows = np.asarray(rows)
    if not tf.TensorShape([None, *shape]).is_compatible_with(rows.shape):
        expected = f"[N, {', '.join(map(str, shape))}]"
        one = "; x[np.newaxis] makes N = 1" if tuple(rows.shape) == shape else ""
        raise ValueError(f"expected {what} {expected}, got {list(rows.shape)}{one}")
    within = "" if limits is None else f" in [{limits[0]:g}, {limits[1]:g}]"
    if not tf.as_dtype(rows.dtype).is_floating:
        wanted = f"; they are{within}" if within else ""
        raise ValueError(
            f"expected {what} as floats, got {tf.as_dtype(rows.dtype).name}{wanted}"
        )
    if symbolic:
        return tf.cast(rows, tf.float32)
    rows = rows.astype(np.float32, copy=False)
    if not np.isfinite(rows).all():
        raise ValueError(f"expected finite {what}, got some that are not")
    if limits is not None and rows.size:
        low, high = rows.min(), rows.max()
        if low < limits[0] - _ROUNDING or high > limits[1] + _ROUNDING:
            raise ValueError(f"expected {what}{within}, got {low:g} to {high:g}")
    return rows
