"""Grids, GIFs and folders on disk."""

import errno
import os
from pathlib import Path

import cv2
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from dfcvae_tf import image_files
from dfcvae_tf.errors import UserError


def noise(*shape) -> np.ndarray:
    """Whole steps of 1/255, so that files can hold them exactly."""
    return np.random.default_rng(0).integers(0, 256, shape) / 255


def read_png(path) -> np.ndarray:
    """[H, W, 3] RGB in [0, 1]."""
    return np.asarray(cv2.imread(str(path)))[..., ::-1] / 255


@pytest.mark.parametrize(
    ("size", "scale", "drawn"), [(63, None, 4), (64, None, 1), (5, 3, 3)]
)
def test_grid_is_enlarged_by_squares(tmp_path, size, scale, drawn):
    path = tmp_path / "new" / "grid.PNG"
    images = noise(3, 4, size, 3)
    image_files.write_images(str(path), images, columns=2, scale=scale)
    grid = read_png(path)
    padding = 2 * drawn
    assert grid.shape == (8 * drawn + 3 * padding, 2 * size * drawn + 3 * padding, 3)
    second = grid[padding:, padding + size * drawn + padding :][: 4 * drawn, :-padding]
    square = np.ones((drawn, drawn, 1))
    np.testing.assert_allclose(second, np.kron(images[1], square), atol=1e-6)


def test_grey_gif_keeps_every_value(tmp_path):
    path = str(tmp_path / "a.gif")
    images = np.repeat(noise(1, 16, 16, 1), 4, axis=0)
    images[0, ..., 0] = np.arange(256).reshape(16, 16) / 255
    images[2, 3:5, 7:9] = 1 - images[2, 3:5, 7:9]  # frames that differ in a corner only
    images[3, 0, 0] = 1 - images[3, 0, 0]
    image_files.write_images(path, images, columns=1, scale=2)
    frames = tf.io.decode_gif(Path(path).read_bytes()).numpy() / 255
    expected = np.kron(images, np.ones((1, 2, 2, 3)))
    np.testing.assert_allclose(frames, expected, atol=1e-6)
    with Image.open(path) as gif:
        assert gif.info["loop"] == 0  # without end
        durations = []
        for index in range(gif.n_frames):
            gif.seek(index)
            durations.append(gif.info["duration"])
    assert durations == [80, 80, 80, 1000]


def test_colour_gif(tmp_path):
    path = str(tmp_path / "a.gif")
    few = noise(3, 16, 16, 3)  # 256 colours each
    image_files.write_images(path, few, columns=1, scale=1)
    frames = tf.io.decode_gif(Path(path).read_bytes()).numpy() / 255
    np.testing.assert_allclose(frames, few, atol=1e-6)

    ramp = np.linspace(0, 1, 64)
    many = np.stack(np.broadcast_arrays(ramp[:, None], ramp, 0.5), axis=-1)[None]
    image_files.write_images(path, many, columns=1)
    frames = tf.io.decode_gif(Path(path).read_bytes()).numpy() / 255
    assert np.abs(frames - many).max() < 0.08
    assert np.abs(frames - many).mean() < 0.02


def test_equal_frames_of_a_gif_are_one_for_as_long(tmp_path):
    path = str(tmp_path / "a.gif")
    image_files.write_images(path, np.full((4, 9, 7, 1), 0.5), columns=1)
    with Image.open(path) as gif:
        assert (gif.n_frames, gif.info["duration"]) == (1, 3 * 80 + 1000)


@pytest.mark.parametrize("name", ["frames", "frames/", "v1.5/"])
def test_folder_holds_the_images_as_they_are(tmp_path, name):
    images = noise(3, 4, 5, 3)
    folder = tmp_path / name
    folder.mkdir()  # an empty one is taken
    path = str(tmp_path) + "/" + name
    image_files.check_output(path)
    image_files.write_images(path, images, columns=1)
    assert [p.name for p in tmp_path.iterdir()] == [folder.name]
    assert sorted(p.name for p in folder.iterdir()) == [
        f"image_00{index}.png" for index in range(3)
    ]
    for index, image in enumerate(images):
        found = read_png(folder / f"image_00{index}.png")
        np.testing.assert_allclose(found, image, atol=1e-6)
    (tmp_path / "other").mkdir()
    assert folder.stat().st_mode == (tmp_path / "other").stat().st_mode


def test_file_names_sort_in_order(tmp_path):
    folder = tmp_path / "many"
    image_files.write_images(str(folder), np.zeros((1001, 1, 1, 1)), columns=1)
    names = sorted(p.name for p in folder.iterdir())
    assert (names[0], names[-1]) == ("image_0000.png", "image_1000.png")


@pytest.mark.parametrize("name", ["a.png", "a.gif", "a/"])
def test_full_disk_leaves_what_was_there(tmp_path, monkeypatch, name):
    path = str(tmp_path / name) + ("/" if name.endswith("/") else "")
    if "." in name:
        Path(path).write_text("before")

    def full(*arguments):
        raise OSError(errno.ENOSPC, "full")

    # What writes the bytes of a folder's files, and what ends the writing of one file.
    monkeypatch.setattr(Path, "write_bytes", full)
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(UserError, match="no space left on the disk of .*/a"):
        image_files.write_images(path, noise(2, 4, 4, 1), columns=2)
    assert [p.name for p in tmp_path.iterdir()] == ([name] if "." in name else [])
    if "." in name:
        assert Path(path).read_text() == "before"


def test_unusable_outputs_are_refused(tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "letter.txt").write_text("dear")
    (tmp_path / "dir.png").mkdir()
    (tmp_path / "file").write_text("")
    for name, message in {
        "a.jpg": r"ends in .jpg; possible are NAME.png .*, NAME.gif .* and NAME/",
        "full": "full is not empty; give a new or empty folder",
        "full/": "full/ is not empty",
        "dir.png": "is a folder; give the name of a file in it",
        "file": "is a file; give a new or empty folder",
        "file/a.png": "cannot write",
        "file/a": "cannot write",
    }.items():
        with pytest.raises(UserError, match=message):
            image_files.check_output(f"{tmp_path}/{name}")
    assert len(list(tmp_path.iterdir())) == 3
    image_files.check_output(f"{tmp_path}/full/a.png")
    image_files.check_output(f"{tmp_path}/new/a")
    assert not list((tmp_path / "new").iterdir())


def test_images_that_make_no_picture_are_refused(tmp_path):
    with pytest.raises(UserError, match="not finite"):
        image_files.write_images(f"{tmp_path}/a.png", np.full((1, 2, 2, 1), np.nan), 1)
    for name in ("a.png", "a.gif"):
        with pytest.raises(
            UserError, match="9 images of 2240x2240 pixels are too many"
        ):
            image_files.write_images(f"{tmp_path}/{name}", noise(9, 70, 70, 1), 3, 32)
    assert not list(tmp_path.iterdir())
