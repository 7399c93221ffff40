"""The images that runs are evaluated on, as arrays."""

from dataclasses import dataclass

import numpy as np

from dfcvae_tf.config import Config, DataConfig
from dfcvae_tf.data.digits import MNIST
from dfcvae_tf.data.registry import open_source
from dfcvae_tf.data.run_images import check_channels, first_batches


@dataclass(frozen=True)
class EvaluationImages:
    """Images of a test split.

    Attributes:
      images: [N, H, W, C] float32 in [0, 1].
      labels: [N] int64, or None.
      class_names: in label order; empty without labels.
      name, description: of the source.
      total: size of the whole test split.
    """

    images: np.ndarray
    labels: np.ndarray | None
    class_names: tuple[str, ...]
    name: str
    description: str
    total: int

    @property
    def is_mnist(self) -> bool:
        """Whether this is the whole test split of MNIST."""
        return self.name in MNIST and len(self.images) == 10_000


def load_evaluation_images(
    config: Config, data: DataConfig, num_images: int
) -> EvaluationImages:
    """Reads the first images of the test split, prepared as a run's training did.

    Args:
      config: the run's settings; its image shape and seed are used.
      data: where the images are.
      num_images: how many at most.

    Raises:
      UserError: the data cannot be had or does not fit the run.
    """
    source = open_source(data, config.training.seed)
    check_channels(config, data, source)
    images: list[np.ndarray] = []
    labels: list[np.ndarray] = []
    for batch in first_batches(config, source, data, "test", num_images):
        images.append(batch["image"])
        if "label" in batch:
            labels.append(batch["label"])
    return EvaluationImages(
        images=np.concatenate(images),
        labels=np.concatenate(labels) if labels else None,
        class_names=source.class_names if labels else (),
        name=source.name,
        description=source.description,
        total=source.num_examples["test"],
    )
