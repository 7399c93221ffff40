"""Keeps all prepared images of a split where a batch can be fetched by index."""

import contextlib
import re
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import numpy as np
import psutil
import tensorflow as tf

from dfcvae_tf.data.source import unreadable_file
from dfcvae_tf.errors import UserError
from dfcvae_tf.files import disk_errors

Place = Literal["memory", "disk", "none"]

# While it is filled, the cache in memory needs up to twice its size.
MEMORY_SHARE = 0.4
DISK_SHARE = 0.9
FILL_BYTES = 2**24

# (limit, in use, statistics) of a container's memory, in control groups 2 and 1.
CGROUP_FILES = (
    ("memory.max", "memory.current", "memory.stat"),
    (
        "memory/memory.limit_in_bytes",
        "memory/memory.usage_in_bytes",
        "memory/memory.stat",
    ),
)


def choose_place(mode: Literal["auto", "memory", "disk", "none"], size: int) -> Place:
    """Returns where `size` bytes of images are kept; only "auto" leaves a choice."""
    if mode != "auto":
        return mode
    if size <= MEMORY_SHARE * available_memory():
        return "memory"
    if size <= DISK_SHARE * shutil.disk_usage(tempfile.gettempdir()).free:
        return "disk"
    return "none"


def available_memory(cgroup_dir: Path = Path("/sys/fs/cgroup")) -> int:
    """Returns the bytes this process can still use, also inside a container."""
    available = psutil.virtual_memory().available
    for limit, usage, statistics in CGROUP_FILES:
        # No such file, or no limit ("max"): nothing to respect.
        with contextlib.suppress(OSError, ValueError, KeyError):
            text = (cgroup_dir / statistics).read_text()
            fields = dict(line.split() for line in text.splitlines())
            # File pages that the kernel drops as soon as memory is asked for.
            reclaimable = int(fields["inactive_file"])
            used = int((cgroup_dir / usage).read_text()) - reclaimable
            free = int((cgroup_dir / limit).read_text()) - used
            available = min(available, max(free, 0))
    return available


def load(
    dataset: tf.data.Dataset,
    count: int,
    image_shape: tuple[int, int, int],
    place: Place,
    what: str,
) -> dict[str, tf.Tensor]:
    """Reads a dataset once, to its end, and keeps its elements.

    Args:
      dataset: `count` elements {"image": uint8 [H, W, C], and maybe more}.
      count: number of elements.
      image_shape: (H, W, C).
      place: "memory", or "disk": a file in the temporary folder (the environment
        variable TMPDIR names another) that is gone when the process ends, however it
        ends.
      what: what is read, for error messages.

    Returns:
      {"image": uint8 [count, H, W, C], and what else the elements have: [count, ...] of
      the same type}, on the CPU. What is no image is small, and always in memory.

    Raises:
      UserError: the data cannot be read, is not `count` elements, or does not fit.
    """
    shape = (count, *image_shape)
    with tf.device("CPU:0"):
        if place == "disk":
            # Once mapped, the file needs no name: the space is freed with the tensor.
            with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
                path = Path(folder) / "images"
                with disk_errors(path), open(path, "wb") as file:
                    rest = _read(dataset, shape, what, lambda _, x: file.write(x.data))
                images = tf.raw_ops.ImmutableConst(
                    dtype=tf.uint8, shape=shape, memory_region_name=str(path)
                )
        else:
            try:
                array = np.empty(shape, np.uint8)
            except MemoryError as error:
                raise UserError(
                    f"{what} needs {np.prod(shape) / 2**30:.1f} GiB of memory; use "
                    "--cache=disk or --cache=none"
                ) from error

            def put(start: int, batch: np.ndarray) -> None:
                array[start : start + len(batch)] = batch

            rest = _read(dataset, shape, what, put)
            images = tf.constant(array)
        others = {name: tf.constant(values) for name, values in rest.items()}
    return {"image": images, **others}


def _read(
    dataset: tf.data.Dataset,
    shape: tuple[int, int, int, int],
    what: str,
    put: Callable[[int, np.ndarray], object],
) -> dict[str, np.ndarray]:
    """Hands batches of images to `put(first index, images)`; returns all else."""
    count = shape[0]
    # No more than there are: tf.data sets aside room for a whole batch.
    per_batch = min(count, max(1, FILL_BYTES // int(np.prod(shape[1:]))))
    parts: dict[str, list[np.ndarray]] = {}
    done = 0
    try:
        for batch in dataset.batch(per_batch).prefetch(1).as_numpy_iterator():
            images = batch.pop("image")
            if done + len(images) <= count:
                put(done, images)
            done += len(images)
            for name, values in batch.items():
                parts.setdefault(name, []).append(values)
    except tf.errors.OpError as error:
        # Without the names of TensorFlow's own nodes around it.
        reason = re.sub(
            r"\{\{.*?\}\} ?| ?\[Op:.*", "", error.message.partition("\n")[0]
        )
        raise (
            unreadable_file(error) or UserError(f"cannot read {what}: {reason}")
        ) from error
    if done != count:
        raise UserError(f"{what} has {done} images where {count} were announced")
    return {name: np.concatenate(values) for name, values in parts.items()}
