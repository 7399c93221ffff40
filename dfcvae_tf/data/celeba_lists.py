"""The text files that come with CelebA (Liu et al. 2015): attributes and official split.

This module does not import TensorFlow.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dfcvae_tf.errors import UserError

IMAGES_DIR = "img_align_celeba"
ATTRIBUTES_FILE = "list_attr_celeba.txt"
PARTITION_FILE = "list_eval_partition.txt"

_ATTRIBUTE_VALUES = {"-1": 0, "1": 1}
_PARTITION_VALUES = {"0": "train", "1": "validation", "2": "test"}
_SHOWN = 40


@dataclass(frozen=True)
class Attributes:
    """The attributes of N images.

    Attributes:
      names: names of the A attributes.
      files: names of the N image files, in the order of the list.
      values: int8 [N, A], 1 where an image has the attribute, else 0.
      announced: the number of images in the first line, which is N unless that is wrong.
    """

    names: tuple[str, ...]
    files: tuple[str, ...]
    values: np.ndarray
    announced: int


def read_attributes(path: Path) -> Attributes:
    """Reads `list_attr_celeba.txt`.

    The first line is the number of images, the second the names of the attributes, and
    each other an image's file name followed by -1 or 1 for each attribute.

    Raises:
      UserError: the file is missing or not of this form; the line is named.
    """
    lines = _read_lines(path)
    first = lines[0].strip() if lines else ""
    # isdecimal: int() would also take "+5" or "1_000".
    if not (first.isascii() and first.isdecimal()):
        raise UserError(
            f"{path}, line 1: {first[:_SHOWN]!r} is not the number of images, with which "
            f"{ATTRIBUTES_FILE} begins"
        )
    names = tuple(lines[1].split()) if len(lines) > 1 else ()
    if not names or len(set(names)) < len(names):
        raise UserError(f"{path}, line 2: must have the attributes' names, each once")
    files: dict[str, None] = {}
    rows = []
    for number, line in enumerate(lines[2:], start=3):
        fields = line.split()
        if not fields:
            continue
        file, *values = fields
        if len(values) != len(names):
            raise UserError(
                f"{path}, line {number}: {len(values)} values for {len(names)} attributes"
            )
        try:
            rows.append(bytes([_ATTRIBUTE_VALUES[value] for value in values]))
        except KeyError as error:
            name = names[values.index(error.args[0])]
            raise UserError(
                f"{path}, line {number}: {name} is {error.args[0][:_SHOWN]!r}; an "
                "attribute is -1 or 1"
            ) from error
        if file in files:
            raise UserError(f"{path}, line {number}: {file} for the second time")
        files[file] = None
    if not files:
        raise UserError(f"{path} has no images")
    table = np.frombuffer(b"".join(rows), np.int8).reshape(len(rows), len(names))
    return Attributes(names, tuple(files), table, announced=int(first))


def read_partition(path: Path) -> dict[str, str]:
    """Reads `list_eval_partition.txt`: a file name and 0, 1 or 2 in each line.

    Returns:
      File name -> "train", "validation" or "test".

    Raises:
      UserError: the file is missing or not of this form; the line is named.
    """
    parts = {}
    for number, line in enumerate(_read_lines(path), start=1):
        fields = line.split()
        if not fields:
            continue
        if len(fields) != 2 or fields[1] not in _PARTITION_VALUES:
            raise UserError(
                f"{path}, line {number}: {line[:_SHOWN]!r} is not a file name and 0 "
                "(train), 1 (validation) or 2 (test)"
            )
        if fields[0] in parts:
            raise UserError(f"{path}, line {number}: {fields[0]} for the second time")
        parts[fields[0]] = _PARTITION_VALUES[fields[1]]
    return parts


def first_and_count(files: list[str]) -> str:
    """Says in a few words which files are meant: "000001.jpg and 5 more"."""
    return files[0] + (f" and {len(files) - 1} more" if len(files) > 1 else "")


def _read_lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8-sig").splitlines()
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not a text file") from error
