"""dfcvae_tf/sample.py, as its users run it."""

import numpy as np
import pytest

from dfcvae_tf import sample
from dfcvae_tf.checkpoints import load_for_inference
from dfcvae_tf.labels import ATTRIBUTES, CLASSES, Labels
from dfcvae_tf.models.flow import initial_parameters
from dfcvae_tf.prior_file import save_prior
from tests.programs import read_grey, run_here, run_python, untrained_run

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


def labelled_run(folder, kind, names):
    """A run whose prior knows labels."""
    run = untrained_run(folder / "run", (28, 28, 1))
    labels = Labels(kind, names)
    parameters = initial_parameters(np.zeros(5), np.ones(5), 0, len(names))
    rng = np.random.default_rng(0)
    for name in ("shift_kernel", "label_kernel"):
        parameters[name] = rng.normal(size=parameters[name].shape).astype(np.float32)
    save_prior(run, "flow", parameters, {"labels": labels.facts()})
    return run


@pytest.mark.parametrize(
    ("kind", "asked"), [(CLASSES, "--label=b,a"), (ATTRIBUTES, "--attributes=b-a,a")]
)
def test_a_row_for_each_that_is_asked_for(tmp_path, capsys, kind, asked):
    run = labelled_run(tmp_path, kind, ("a", "b"))
    output = tmp_path / "out"
    arguments = [f"--run_dir={run}", "--count=3", asked, f"--output={output}/"]
    assert run_here(sample, *arguments) == 0
    first = "b" if kind == CLASSES else "b-a"
    assert f"3 samples each of {first}, a, of " in capsys.readouterr().out
    model = load_for_inference(run.path)
    rows = [[0, 1], [1, 0]] if kind == CLASSES else [[-1, 1], [1, 0]]
    noise = np.tile(model.noise(3, 0, 1.0), (2, 1))
    expected = model.generate(noise, np.float32(rows).repeat(3, axis=0))
    found = np.stack([read_grey(path) for path in sorted(output.iterdir())])
    np.testing.assert_allclose(found, expected[..., 0], atol=1 / 255)
    assert np.abs(expected[:3] - expected[3:]).max() > 0.02


@pytest.mark.parametrize(
    ("kind", "flags", "reason"),
    [
        (CLASSES, "--label=c", "unknown label 'c'; known: a, b."),
        (CLASSES, "--label=", "--label is empty; known: a, b"),
        (CLASSES, "--attributes=a", "knows classes: ask for them with --label"),
        (ATTRIBUTES, "--label=a", "knows attributes: ask for them with --attributes"),
        (ATTRIBUTES, "--attributes=a-a", "both with and without"),
        (CLASSES, "--label=a --attributes=a", "give one"),
        (CLASSES, "--label=a --prior=standard", "--prior=standard knows no labels"),
        (CLASSES, "--label=a,b --count=9999", "more than a picture holds"),
        (None, "--label=a", "knows no labels; `python -m dfcvae_tf.fit_prior"),
    ],
)
def test_what_cannot_be_asked_for_is_one_line(tmp_path, capsys, kind, flags, reason):
    if kind is None:
        run = untrained_run(tmp_path / "run", (28, 28, 1))
    else:
        run = labelled_run(tmp_path, kind, ("a", "b"))
    output = tmp_path / "a.png"
    arguments = [f"--run_dir={run}", f"--output={output}", *flags.split()]
    assert run_here(sample, *arguments) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert reason in line and not output.exists()


@pytest.mark.slow
def test_the_command(tmp_path):
    output = f"--output={tmp_path / 'a.png'}"
    done = run_python("-m", "dfcvae_tf.sample", f"--run_dir={RUN}", output)
    assert (done.returncode, done.stderr) == (0, "")
    assert read_grey(tmp_path / "a.png").shape == (4 * (8 * 30 + 2),) * 2
