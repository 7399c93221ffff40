"""What a source of images is."""

import hashlib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

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

    def image_names(self, split: str) -> list[str]:
        """Returns a name for each image of a split: its file's, else its number."""
        names = self.file_names.get(split)
        if names is None:
            return [str(number) for number in range(self.num_examples[split])]
        return list(names)


def digest_of(facts: Iterable[str]) -> str:
    """Returns the SHA-256, 64 hexadecimal digits, of some texts in their order."""
    digest = hashlib.sha256()
    for fact in facts:
        # Names of files may hold bytes that are no text.
        digest.update(fact.encode("utf-8", "surrogateescape") + b"\0")
    return digest.hexdigest()


def unreadable_file_message(path: tf.Tensor, wanted: str) -> tf.Tensor:
    """Returns the text of an error in a dataset that `unreadable_file` knows again."""
    return tf.strings.join([_UNREADABLE, path, f": not {wanted}"])


def unreadable_file(error: tf.errors.OpError) -> UserError | None:
    """Returns what to tell the user when a dataset met a damaged file, else None."""
    found = re.search(rf"\[{_UNREADABLE}(.*)\]", error.message)
    return UserError(f"{_UNREADABLE}{found[1]}") if found else None
