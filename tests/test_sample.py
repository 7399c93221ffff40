"""dfcvae_tf/sample.py, as its users run it."""

import os
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from dfcvae_tf import sample
from dfcvae_tf.checkpoints import load_for_inference
from dfcvae_tf.command_line import run_program
from dfcvae_tf.images import read_image

RUN = "pretrained:mnist_dfc_vae"


def sample_here(*arguments) -> object:
    """Runs the program in this process and returns its exit code."""
    with pytest.raises(SystemExit) as stop:
        run_program(
            sample.__doc__, sample.define_flags, sample.main, ["sample", *arguments]
        )
    return stop.value.code


def read_grey(path) -> np.ndarray:
    return read_image(path, channels=1)[..., 0]


def test_grid_is_nearly_square_and_repeatable(tmp_path, capsys):
    paths = [tmp_path / f"{name}.png" for name in "abc"]
    for path, seed in zip(paths, (7, 7, 8), strict=True):
        arguments = [f"--run_dir={RUN}", "--count=10", f"--seed={seed}"]
        assert sample_here(*arguments, f"--output={path}") == 0
    assert "a.png: 10 samples" in capsys.readouterr().out
    a, b, c = (path.read_bytes() for path in paths)
    assert a == b != c
    # Three rows of four, enlarged four times as is the padding of 2 pixels.
    assert read_grey(paths[0]).shape == (4 * (3 * 30 + 2), 4 * (4 * 30 + 2))


def test_temperature_0_is_the_image_of_the_origin(tmp_path):
    arguments = [f"--run_dir={RUN}", "--count=3", "--temperature=0"]
    assert sample_here(*arguments, f"--output={tmp_path / 'out'}/") == 0
    origin = load_for_inference(RUN).decoder(np.zeros([1, 5])).numpy()[0, ..., 0]
    images = [read_grey(path) for path in (tmp_path / "out").iterdir()]
    assert len(images) == 3
    for image in images:
        np.testing.assert_allclose(image, origin, atol=1 / 255)


def test_low_temperature_narrows_the_samples(tmp_path):
    spread = []
    for temperature in (0.3, 1.0):
        folder = tmp_path / str(temperature) / "images"
        arguments = [f"--run_dir={RUN}", "--count=30", f"--temperature={temperature}"]
        assert sample_here(*arguments, f"--output={folder}") == 0
        images = np.stack([read_grey(path) for path in sorted(folder.iterdir())])
        spread.append(images.std(axis=0).mean())
    assert spread[0] < 0.7 * spread[1]


def test_gif_has_a_frame_per_sample(tmp_path):
    path = tmp_path / "a.gif"
    arguments = [f"--run_dir={RUN}", "--count=5", "--scale=2"]
    assert sample_here(*arguments, f"--output={path}") == 0
    with Image.open(path) as gif:
        assert (gif.n_frames, gif.size) == (5, (56, 56))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--output=a.png"], "--run_dir is missing"),
        ([f"--run_dir={RUN}"], "--output is missing"),
        (["--count=0"], "0 is not an integer in the range [1, 10000]"),
        (["--count=many"], "many"),
        (["--scale=0"], "[1, 32]"),
        (["--temperature=-0.1"], "--temperature=-0.1: must be a number from 0 up"),
        (["--temperature=nan"], "--temperature"),
        (["--temperature=inf"], "--temperature"),
        (["--seed=-1"], "--seed="),
        (["--output=a.bmp"], "ends in .bmp; possible are NAME.png"),
        ([f"--output={__file__}/a.png"], "cannot write"),
        (["--run_dir=absent"], "no such run directory: absent"),
        (["--run_dir=."], "is not a run directory"),
        (["--run_dir=pretrained:mnist_vea"], "Did you mean 'mnist_vae'?"),
    ],
)
def test_wrong_input_is_one_line_before_tensorflow(
    tmp_path, monkeypatch, capsys, arguments, message
):
    monkeypatch.chdir(tmp_path)

    def fail():
        raise AssertionError("TensorFlow would be imported")

    monkeypatch.setattr(sample, "import_tensorflow", fail)
    if "missing" not in message:
        arguments = [f"--run_dir={RUN}", "--output=a.png", *arguments]
    assert sample_here(*arguments) == 2
    shown = capsys.readouterr()
    assert message in shown.err and shown.err.count("\n") == 1
    assert not shown.out and not list(tmp_path.iterdir())


@pytest.mark.slow
def test_the_command(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "dfcvae_tf.sample", f"--run_dir={RUN}"]
        + [f"--output={tmp_path / 'a.png'}"],
        capture_output=True,
        text=True,
        check=False,
        env={k: v for k, v in os.environ.items() if k != "TF_CPP_MIN_LOG_LEVEL"},
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert read_grey(tmp_path / "a.png").shape == (4 * (8 * 30 + 2),) * 2
