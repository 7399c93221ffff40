"""An export's folder: it appears whole, or the one before it stays."""

import contextlib
import hashlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dfcvae_tf.errors import UserError
from dfcvae_tf.files import check_writable, disk_errors, read_json

MANIFEST = "manifest.json"


@contextlib.contextmanager
def replaced_folder(output: Path) -> Iterator[Path]:
    """Gives an empty folder beside `output` that takes its place when the block ends well.

    Args:
      output: a folder that does not exist, is empty, or is a finished export.

    Raises:
      UserError: there is something else at `output`, or the disk is full or not writable;
        what was there stays.
    """
    _check_replaceable(output)
    output = output.absolute()  # the working directory has a parent too
    new, old = (output.parent / f".{output.name}.{word}" for word in ("new", "old"))
    check_writable(output.parent)
    with disk_errors(output):
        # Left behind by a process that was killed; `old` is there when that happened
        # between the two renames below.
        shutil.rmtree(new, ignore_errors=True)
        if old.exists() and not output.exists():
            os.replace(old, output)
        new.mkdir()
    try:
        yield new
        with disk_errors(output):
            shutil.rmtree(old, ignore_errors=True)
            if output.exists():
                os.replace(output, old)
            try:
                os.replace(new, output)
            except OSError:
                if old.exists():
                    os.replace(old, output)
                raise
            shutil.rmtree(old, ignore_errors=True)
    finally:
        shutil.rmtree(new, ignore_errors=True)


def file_list(folder: Path) -> dict[str, dict[str, Any]]:
    """Returns path within the folder -> {"sha256", "bytes"} of every file, sorted."""
    files = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            content = path.read_bytes()
            files[path.relative_to(folder).as_posix()] = {
                "sha256": hashlib.sha256(content).hexdigest(),
                "bytes": len(content),
            }
    return files


def _check_replaceable(output: Path) -> None:
    if not output.exists() and not output.is_symlink():
        return
    if not output.is_dir() or output.is_symlink():
        raise UserError(
            f"{output} is a file or a link, not a folder; choose another --output_dir"
        )
    if output.is_mount():
        raise UserError(
            f"{output} is a whole file system and cannot be replaced at once; choose a "
            f"folder in it, such as --output_dir={output / 'export'}"
        )
    if any(output.iterdir()):
        is_export = (output / MANIFEST).is_file()
        manifest = read_json(output / MANIFEST) if is_export else None
        if not isinstance(manifest, dict) or "variants" not in manifest:
            raise UserError(
                f"{output} exists and is not an export; choose another --output_dir"
            )
