"""What a folder of images says: which files are images, their splits and their classes.

This module does not import TensorFlow.
"""

import hashlib
import os
import re
import stat
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath

from dfcvae_tf.errors import UserError
from dfcvae_tf.picture_files import ENDINGS, printable

TEST_SHARE = 0.1
# Names of folders that are splits, such as train, Testing, val_images.
_SPLIT_NAME = re.compile(
    r"(?:(?P<train>train|training)|(?P<test>test|testing)"
    r"|(?P<validation>val|valid|validation))"
    r"(?:[-_ ]?(?:data|images?|set|split))?",
    re.IGNORECASE,
)
_SHOWN = 3


@dataclass(frozen=True)
class Found:
    """What lies below a folder, but for hidden files and folders.

    Attributes:
      images: paths below the folder, with forward slashes, sorted.
      left_out: what else there is -> how many: by ending, such as ".txt".
    """

    images: list[str]
    left_out: Mapping[str, int]


@dataclass(frozen=True)
class Layout:
    """What the places of images say.

    Attributes:
      split_of: file -> "train" or "test"; in the order of the files.
      class_of: file -> name of its class; empty when there are no classes.
      text: how images are split, and what is not used of them.
    """

    split_of: dict[str, str]
    class_of: dict[str, str]
    text: str


def find_images(root: Path) -> Found:
    """Lists the images below a folder, by the endings of their names.

    Linked files and folders are followed; a link to a folder that it lies in is not.

    Raises:
      UserError: a folder cannot be read.
    """
    images: list[str] = []
    left_out: Counter[str] = Counter()

    def fail(error: OSError) -> None:
        raise UserError(
            f"cannot read the folder {printable(error.filename)}: {error.strerror}"
        ) from error

    # Folder -> itself and all that it lies in, as the file system knows them.
    above = {os.fspath(root): {_identity(root)}}
    for folder, subfolders, names in os.walk(root, onerror=fail, followlinks=True):
        visited = above.pop(folder)
        for name in list(subfolders):
            path = os.path.join(folder, name)
            if name.startswith("."):
                subfolders.remove(name)
            elif (identity := _identity(path)) in visited:
                subfolders.remove(name)
                left_out["linked folder that it lies in itself"] += 1
            else:
                above[path] = visited | {identity}
        for name in names:
            file = Path(folder) / name
            ending = PurePath(name).suffix.lower()
            if name.startswith("."):
                continue
            if ending not in ENDINGS:
                left_out[printable(ending) or "without an ending"] += 1
            elif _is_special(file):
                left_out["pipe or device"] += 1
            else:
                images.append(file.relative_to(root).as_posix())
    return Found(sorted(images), dict(left_out.most_common()))


def lay_out(path: str, files: list[str], subfolders: str) -> Layout:
    """Finds splits and classes.

    Args:
      path: the folder, for errors.
      files: of images, as `find_images` has them.
      subfolders: see `DataConfig.subfolders`.

    Raises:
      UserError: folders contradict each other.
    """
    if subfolders == "ignore":
        return Layout({file: _split_by_name(file) for file in files}, {}, _BY_NAME)
    top = _top(files[0])
    only = all(_top(file) == top for file in files)
    if top and only and any(_split_named(_top(file[len(top) + 1 :])) for file in files):
        raise UserError(
            f"{path} has all images in its folder {printable(top)}, and splits in that: "
            f"use folder:{printable(os.path.join(path, top))}, or {_WAY_OUT}"
        )
    parts = _split_folders(path, files)
    if not parts:
        class_of = _classes(path, {"": files})
        return Layout(
            {file: _split_by_name(file) for file in files}, class_of, _BY_NAME
        )
    test = "test" if "test" in parts else "validation"
    folders = {split: _top(parts[split][0]) for split in parts}
    text = f"split by its folders {folders['train']} and {folders[test]}"
    if "validation" in parts and test == "test":
        count = len(parts["validation"])
        text += f" ({count:,} in {folders['validation']}, not used)"
    used = {"train": parts["train"], "test": parts[test]}
    class_of = _classes(path, {f"{_top(part[0])}/": part for part in used.values()})
    split_of = {file: split for split, part in used.items() for file in part}
    return Layout(split_of, class_of, text)


