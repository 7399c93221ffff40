"""An export's folder: it appears whole, or the one before it stays.

An export is written into a work folder beside its place and renamed at the end. Nothing is
deleted but what an export wrote: the files that its manifest lists, as they were written.
"""

import contextlib
import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dfcvae_tf.errors import UserError
from dfcvae_tf.files import (
    LOCK,
    check_writable,
    disk_errors,
    locked,
    plain_path,
    read_json,
    sha256,
)

MANIFEST = "manifest.json"
FORMAT_VERSION = 1
# Names of work folders end so; they hold the export being written and, between two
# renames, the one it replaces.
_WORK_SUFFIX = ".exporting"
_NEW, _OLD = "new", "old"
_LISTED = 3


@contextlib.contextmanager
def replaced_folder(output: Path) -> Iterator[Path]:
    """Gives an empty folder that takes the place of `output` when the block ends well.

    Args:
      output: a folder that does not exist, is empty, or holds a finished export and
        nothing else.

    Raises:
      UserError: there is something else at `output`, or the disk is full or not writable;
        what was there stays.
    """
    check_replaceable(output)
    output = output.absolute()  # the working directory has a parent too
    check_writable(output.parent)
    _clear_up(output)
    with disk_errors(output):
        work = Path(
            tempfile.mkdtemp(
                prefix=f".{output.name}.", suffix=_WORK_SUFFIX, dir=output.parent
            )
        )
    try:
        with locked(work):
            new = work / _NEW
            with disk_errors(output):
                new.mkdir()
            try:
                with plain_path(new) as folder:
                    try:
                        yield folder
                    except UserError as error:
                        # Told of the place that the user knows.
                        message = str(error).replace(str(folder), str(output))
                        raise UserError(message) from error
                check_replaceable(output)  # an export takes minutes
                _put_in_place(new, output, work / _OLD)
            finally:
                shutil.rmtree(new, ignore_errors=True)
    finally:
        with contextlib.suppress(OSError):
            work.rmdir()


def check_replaceable(output: Path) -> None:
    """Raises UserError unless a folder is absent, empty, or an export and nothing else."""
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
    if not any(output.iterdir()):
        return
    listed = _listed_files(output)
    if listed is None:
        raise UserError(
            f"{output} exists and is not an export; choose another --output_dir"
        )
    foreign, changed = [], []
    for name, path in _contents(output):
        if name == MANIFEST:
            continue
        if name not in listed or not path.is_file():
            foreign.append(name)
        elif sha256(path) != listed[name]:
            changed.append(name)
    for names, what in (
        (foreign, "files that the export there did not write"),
        (changed, "files of the export there that were changed since"),
    ):
        if names:
            more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
            raise UserError(
                f"{output} holds {what} ({', '.join(names[:_LISTED])}{more}); move them "
                "elsewhere, or choose another --output_dir"
            )


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


def _listed_files(folder: Path) -> dict[str, str] | None:
    """Returns name -> SHA-256 of what a manifest lists, None when there is none."""
    try:
        manifest = read_json(folder / MANIFEST)
    except UserError:
        return None
    if not isinstance(manifest, dict) or manifest.get("format_version") not in range(
        1, FORMAT_VERSION + 1
    ):
        return None
    files = manifest.get("files")
    if not isinstance(files, dict) or not all(
        isinstance(entry, dict) and isinstance(entry.get("sha256"), str)
        for entry in files.values()
    ):
        return None
    return {name: entry["sha256"] for name, entry in files.items()}


def _contents(folder: Path) -> Iterator[tuple[str, Path]]:
    """Yields name and path of everything below a folder but folders."""
    for path in sorted(folder.rglob("*")):
        if path.is_symlink() or not path.is_dir():
            yield path.relative_to(folder).as_posix(), path


def _put_in_place(new: Path, output: Path, old: Path) -> None:
    """Renames `new` to `output`; what was there goes by way of `old`."""
    with disk_errors(output):
        if output.exists():
            os.replace(output, old)
        try:
            os.replace(new, output)
        except OSError:
            if old.exists():
                os.replace(old, output)
            raise
    _remove_export(old)


def _remove_export(folder: Path) -> None:
    """Removes what the export in a folder wrote, and folders that are empty then."""
    for name, digest in (_listed_files(folder) or {}).items():
        path = folder / name
        with contextlib.suppress(OSError, UserError):
            if path.resolve().is_relative_to(folder.resolve()) and (
                sha256(path) == digest
            ):
                path.unlink()
    with contextlib.suppress(OSError):
        (folder / MANIFEST).unlink()
    for parent, _, _ in os.walk(folder, topdown=False):
        with contextlib.suppress(OSError):
            os.rmdir(parent)


def _clear_up(output: Path) -> None:
    """Puts right what killed processes left: an export between two renames, half of one."""
    pattern = re.compile(
        rf"\.{re.escape(output.name)}\.\w{{8}}{re.escape(_WORK_SUFFIX)}"
    )
    for work in output.parent.iterdir():
        if not pattern.fullmatch(work.name) or work.is_symlink() or not work.is_dir():
            continue
        names = {path.name for path in work.iterdir()}
        if LOCK not in names or not names <= {LOCK, _NEW, _OLD}:
            continue
        # One that is in use is another export's, which is still being written.
        with contextlib.suppress(UserError, OSError), locked(work):
            if _OLD in names and not output.exists():
                os.replace(work / _OLD, output)
            _remove_export(work / _OLD)
            shutil.rmtree(work / _NEW, ignore_errors=True)
        with contextlib.suppress(OSError):
            work.rmdir()
