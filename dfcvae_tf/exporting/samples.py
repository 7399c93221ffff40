"""What an export is calibrated and checked on: real images, and latents of several kinds.

Calibration uses the training split, the checks use the test split; their latents are drawn
with different seeds.
"""

from dataclasses import dataclass

import numpy as np

from dfcvae_tf.config import DataConfig
from dfcvae_tf.data.choice import representative
from dfcvae_tf.data.digits import are_like_mnist
from dfcvae_tf.data.registry import open_source
from dfcvae_tf.data.run_images import check_channels, first_batches
from dfcvae_tf.data.source import Source
from dfcvae_tf.errors import UserError
from dfcvae_tf.loaded_run import LoadedRun

CALIBRATION_IMAGES = 500
CHECK_IMAGES = 1000
# With digits a judge tells how many labels are kept; a difference of 0.5 points of 1000
# images would be within chance.
CHECK_DIGITS = 3000
DRAWN = 250
# The latents of real images.
REAL = "encoder means"
# What the prior makes of noise, and what a generator makes pictures of.
PRIOR, NOISE = "prior", "noise"
# Largest |z| of a dimension in the latents called extreme.
EXTREME = 4.0


@dataclass(frozen=True)
class Samples:
    """Attributes:
    source: the data, in one line.
    digits: whether the images are 28x28x1 digits of ten classes.
    images: [M, H, W, C] float32 in [0, 1].
    z_mean: [M, D] float32, what Keras' encoder makes of the images.
    latents: kind -> [n, D] float32.
    noise: [n, D] float32, standard normal: what a generator is given.
    label: [M, A] float32, what a prior that knows labels is asked for with the first of M
      noises or latents; None where it knows none.
    """

    source: str
    digits: bool
    images: np.ndarray
    z_mean: np.ndarray
    latents: dict[str, np.ndarray]
    noise: np.ndarray
    label: np.ndarray | None

    def given(self, values: np.ndarray) -> tuple[np.ndarray, ...]:
        """What a prior is given: noises or latents, and labels if it knows any."""
        return (values,) if self.label is None else (values, self.label[: len(values)])

    @property
    def all_latents(self) -> np.ndarray:
        """Every kind of latents, one after the other, [n, D]."""
        return np.concatenate(list(self.latents.values()))


def calibration_samples(model: LoadedRun, data: DataConfig, seed: int) -> Samples:
    """Images of the training split; latents that cover what a decoder may be given.

    Kinds: encoder means, prior samples, points between two encoder means, and points
    uniform in the cube |z| <= EXTREME: without those, every activation beyond what typical
    latents reach would be cut off.

    Args:
      model: the run.
      data: where the images come from.
      seed: of all that is drawn.

    Raises:
      UserError: the data cannot be had.
    """
    source = _open(model, data)
    images = _images(model, source, data, "train", CALIBRATION_IMAGES, seed)
    z_mean = model.encode(images)[0]
    rng = np.random.default_rng([seed, 0])
    ends = z_mean[rng.integers(len(z_mean), size=(2, DRAWN))]
    share = rng.random((DRAWN, 1), np.float32)
    noise = rng.standard_normal((DRAWN, model.latent_dim), np.float32)
    label = _asked(rng, model, max(DRAWN, len(z_mean)))
    latents = {
        REAL: z_mean,
        **_drawn(rng, model, noise, label),
        "interpolations": ends[0] * share + ends[1] * (1 - share),
    }
    digits = are_like_mnist(model.config.image_shape, source.class_names)
    return Samples(source.description, digits, images, z_mean, latents, noise, label)


def check_samples(model: LoadedRun, data: DataConfig, seed: int) -> Samples:
    """Images of the test split; encoder means, prior samples and extremes.

    Args and errors are those of `calibration_samples`.
    """
    source = _open(model, data)
    digits = are_like_mnist(model.config.image_shape, source.class_names)
    count = CHECK_DIGITS if digits else CHECK_IMAGES
    images = _images(model, source, data, "test", count, seed)
    z_mean = model.encode(images)[0]
    rng = np.random.default_rng([seed, 1])
    # As many latents in all when there are few images.
    drawn = DRAWN + max(0, CHECK_IMAGES - len(images)) // 2
    noise = rng.standard_normal((drawn, model.latent_dim), np.float32)
    label = _asked(rng, model, max(drawn, len(z_mean)))
    latents = {REAL: z_mean, **_drawn(rng, model, noise, label)}
    return Samples(source.description, digits, images, z_mean, latents, noise, label)


def _asked(rng: np.random.Generator, model: LoadedRun, count: int) -> np.ndarray | None:
    """What a prior that knows labels is asked for."""
    return None if model.labels is None else model.labels.examples(rng, count)


def _drawn(
    rng: np.random.Generator,
    model: LoadedRun,
    noise: np.ndarray,
    label: np.ndarray | None,
) -> dict[str, np.ndarray]:
    """Latents that the prior makes of noise, and extremes."""
    extremes = rng.uniform(-EXTREME, EXTREME, noise.shape)
    asked = None if label is None else label[: len(noise)]
    return {
        PRIOR: model.from_noise(noise, asked),
        "extremes": extremes.astype(np.float32),
    }


def _open(model: LoadedRun, data: DataConfig) -> Source:
    try:
        source = open_source(data, model.config.training.seed)
        check_channels(model.config, data, source)
    except UserError as error:
        raise UserError(
            f"{error}; the export is calibrated and checked on real images: give others "
            "with --dataset, such as --dataset=folder:PATH"
        ) from error
    return source


def _images(
    model: LoadedRun,
    source: Source,
    data: DataConfig,
    split: str,
    count: int,
    seed: int,
) -> np.ndarray:
    """Images of a split that are like all of it, without preparing all of it."""
    source = representative(source, split, count, seed)
    batches = first_batches(model.config, source, data, split, count)
    return np.concatenate([batch["image"] for batch in batches])
