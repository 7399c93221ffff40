"""What a source of images is."""

import dataclasses
import hashlib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import tensorflow as tf

from dfcvae_tf.errors import UserError

SPLITS = ("train", "test")

_UNREADABLE = "unreadable image file "


@dataclass(frozen=True)
class Source:
    """Images with an optional label, in a fixed order, each exactly once per pass.

    Attributes:
      name: the name it was opened by, as in `--dataset`.
      description: one line for people and for the run's provenance.
      num_examples: number of examples per split ("train", "test").
      image_shape: (height, width, channels) of every image, None where it varies.
      class_names: names of the labels, in label order; empty when there are no labels.
      dataset: split -> finite tf.data.Dataset of {"image": uint8 [H, W, C], with labels
        "label": int64 [], with attributes "attributes": int8 [A], 1 where the image has
        the attribute, else 0}; the order is the same at every call.
      digest: of what the images are, as cheaply as that can be told: of files, their
        names and sizes; see `digest_of`. Another digest means other images.
      attribute_names: names of the A attributes, in their order; empty without any.
      file_names: split -> names of the image files, in the order of `dataset`; empty
        where images have no files of their own.
      labels: split -> labels [N] int64 in the order of `dataset`, without decoding an
        image; None where they can only be read with the images.
      dataset_at: (split, places [K] int64, rising) -> `dataset` of these places alone,
        without decoding any other; None where the images are read through.
      in_path_order: whether images stand in the order of their paths, where those of a
        class often stand together; the first are then not like the rest.
    """

    name: str
    description: str
    num_examples: dict[str, int]
    image_shape: tuple[int | None, int | None, int]
    class_names: tuple[str, ...]
    dataset: Callable[[str], tf.data.Dataset]
    digest: str
    attribute_names: tuple[str, ...] = ()
    file_names: Mapping[str, Sequence[str]] = field(default_factory=dict)
    labels: Callable[[str], np.ndarray] | None = None
    dataset_at: Callable[[str, np.ndarray], tf.data.Dataset] | None = None
    in_path_order: bool = False

    def image_names(self, split: str) -> list[str]:
        """Returns a name for each image of a split: its file's, else its number."""
        names = self.file_names.get(split)
        if names is None:
            return [str(number) for number in range(self.num_examples[split])]
        return list(names)

    def read_labels(self, split: str) -> np.ndarray | None:
        """Returns the labels of a split, [N] int64 in its order; None without labels.

        Raises:
          UserError: an image that must be read for them cannot be.
        """
        if not self.class_names:
            return None
        if self.labels is not None:
            return self.labels(split)
        return collect_labels(self.dataset(split))

    def select(self, split: str, places: Sequence[int] | np.ndarray) -> "Source":
        """Returns this source with some images of a split alone.

        Args:
          split: "train" or "test"; the other stays as it is.
          places: of K images in the split, rising, at least one.
        """
        chosen = np.asarray(places, np.int64)
        names = self.image_names(split)

        def dataset(of: str) -> tf.data.Dataset:
            if of != split:
                return self.dataset(of)
            if self.dataset_at is not None:
                return self.dataset_at(split, chosen)
            return elements_at(self.dataset(split), chosen)

        def labels(of: str) -> np.ndarray:
            assert self.labels is not None
            return self.labels(of)[chosen] if of == split else self.labels(of)

        return dataclasses.replace(
            self,
            num_examples={**self.num_examples, split: len(chosen)},
            dataset=dataset,
            file_names={**self.file_names, split: [names[at] for at in chosen]},
            labels=labels if self.labels is not None else None,
            dataset_at=None,
        )


def elements_at(dataset: tf.data.Dataset, places: np.ndarray) -> tf.data.Dataset:
    """Returns the elements at some places, [K] int64; nothing behind the last is read."""
    wanted = np.zeros(places.max() + 1, bool)
    wanted[places] = True
    with tf.device("CPU:0"):
        marks = tf.data.Dataset.from_tensor_slices(wanted)
    marked = tf.data.Dataset.zip((marks, dataset))
    return marked.filter(lambda mark, _: mark).map(lambda _, element: element)


def collect_labels(dataset: tf.data.Dataset) -> np.ndarray:
    """Returns the labels of a dataset of examples, [N] int64.

    Raises:
      UserError: an image cannot be read.
    """
    labels = dataset.map(lambda example: example["label"]).batch(1000)
    try:
        return np.concatenate(list(labels.as_numpy_iterator()))
    except tf.errors.InvalidArgumentError as error:
        raise (unreadable_file(error) or error) from error


def digest_of(facts: Iterable[str]) -> str:
    """Returns the SHA-256, 64 hexadecimal digits, of some texts in their order."""
    digest = hashlib.sha256()
    for fact in facts:
        # Names of files may hold bytes that are no text.
        digest.update(fact.encode("utf-8", "surrogateescape") + b"\0")
    return digest.hexdigest()


def unreadable_file_message(path: str, reason: str) -> str:
    """Returns the text of an error in a dataset that `unreadable_file` knows again."""
    return f"[{_UNREADABLE}{path}: {reason}]"


def unreadable_file(error: tf.errors.OpError) -> UserError | None:
    """Returns what to tell the user when a dataset met a damaged file, else None."""
    found = re.search(rf"\[{_UNREADABLE}(.*)\]", error.message)
    return UserError(f"{_UNREADABLE}{found[1]}") if found else None
