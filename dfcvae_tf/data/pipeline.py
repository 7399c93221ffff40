"""The one input pipeline, from a source to batches of float32 images.

Stages, with the element after each:

1. decode (the source): {"image": uint8 [h, w, c], "label": int64 [], "attributes":
   int8 [A]}; sets without labels or attributes have no such key at any stage
2. crop, resize, colour (`prepare.py`): uint8 [H, W, C]
3. cache (`cache.py`): all images of the split, uint8 [N, H, W, C]
4. shuffle, anew for each epoch: int64 [], the index of an image
5. repeat: the same, without end; epochs follow each other without a gap
6. batch: uint8 [B, H, W, C]; a batch may hold the end of one epoch and the start of the
   next
7. to float (`images.py`): float32 [B, H, W, C] in [0, 1]
8. prefetch

Images are cached in memory or on disk, so shuffling moves indices, not images, is always
over the whole epoch, and any batch can be made without those before it.
With `--cache=none` there is nothing to fetch by index: the source is decoded again each
epoch, shuffled in a buffer of SHUFFLE_BYTES, and resuming decodes the started epoch up
to where it goes on. The order then differs from that with a cache, and is as repeatable.
"""

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from dfcvae_tf import images
from dfcvae_tf.config import DataConfig
from dfcvae_tf.data import cache
from dfcvae_tf.data.prepare import PARTS, part_box, prepare_image
from dfcvae_tf.data.source import Source
from dfcvae_tf.errors import UserError

# Of the buffer with --cache=none. Not a share of what is free: the order must not
# depend on the machine.
SHUFFLE_BYTES = 2**29
MAX_INT64 = 2**63 - 1
ONE_REPLICA = range(1)


def prepared_shape(source: Source, config: DataConfig) -> tuple[int, int, int]:
    """Returns (height, width, channels) of the images that training will see.

    Without `image_size` that is the source's size, or that of the part cut out of it.

    Raises:
      UserError: the source's images differ in size, and no `image_size` is set.
    """
    height, width, channels = source.image_shape
    if config.color != "source":
        channels = {"grey": 1, "rgb": 3}[config.color]
    if config.image_size is not None:
        height, width = config.image_size
    elif config.crop in PARTS and height is not None and width is not None:
        height, width = part_box(config.crop, height, width)[2:]
    if height is None or width is None:
        raise UserError(
            f"the images of {source.name} differ in size; give --image_size, such as "
            "--image_size=64"
        )
    return height, width, channels


