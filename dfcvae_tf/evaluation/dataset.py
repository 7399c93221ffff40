"""The images that runs are evaluated on, read batch by batch as often as they are asked for."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from dfcvae_tf.config import Config, DataConfig
from dfcvae_tf.data.choice import choose_places, representative
from dfcvae_tf.data.digits import MNIST
from dfcvae_tf.data.registry import open_source
from dfcvae_tf.data.run_images import check_channels, first_batches
from dfcvae_tf.data.source import Source
from dfcvae_tf.errors import UserError
from dfcvae_tf.images import inference_batch
from dfcvae_tf.labels import CLASSES, Labels

# Training images that are looked through for copies, where no more are evaluated.
LOOKED_THROUGH = 10_000


@dataclass(frozen=True)
class EvaluationImages:
    """N images of a test split; their pixels are never held all at once.

    What is measured of an image stands in row i, from 0 to N - 1. A reader is told its
    place in the test split, `places[i]`.

    Attributes:
      read: (count, size) -> a new pass over the first `count` images in their order, in
        batches [size, H, W, C] float32 in [0, 1], the last one smaller. Every pass yields
        the same.
      read_train: the same of the training split, whose first images are like all of it.
      image_shape: (H, W, C).
      num_images: N.
      places: [N] int64, rising: where in the test split each image stands.
      labels: [N] int64, or None.
      class_names: in label order; empty without labels.
      read_attributes: what reads the attributes, [N, A] int8, 1 where an image has one,
        else 0; None where there are none.
      attribute_names: of the A attributes.
      file_names: of the N images; empty where they are no files of their own.
      name, description: of the source.
      total: size of the whole test split.
      num_training: how many training images there are to read, M.
      total_training: size of the whole training split.
      choice: how the images were chosen, in words; "" where they are the whole split.
      num_unlabelled: how many images of the split have a label that is no class; the
        others' labels are not used then.
    """

    read: Callable[[int, int], Iterator[np.ndarray]]
    read_train: Callable[[int, int], Iterator[np.ndarray]]
    image_shape: tuple[int, int, int]
    num_images: int
    places: np.ndarray
    labels: np.ndarray | None
    class_names: tuple[str, ...]
    name: str
    description: str
    total: int
    num_training: int
    total_training: int
    choice: str = ""
    num_unlabelled: int = 0
    read_attributes: Callable[[], np.ndarray] | None = None
    attribute_names: tuple[str, ...] = ()
    file_names: tuple[str, ...] = ()

    def truth(self, labels: Labels) -> np.ndarray | None:
        """Whether images have labels, [N, A] bool; None where that is not known of all.

        Raises:
          UserError: an image that must be read for its attributes cannot be.
        """
        if labels.kind == CLASSES:
            if self.labels is None or not set(labels.names) <= set(self.class_names):
                return None
            places = [self.class_names.index(name) for name in labels.names]
            return np.equal.outer(self.labels, places)
        if self.read_attributes is None or not (
            set(labels.names) <= set(self.attribute_names)
        ):
            return None
        columns = [self.attribute_names.index(name) for name in labels.names]
        return self.read_attributes()[:, columns] == 1

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

    def train_batches(self) -> Iterator[np.ndarray]:
        """A pass over `num_training` training images."""
        return self.read_train(self.num_training, inference_batch(self.image_shape))

    def rows_of(self, places: Sequence[int]) -> list[int]:
        """Returns the rows of images, by their places in the test split.

        Raises:
          UserError: one is not among the images.
        """
        row_of = {int(place): row for row, place in enumerate(self.places)}
        for place in places:
            if place not in row_of:
                raise UserError(
                    f"--indices has {place}, which is not among the {self.num_images} "
                    "test images that are evaluated"
                )
        return [row_of[place] for place in places]


def load_evaluation_images(
    config: Config,
    data: DataConfig,
    num_images: int,
    seed: int = 0,
    required: Sequence[int] = (),
) -> EvaluationImages:
    """Opens images of the test split, prepared as a run's training did.

    Where there are more than `num_images`, they are drawn by `choice.choose_places`, by
    the seed given here alone. Labels are those of the whole split or none: where one is
    no class, as -1 is in sets that keep their test labels secret, none is used.

    Args:
      config: the run's settings; its image shape and seed are used.
      data: where the images are.
      num_images: how many at most.
      seed: of the choice.
      required: places in the test split of images that must be among them.

    Raises:
      UserError: the data cannot be had or does not fit the run, or the images that must
        be among them are too many or not there.
    """
    assert config.image_shape is not None
    source = open_source(data, config.training.seed)
    check_channels(config, data, source)
    total = source.num_examples["test"]
    _check_required(required, num_images, total)
    labels = source.read_labels("test")
    num_unlabelled = 0
    if labels is not None:
        known = (labels >= 0) & (labels < len(source.class_names))
        num_unlabelled = int((~known).sum())
        labels = labels if known.all() else None
    places = choose_places(total, num_images, labels, seed, required)
    total_training = source.num_examples["train"]
    num_training = min(total_training, max(num_images, LOOKED_THROUGH))
    training = representative(source, "train", num_training, seed)
    names = source.file_names.get("test", ())
    choice = ""
    if len(places) < total:
        source = source.select("test", places)
        choice = _describe_choice(labels is not None, seed, bool(required))

    def read_attributes() -> np.ndarray:
        batches = first_batches(config, source, data, "test", len(places))
        return np.concatenate([batch["attributes"] for batch in batches])

    def read(of: Source, split: str, count: int, size: int) -> Iterator[np.ndarray]:
        batches = first_batches(config, of, data, split, count, size)
        return (batch["image"] for batch in batches)

    return EvaluationImages(
        read=partial(read, source, "test"),
        read_train=partial(read, training, "train"),
        image_shape=config.image_shape,
        num_images=len(places),
        places=places,
        labels=None if labels is None else labels[places],
        class_names=() if labels is None else source.class_names,
        name=source.name,
        description=source.description,
        total=total,
        num_training=num_training,
        total_training=total_training,
        choice=choice,
        num_unlabelled=num_unlabelled,
        read_attributes=read_attributes if source.attribute_names else None,
        attribute_names=source.attribute_names,
        file_names=tuple(names[place] for place in places) if names else (),
    )


def _check_required(required: Sequence[int], num_images: int, total: int) -> None:
    for index in required:
        if not 0 <= index < total:
            raise UserError(f"--indices has {index}; there are images 0 to {total - 1}")
    if len(set(required)) > num_images:
        raise UserError(
            f"--indices has {len(set(required))} images, more than "
            f"--num_images={num_images}; evaluate more images"
        )


def _describe_choice(labelled: bool, seed: int, has_required: bool) -> str:
    text = f"drawn with seed {seed}"
    if labelled:
        text += ", of each class as equally many as there are"
    if has_required:
        text += ", those of --indices among them"
    return text
