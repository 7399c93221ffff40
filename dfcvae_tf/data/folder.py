"""A folder of picture files as a source."""

import os
from collections import Counter
from dataclasses import dataclass
from multiprocessing.pool import ThreadPool
from pathlib import Path

import numpy as np
import tensorflow as tf
from absl import logging

from dfcvae_tf.config import DataConfig
from dfcvae_tf.data.folder_layout import (
    Found,
    Layout,
    find_images,
    first_names,
    lay_out,
)
from dfcvae_tf.data.picture_dataset import picture_dataset
from dfcvae_tf.data.source import SPLITS, Source, digest_of
from dfcvae_tf.errors import UserError
from dfcvae_tf.picture_files import (
    ENDINGS,
    FULL_DEPTH,
    UnreadablePicture,
    check_bits_in_use,
    printable,
    read_picture,
)

MAX_BAD_SHARE = 0.01


@dataclass(frozen=True)
class _Looked:
    """What one file turned out to be: `bad` says why it cannot be read, else the rest."""

    shape: tuple[int, ...] = ()
    is_transparent: bool = False
    largest: int | None = None
    bad: str = ""


def open_folder(name: str, path: str, config: DataConfig) -> Source:
    """Opens all images below a folder, sorted by path.

    Folders `train` and `test` (or `val`, without `test`) are the splits. In a folder
    without them a file belongs to the test split (about one in ten) by a hash of its path
    below the folder, so a file never changes sides when others are added or on another
    machine. Folders, there or in each split, are classes when all images lie in some; the
    topmost folder names the class.

    Every file is decoded once here. Up to 1 % that cannot be decoded are reported and
    left out, and so are, by their endings, files that are no images. Hidden files and
    folders (names starting with a dot) are not looked at. Images are grey when all files
    are, else RGB; what else a file shows is for `picture_files` to say.

    Args:
      name: the source's name.
      path: the folder; `~` is expanded.
      config: `subfolders`, `background` and `bit_depth` are used.

    Raises:
      UserError: no such folder, no images in it, too many damaged ones, too few to
        have both splits, folders that contradict each other, or 16-bit images that use
        fewer bits.
    """
    root = Path(path).expanduser()
    if not root.exists():
        raise UserError(f"no such folder: {path}")
    if not root.is_dir():
        raise UserError(f"{path} is a file; folder:PATH needs a folder of images")
    found = find_images(root)
    if not found.images:
        raise UserError(f"no images in {path}: no file ends in {', '.join(ENDINGS)}")
    layout = lay_out(path, found.images, config.subfolders)
    looked = _look(root, list(layout.split_of), config)
    _report_bad({file: it.bad for file, it in looked.items() if it.bad}, looked, path)

    good = {file: it for file, it in looked.items() if not it.bad}
    files = {
        split: [file for file in good if layout.split_of[file] == split]
        for split in SPLITS
    }
    for split in SPLITS:
        if not files[split]:
            raise UserError(
                f"{path} has too few images ({len(good)}): none fell into the {split} "
                "split, which is chosen by file name; a few dozen images are enough, or "
                "folders train and test"
            )
    class_names = tuple(
        sorted({layout.class_of[file] for file in good if layout.class_of})
    )
    _check_depth(good, path, config)
    _say(path, files, class_names, layout, found, good, config)
    sizes = {it.shape[:2] for it in good.values()}
    height, width = sizes.pop() if len(sizes) == 1 else (None, None)
    channels = max(it.shape[2] for it in good.values())
    shape = (height, width, channels)
    labels = {
        split: np.array(
            [class_names.index(layout.class_of[file]) for file in files[split]],
            np.int64,
        )
        for split in SPLITS
        if class_names
    }

    def pictures(split: str, places: np.ndarray) -> tf.data.Dataset:
        others = {"label": labels[split][places]} if class_names else {}
        paths = [str(root / files[split][place]) for place in places]
        return picture_dataset(paths, others, shape, config)

    classes = f" of {len(class_names)} classes" if class_names else ""
    return Source(
        name=name,
        description=f"{len(good)} image files{classes}, {layout.text}",
        num_examples={split: len(files[split]) for split in SPLITS},
        image_shape=shape,
        class_names=class_names,
        dataset=lambda split: pictures(split, np.arange(len(files[split]))),
        labels=labels.__getitem__ if class_names else None,
        dataset_at=pictures,
        in_path_order=True,
        digest=digest_of(
            f"{split}/{file} {os.path.getsize(root / file)}"
            for split in SPLITS
            for file in files[split]
        ),
        file_names={
            split: [printable(file) for file in files[split]] for split in SPLITS
        },
    )


def _look(root: Path, files: list[str], config: DataConfig) -> dict[str, _Looked]:
    """Decodes every file once; returns file -> what it is, in their order."""

    def look(file: str) -> _Looked:
        try:
            picture = read_picture(root / file, config.background, config.bit_depth)
        except UnreadablePicture as error:
            return _Looked(bad=error.reason)
        return _Looked(picture.pixels.shape, picture.is_transparent, picture.largest)

    with ThreadPool() as pool:
        return dict(zip(files, pool.imap(look, files, chunksize=16), strict=True))


def _report_bad(bad: dict[str, str], all_files: dict[str, _Looked], path: str) -> None:
    if not bad:
        return
    found = (
        f"{len(bad):,} of {len(all_files):,} files in {path} cannot be read as images: "
        f"{first_names(f'{file} ({reason})' for file, reason in bad.items())}"
    )
    if len(bad) > MAX_BAD_SHARE * len(all_files):
        raise UserError(f"{found}; at most 1 % may be; remove or replace them")
    logging.warning("%s; they are left out", found)


def _check_depth(good: dict[str, _Looked], path: str, config: DataConfig) -> None:
    """Raises UserError when 16-bit images would be nearly black."""
    largest = [it.largest for it in good.values() if it.largest is not None]
    if largest:
        what = f"{len(largest):,} of {len(good):,} images in {path} have"
        check_bits_in_use(max(largest), config.bit_depth, what)


def _say(
    path: str,
    files: dict[str, list[str]],
    class_names: tuple[str, ...],
    layout: Layout,
    found: Found,
    good: dict[str, _Looked],
    config: DataConfig,
) -> None:
    """Says in a line each what the folder has, and what is left out or changed of it."""
    classes = f", {len(class_names):,} classes" if class_names else ""
    logging.warning(
        "%s: %s train, %s test%s; %s",
        path,
        f"{len(files['train']):,}",
        f"{len(files['test']):,}",
        classes,
        layout.text,
    )
    for split in SPLITS:
        has = Counter(layout.class_of[file] for file in files[split] if class_names)
        missing = [name for name in class_names if not has[name]]
        if missing:
            logging.warning("%s: no %s images of %s", path, split, first_names(missing))
    if found.left_out:
        kinds = [f"{count:,} {kind}" for kind, count in found.left_out.items()]
        logging.warning("%s: left out: %s", path, ", ".join(kinds))
    transparent = sum(it.is_transparent for it in good.values())
    if transparent:
        logging.warning(
            "%s: images with transparent pixels, which are laid on %s: %s",
            path,
            config.background,
            f"{transparent:,}",
        )
    deep = sum(it.largest is not None for it in good.values())
    if deep:
        logging.warning(
            "%s: images with 16 bits a value, of which 8 are kept (%s is white): %s",
            path,
            f"{2 ** (config.bit_depth or FULL_DEPTH) - 1:,}",
            f"{deep:,}",
        )