def is_test_file(file: str) -> bool:
    """Whether a file, by its path below the folder with forward slashes, is for testing."""
    # macOS hands out decomposed accents, other systems what was stored.
    normal = unicodedata.normalize("NFC", file)
    digest = hashlib.sha256(normal.encode("utf-8", "surrogateescape")).digest()
    return int.from_bytes(digest[:8], "big") < TEST_SHARE * 2**64


def first_names(files: Iterable[str]) -> str:
    """Returns the first few of some names: "a, b, c, ..."."""
    files = list(files)
    more = ", ..." if len(files) > _SHOWN else ""
    return ", ".join(map(printable, files[:_SHOWN])) + more


_BY_NAME = "split by file name"
_WAY_OUT = (
    "train with --subfolders=ignore, which takes all images as one set without labels"
)


def _split_by_name(file: str) -> str:
    return "test" if is_test_file(file) else "train"


def _top(file: str) -> str:
    """The folder a file lies in, or lies in a subfolder of, below the root; else ""."""
    return file.partition("/")[0] if "/" in file else ""


def _split_named(folder: str) -> str | None:
    """Returns the split, or "validation", that a folder's name says; None for others."""
    found = _SPLIT_NAME.fullmatch(folder)
    return found.lastgroup if found else None


def _split_folders(path: str, files: list[str]) -> dict[str, list[str]]:
    """Returns split, or "validation" -> its files; empty when no folder is a split."""
    parts: dict[str, list[str]] = {}
    folders: dict[str, set[str]] = {}
    others = []
    for file in files:
        split = _split_named(_top(file))
        if split is None:
            others.append(file)
            continue
        parts.setdefault(split, []).append(file)
        folders.setdefault(split, set()).add(_top(file))
    if not parts:
        return {}
    for split, names in folders.items():
        if len(names) > 1:
            raise UserError(
                f"{path} has {len(names)} folders for {split}: {first_names(sorted(names))}; "
                f"keep one, or {_WAY_OUT}"
            )
    present = first_names(sorted(name for names in folders.values() for name in names))
    if "train" not in parts or len(parts) == 1:
        missing = "no test or val" if "train" in parts else "no train"
        raise UserError(
            f"{path} has a folder {present} with images and {missing} beside it; add it, "
            f"use folder:{path}/{_top(next(iter(parts.values()))[0])} to split that one "
            f"by file name, or {_WAY_OUT}"
        )
    if others:
        raise UserError(
            f"{path} has images beside its folders {present}: {first_names(others)}; "
            f"move them into those, or {_WAY_OUT}"
        )
    return parts


def _classes(path: str, parts: dict[str, list[str]]) -> dict[str, str]:
    """Returns file -> name of its class; none when no file lies in a subfolder.

    Args:
      path: the folder, for errors.
      parts: where folders are classes: "" or "NAME/" -> files there.

    Raises:
      UserError: some images lie in subfolders, some do not.
    """
    class_of: dict[str, str] = {}
    direct = []
    for folder, files in parts.items():
        for file in files:
            name = _top(file.removeprefix(folder))
            if name:
                class_of[file] = printable(name)
            else:
                direct.append(file)
    if class_of and direct:
        names = first_names(sorted(set(class_of.values())))
        raise UserError(
            f"{path} has images that lie in class folders ({names}) and images that "
            f"do not ({first_names(direct)}); move these into class folders, or {_WAY_OUT}"
        )
    # A single class tells nothing apart.
    return class_of if len(set(class_of.values())) > 1 else {}


def _identity(folder: str | Path) -> tuple[int, int]:
    found = os.stat(folder)
    return found.st_dev, found.st_ino


def _is_special(path: Path) -> bool:
    """Whether a path is a pipe, socket or device; a broken link is none."""
    try:
        return not stat.S_ISREG(path.stat().st_mode)
    except OSError:
        return False
