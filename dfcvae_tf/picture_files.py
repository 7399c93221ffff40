"""The one reader of picture files: what a file shows, as values of 8 bits.

What a file is goes by its content, never by its name. Orientation (EXIF) is honoured,
transparent pixels are laid on a ground, palettes and CMYK become RGB, of an animation the
first frame counts, 16 bits become 8. This module does not import TensorFlow.
"""

import contextlib
import os
import re
import stat
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, Literal

import cv2
import numpy as np
from PIL import Image, ImageFile, UnidentifiedImageError

from dfcvae_tf.errors import UserError

# Names of the files that are taken for pictures in a folder, in lower case.
ENDINGS = (
    ".bmp",
    ".gif",
    ".jfif",
    ".jpeg",
    ".jpg",
    ".png",
    ".tif",
    ".tiff",
    ".webp",
)
# Of the way pictures are read. Files without a number in their run's provenance were read
# without transparency and orientation, and with less exact colours.
READER = 2
# A small file can ask for any amount of memory; this takes up to 1 GB.
MAX_PIXELS = 2**27
FULL_DEPTH = 16

Background = Literal["white", "black"]

# As Pillow calls them.
_FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF")
_GREY_MODES = ("1", "L", "LA", "La")
_COLOUR_MODES = ("P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr")
# EXIF orientation -> whether rows and columns change places, then which are reversed.
_TURNS = {
    2: (False, False, True),
    3: (False, True, True),
    4: (False, True, False),
    5: (True, False, False),
    6: (True, False, True),
    7: (True, True, True),
    8: (True, True, False),
}
_ORIENTATION = 0x0112
_PHOTOMETRIC, _PLANAR = 262, 284  # tags of TIFF
_BLOCK_PIXELS = 2**20

# Pillow warns of odd metadata, and of large pictures below this module's own bound.
warnings.filterwarnings("ignore", module=r"PIL\.")


class UnreadablePicture(UserError):
    """A file cannot be read as a picture; `reason` says why, and does not name the file."""

    def __init__(self, message: str, reason: str):
        super().__init__(f"{message}: {reason}")
        self.reason = reason


class _Refused(Exception):
    """A picture cannot be read; the message is the reason."""


@dataclass(frozen=True)
class Picture:
    """What a file shows.

    Attributes:
      pixels: uint8 [H, W, C]; C is 1 when the file is grey, else 3 (RGB).
      is_transparent: whether the ground shows through some pixel.
      largest: of a file with 16 bits a value its largest value, in [0, 65535] and but
        for transparency; None of other files.
    """

    pixels: np.ndarray
    is_transparent: bool
    largest: int | None


def read_picture(
    path: str | bytes | os.PathLike,
    background: Background = "white",
    bit_depth: int | None = None,
) -> Picture:
    """Reads a picture file.

    Args:
      path: a PNG, JPEG, WebP, BMP, GIF or TIFF file, whatever its name.
      background: the ground that transparent pixels are laid on.
      bit_depth: of files with 16 bits a value the bits that are in use, 1 to 16: the
        largest value of so many bits is white. None is 16; see `check_bits_in_use`.

    Raises:
      UnreadablePicture: there is no such file; it is no regular file, no picture,
        damaged, larger than MAX_PIXELS, of a kind whose values have no white, or has
        values beyond `bit_depth`.
    """
    try:
        # Opening a pipe would wait for whoever writes to it.
        if not stat.S_ISREG(os.stat(path).st_mode):
            is_folder = os.path.isdir(path)
            raise _Refused(
                "it is a folder" if is_folder else "it is a pipe or a device"
            )
        with open(path, "rb") as file, _pillows_errors():
            return _read(file, background, bit_depth or FULL_DEPTH)
    except OSError as error:
        message = f"cannot read image {printable(path)}"
        raise UnreadablePicture(message, error.strerror or str(error)) from error
    except _Refused as error:
        message = f"{printable(path)} is not a readable image"
        raise UnreadablePicture(message, str(error)) from error


