"""What picture files show; Pillow's own decoding, OpenCV and NumPy are the oracles."""

import io
import os
import socket
import struct
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image, ImageOps

from dfcvae_tf.errors import UserError
from dfcvae_tf.picture_files import (
    UnreadablePicture,
    check_bits_in_use,
    read_picture,
)

RNG = np.random.default_rng(0)
PHOTO = cv2.resize(RNG.integers(0, 256, (12, 16, 3), dtype=np.uint8), (83, 61))


def png(values, color_type, bits=8, before=b""):
    """A PNG as the standard has it: values uint [H, W, C]; further chunks."""

    def chunk(name, data):
        checked = name + data
        return (
            struct.pack(">I", len(data))
            + checked
            + struct.pack(">I", zlib.crc32(checked))
        )

    height, width = values.shape[:2]
    rows = values.astype(">u2" if bits == 16 else np.uint8)
    header = struct.pack(">IIBBBBB", width, height, bits, color_type, 0, 0, 0)
    data = zlib.compress(b"".join(b"\0" + row.tobytes() for row in rows))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        [chunk(b"IHDR", header), before, chunk(b"IDAT", data), chunk(b"IEND", b"")]
    )


def chunk_of_key(*key):
    data = b"tRNS" + struct.pack(f">{len(key)}H", *key)
    return struct.pack(">I", len(data) - 4) + data + struct.pack(">I", zlib.crc32(data))


@pytest.fixture(name="read")
def _read(tmp_path):
    """A function (content of a file, ...) -> what it shows."""

    def read(content, **options):
        path = tmp_path / "picture.any"
        path.write_bytes(content)
        return read_picture(path, **options)

    return read


