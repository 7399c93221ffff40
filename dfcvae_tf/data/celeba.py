"""CelebA (Liu et al. 2015, "Deep Learning Face Attributes in the Wild") as a source."""

import os
from pathlib import Path

import numpy as np
import tensorflow as tf
from absl import logging

from dfcvae_tf.config import DataConfig
from dfcvae_tf.data.celeba_lists import (
    ATTRIBUTES_FILE,
    IMAGES_DIR,
    PARTITION_FILE,
    first_and_count,
    read_attributes,
    read_partition,
)
from dfcvae_tf.data.folder_layout import is_test_file
from dfcvae_tf.data.picture_dataset import picture_dataset
from dfcvae_tf.data.source import SPLITS, Source, digest_of
from dfcvae_tf.errors import UserError
from dfcvae_tf.picture_files import ENDINGS, check_bits_in_use, read_picture


def open_celeba(name: str, path: str, config: DataConfig) -> Source:
    """Opens the aligned images and their attributes; reads only, and copies nothing.

    The folder is laid out as CelebA is distributed:

        img_align_celeba/000001.jpg, ...   all of one size; others than 178x218 are fine
        list_attr_celeba.txt               names the images, in their order
        list_eval_partition.txt            optional; its validation images are not used

    Without the last, the test split is that of `folder:`, about one image in ten by a
    hash of its file name. It does not depend on a run's seed: runs with different seeds
    are compared on images that none of them was trained on.

    Args:
      name: the source's name.
      path: the folder; `~` is expanded.
      config: `background` and `bit_depth` are used.

    Raises:
      UserError: the folder is not laid out so, a list is malformed, or the lists and the
        images do not fit each other.
    """
    root = Path(path).expanduser()
    _check_folder(root)
    attributes = read_attributes(root / ATTRIBUTES_FILE)
    sizes = _sizes_of_images(root, attributes.files)
    split_of, split_text = _splits(root, attributes.files)
    rows = {split: np.flatnonzero([of == split for of in split_of]) for split in SPLITS}
    files = {split: tuple(attributes.files[i] for i in rows[split]) for split in SPLITS}
    for split in SPLITS:
        if not files[split]:
            raise UserError(
                f"none of the {len(attributes.files)} images of {path} is in the {split} "
                f"split: {split_text}"
            )
    count_text = ""
    if attributes.announced != len(attributes.files):
        count_text = (
            f"; {ATTRIBUTES_FILE} announces {attributes.announced} images and has "
            f"{len(attributes.files)}"
        )
        logging.warning("%s%s, which are used", path, count_text)
    first = root / IMAGES_DIR / attributes.files[0]
    picture = read_picture(first, config.background, config.bit_depth)
    if picture.largest is not None:
        check_bits_in_use(picture.largest, config.bit_depth, f"{first} has")
    shape = (*picture.pixels.shape[:2], 3)

    def pictures(chosen: np.ndarray) -> tf.data.Dataset:
        paths = [str(root / IMAGES_DIR / attributes.files[row]) for row in chosen]
        values = attributes.values[chosen]
        return picture_dataset(paths, {"attributes": values}, shape, config, "JPEG")

    return Source(
        name=name,
        description=(
            f"CelebA, {len(attributes.files)} images with {len(attributes.names)} "
            f"attributes, {split_text}{count_text}"
        ),
        num_examples={split: len(files[split]) for split in SPLITS},
        image_shape=shape,
        class_names=(),
        dataset=lambda split: pictures(rows[split]),
        digest=digest_of(
            f"{split}/{file} {sizes[file]}" for split in SPLITS for file in files[split]
        ),
        attribute_names=attributes.names,
        file_names=files,
        dataset_at=lambda split, places: pictures(rows[split][places]),
    )


def _check_folder(root: Path) -> None:
    if not root.exists():
        raise UserError(f"no such folder: {root}")
    if not (root / IMAGES_DIR).is_dir():
        hint = f"; try celeba:{root.parent}" if root.name == IMAGES_DIR else ""
        raise UserError(
            f"{root} has no folder {IMAGES_DIR}; celeba:PATH needs the folder that has "
            f"it, with {ATTRIBUTES_FILE} beside it{hint}"
        )
    if not (root / ATTRIBUTES_FILE).is_file():
        raise UserError(
            f"{root} has no {ATTRIBUTES_FILE}; put CelebA's list of attributes there, "
            f"or use folder:{root / IMAGES_DIR} to do without attributes"
        )


def _sizes_of_images(root: Path, files: tuple[str, ...]) -> dict[str, int]:
    """Returns file -> bytes; UserError unless the images are exactly those listed."""
    try:
        with os.scandir(root / IMAGES_DIR) as entries:
            present = {entry.name: entry.stat().st_size for entry in entries}
    except OSError as error:
        raise UserError(f"cannot read {root / IMAGES_DIR}: {error.strerror}") from error
    missing = [file for file in files if file not in present]
    if missing:
        raise UserError(
            f"{root / IMAGES_DIR} lacks {len(missing)} of the {len(files)} images that "
            f"{ATTRIBUTES_FILE} names: {first_and_count(missing)}"
        )
    unlisted = sorted(
        file
        for file in present.keys() - set(files)
        if file.lower().endswith(ENDINGS) and not file.startswith(".")
    )
    if unlisted:
        raise UserError(
            f"{root / ATTRIBUTES_FILE} has no row for {len(unlisted)} of the "
            f"{len(present)} images in {IMAGES_DIR}: {first_and_count(unlisted)}"
        )
    return present


def _splits(root: Path, files: tuple[str, ...]) -> tuple[list[str], str]:
    """Returns the split of each file, and how the images are split."""
    path = root / PARTITION_FILE
    if not path.exists():
        text = f"split by a fixed hash of the file names (there is no {PARTITION_FILE})"
        logging.warning("%s: %s", root, text)
        return ["test" if is_test_file(file) else "train" for file in files], text
    parts = read_partition(path)
    missing = [file for file in files if file not in parts]
    if missing:
        raise UserError(
            f"{path} has no row for {len(missing)} of {len(files)} images: "
            f"{first_and_count(missing)}"
        )
    split_of = [parts[file] for file in files]
    unused = split_of.count("validation")
    return split_of, f"split by {PARTITION_FILE} ({unused} for validation, not used)"