def check_bits_in_use(largest: int, bit_depth: int | None, what: str) -> None:
    """Refuses pictures that would be nearly black: 16 bits a value, and fewer in use.

    Args:
      largest: the largest value of 16-bit pictures that are read together.
      bit_depth: as given to `read_picture`. With a number nothing is refused: whoever
        gave it knows.
      what: the pictures, for the error, as in "3 images of PATH have".

    Raises:
      UserError: the number of bits in use, and the setting that reads them.
    """
    bits = max(1, largest.bit_length())
    if bit_depth is None and bits < FULL_DEPTH:
        raise UserError(
            f"{what} 16 bits a value and {bits} in use (the largest value is "
            f"{largest:,}): in training --bit_depth={bits} makes {2**bits - 1:,} white "
            "and --bit_depth=16 keeps 65,535 white; elsewhere convert them to 8 bits"
        )


def printable(path: str | bytes | os.PathLike) -> str:
    """Returns a path as text of one line: bytes that are no text become �, as controls do."""
    text = os.fsencode(path).decode("utf-8", "replace")
    return re.sub(r"[\x00-\x1f\x7f]", "\ufffd", text)


def _read(file: BinaryIO, background: Background, bit_depth: int) -> Picture:
    with Image.open(file, formats=_FORMATS) as image:
        width, height = image.size
        if width * height > MAX_PIXELS:
            raise _Refused(_too_large(width * height, f"{width:,}x{height:,} = "))
        # Bit-identical with Pillow's own decoding, which takes three times as long.
        is_plain_jpeg = image.format in ("JPEG", "MPO") and image.mode in ("L", "RGB")
        deep_kind = _deep_kind(image)  # before it is loaded
        if not is_plain_jpeg:
            image.load()
        orientation = _orientation(image)
        alpha: np.ndarray | None = None
        if is_plain_jpeg:
            values = _rgb(_decoded_by_opencv(file))
        elif deep_kind:
            key = image.info.get("transparency")
            values, alpha = _deep_values(_decoded_by_opencv(file), deep_kind, key)
        elif image.mode in _GREY_MODES or image.mode in _COLOUR_MODES:
            values, alpha = _plain_values(image)
        else:
            raise _Refused(
                f"no value of its kind ({image.mode}) is white; 8 and 16 bits are read"
            )
    full, largest = 255, None
    if deep_kind:
        full, largest = 2**bit_depth - 1, int(values.max())
        if largest > full:
            raise _Refused(
                f"its largest value is {largest:,}, with --bit_depth={bit_depth} it is "
                f"{full:,} at most"
            )
    if alpha is not None and alpha.min() == np.iinfo(alpha.dtype).max:
        alpha = None  # opaque throughout
    if deep_kind or alpha is not None:
        values = _blend(values, alpha, full, 255 if background == "white" else 0)
    return Picture(_turned(values, orientation), alpha is not None, largest)


@contextlib.contextmanager
def _pillows_errors() -> Iterator[None]:
    """Turns what Pillow and OpenCV raise, any exception for a damaged file, to _Refused."""
    try:
        yield
    except (_Refused, MemoryError):
        raise
    except UnidentifiedImageError as error:
        raise _Refused(
            "it is no PNG, JPEG, WebP, BMP, GIF or TIFF, or one of a kind that is not read"
        ) from error
    except Image.DecompressionBombError as error:
        # Pillow has a bound of its own, somewhat above MAX_PIXELS.
        found = re.search(r"\((\d+) pixels\)", str(error))
        raise _Refused(_too_large(int(found[1]) if found else None)) from error
    except Exception as error:
        raise _Refused("it is damaged or cut off") from error


def _too_large(pixels: int | None, size: str = "") -> str:
    count = "too many" if pixels is None else f"{size}{pixels:,}"
    return f"it has {count} pixels, the most that are read are {MAX_PIXELS:,}"


def _deep_kind(image: ImageFile.ImageFile) -> str:
    """Returns what a file with 16 bits a value has: I (grey), LA, RGB or RGBA; else "".

    Pillow itself gives out 8 of the bits, but of grey ones.
    """
    if image.format not in ("PNG", "TIFF") or not image.tile:
        return ""
    arguments = image.tile[0][3]
    raw_mode = arguments[0] if isinstance(arguments, tuple) else arguments
    kind, _, packing = str(raw_mode).partition(";")
    if not packing.startswith("16"):
        return ""
    tags = getattr(image, "tag_v2", {})
    plain = tags.get(_PHOTOMETRIC, 1) in (1, 2) and tags.get(_PLANAR, 1) == 1
    if kind not in ("I", "LA", "RGB", "RGBA") or packing.endswith("S") or not plain:
        raise _Refused("it has 16 bits a value in a form that is not read")
    return kind


