"""The images that runs are evaluated on, read batch by batch as often as they are asked for."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from dfcvae_tf.config import Config, DataConfig
from dfcvae_tf.data.digits import MNIST
from dfcvae_tf.data.registry import open_source
from dfcvae_tf.data.run_images import check_channels, first_batches
from dfcvae_tf.images import inference_batch


@dataclass(frozen=True)
class EvaluationImages:
    """The first N images of a test split; their pixels are never held all at once.

    Attributes:
      read: (count, size) -> a new pass over the first `count` images in their order, in
        batches [size, H, W, C] float32 in [0, 1], the last one smaller. Every pass yields
        the same.
      image_shape: (H, W, C).
      num_images: N.
      labels: [N] int64, or None.
      class_names: in label order; empty without labels.
      name, description: of the source.
      total: size of the whole test split.
    """

    read: Callable[[int, int], Iterator[np.ndarray]]
    image_shape: tuple[int, int, int]
    num_images: int
    labels: np.ndarray | None
    class_names: tuple[str, ...]
    name: str
    description: str
    total: int

    @property
    def is_mnist(self) -> bool:
        """Whether this is the whole test split of MNIST."""
        return self.name in MNIST and self.num_images == 10_000

    def batches(
        self, count: int | None = None, size: int | None = None
    ) -> Iterator[np.ndarray]:
        """A pass over the images; see `read`.

        Args:
          count: how many, from the first; all when None, and no more than there are.
          size: of a batch; `inference_batch` when None.
        """
        count = self.num_images if count is None else min(count, self.num_images)
        return self.read(count, size or inference_batch(self.image_shape))


def load_evaluation_images(
    config: Config, data: DataConfig, num_images: int
) -> EvaluationImages:
    """Opens the first images of the test split, prepared as a run's training did.

    Their labels are read at once, which also tells whether the images can be read.

    Args:
      config: the run's settings; its image shape and seed are used.
      data: where the images are.
      num_images: how many at most.

    Raises:
      UserError: the data cannot be had or does not fit the run.
    """
    assert config.image_shape is not None
    source = open_source(data, config.training.seed)
    check_channels(config, data, source)
    total = source.num_examples["test"]
    count = min(num_images, total)

    def examples(count: int, size: int) -> Iterator[dict[str, np.ndarray]]:
        return first_batches(config, source, data, "test", count, size)

    labels = None
    if "label" in source.dataset("test").element_spec:
        size = inference_batch(config.image_shape)
        labels = np.concatenate([batch["label"] for batch in examples(count, size)])
    return EvaluationImages(
        read=lambda count, size: (batch["image"] for batch in examples(count, size)),
        image_shape=config.image_shape,
        num_images=count,
        labels=labels,
        class_names=source.class_names if labels is not None else (),
        name=source.name,
        description=source.description,
        total=total,
    )
