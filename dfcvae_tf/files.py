"""Reading and writing files: a write leaves either the old file or the new one."""

import contextlib
import errno
import io
import json
import os
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from dfcvae_tf.errors import UserError


@contextlib.contextmanager
def disk_errors(path: str | os.PathLike) -> Iterator[None]:
    """Turns a full or read-only disk into a UserError that names `path`."""
    try:
        yield
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise UserError(
                f"no space left on the disk of {path}; free some and run again"
            ) from error
        raise UserError(
            f"cannot write {path}: {os.strerror(error.errno or 0)}"
        ) from error


def check_writable(folder: str | os.PathLike) -> None:
    """Makes a folder if need be, and a file in it: now, not after hours of work.

    Raises:
      UserError: the folder cannot be made or written to, or the disk is full.
    """
    with disk_errors(folder):
        Path(folder).mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=str(folder)).close()


@contextlib.contextmanager
def atomic_file(path: str | os.PathLike) -> Iterator[BinaryIO]:
    """Opens a temporary file that takes the name `path` when the block ends without error.

    Raises:
      UserError: the disk is full or not writable.
    """
    path = Path(path)
    with disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(
            dir=path.parent, prefix=f".{path.name}."
        )
        try:
            with os.fdopen(descriptor, "wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            # mkstemp makes files private; give this one what any new file would get.
            umask = os.umask(0)
            os.umask(umask)
            os.chmod(temporary, 0o666 & ~umask)
            os.replace(temporary, path)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
            raise


def write_json(path: str | os.PathLike, value: Any) -> None:
    """Writes `value` as indented JSON, atomically."""
    with atomic_file(path) as file:
        file.write((json.dumps(value, indent=2) + "\n").encode())


def read_json(path: str | os.PathLike) -> Any:
    """Reads a JSON file.

    Raises:
      UserError: the file is missing, unreadable or not JSON.
    """
    try:
        return json.loads(Path(path).read_text())
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from error
    except ValueError as error:
        raise UserError(f"{path} is not valid JSON: {error}") from error


def write_arrays(path: str | os.PathLike, arrays: dict[str, np.ndarray]) -> None:
    """Writes named arrays as a compressed .npz, atomically.

    The same arrays give the same bytes, unlike with `np.savez_compressed`, whose zip
    headers depend on the Python version.

    Raises:
      ValueError: an array holds Python objects, which only pickle could write.
      UserError: the disk is full or not writable.
    """
    with atomic_file(path) as file, zipfile.ZipFile(file, "w") as archive:
        for name, array in arrays.items():
            data = io.BytesIO()
            np.lib.format.write_array(data, np.asarray(array), allow_pickle=False)
            entry = zipfile.ZipInfo(f"{name}.npy", date_time=(1980, 1, 1, 0, 0, 0))
            archive.writestr(entry, data.getvalue(), zipfile.ZIP_DEFLATED)


def read_arrays(path: str | os.PathLike) -> dict[str, np.ndarray]:
    """Reads all arrays of a .npz file; never unpickles.

    Raises:
      UserError: the file is missing, truncated, corrupt, or holds pickled objects.
    """
    if not Path(path).is_file():
        raise UserError(f"no such file: {path}")
    try:
        with np.load(path, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except Exception as error:  # zipfile, zlib, struct, numpy: all mean a bad file
        raise UserError(
            f"{path} is not a readable .npz file ({type(error).__name__})"
        ) from error
