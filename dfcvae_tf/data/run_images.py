"""The images a trained run is given: which dataset, parts of it, image files."""

import dataclasses
import os
from collections.abc import Iterator, Sequence

import numpy as np
import tensorflow as tf
from absl import logging

from dfcvae_tf import images as images_lib
from dfcvae_tf.config import Config, DataConfig
from dfcvae_tf.data import cache
from dfcvae_tf.data.digits import MNIST
from dfcvae_tf.data.pipeline import eval_batches
from dfcvae_tf.data.prepare import prepare_image
from dfcvae_tf.data.registry import open_source
from dfcvae_tf.data.source import Source, unreadable_file
from dfcvae_tf.errors import UserError
from dfcvae_tf.picture_files import check_bits_in_use, printable, read_picture


def evaluation_data(
    config: Config, dataset: str | None, data_dir: str | None, offline: bool
) -> DataConfig:
    """Returns where a run's test images come from.

    How they are prepared (crop, colour, size) stays as the run has it.

    Args:
      config: the run's settings.
      dataset: as given to `--dataset`; when None the run's own, except that MNIST is
        taken from the bundled sample, which needs no download.
      data_dir: as given to `--data_dir`; when None that of the run, if the dataset is
        the run's own too.
      offline: as given to `--offline`.
    """
    if dataset is None and config.data.dataset in MNIST:
        dataset, data_dir = "mnist_sample", data_dir or config.data.data_dir
    return own_data(config, dataset, data_dir, offline)


def own_data(
    config: Config, dataset: str | None, data_dir: str | None, offline: bool
) -> DataConfig:
    """Returns where a run's images come from, those it was trained on if no others.

    Args and what it returns are as in `evaluation_data`.
    """
    own = config.data
    if dataset is None:
        dataset, data_dir = own.dataset, data_dir or own.data_dir
    if dataset != own.dataset:
        # How a run read the folders of its own data says nothing of other data.
        own = dataclasses.replace(own, subfolders=DataConfig().subfolders)
    return dataclasses.replace(own, dataset=dataset, data_dir=data_dir, offline=offline)


def check_channels(config: Config, data: DataConfig, source: Source) -> None:
    """Checks that images are in the colours of a run.

    Args:
      config: the run's settings; its image shape is used.
      data: how the images are prepared.
      source: the images.

    Raises:
      UserError: they have other channels.
    """
    assert config.image_shape is not None
    channels, expected = source.image_shape[2], config.image_shape[2]
    if data.color == "source" and channels != expected:
        raise UserError(
            f"{source.name} has images of {channels} channels, the run makes "
            f"{expected}; choose another --dataset"
        )


def first_batches(
    config: Config,
    source: Source,
    data: DataConfig,
    split: str,
    count: int,
    size: int | None = None,
) -> Iterator[dict[str, np.ndarray]]:
    """Yields the first images of a split, prepared, without a cache: each is used once.

    Args:
      config: the run's settings; its image shape is used.
      source: the dataset.
      data: how its images are prepared.
      split: "train" or "test".
      count: how many at most.
      size: of a batch; `images.inference_batch` when None.

    Yields:
      Batches as `pipeline.eval_batches` has them, as arrays.

    Raises:
      UserError: an image cannot be read.
    """
    assert config.image_shape is not None
    uncached = dataclasses.replace(data, cache="none")
    size = size or images_lib.inference_batch(config.image_shape)
    batches = eval_batches(source, split, uncached, config.image_shape, size)
    left = min(count, source.num_examples[split])
    try:
        for batch in batches.take(-(-left // size)):
            yield {name: values.numpy()[:left] for name, values in batch.items()}
            left -= size
    except tf.errors.InvalidArgumentError as error:
        raise (unreadable_file(error) or error) from error


def images_at(
    config: Config, data: DataConfig, indices: Sequence[int]
) -> tuple[np.ndarray, np.ndarray | None]:
    """Reads some images of the test split.

    Args:
      config: the run's settings; its image shape [H, W, C] and seed are used.
      data: where the images are, see `evaluation_data`.
      indices: K places in the test split, at least one, in any order.

    Returns:
      Images [K, H, W, C] float32 in [0, 1] in the order of `indices`, and their labels
      [K] int64, None where the dataset has none.

    Raises:
      UserError: an index is out of range, or the data cannot be had.
    """
    assert config.image_shape is not None
    image_shape = config.image_shape
    source = open_source(data, config.training.seed)
    count = source.num_examples["test"]
    for index in indices:
        if not 0 <= index < count:
            raise UserError(
                f"there is no test image {index}; those of {source.name} are 0 to "
                f"{count - 1}"
            )
    wanted, places = np.unique(np.asarray(indices, np.int64), return_inverse=True)
    chosen = (
        source.select("test", wanted)
        .dataset("test")
        .map(
            lambda example: {
                **example,
                "image": prepare_image(example["image"], image_shape, data.crop),
            }
        )
    )
    what = f"the test split of {source.name}"
    stored = cache.load(chosen, len(wanted), image_shape, "memory", what)
    found = {name: values.numpy()[places] for name, values in stored.items()}
    return images_lib.to_float(found["image"]).numpy(), found.get("label")


def image_from_file(config: Config, path: str | os.PathLike) -> np.ndarray:
    """Reads an image file and prepares it as training prepares its images.

    Args:
      config: the run's settings; its image shape [H, W, C], crop, background and bit
        depth are used.
      path: the file.

    Returns:
      [H, W, C] float32 in [0, 1].

    Raises:
      UserError: the file is missing, no image, or uses fewer bits than it has.
    """
    assert config.image_shape is not None
    data = config.data
    picture = read_picture(path, data.background, data.bit_depth)
    if picture.largest is not None:
        check_bits_in_use(picture.largest, data.bit_depth, f"{printable(path)} has")
    if picture.is_transparent:
        logging.warning(
            "%s: transparent pixels are laid on %s", printable(path), data.background
        )
    pixels = tf.constant(picture.pixels)
    prepared = prepare_image(pixels, config.image_shape, data.crop)
    return images_lib.to_float(prepared).numpy()