def train_batches(
    source: Source,
    config: DataConfig,
    image_shape: tuple[int, int, int],
    batch_size: int,
    seed: int,
    start_step: int = 0,
    num_replicas: int = 1,
    replicas: range = ONE_REPLICA,
) -> tf.data.Dataset:
    """Returns endless training batches; batch t depends on the seed and t alone.

    Args:
      source: the images; its "train" split is used.
      config: `crop` and `cache` are used.
      image_shape: (H, W, C) of the images wanted, see `prepared_shape`.
      batch_size: images per step over all replicas, B.
      seed: of the order, not negative.
      start_step: the step whose batch comes first.
      num_replicas: R; each step's batch is cut in R equal, contiguous parts.
      replicas: which parts are yielded here; for each step in turn.

    Returns:
      Dataset of {"image": float32 [B / R, H, W, C] in [0, 1], with labels "label": int64
      [B / R], with attributes "attributes": int8 [B / R, A]}.

    Raises:
      UserError: B is not divisible by R, or the split cannot be read or does not fit.
    """
    if batch_size % num_replicas:
        raise UserError(
            f"--batch_size={batch_size} cannot be shared equally by {num_replicas} "
            f"replicas; a multiple of {num_replicas} can"
        )
    count = source.num_examples["train"]
    first_epoch, position = divmod(start_step * batch_size, count)
    prepared, stored = _prepare(source, "train", config, image_shape)

    def epoch_indices(epoch: tf.Tensor) -> tf.data.Dataset:
        order = tf.random.experimental.stateless_shuffle(
            tf.range(count, dtype=tf.int64), seed=[seed, epoch], alg="philox"
        )
        return tf.data.Dataset.from_tensor_slices(order)

    def epoch_images(epoch: tf.Tensor) -> tf.data.Dataset:
        # Sets the seed of this function's graph alone. Without it the order would also
        # depend on a seed set elsewhere for everything.
        tf.random.set_seed(1)
        return prepared.shuffle(
            min(count, max(1, SHUFFLE_BYTES // int(np.prod(image_shape)))),
            seed=tf.random.stateless_uniform([], [seed, epoch], 0, MAX_INT64, tf.int64),
            reshuffle_each_iteration=False,
        )

    batches = (
        tf.data.Dataset.range(first_epoch, MAX_INT64)
        .flat_map(epoch_indices if stored else epoch_images)
        .skip(position)
        # A part of a batch is a batch of that size: the R parts of a step are in a row.
        .batch(batch_size // num_replicas, drop_remainder=True)
    )
    if len(replicas) != num_replicas:
        batches = batches.enumerate().filter(
            lambda index, _: (
                (index % num_replicas >= replicas.start)
                & (index % num_replicas < replicas.stop)
            )
        )
        batches = batches.map(lambda _, batch: batch)
    return _finish(batches, stored)


def eval_batches(
    source: Source,
    split: str,
    config: DataConfig,
    image_shape: tuple[int, int, int],
    batch_size: int,
) -> tf.data.Dataset:
    """Returns each image of a split exactly once, in the source's order.

    Args:
      source: the images.
      split: "train" or "test".
      config: `crop` and `cache` are used.
      image_shape: (H, W, C) of the images wanted, see `prepared_shape`.
      batch_size: images per batch; the last batch holds what is left.

    Returns:
      Finite dataset of {"image": float32 [batch, H, W, C] in [0, 1], with labels
      "label": int64 [batch], with attributes "attributes": int8 [batch, A]}; it can be
      gone through any number of times.

    Raises:
      UserError: the split cannot be read or does not fit.
    """
    prepared, stored = _prepare(source, split, config, image_shape)
    examples = tf.data.Dataset.range(source.num_examples[split]) if stored else prepared
    return _finish(examples.batch(batch_size), stored)


def _prepare(
    source: Source, split: str, config: DataConfig, image_shape: tuple[int, int, int]
) -> tuple[tf.data.Dataset, dict[str, tf.Tensor] | None]:
    """Stages 1 to 3: returns single prepared examples, and all of them unless uncached."""

    def prepare(example: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        return {
            **example,
            "image": prepare_image(example["image"], image_shape, config.crop),
        }

    prepared = source.dataset(split)
    if source.image_shape != image_shape or config.crop in PARTS:
        prepared = prepared.map(
            prepare, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True
        )
    count = source.num_examples[split]
    place = cache.choose_place(config.cache, count * int(np.prod(image_shape)))
    if place == "none":
        return prepared, None
    what = f"the {split} split of {source.name}"
    return prepared, cache.load(prepared, count, image_shape, place, what)


def _finish(
    batches: tf.data.Dataset, stored: dict[str, tf.Tensor] | None
) -> tf.data.Dataset:
    """The rest of stage 6, and 7 and 8: batches of indices or of examples -> float."""

    def fetch(indices: tf.Tensor) -> dict[str, tf.Tensor]:
        assert stored is not None
        return {name: tf.gather(values, indices) for name, values in stored.items()}

    def to_float(batch: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        return {**batch, "image": images.to_float(batch["image"])}

    finish: Callable = to_float if stored is None else lambda i: to_float(fetch(i))
    options = tf.data.Options()
    # Every worker already yields its own parts only.
    options.experimental_distribute.auto_shard_policy = (
        tf.data.experimental.AutoShardPolicy.OFF
    )
    return (
        batches.map(finish, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
        .prefetch(tf.data.AUTOTUNE)
        .with_options(options)
    )
