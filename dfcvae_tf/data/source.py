"""What a source of images is."""

from collections.abc import Callable
from dataclasses import dataclass

import tensorflow as tf

SPLITS = ("train", "test")


@dataclass(frozen=True)
class Source:
    """Images with an optional label, in a fixed order, each exactly once per pass.

    Attributes:
      name: the name it was opened by, as in `--dataset`.
      description: one line for people and for the run's provenance.
      num_examples: number of examples per split ("train", "test").
      image_shape: (height, width, channels) of every image, None where it varies.
      class_names: names of the labels, in label order; empty when there are no labels.
      dataset: split -> finite tf.data.Dataset of {"image": uint8 [H, W, C], and with
        labels "label": int64 []}; the order is the same at every call.
    """

    name: str
    description: str
    num_examples: dict[str, int]
    image_shape: tuple[int | None, int | None, int]
    class_names: tuple[str, ...]
    dataset: Callable[[str], tf.data.Dataset]
