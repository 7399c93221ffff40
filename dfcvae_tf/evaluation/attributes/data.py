"""The latents and attributes of a split of a dataset: what a run makes of its faces."""

from dataclasses import dataclass

import numpy as np

from dfcvae_tf.config import DataConfig
from dfcvae_tf.data.registry import open_source
from dfcvae_tf.data.run_images import check_channels, first_batches
from dfcvae_tf.data.source import Source
from dfcvae_tf.errors import UserError
from dfcvae_tf.images import to_uint8
from dfcvae_tf.loaded_run import LoadedRun


@dataclass(frozen=True)
class EncodedSplit:
    """N images of a split, encoded.

    Attributes:
      z_mean: [N, D] float32.
      attributes: [N, A] int8, 1 where an image has the attribute, else 0.
      image_names: [N].
      images: [N, H, W, C] uint8 in [0, 255] when they were to be kept, else None.
    """

    z_mean: np.ndarray
    attributes: np.ndarray
    image_names: tuple[str, ...]
    images: np.ndarray | None


def open_with_attributes(model: LoadedRun, data: DataConfig) -> Source:
    """Opens a dataset whose images have attributes and fit the run.

    Raises:
      UserError: they have none, or other channels, or the data cannot be had.
    """
    source = open_source(data, model.config.training.seed)
    if not source.attribute_names:
        raise UserError(
            f"{source.name} has no attributes; celeba:PATH and tfds:celeb_a have, give "
            "one with --dataset"
        )
    check_channels(model.config, data, source)
    return source


def encode_split(
    model: LoadedRun,
    source: Source,
    data: DataConfig,
    split: str,
    count: int | None = None,
    keep_images: bool = False,
) -> EncodedSplit:
    """Encodes images of a split in its order, without randomness.

    Args:
      model: the run.
      source: the dataset, see `open_with_attributes`.
      data: how its images are prepared.
      split: "train" or "test".
      count: the first so many; None for all.
      keep_images: whether the images are returned too.

    Raises:
      UserError: the data cannot be read, or the run makes latents that are not finite.
    """
    total = source.num_examples[split]
    count = total if count is None else min(count, total)
    z_mean, attributes, images = [], [], []
    for batch in first_batches(model.config, source, data, split, count):
        z_mean.append(model.encode(batch["image"])[0])
        attributes.append(batch["attributes"])
        if keep_images:
            images.append(to_uint8(batch["image"]))
    return EncodedSplit(
        z_mean=np.concatenate(z_mean),
        attributes=np.concatenate(attributes),
        image_names=tuple(source.image_names(split)[:count]),
        images=np.concatenate(images) if keep_images else None,
    )