def saved(image, kind, **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("subsampling", ["4:4:4", "4:2:0"])
def test_a_jpeg_is_what_pillow_and_opencv_make_of_it(read, subsampling, progressive):
    content = saved(
        Image.fromarray(PHOTO),
        "JPEG",
        quality=75,
        subsampling=subsampling,
        progressive=progressive,
    )
    found = read(content)
    assert not found.is_transparent and found.largest is None
    np.testing.assert_array_equal(
        found.pixels, np.asarray(Image.open(io.BytesIO(content)))
    )
    decoded = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
    np.testing.assert_array_equal(found.pixels, decoded[..., ::-1])


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_orientation_is_honoured(read, kind):
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = orientation
        content = saved(Image.fromarray(PHOTO), kind, exif=exif)
        expected = ImageOps.exif_transpose(Image.open(io.BytesIO(content)))
        np.testing.assert_array_equal(read(content).pixels, np.asarray(expected))
        assert read(content).pixels.shape[:2] == ((61, 83), (83, 61))[orientation > 4]


def test_kinds_of_colour(read):
    photo = Image.fromarray(PHOTO)
    grey = photo.convert("L")
    few = photo.quantize(7)
    for content, shown, tolerance in (
        (saved(photo, "BMP"), photo, 0),
        (saved(photo, "TIFF", compression="tiff_lzw"), photo, 0),
        (saved(photo, "WEBP", lossless=True), photo, 0),
        (saved(photo.convert("CMYK"), "TIFF"), photo, 1),
        (saved(photo.convert("CMYK"), "JPEG", quality=100), photo, 12),
        (saved(few, "PNG"), few.convert("RGB"), 0),
        (
            saved(few, "GIF", save_all=True, append_images=[few.rotate(180)]),
            few.convert("RGB"),
            0,
        ),
        (saved(grey, "PNG"), grey, 0),
        (saved(grey, "JPEG", quality=100), grey, 3),
        (saved(grey.convert("1"), "PNG"), grey.convert("1").convert("L"), 0),
    ):
        found = read(content)
        wanted = np.asarray(shown, np.int16).reshape(61, 83, -1)
        assert found.pixels.dtype == np.uint8 and not found.is_transparent
        assert found.pixels.shape == wanted.shape
        assert np.abs(found.pixels - wanted).max() <= tolerance


@pytest.mark.parametrize("background", ["white", "black"])
def test_transparent_pixels_are_laid_on_the_ground(read, background):
    ground = 255 if background == "white" else 0
    for color_type, channels in ((4, 1), (6, 3)):
        for bits, full in ((8, 255), (16, 65535)):
            values = RNG.integers(0, full + 1, (9, 11, channels + 1))
            values[0, :3, -1] = 0, 1, full
            found = read(png(values, color_type, bits), background=background)
            alpha = values[..., -1:] / full
            expected = 255 * (values[..., :-1] / full) * alpha + ground * (1 - alpha)
            np.testing.assert_array_equal(found.pixels, np.rint(expected))
            assert found.is_transparent
            values[..., -1] = full
            assert not read(png(values, color_type, bits)).is_transparent


def test_one_value_or_entry_of_a_palette_may_be_transparent(read):
    for color_type, channels in ((0, 1), (2, 3)):
        for bits in (8, 16):
            values = RNG.integers(0, 2**bits, (9, 11, channels))
            values[values == values[2, 3]] ^= 1  # the key is in one place
            values[2, 3] = RNG.integers(0, 2**bits, channels)
            content = png(values, color_type, bits, chunk_of_key(*values[2, 3]))
            found = read(content)
            expected = np.rint(values * (255 / (2**bits - 1)))
            hidden = (values == values[2, 3]).all(axis=-1)
            expected[hidden] = 255
            np.testing.assert_array_equal(found.pixels, expected)
            assert found.is_transparent
    few = Image.fromarray(PHOTO).quantize(7)
    for kind in ("PNG", "GIF"):
        content = saved(few, kind, transparency=few.getpixel((5, 4)))
        rgba = np.asarray(Image.open(io.BytesIO(content)).convert("RGBA"))
        found = read(content)
        assert found.is_transparent and (found.pixels[4, 5] == 255).all()
        opaque = rgba[..., 3] == 255
        np.testing.assert_array_equal(found.pixels[opaque], rgba[opaque][:, :3])


def test_16_bits_become_8_and_are_rounded_once(read):
    every = np.arange(2**16).reshape(256, 256, 1)
    found = read(png(every, 0, 16))
    np.testing.assert_array_equal(found.pixels, np.rint(every / 257))
    assert found.largest == 65535 and found.pixels.dtype == np.uint8
    colours = RNG.integers(0, 2**16, (9, 11, 3))
    bgr = colours[..., ::-1].astype(np.uint16)
    for content in (png(colours, 2, 16), cv2.imencode(".tiff", bgr)[1].tobytes()):
        np.testing.assert_array_equal(read(content).pixels, np.rint(colours / 257))
    twelve = every[:16] % 4096
    found = read(png(twelve, 0, 16), bit_depth=12)
    np.testing.assert_array_equal(found.pixels, np.rint(twelve * (255 / 4095)))
    assert found.largest == 4095
    with pytest.raises(UserError, match="largest value is 4,095, with --bit_depth=11"):
        read(png(twelve, 0, 16), bit_depth=11)


def test_the_orientation_of_16_bits_is_honoured(read):
    values = RNG.integers(0, 2**16, (9, 11)).astype(np.uint16)
    exif = Image.Exif()
    exif[0x0112] = 6
    for kind in ("PNG", "TIFF"):
        found = read(saved(Image.fromarray(values), kind, exif=exif)).pixels[..., 0]
        np.testing.assert_array_equal(found, np.rot90(np.rint(values / 257), -1))


def test_fewer_bits_in_use_are_refused_unless_chosen():
    with pytest.raises(
        UserError, match="3 images have 16 .* 12 in use .*4,000.*depth=12"
    ):
        check_bits_in_use(4000, None, "3 images have")
    check_bits_in_use(4000, 16, "")
    check_bits_in_use(32768, None, "")


def test_size_is_known_before_decoding(read):
    for side, said in (
        (12_000, "12,000x12,000 = 144,000,000"),
        (30_000, "900,000,000"),
    ):
        row = np.zeros((1, side // 8), np.uint8)
        content = bytearray(png(row, 0))
        # One bit a pixel, and as many rows as there are columns.
        content[16:25] = struct.pack(">IIB", side, side, 1)
        content[29:33] = struct.pack(">I", zlib.crc32(content[12:29]))
        with pytest.raises(UserError, match=f"it has {said} pixels, .* 134,217,728"):
            read(bytes(content))


def test_what_is_no_picture_is_named(read, tmp_path):
    photo = Image.fromarray(PHOTO)
    whole = [
        saved(photo, kind) for kind in ("PNG", "JPEG", "WEBP", "GIF", "TIFF", "BMP")
    ]
    for content in whole:
        with pytest.raises(UnreadablePicture, match="picture.any is not .*: it is"):
            read(content[: len(content) * 2 // 3])
    no_white = saved(Image.fromarray(PHOTO[..., 0].astype(np.float32)), "TIFF")
    for content, reason in (
        (b"", "it is no PNG, JPEG, WebP, BMP, GIF or TIFF"),
        (b"text", "it is no PNG, JPEG"),
        (no_white, r"no value of its kind \(F\) is white"),
    ):
        with pytest.raises(UnreadablePicture, match=reason):
            read(content)
    os.mkfifo(tmp_path / "pipe.png")
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(tmp_path / "socket.png"))
    for path, reason in (
        (tmp_path, "it is a folder"),
        (tmp_path / "pipe.png", "it is a pipe or a device"),
        (tmp_path / "socket.png", "it is a pipe or a device"),
        ("/dev/null", "it is a pipe or a device"),
        (tmp_path / "absent.png", "cannot read image .*absent.png: No such file"),
        (
            os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.png"),
            "caf\ufffd.png: No such",
        ),
    ):
        with pytest.raises(UnreadablePicture, match=reason):
            read_picture(path)
