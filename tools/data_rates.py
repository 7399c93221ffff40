"""How fast images come: what the benchmark prints beside the speed of training."""

import time
from dataclasses import dataclass

import tensorflow as tf

from dfcvae_tf.config import DataConfig
from dfcvae_tf.data.pipeline import eval_batches, train_batches
from dfcvae_tf.data.source import Source

_BATCH = 128


@dataclass(frozen=True)
class Rates:
    """Images per second of the training split.

    Attributes:
      prepared: read, decoded, cropped and resized, as in a first epoch or without cache.
      cached: fetched in random order from the cache in memory, as in any other epoch.
    """

    prepared: float
    cached: float


def measure(
    source: Source, config: DataConfig, image_shape: tuple[int, int, int], count: int
) -> Rates:
    """Measures both, each on `count` images after a warm-up; nothing else is running.

    Args:
      source: the images.
      config: `crop` is used.
      image_shape: (H, W, C) of the images wanted.
      count: at least 1; no more than there are, and in whole batches, are prepared.
    """
    steps = max(1, min(count, source.num_examples["train"]) // _BATCH)

    def data_config(cache: str) -> DataConfig:
        return DataConfig(crop=config.crop, cache=cache)  # type: ignore[arg-type]

    uncached = eval_batches(source, "train", data_config("none"), image_shape, _BATCH)
    cached = train_batches(source, data_config("memory"), image_shape, _BATCH, seed=0)
    return Rates(_rate(uncached, steps), _rate(cached, max(1, count // _BATCH)))


def _rate(batches: tf.data.Dataset, steps: int) -> float:
    # The first pass starts threads and finds how many of them are best.
    for _ in batches.take(1):
        pass
    images = 0
    started = time.perf_counter()
    for batch in batches.take(steps):
        images += len(batch["image"])
    return images / (time.perf_counter() - started)
