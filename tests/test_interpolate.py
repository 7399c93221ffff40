"""dfcvae_tf/interpolate.py, as its users run it."""

import shutil

import cv2
import numpy as np
import pytest
import tensorflow as tf

from dfcvae_tf import interpolate
from dfcvae_tf.checkpoints import load_for_inference
from dfcvae_tf.data.mnist_sample import SAMPLE_PATH
from dfcvae_tf.files import read_arrays
from dfcvae_tf.models.flow import initial_parameters
from dfcvae_tf.prior_file import save_prior
from dfcvae_tf.run_dir import RunDir, resolve
from tests.programs import read_grey, run_here, run_python

RUN = "pretrained:mnist_dfc_vae"
START, END = 5531, 4526  # a 5 and a 3
ENDS = [f"--run_dir={RUN}", f"--start={START}", f"--end={END}"]


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
    assert run_here(interpolate, *ENDS, f"--output={path}", "--scale=1") == 0
    assert "row.png: 11 images from 5531 to 4526" in capsys.readouterr().out
    grid = read_grey(path)
    assert grid.shape == (32, 11 * 30 + 2)
    for index, image in enumerate(line):
        left = 2 + 30 * index
        found = grid[2:30, left : left + 28]
        np.testing.assert_allclose(found, image, atol=1 / 255)


def test_more_than_a_row_is_wrapped(tmp_path):
    path = tmp_path / "rows.png"
    assert run_here(interpolate, *ENDS, "--steps=12", f"--output={path}") == 0
    assert read_grey(path).shape == (4 * 62, 4 * (11 * 30 + 2))


def test_images_from_files_to_a_folder(tmp_path, line, digits):
    start, end = tmp_path / "start.png", tmp_path / "7"
    start.write_bytes(cv2.imencode(".png", digits[0])[1].tobytes())
    end.write_bytes(cv2.imencode(".png", digits[1])[1].tobytes())
    folder = tmp_path / "way"
    assert (
        run_here(
            interpolate,
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


def test_ink_on_paper_is_read_as_the_digit_it_is(tmp_path, line, digits, caplog):
    for name, digit in zip(("start.png", "end.png"), digits, strict=True):
        written = 220 - digit // 4 * 3
        (tmp_path / name).write_bytes(cv2.imencode(".png", written)[1].tobytes())
    path = tmp_path / "row.png"
    ends = [f"--start={tmp_path / 'start.png'}", f"--end={tmp_path / 'end.png'}"]
    run = [f"--run_dir={RUN}", "--steps=10", "--scale=1", f"--output={path}"]
    assert run_here(interpolate, *run, *ends) == 0
    assert "start.png: inverted and stretched, as the run's images lie on a dark" in (
        caplog.text
    )
    found = read_grey(path)
    np.testing.assert_allclose(found[2:30, 2:30], line[0], atol=0.1)
    np.testing.assert_allclose(found[2:30, -30:-2], line[-1], atol=0.1)


def test_spherical_is_another_way_between_the_same_ends(tmp_path, line):
    folder = tmp_path / "way"
    assert run_here(interpolate, *ENDS, "--path=spherical", f"--output={folder}") == 0
    found = np.stack([read_grey(path) for path in sorted(folder.iterdir())])
    np.testing.assert_allclose(found[[0, -1]], line[[0, -1]], atol=1 / 255)
    assert np.abs(found[5] - line[5]).max() > 0.1


def test_indices_point_into_the_dataset_given(tmp_path):
    folder = tmp_path / "way"
    arguments = [f"--run_dir={RUN}", "--start=0", "--end=499", "--steps=1"]
    arguments += ["--dataset=synthetic", f"--output={folder}"]
    assert run_here(interpolate, *arguments) == 0
    assert len(list(folder.iterdir())) == 2


@pytest.mark.slow
def test_the_command(tmp_path):
    output = f"--output={tmp_path / 'a.gif'}"
    done = run_python("-m", "dfcvae_tf.interpolate", *ENDS, output)
    assert (done.returncode, done.stderr) == (0, "")
    assert tf.io.decode_gif((tmp_path / "a.gif").read_bytes()).shape[0] == 11


def test_through_noise_ends_are_the_same_and_the_way_is_another(tmp_path, line, caplog):
    run = RunDir(tmp_path / "run")
    shutil.copytree(resolve(RUN).path, run.path)
    parameters = initial_parameters(np.zeros(5), np.ones(5), seed=0)
    bent = np.random.default_rng(0).normal(0, 0.1, parameters["kernel2"].shape)
    parameters["kernel2"] += bent.astype(np.float32)
    parameters["shift_bias"] += np.float32(0.5)
    parameters["shift_kernel"] *= np.float32(50)
    save_prior(run, "flow", parameters, {})
    output = f"--output={tmp_path / 'way'}/"
    given = [f"--run_dir={run}", *ENDS[1:], output, "--scale=1"]
    assert run_here(interpolate, *given, "--space=noise") == 0
    way = [read_grey(path) for path in sorted((tmp_path / "way").iterdir())]
    assert len(way) == len(line)
    for place in (0, -1):
        np.testing.assert_allclose(way[place], line[place], atol=2 / 255)
    assert np.abs(way[5] - line[5]).max() > 0.1

    save_prior(run, "standard", {}, {})
    given[3] = f"--output={tmp_path / 'another way'}/"
    assert run_here(interpolate, *given, "--space=noise") == 0
    assert "noise and latents are the same" in caplog.text
