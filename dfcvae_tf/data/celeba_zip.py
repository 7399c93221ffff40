"""The official CelebA zip -> the layout that `celeba.py` reads.

This module does not import TensorFlow.
"""

import html
import os
import re
import shutil
import stat
import tempfile
import zipfile
import zlib
from pathlib import Path

from dfcvae_tf.data.celeba_lists import (
    ATTRIBUTES_FILE,
    IMAGES_DIR,
    PARTITION_FILE,
    Attributes,
    first_and_count,
    read_attributes,
    read_partition,
)
from dfcvae_tf.errors import UserError
from dfcvae_tf.files import disk_errors

NUM_IMAGES = 202_599
# Of all images unpacked; the official ones have 1.4 GB.
MAX_BYTES = 4 * 10**9

_ENTRY = re.compile(rf"{IMAGES_DIR}/([0-9]{{6}}\.jpg)")
_ADVICE = "https://mmlab.ie.cuhk.edu.hk/projects/CelebA.html has the official one"
# All that Python's zipfile raises for a damaged file.
_DAMAGED = (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, ValueError)


def unpack(
    source: Path, output: Path, attributes: Path | None, partition: Path | None
) -> str:
    """Unpacks the images, and copies the lists beside them.

    All is checked before the first file is written, but for damaged parts of the zip.
    The folder appears when everything is in it.

    Args:
      source: `img_align_celeba.zip`.
      output: the folder to make; must not exist.
      attributes: `list_attr_celeba.txt`. The zip must have exactly the images it names;
        without it, the number of CelebA's images.
      partition: `list_eval_partition.txt`; must have a row for each image.

    Returns:
      What was unpacked, in one line.

    Raises:
      UserError: the zip is something else, damaged, unsafe or does not fit the lists, a
        list is malformed, or the folder exists or cannot be written.
    """
    if os.path.lexists(output):
        raise UserError(f"{output} exists; choose a new folder")
    listed = read_attributes(attributes) if attributes else None
    parts = read_partition(partition) if partition else None
    lists = {ATTRIBUTES_FILE: attributes, PARTITION_FILE: partition}
    _check_is_zip(source)
    try:
        with zipfile.ZipFile(source) as archive:
            entries = _image_entries(archive, source)
            _check_images(entries, listed, parts)
            _write(archive, entries, {k: v for k, v in lists.items() if v}, output)
    except _DAMAGED as error:
        raise UserError(
            f"{source} is damaged or only part of the file ({error}); fetch it again"
        ) from error
    text = f"{output} has {len(entries)} images"
    if listed is None:
        return f"{text}; put {ATTRIBUTES_FILE} there too"
    if listed.announced != len(listed.files):
        text += f" ({ATTRIBUTES_FILE} announces {listed.announced})"
    return f"{text} with {len(listed.names)} attributes"


def _check_is_zip(path: Path) -> None:
    """Raises UserError, saying what else it is, unless a file is a zip."""
    try:
        with open(path, "rb") as file:
            text = file.read(2**16).decode("utf-8", "replace")
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from error
    if re.match(r"\s*<(!doctype html|html)", text, re.IGNORECASE):
        title = re.search(r"<title>(.*?)</title>", text, re.IGNORECASE | re.DOTALL)
        shown = html.unescape(title[1]).strip()[:80] if title else "without a title"
        shown = "".join(character for character in shown if character.isprintable())
        advice = "fetch the file with a browser"
        if re.search("quota|too many users", text, re.IGNORECASE):
            advice = (
                "Google Drive's download quota for this file is used up; try again in a "
                "day"
            )
        raise UserError(f"{path} is no zip but a web page ({shown}): {advice}")
    if not zipfile.is_zipfile(path):
        raise UserError(
            f"{path} is no zip file, or only the beginning of one "
            f"({path.stat().st_size} bytes); {_ADVICE}"
        )


def _image_entries(archive: zipfile.ZipFile, path: Path) -> dict[str, zipfile.ZipInfo]:
    """Returns file name -> entry of the images.

    Only plain files called `img_align_celeba/NNNNNN.jpg` pass, so that no name leads out
    of the folder.

    Raises:
      UserError: the zip holds anything else, an image twice, or too much.
    """
    entries: dict[str, zipfile.ZipInfo] = {}
    for entry in archive.infolist():
        if entry.filename == f"{IMAGES_DIR}/":
            continue
        name = _ENTRY.fullmatch(entry.filename)
        kind = stat.S_IFMT(entry.external_attr >> 16)  # 0 when not made on Unix
        if not name or kind not in (0, stat.S_IFREG) or name[1] in entries:
            raise UserError(
                f"{path} has an entry {entry.filename[:80]!r}; CelebA's zip has image "
                f"files {IMAGES_DIR}/NNNNNN.jpg only, each once; {_ADVICE}"
            )
        entries[name[1]] = entry
    size = sum(entry.file_size for entry in entries.values())
    if size > MAX_BYTES:
        raise UserError(
            f"{path} would unpack to {size / 1e9:.1f} GB, CelebA has 1.4; {_ADVICE}"
        )
    return entries


def _check_images(
    entries: dict[str, zipfile.ZipInfo],
    attributes: Attributes | None,
    parts: dict[str, str] | None,
) -> None:
    """Raises UserError unless the images are those of the lists, or as many as official."""
    if attributes is None:
        if len(entries) != NUM_IMAGES:
            raise UserError(
                f"the zip has {len(entries)} images, CelebA has {NUM_IMAGES}; for a part "
                f"of it, give the {ATTRIBUTES_FILE} of that part"
            )
    else:
        missing = [file for file in attributes.files if file not in entries]
        if missing:
            raise UserError(
                f"the zip lacks {len(missing)} of the {len(attributes.files)} images that "
                f"{ATTRIBUTES_FILE} names: {first_and_count(missing)}"
            )
        unlisted = sorted(set(entries).difference(attributes.files))
        if unlisted:
            raise UserError(
                f"{ATTRIBUTES_FILE} has no row for {len(unlisted)} of the {len(entries)} "
                f"images in the zip: {first_and_count(unlisted)}"
            )
    unsplit = [] if parts is None else sorted(set(entries).difference(parts))
    if unsplit:
        raise UserError(
            f"{PARTITION_FILE} has no row for {len(unsplit)} of the {len(entries)} images "
            f"in the zip: {first_and_count(unsplit)}"
        )


def _write(
    archive: zipfile.ZipFile,
    entries: dict[str, zipfile.ZipInfo],
    lists: dict[str, Path],
    output: Path,
) -> None:
    """Writes images and lists to a folder beside `output`, which then gets that name."""
    with disk_errors(output):
        output.parent.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix=f".{output.name}.", dir=output.parent))
        try:
            images = folder / IMAGES_DIR
            images.mkdir()
            for name, entry in entries.items():
                # Yields no more than `file_size` bytes, and compares the checksum.
                with archive.open(entry) as packed, open(images / name, "xb") as file:
                    shutil.copyfileobj(packed, file)
            for name, path in lists.items():
                shutil.copyfile(path, folder / name)
            # mkdtemp makes folders private; this one gets what any new folder would.
            folder.chmod(images.stat().st_mode)
            os.rename(folder, output)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