def _orientation(image: Image.Image) -> int:
    """Returns the EXIF orientation, 1 to 8; both decoders have turned a TIFF already."""
    if image.format == "TIFF":
        return 1
    try:
        return image.getexif().get(_ORIENTATION, 1)
    except Exception:  # noqa: BLE001 -- damaged metadata: the pixels are fine
        return 1


def _turned(pixels: np.ndarray, orientation: int) -> np.ndarray:
    swap, rows, columns = _TURNS.get(orientation, (False, False, False))
    if swap:
        pixels = pixels.swapaxes(0, 1)
    return np.ascontiguousarray(pixels[:: -1 if rows else 1, :: -1 if columns else 1])


def _decoded_by_opencv(file: BinaryIO) -> np.ndarray:
    """Returns [H, W], BGR or BGRA as the file has it, of 8 or 16 bits."""
    file.seek(0)
    decoded = cv2.imdecode(np.frombuffer(file.read(), np.uint8), cv2.IMREAD_UNCHANGED)
    if decoded is None:
        raise _Refused("it is damaged or cut off")
    return decoded


def _rgb(decoded: np.ndarray) -> np.ndarray:
    """OpenCV's [H, W] or BGR [H, W, 3 or 4] -> [H, W, 1] or RGB [H, W, 3]."""
    if decoded.ndim == 2:
        return decoded[..., np.newaxis]
    alpha = decoded.shape[2] == 4
    return cv2.cvtColor(decoded, cv2.COLOR_BGRA2RGB if alpha else cv2.COLOR_BGR2RGB)


def _plain_values(image: Image.Image) -> tuple[np.ndarray, np.ndarray | None]:
    """Returns uint8 values [H, W, 1 or 3], and alpha [H, W, 1] where there may be any."""
    grey = image.mode in _GREY_MODES
    if image.has_transparency_data:
        pixels = np.asarray(image.convert("LA" if grey else "RGBA"))
        return pixels[..., :-1], pixels[..., -1:]
    pixels = np.asarray(image.convert("L" if grey else "RGB"))
    return (pixels[..., np.newaxis] if grey else pixels), None


def _deep_values(
    decoded: np.ndarray, kind: str, key: int | tuple[int, ...] | None
) -> tuple[np.ndarray, np.ndarray | None]:
    """Returns uint16 values [H, W, 1 or 3], and alpha [H, W, 1] if there is any.

    Args:
      decoded: uint16, as OpenCV has it: grey with transparency as BGRA.
      kind: see `_deep_kind`.
      key: the one value, or colour, that is transparent.
    """
    if decoded.dtype != np.uint16:
        raise _Refused("it has 16 bits a value in a form that is not read")
    values = _rgb(decoded)[..., : 1 if kind in ("I", "LA") else 3]
    if key is not None:
        hidden = np.all(values == np.asarray(key), axis=-1, keepdims=True)
        return values, np.where(hidden, 0, 65535).astype(np.uint16)
    return values, decoded[..., 3:] if kind in ("LA", "RGBA") else None


def _blend(
    values: np.ndarray, alpha: np.ndarray | None, full: int, ground: int
) -> np.ndarray:
    """Lays values on a ground, and scales them to 8 bits; rounds once.

    Args:
      values: [H, W, C] in [0, full].
      alpha: [H, W, 1], from 0 to the largest value of its type; None is opaque.
      full: the value that is white.
      ground: in [0, 255].

    Returns:
      uint8 [H, W, C].
    """
    blended = np.empty(values.shape, np.uint8)
    rows = max(1, _BLOCK_PIXELS // values.shape[1])
    for top in range(0, len(values), rows):
        part = slice(top, top + rows)
        shown = values[part] * (255 / full)
        if alpha is not None:
            opacity = alpha[part] / np.iinfo(alpha.dtype).max
            shown = shown * opacity + ground * (1 - opacity)
        blended[part] = np.rint(shown)
    return blended
