"""Writes images where a path says: a PNG grid, an animated GIF, or a folder of PNG files.

    NAME.png            one picture with all images, row by row
    NAME.gif            one image after the other
    NAME/ or NAME       image_000.png, image_001.png, …

Needs no TensorFlow, so a program can refuse a path before its work.
"""

import io
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from absl import flags
from PIL import Image

from dfcvae_tf import images as images_lib
from dfcvae_tf.errors import UserError
from dfcvae_tf.files import atomic_file, check_writable, disk_errors

# What the programs let a user ask for.
MAX_IMAGES = 10_000
MAX_SCALE = 32

FRAME_MS = 80
LAST_FRAME_MS = 1000  # a moment to look before it starts again
SMALL = 64
# Of a grid or all frames of a GIF together: what fits in memory several times as float.
MAX_PIXELS = 2**25


def define_output(values: flags.FlagValues) -> None:
    """Defines --output and --scale, for `write_images`."""
    flags.DEFINE_string(
        "output",
        None,
        "what to write: NAME.png (a grid) | NAME.gif (animated) | NAME/ (a new or empty "
        "folder, for PNG files)",
        flag_values=values,
    )
    flags.DEFINE_integer(
        "scale",
        None,
        "draw every pixel as a square of this many pixels (default: 4 in a grid or GIF "
        "of images below 64 pixels, else 1)",
        1,
        MAX_SCALE,
        flag_values=values,
    )


def check_output(path: str) -> None:
    """Checks that images can be written to `path`; makes the folders above it.

    Raises:
      UserError: the ending is unknown, a folder already holds something, or the place
        cannot be written to.
    """
    with disk_errors(path):
        target = Path(path).resolve()
        if _kind(path) == "folder":
            if target.exists() and not target.is_dir():
                raise UserError(f"{path} is a file; give a new or empty folder")
            if target.is_dir() and any(target.iterdir()):
                raise UserError(f"{path} is not empty; give a new or empty folder")
        elif target.is_dir():
            raise UserError(f"{path} is a folder; give the name of a file in it")
    check_writable(target.parent)


def write_images(
    path: str, images: np.ndarray, columns: int, scale: int | None = None
) -> None:
    """Writes all images, or nothing: what is at `path` is always complete.

    Grey GIFs keep every pixel's value; those in colour have at most 256 colours per
    frame. Frames that equal the one before are stored as one that is shown longer.

    Args:
      path: where to; its ending says what is written.
      images: [N, H, W, 1 or 3] float in [0, 1], N at least 1.
      columns: images per row of a grid.
      scale: see `define_output`.

    Raises:
      UserError: values are not finite, the picture would be too large, or the disk is
        full or not writable.
    """
    kind = _kind(path)
    count, height, width, _ = images.shape
    if not np.isfinite(images).all():
        raise UserError(f"the images for {path} hold values that are not finite")
    if scale is None:
        scale = 4 if kind != "folder" and max(height, width) < SMALL else 1
    if kind == "folder":
        _write_folder(path, [images_lib.encode_png(_enlarge(i, scale)) for i in images])
        return
    if count * height * width * scale**2 > MAX_PIXELS:
        raise UserError(
            f"{count} images of {width * scale}x{height * scale} pixels are too many for "
            f"{path}; use fewer, a smaller --scale, or a folder"
        )
    if kind == "grid":
        grid = images_lib.make_grid(images, columns)
        with atomic_file(path) as file:
            file.write(images_lib.encode_png(_enlarge(grid, scale)))
    else:
        _write_gif(path, [_enlarge(i, scale) for i in images_lib.to_uint8(images)])


def show_rows(rows: Sequence[np.ndarray], columns: int) -> Image.Image:
    """Returns a picture of arrays of images, each from the left of a row on.

    Small images are enlarged, as `write_images` does.

    Args:
      rows: [N, H, W, 1 or 3] float in [0, 1] each, of one shape but for N.
      columns: images per row, at least 1.
    """
    shape = rows[0].shape[1:]
    padded = []
    for images in rows:
        left = -len(images) % columns
        padded.append(np.concatenate([images, np.ones((left, *shape), np.float32)]))
    grid = images_lib.make_grid(np.concatenate(padded), columns)
    scale = 4 if max(shape[:2]) < SMALL else 1
    pixels = _enlarge(images_lib.to_uint8(grid), scale)
    return Image.fromarray(pixels[..., 0] if shape[-1] == 1 else pixels)


def _kind(path: str) -> Literal["grid", "gif", "folder"]:
    ending = Path(path).suffix
    if path.endswith(("/", os.sep)) or not ending:
        return "folder"
    if ending.lower() == ".png":
        return "grid"
    if ending.lower() == ".gif":
        return "gif"
    raise UserError(
        f"{path} ends in {ending}; possible are NAME.png (a grid), NAME.gif (animated) "
        "and NAME/ (a folder of PNG files)"
    )


def _enlarge(image: np.ndarray, scale: int) -> np.ndarray:
    """[H, W, C] -> [H * scale, W * scale, C], every pixel a square."""
    return image.repeat(scale, axis=0).repeat(scale, axis=1)


def _write_gif(path: str, frames: list[np.ndarray]) -> None:
    """Writes frames, uint8 [H, W, 1 or 3], that play in an endless loop."""
    pictures = [
        Image.fromarray(frame[..., 0] if frame.shape[-1] == 1 else frame)
        for frame in frames
    ]
    # In memory first: of a full disk Pillow only says "encoder error".
    content = io.BytesIO()
    pictures[0].save(
        content,
        format="GIF",
        save_all=True,
        append_images=pictures[1:],
        duration=[FRAME_MS] * (len(pictures) - 1) + [LAST_FRAME_MS],
        loop=0,
    )
    with atomic_file(path) as file:
        file.write(content.getvalue())


def _write_folder(path: str, files: list[bytes]) -> None:
    """Writes PNG files to a folder that takes its name when all are there."""
    target = Path(path).resolve()
    digits = max(3, len(str(len(files) - 1)))
    with (
        disk_errors(path),
        tempfile.TemporaryDirectory(
            dir=target.parent, prefix=f".{target.name}."
        ) as temporary,
    ):
        # One level deeper, for the temporary folder itself is private.
        folder = Path(temporary) / target.name
        folder.mkdir()
        for index, content in enumerate(files):
            (folder / f"image_{index:0{digits}d}.png").write_bytes(content)
        os.replace(folder, target)
