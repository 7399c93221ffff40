"""dfcvae_tf/interpolate.py, as its users run it."""

import os
import subprocess
import sys

import cv2
import numpy as np
import pytest
import tensorflow as tf

from dfcvae_tf import interpolate
from dfcvae_tf.checkpoints import load_for_inference
from dfcvae_tf.command_line import run_program
from dfcvae_tf.data.mnist_sample import SAMPLE_PATH
from dfcvae_tf.files import read_arrays
from dfcvae_tf.images import read_image

RUN = "pretrained:mnist_dfc_vae"
START, END = 5531, 4526  # a 5 and a 3
ENDS = [f"--run_dir={RUN}", f"--start={START}", f"--end={END}"]


def interpolate_here(*arguments) -> object:
    """Runs the program in this process and returns its exit code."""
    with pytest.raises(SystemExit) as stop:
        run_program(
            interpolate.__doc__,
            interpolate.define_flags,
            interpolate.main,
            ["interpolate", *arguments],
        )
    return stop.value.code


def read_grey(path) -> np.ndarray:
    return read_image(path, channels=1)[..., 0]


@pytest.fixture(scope="module")
def digits() -> np.ndarray:
    """Start and end, uint8 [2, 28, 28, 1]."""
    return read_arrays(SAMPLE_PATH)["test_images"][[START, END]]


@pytest.fixture(scope="module")
def line(digits) -> np.ndarray:
    """What ten steps on the straight line decode to, [11, 28, 28]."""
    model = load_for_inference(RUN)
    z = model.encoder(digits / np.float32(255))[0].numpy()
    points = z[0] + np.linspace(0, 1, 11)[:, np.newaxis] * (z[1] - z[0])
    return model.decoder(points).numpy()[..., 0]


def test_png_is_one_row(tmp_path, capsys, line):
    path = tmp_path / "row.png"
    assert interpolate_here(*ENDS, f"--output={path}", "--scale=1") == 0
    assert "row.png: 11 images from 5531 to 4526" in capsys.readouterr().out
    grid = read_grey(path)
    assert grid.shape == (32, 11 * 30 + 2)
    for index, image in enumerate(line):
        left = 2 + 30 * index
        found = grid[2:30, left : left + 28]
        np.testing.assert_allclose(found, image, atol=1 / 255)


def test_more_than_a_row_is_wrapped(tmp_path):
    path = tmp_path / "rows.png"
    assert interpolate_here(*ENDS, "--steps=12", f"--output={path}") == 0
    assert read_grey(path).shape == (4 * 62, 4 * (11 * 30 + 2))


def test_gif_has_a_frame_per_image(tmp_path, line):
    path = tmp_path / "way.gif"
    assert interpolate_here(*ENDS, f"--output={path}") == 0
    frames = tf.io.decode_gif(path.read_bytes()).numpy() / 255
    assert frames.shape == (11, 112, 112, 3)
    expected = np.kron(line, np.ones((1, 4, 4)))[..., np.newaxis].repeat(3, -1)
    np.testing.assert_allclose(frames, expected, atol=1 / 255)


def test_images_from_files_to_a_folder(tmp_path, line, digits):
    start, end = tmp_path / "start.png", tmp_path / "7"
    start.write_bytes(cv2.imencode(".png", digits[0])[1].tobytes())
    end.write_bytes(cv2.imencode(".png", digits[1])[1].tobytes())
    folder = tmp_path / "way"
    assert (
        interpolate_here(
            f"--run_dir={RUN}",
            f"--start={start}",
            f"--end={end}",  # the path is not digits alone
            "--steps=5",
            f"--output={folder}/",
        )
        == 0
    )
    names = sorted(path.name for path in folder.iterdir())
    assert names == [f"image_00{index}.png" for index in range(6)]
    found = np.stack([read_grey(folder / name) for name in names])
    np.testing.assert_allclose(found, line[::2], atol=1 / 255)


def test_spherical_is_another_way_between_the_same_ends(tmp_path, line):
    folder = tmp_path / "way"
    assert interpolate_here(*ENDS, "--path=spherical", f"--output={folder}") == 0
    found = np.stack([read_grey(path) for path in sorted(folder.iterdir())])
    np.testing.assert_allclose(found[[0, -1]], line[[0, -1]], atol=1 / 255)
    assert np.abs(found[5] - line[5]).max() > 0.1


def test_indices_point_into_the_dataset_given(tmp_path):
    folder = tmp_path / "way"
    arguments = [f"--run_dir={RUN}", "--start=0", "--end=499", "--steps=1"]
    arguments += ["--dataset=synthetic", f"--output={folder}"]
    assert interpolate_here(*arguments) == 0
    assert len(list(folder.iterdir())) == 2


WRONG = [
    (["--start="], "--start is missing"),
    (["--end="], "--end is missing"),
    (["--run_dir="], "--run_dir is missing"),
    (["--output="], "--output is missing"),
    (["--steps=0"], "0 is not an integer in the range [1, 9999]"),
    (["--path=round"], "<linear|spherical>"),
    (["--start=-1"], "cannot read image -1: No such file"),
    (["--end=absent.png"], "cannot read image absent.png: No such file"),
    ([f"--end={__file__}"], "is not a readable image; PNG and JPEG are"),
    (["--output=a.mp4"], "ends in .mp4; possible are NAME.png"),
    (["--run_dir=absent"], "no such run directory: absent"),
]


@pytest.mark.parametrize(("arguments", "message"), WRONG)
def test_wrong_input_is_one_line_before_tensorflow(
    tmp_path, monkeypatch, capsys, arguments, message
):
    monkeypatch.chdir(tmp_path)

    def fail():
        raise AssertionError("TensorFlow would be imported")

    monkeypatch.setattr(interpolate, "import_tensorflow", fail)
    assert interpolate_here(*ENDS, "--output=a.png", *arguments) == 2
    shown = capsys.readouterr()
    assert message in shown.err and shown.err.count("\n") == 1
    assert not shown.out and not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--end=10000"], "no test image 10000; those of mnist_sample are 0 to 9999"),
        (
            ["--dataset=synthetic"],
            "no test image 5531; those of synthetic are 0 to 499",
        ),
        (["--dataset=minst"], "Did you mean 'mnist'"),
        (
            ["--dataset=mnist", "--offline", "--data_dir=."],
            "mnist is not prepared in .",
        ),
        (["--steps=50", "--scale=32"], "too many for a.png"),
    ],
)
def test_what_only_the_data_can_tell_is_one_line_too(
    tmp_path, monkeypatch, capsys, arguments, message
):
    monkeypatch.chdir(tmp_path)
    assert interpolate_here(*ENDS, "--output=a.png", *arguments) == 2
    shown = capsys.readouterr()
    assert message in shown.err and shown.err.count("\n") == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_the_command(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "dfcvae_tf.interpolate", *ENDS]
        + [f"--output={tmp_path / 'a.gif'}"],
        capture_output=True,
        text=True,
        check=False,
        env={k: v for k, v in os.environ.items() if k != "TF_CPP_MIN_LOG_LEVEL"},
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert tf.io.decode_gif((tmp_path / "a.gif").read_bytes()).shape[0] == 11
