"""A trained run, ready to use: images to latents, latents to images, NumPy in and out."""

import dataclasses
import functools
import math
import shlex
from collections.abc import Callable

import numpy as np
import tensorflow as tf
from PIL import Image

from dfcvae_tf.config import Config
from dfcvae_tf.data.ground import Ground, ground_of
from dfcvae_tf.errors import UserError
from dfcvae_tf.image_files import show_rows
from dfcvae_tf.images import inference_batch
from dfcvae_tf.labels import CLASSES, Labels
from dfcvae_tf.metrics import latent
from dfcvae_tf.models.prior import Prior, StandardNormal, prior_given
from dfcvae_tf.models.vae import VAE
from dfcvae_tf.own_code import OwnCode
from dfcvae_tf.run_dir import PRETRAINED_DIR, PRETRAINED_PREFIX, RunDir

# Streams of random numbers, apart from each other for one seed.
POSTERIOR, IMPORTANCE, PRIOR = range(3)
# What one picture of all labels has room for.
LABELS_SHOWN = 20
# Samples in a picture of a run.
_SHOWN = 36
_IMAGE_LIMITS = (0.0, 1.0)
# How far beyond them resizing and rounding may leave a value; a quarter of an 8-bit step.
_ROUNDING = 1e-3


@dataclasses.dataclass(frozen=True, repr=False)
class LoadedRun:
    """A trained run; float32, in inference mode.

    `encode`, `decode`, `reconstruct`, `generate` and `sample` take and return arrays of
    any length and work in batches; `show` makes a picture of them; `encoder` and `decoder`
    are for use in a graph.

    Attributes:
      config: the settings of the run.
      run: the run it was loaded from.
      vae: its networks.
      prior: what images are drawn from.
      labels: what it can be asked for; None where it knows no labels.
      own_network: what built its networks, where a user wrote it.
    """

    config: Config
    run: RunDir
    vae: VAE
    prior: Prior = dataclasses.field(default_factory=StandardNormal)
    labels: Labels | None = None
    own_network: OwnCode | None = None

    def __repr__(self) -> str:
        path = self.run.path
        bundled = path.parent == PRETRAINED_DIR
        where = f"{PRETRAINED_PREFIX}{path.name}" if bundled else path
        size = "x".join(map(str, self.image_shape))
        prior = "a learned prior" if self.has_learned_prior else "N(0, I)"
        knows = ""
        if self.labels is not None:
            names = self.labels.names
            more = ", …" if len(names) > LABELS_SHOWN else ""
            knows = f" that knows {', '.join(names[:LABELS_SHOWN])}{more}"
        return (
            f"<run {where}: {self.config.objective.objective} of {size} images, network "
            f"{self.config.model.network}, {self.latent_dim} latents, {prior}{knows}>"
        )

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

    @functools.cached_property
    def ground(self) -> Ground | None:
        """What the images it learnt from lie on, by what it makes of z = 0.

        None where that is neither black nor white, and of colour.
        """
        return ground_of(self.decode(np.zeros((1, self.latent_dim), np.float32))[0])

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

    def interpolate(
        self,
        start: np.ndarray,
        end: np.ndarray,
        steps: int = 10,
        path: str = "linear",
        in_noise: bool = False,
    ) -> np.ndarray:
        """Goes from one image to another through their latents, in equal steps.

        Args:
          start, end: [H, W, C] float in [0, 1].
          steps: at least 1.
          path: "linear" or "spherical", see `metrics.latent.interpolate`.
          in_noise: whether steps are equal in the noise that the prior makes latents of:
            where a learned prior leaves a gap, the way goes around it.

        Returns:
          [steps + 1, H, W, C] float32 in [0, 1]; the first and the last are start and end
          as they are reconstructed.

        Raises:
          ValueError: they are not two images of the run's shape, or see `encode`.
          UserError: no step, or another path.
        """
        ends = np.concatenate(
            [self.encode(np.asarray(x)[None])[0] for x in (start, end)]
        )
        if in_noise:
            ends = self.to_noise(ends)
        points = latent.interpolate(ends[0], ends[1], steps, path)
        return self.generate(points) if in_noise else self.decode(points)

    def show(self, *rows: np.ndarray, columns: int | None = None) -> Image.Image:
        """Makes a picture of images, which a notebook shows; of none, of samples.

        Args:
          rows: [N, H, W, C] float in [0, 1]; of several, each stands in a row of its own.
          columns: images in a row of one array; as many as make it square when None, of
            several arrays all.

        Raises:
          ValueError: see `encode`.
        """
        if not rows:
            rows = (self.sample(_SHOWN),)
        rows = tuple(
            np.asarray(_checked(images, self.image_shape, "images", _IMAGE_LIMITS))
            for images in rows
        )
        if columns is None:
            counts = [len(images) for images in rows]
            columns = math.ceil(math.sqrt(counts[0])) if len(rows) == 1 else max(counts)
        return show_rows(rows, max(1, columns))

    def generate(
        self, noise: np.ndarray, label: np.ndarray | None = None
    ) -> np.ndarray:
        """Standard normal noise [N, D] float -> images [N, H, W, C] drawn from the prior.

        Args:
          noise: what they are made of.
          label: [N, A] float, what is asked for, as `labels.Labels` has it; None for any.

        Raises:
          ValueError: noise or label has another shape, is not floats, or not finite.
          UserError: the prior knows no labels.
        """
        return self.decode(self.from_noise(noise, label))

    def from_noise(
        self, noise: np.ndarray, label: np.ndarray | None = None
    ) -> np.ndarray:
        """Standard normal noise [N, D] float -> z [N, D] float32, drawn from the prior.

        Args and errors are those of `generate`.
        """
        noise = _checked(noise, (self.latent_dim,), "noise")
        prior = self._prior_given(label, len(noise))
        return np.asarray(prior.from_noise(tf.constant(noise)))

    def to_noise(self, z: np.ndarray, label: np.ndarray | None = None) -> np.ndarray:
        """z [N, D] float -> noise [N, D] float32 that the prior makes it of.

        Args and errors are those of `generate`.
        """
        z = _checked(z, (self.latent_dim,), "latents")
        return np.asarray(self._prior_given(label, len(z)).to_noise(tf.constant(z)))

    def relabel(self, z: np.ndarray, row: np.ndarray) -> np.ndarray:
        """Gives latents another label and keeps what else they are.

        What the prior makes z of under its own label is taken for what it is not the label,
        and drawn under the other one. Its own is that which makes z likeliest: of classes,
        and of each attribute in `row`.

        Args:
          z: [N, D] float.
          row: [A] float, what is asked for; see `labels.Labels`.

        Returns:
          [N, D] float32.

        Raises:
          ValueError: z is not [N, D], not floats, or not finite.
          UserError: the prior knows no labels.
        """
        own = self._own_labels(_checked(z, (self.latent_dim,), "latents"), row)
        label = np.where(row, row, own)
        if self.known_labels.kind == CLASSES:
            label = np.broadcast_to(row, own.shape)
        return self.from_noise(self.to_noise(z, own), label)

    def _own_labels(self, z: np.ndarray, row: np.ndarray) -> np.ndarray:
        """What makes latents likeliest, [N, A] float32, 0 where `row` asks for nothing."""
        names = self.known_labels.names
        unit = np.eye(len(names), dtype=np.float32)

        def log_prob(label: np.ndarray) -> np.ndarray:
            prior = self._prior_given(np.tile(label, (len(z), 1)), len(z))
            return np.asarray(prior.log_prob(tf.constant(z)))

        if self.known_labels.kind == CLASSES:
            return unit[np.argmax([log_prob(label) for label in unit], axis=0)]
        own = np.zeros((len(z), len(names)), np.float32)
        for place in np.flatnonzero(row):
            likelier = log_prob(unit[place]) > log_prob(-unit[place])
            own[:, place] = np.where(likelier, 1, -1)
        return own

    def sample(
        self,
        count: int,
        seed: int = 0,
        temperature: float = 1.0,
        label: str | None = None,
    ) -> np.ndarray:
        """Draws images from the prior.

        Args:
          count: number of images.
          seed: the same seed gives the same images, and the first of more.
          temperature: standard deviation of the noise they are made of.
          label: the class they shall be of, such as "7", or attributes, such as
            "Smiling-Male"; None for any.

        Returns:
          [count, H, W, C] float32 in [0, 1].

        Raises:
          ValueError: count is no whole number from 0, or temperature no number from 0.
          TypeError: label is no text.
          UserError: the prior knows no labels, or not this one.
        """
        noise = self.noise(count, seed, temperature)
        if label is None:
            return self.generate(noise)
        if not isinstance(label, str):
            raise TypeError(f"expected a label as text, such as '7', got {label!r}")
        rows = list(self.known_labels.read(label).values())
        if len(rows) != 1:
            raise UserError(f"label={label!r} must be one thing to ask for")
        return self.generate(noise, np.tile(rows[0], (count, 1)))

    def samples_by_label(
        self, count: int, seed: int = 0, temperature: float = 1.0
    ) -> list[tuple[str, np.ndarray]]:
        """Draws images of any label, and of each label by itself, all of the same noise.

        Args:
          count, seed, temperature: see `sample`.

        Returns:
          "any", then the labels, the first LABELS_SHOWN of them, each with its images.

        Raises:
          UserError: the prior knows no labels.
        """
        noise = self.noise(count, seed, temperature)
        labels = self.known_labels
        rows = [("any", self.generate(noise))]
        for name in labels.names[:LABELS_SHOWN]:
            row = np.tile(labels.row([(name, 1)]), (count, 1))
            rows.append((name, self.generate(noise, row)))
        return rows

    @property
    def known_labels(self) -> Labels:
        """What the prior can be asked for.

        Raises:
          UserError: it knows no labels.
        """
        if self.labels is None:
            raise UserError(
                f"the prior of {self.run} knows no labels; `python -m dfcvae_tf.fit_prior"
                f" --run_dir={shlex.quote(str(self.run))}` fits one that knows those of "
                "its images, where they have any"
            )
        return self.labels

    def noise(self, count: int, seed: int, temperature: float) -> np.ndarray:
        """What `sample` gives to `generate`, [count, D] float32.

        With it, more samples than memory holds can be generated part by part.

        Raises:
          ValueError: count is no whole number from 0, or temperature no number from 0.
        """
        if not isinstance(count, int | np.integer) or count < 0:
            raise ValueError(
                f"expected a whole number of samples from 0, got {count!r}"
            )
        if not isinstance(temperature, int | float | np.floating) or temperature < 0:
            raise ValueError(f"expected a temperature from 0, got {temperature!r}")
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

    def _prior_given(self, label: np.ndarray | None, count: int) -> Prior:
        """The prior of so many rows with what is asked for."""
        if label is None:
            return self.prior
        label = _checked(label, (len(self.known_labels.names),), "labels")
        if len(label) != count:
            raise ValueError(f"expected {count} labels, one a row, got {len(label)}")
        return prior_given(self.prior, tf.constant(label))

    @functools.cached_property
    def _encode(self) -> Callable:
        return tf.function(self.encoder, reduce_retracing=True)

    @functools.cached_property
    def _decode(self) -> Callable:
        return tf.function(lambda z: (self.decoder(z),), reduce_retracing=True)

    def _in_batches(self, function: Callable, rows: np.ndarray) -> list[np.ndarray]:
        if not len(rows):
            # oneDNN makes results of other shapes of no rows, or none at all.
            one = function(tf.zeros([1, *rows.shape[1:]]))
            return [values.numpy()[:0] for values in one]
        parts = [
            [values.numpy() for values in function(tf.constant(part))]
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
