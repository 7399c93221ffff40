"""Files: a write leaves either the old one or the new one; a folder has one writer."""

import contextlib
import errno
import fcntl
import hashlib
import io
import json
import os
import socket
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, TextIO

import numpy as np
from absl import logging

from dfcvae_tf.errors import UserError

LOCK = ".lock"


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
    except (ValueError, RecursionError) as error:
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


@contextlib.contextmanager
def locked(folder: str | os.PathLike) -> Iterator[None]:
    """Keeps a folder for this process, which it makes if need be.

    The system frees the lock when the process ends, however it ends. The lock is a file
    in the folder; afterwards it is gone, and so are folders made for it that are empty.

    Raises:
      UserError: another process has it, or the disk is full or not writable.
    """
    folder = Path(folder)
    path = folder / LOCK
    if folder.exists() and not folder.is_dir():
        raise UserError(f"{folder} is a file, not a folder")
    made = [path for path in (folder, *folder.parents) if not path.exists()]
    with disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        file = _open_locked(path)
    try:
        with disk_errors(path):
            file.truncate(0)
            file.write(f"{os.getpid()} on {socket.gethostname()}")
            file.flush()
        yield
    finally:
        # Before the lock is let go: another process may have it next.
        with contextlib.suppress(OSError):
            path.unlink()
        with contextlib.suppress(OSError):  # it tries again to write what it could not
            file.close()
        with contextlib.suppress(OSError):  # the first that is not empty
            for empty in made:
                empty.rmdir()


def _open_locked(path: Path) -> TextIO:
    while True:
        file = open(path, "a+")  # noqa: SIM115 -- it stays open as long as the lock
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            file.seek(0)
            owner = file.read(200).strip() or "unknown"
            file.close()
            raise UserError(
                f"{path.parent} is in use by process {owner}; wait until it ends, or stop "
                "it"
            ) from error
        except OSError as error:
            if error.errno not in (errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS):
                file.close()
                raise
            logging.warning(
                "the disk of %s has no locks; see to it that one process writes there",
                path.parent,
            )
            return file
        # The process before may have removed the file since it was opened here.
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(file.fileno()), os.stat(path)):
                return file
        file.close()


@contextlib.contextmanager
def plain_path(folder: str | os.PathLike) -> Iterator[Path]:
    """Gives another path to a folder, as long as the block lasts.

    TensorFlow's readers take the characters * ? [ and \\ in a path for a pattern; in
    this path there are none.
    """
    with tempfile.TemporaryDirectory() as temporary:
        link = Path(temporary) / "folder"
        link.symlink_to(Path(folder).absolute(), target_is_directory=True)
        yield link


def sha256(path: str | os.PathLike) -> str:
    """Returns the SHA-256 of a file's content, 64 hexadecimal digits.

    Raises:
      UserError: the file cannot be read.
    """
    digest = hashlib.sha256()
    try:
        with open(path, "rb") as file:
            while block := file.read(2**20):
                digest.update(block)
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from error
    return digest.hexdigest()
