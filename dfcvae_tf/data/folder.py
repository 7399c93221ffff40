"""A folder of JPEG and PNG files as a source."""

import hashlib
import os
import unicodedata
from collections.abc import Iterable
from pathlib import Path

import tensorflow as tf
from absl import logging

from dfcvae_tf.data.source import SPLITS, Source, digest_of
from dfcvae_tf.errors import UserError

EXTENSIONS = (".jpeg", ".jpg", ".png")
TEST_SHARE = 0.1
MAX_BAD_SHARE = 0.01
NAMES_SHOWN = 3


def open_folder(name: str, path: str) -> Source:
    """Opens all images below a folder, sorted by path; there are no labels.

    A file belongs to the test split (about one in ten) by a hash of its path below the
    folder, so a file never changes sides when others are added or on another machine.
    Every file is decoded once here. Up to 1 % that cannot be decoded are reported and
    left out. Hidden files and folders (names starting with a dot) are not looked at.
    Images are grey when all files are, else RGB; transparency is dropped, 16 bits
    become 8.

    Args:
      name: the source's name.
      path: the folder; `~` is expanded.

    Raises:
      UserError: no such folder, no images in it, too many damaged ones, or too few to
        have both splits.
    """
    root = Path(path).expanduser()
    if not root.exists():
        raise UserError(f"no such folder: {path}")
    if not root.is_dir():
        raise UserError(f"{path} is a file; folder:PATH needs a folder of images")
    found = _image_files(root)
    if not found:
        raise UserError(f"no images in {path}: no file ends in {', '.join(EXTENSIONS)}")
    shapes = _decoded_shapes(root, found)
    _report_bad([file for file in found if file not in shapes], len(found), path)

    files: dict[str, list[str]] = {split: [] for split in SPLITS}
    for file in shapes:
        files["test" if is_test_file(file) else "train"].append(file)
    for split in SPLITS:
        if not files[split]:
            raise UserError(
                f"{path} has too few images ({len(shapes)}): none fell into the {split} "
                "split, which is chosen by file name; a few dozen images are enough"
            )
    sizes = {shape[:2] for shape in shapes.values()}
    height, width = sizes.pop() if len(sizes) == 1 else (None, None)
    # Two channels are grey with transparency, four are RGB with transparency.
    channels = 1 if all(shape[2] <= 2 for shape in shapes.values()) else 3

    def decoded(chosen: Iterable[str]) -> tf.data.Dataset:
        def decode(file: tf.Tensor) -> dict[str, tf.Tensor]:
            image = _decode(tf.io.read_file(file), channels)
            return {"image": tf.ensure_shape(image, (height, width, channels))}

        paths = tf.constant([str(root / file) for file in chosen])
        return tf.data.Dataset.from_tensor_slices(paths).map(
            decode, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True
        )

    return Source(
        name=name,
        description=f"{len(shapes)} image files, split by file name",
        num_examples={split: len(files[split]) for split in SPLITS},
        image_shape=(height, width, channels),
        class_names=(),
        dataset=lambda split: decoded(files[split]),
        dataset_at=lambda split, places: decoded(files[split][at] for at in places),
        in_path_order=True,
        digest=digest_of(
            f"{split}/{file} {os.path.getsize(root / file)}"
            for split in SPLITS
            for file in files[split]
        ),
    )


def is_test_file(file: str) -> bool:
    """Whether a file, by its path below the folder with forward slashes, is for testing."""
    # macOS hands out decomposed accents, other systems what was stored.
    normal = unicodedata.normalize("NFC", file)
    digest = hashlib.sha256(normal.encode("utf-8", "surrogateescape")).digest()
    return int.from_bytes(digest[:8], "big") < TEST_SHARE * 2**64


def _image_files(root: Path) -> list[str]:
    files = []
    for folder, subfolders, names in os.walk(root):
        subfolders[:] = [sub for sub in subfolders if not sub.startswith(".")]
        files += [
            (Path(folder) / name).relative_to(root).as_posix()
            for name in names
            if name.lower().endswith(EXTENSIONS) and not name.startswith(".")
        ]
    return sorted(files)


def _decode(contents: tf.Tensor, channels: int) -> tf.Tensor:
    # Goes by the contents, not by the name: a PNG called .jpg is fine.
    return tf.io.decode_image(contents, channels, expand_animations=False)


def _decoded_shapes(root: Path, files: list[str]) -> dict[str, tuple[int, ...]]:
    """Decodes every file; returns file -> (height, width, channels) of the good ones."""
    paths = tf.constant([str(root / file) for file in files])
    shapes = (
        tf.data.Dataset.from_tensor_slices(paths)
        .enumerate()
        .map(
            lambda index, path: (
                index,
                tf.shape(_decode(tf.io.read_file(path), channels=0)),
            ),
            num_parallel_calls=tf.data.AUTOTUNE,
            deterministic=True,
        )
        .ignore_errors()
    )
    return {
        files[index]: tuple(int(size) for size in shape)
        for index, shape in shapes.as_numpy_iterator()
    }


def _report_bad(bad: list[str], count: int, path: str) -> None:
    if not bad:
        return
    more = ", ..." if len(bad) > NAMES_SHOWN else ""
    found = (
        f"{len(bad)} of {count} files in {path} cannot be decoded as images: "
        f"{', '.join(bad[:NAMES_SHOWN])}{more}"
    )
    if len(bad) > MAX_BAD_SHARE * count:
        raise UserError(f"{found}; at most 1 % may be; remove or replace them")
    logging.warning("%s; they are left out", found)
