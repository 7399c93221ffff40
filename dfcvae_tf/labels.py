"""What can be asked for when pictures are drawn: one of some classes, or attributes.

A prior that knows labels takes a row of numbers for each picture: 0 = not asked for, 1 =
with, -1 = without; all 0 = any picture.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from dfcvae_tf.attribute_vectors import MIN_IMAGES, edit_title, parse_edits
from dfcvae_tf.errors import UserError
from dfcvae_tf.names import read_list

# An image is of one class; of attributes it has any number.
Kind = Literal["classes", "attributes"]
CLASSES: Kind = "classes"
ATTRIBUTES: Kind = "attributes"


@dataclass(frozen=True)
class Labels:
    """The labels that a prior knows.

    Attributes:
      kind: "classes" or "attributes".
      names: of the A labels, in the order of a row's numbers.
    """

    kind: Kind
    names: tuple[str, ...]

    @classmethod
    def from_facts(cls, facts: Mapping[str, Any]) -> "Labels":
        """Builds it from what `facts` returned.

        Raises:
          ValueError: it is something else.
        """
        kind, names = facts["kind"], facts["names"]
        if kind not in (CLASSES, ATTRIBUTES):
            raise ValueError(f"unknown kind of labels {kind!r}")
        if not all(isinstance(name, str) for name in names):
            raise ValueError("names of labels that are no text")
        if isinstance(names, str) or len(set(names)) != len(names):
            raise ValueError("names of labels that are not a list of different ones")
        return cls(kind, tuple(names))

    def facts(self) -> dict[str, Any]:
        """Returns it as plain values."""
        return {"kind": self.kind, "names": list(self.names)}

    def read(self, text: str) -> dict[str, np.ndarray]:
        """Reads what is asked for, such as "7,3" or "Smiling,Eyeglasses-Young".

        Args:
          text: with commas between what is asked for one after the other: classes, or
            attributes joined by + or -. See `names.read_names` for names that hold such
            characters themselves.

        Returns:
          What is asked for, in words -> row [A] float32.

        Raises:
          UserError: a name is unknown or missing, there are several ways to read it, or
            an attribute is asked for both with and without.
        """
        if self.kind == CLASSES:
            return {
                name: self.row([(name, 1)])
                for name in read_list(text, "label", self.names)
            }
        return {edit_title(e): self.row(e) for e in parse_edits(text, self.names)}

    def examples(self, rng: np.random.Generator, count: int) -> np.ndarray:
        """Rows of everything that may be asked for, [count, A] float32.

        One in three asks for nothing, the others for a class each, or for some attributes.
        """
        rows = np.zeros((count, len(self.names)), np.float32)
        asking = np.arange(count) % 3 > 0
        if self.kind == CLASSES:
            places = rng.integers(len(self.names), size=count)
            rows[np.arange(count), places] = 1
        else:
            rows += rng.choice([-1, 1], rows.shape) * (rng.random(rows.shape) < 0.1)
        return rows * asking[:, np.newaxis]

    def row(self, asked: Sequence[tuple[str, int]]) -> np.ndarray:
        """The row [A] float32 of names, each with 1 = with or -1 = without.

        Raises:
          UserError: one is asked for both with and without.
        """
        row = np.zeros(len(self.names), np.float32)
        for name, sign in asked:
            place = self.names.index(name)
            if row[place] == -sign:
                raise UserError(f"{name} cannot be asked for both with and without it")
            row[place] = sign
        return row


def labels_of(
    class_names: Sequence[str], attribute_names: Sequence[str]
) -> Labels | None:
    """Returns the labels of a data set; classes where it has both, None without any."""
    if class_names:
        return Labels(CLASSES, tuple(class_names))
    if attribute_names:
        return Labels(ATTRIBUTES, tuple(attribute_names))
    return None


def has_enough(label: np.ndarray, labels: Labels) -> np.ndarray:
    """Which labels enough images tell of, [A] bool.

    Two images at least are of the class; have the attribute, and two have not.

    Args:
      label: [N, A], rows as above.
      labels: what the columns are.
    """
    enough = (label > 0).sum(axis=0) >= MIN_IMAGES
    if labels.kind == ATTRIBUTES:
        enough &= (label < 0).sum(axis=0) >= MIN_IMAGES
    return enough
