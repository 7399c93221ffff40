"""dfcvae_tf/sample.py, as its users run it."""

import numpy as np
import pytest

from dfcvae_tf import sample
from dfcvae_tf.checkpoints import load_for_inference
from tests.programs import read_grey, run_here, run_python

RUN = "pretrained:mnist_dfc_vae"


def test_grid_is_nearly_square_and_repeatable(tmp_path, capsys):
    paths = [tmp_path / f"{name}.png" for name in "abc"]
    for path, seed in zip(paths, (7, 7, 8), strict=True):
        arguments = [f"--run_dir={RUN}", "--count=10", f"--seed={seed}", "--scale=2"]
        assert run_here(sample, *arguments, f"--output={path}") == 0
    assert "a.png: 10 samples" in capsys.readouterr().out
    a, b, c = (path.read_bytes() for path in paths)
    assert a == b != c
    # Three rows of four, enlarged as is the padding of 2 pixels.
    assert read_grey(paths[0]).shape == (2 * (3 * 30 + 2), 2 * (4 * 30 + 2))


def test_temperature_0_is_the_image_of_no_noise(tmp_path):
    arguments = [f"--run_dir={RUN}", "--count=3", "--temperature=0"]
    assert run_here(sample, *arguments, f"--output={tmp_path / 'out'}/") == 0
    origin = load_for_inference(RUN).generate(np.zeros([1, 5]))[0, ..., 0]
    images = [read_grey(path) for path in (tmp_path / "out").iterdir()]
    assert len(images) == 3
    for image in images:
        np.testing.assert_allclose(image, origin, atol=1 / 255)


@pytest.mark.slow
def test_the_command(tmp_path):
    output = f"--output={tmp_path / 'a.png'}"
    done = run_python("-m", "dfcvae_tf.sample", f"--run_dir={RUN}", output)
    assert (done.returncode, done.stderr) == (0, "")
    assert read_grey(tmp_path / "a.png").shape == (4 * (8 * 30 + 2),) * 2
