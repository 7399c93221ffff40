"""The comparison of edits: its table, its refusals, a tiny run from the command line."""

import numpy as np
import pytest

from dfcvae_tf.labels import ATTRIBUTES, CLASSES, Labels
from dfcvae_tf.models.flow import initial_parameters
from dfcvae_tf.prior_file import save_prior
from tests.faces import NAMES
from tests.programs import run_here, untrained_run
from tools import benchmark, label_edits
from tools.label_edits import Result


def labelled_run(folder, labels, shape=(16, 16, 3), **settings):
    """An untrained run whose prior moves latents by their label, in every other layer."""
    run = untrained_run(
        folder, shape, network="conv", depth=2, width=4, latent_dim=4, **settings
    )
    parameters = initial_parameters(np.zeros(4), np.ones(4), 0, len(labels.names))
    rng = np.random.default_rng(0)
    for name in ("shift_kernel", "label_kernel"):
        parameters[name] = rng.normal(size=parameters[name].shape).astype(np.float32)
    save_prior(run, "flow", parameters, {"labels": labels.facts()})
    return run


def test_a_line_for_each_attribute():
    results = {
        "reconstruction": Result(0.1, 0.0),
        "vector x 1": Result(0.5, 0.25),
        "prior": Result(0.876, 0.1),
    }
    lines = label_edits.table({("Smiling", 30): results}).splitlines()
    assert len({line.count("|") for line in lines}) == 1
    assert lines[2] == "| Smiling | 30 | 10.0% | 50.0% | 0.25 | 87.6% | 0.1 |"


def test_what_cannot_be_compared_is_one_line(tmp_path, capsys, tiny_celeba):
    classes = labelled_run(tmp_path / "classes", Labels(CLASSES, ("a", "b")))
    faces = labelled_run(
        tmp_path / "faces", Labels(ATTRIBUTES, NAMES), dataset=f"celeba:{tiny_celeba}"
    )
    for arguments, reason in (
        (["--run_dir=pretrained:mnist_vae", "--rounds=3"], "--rounds"),
        ([], "--run_dir is missing"),
        ([f"--run_dir={classes}"], "knows classes, and only attributes"),
        ([f"--run_dir={faces}"], "--judge is missing"),
        ([f"--run_dir={faces}", "--attributes=Smily"], "unknown attribute 'Smily'"),
    ):
        assert run_here(benchmark, "edits", *arguments) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert reason in line


@pytest.mark.slow
@pytest.mark.current_stack
def test_a_tiny_run_from_the_command_line(tmp_path, capsys, tiny_celeba):
    labels = Labels(ATTRIBUTES, NAMES)
    dataset = f"--dataset=celeba:{tiny_celeba}"
    run = labelled_run(tmp_path / "run", labels, dataset=f"celeba:{tiny_celeba}")
    arguments = ["--judge=photos", "--judge_layers=relu3_1", dataset]
    arguments.append("--attributes=Smiling,Male")
    code = run_here(benchmark, "edits", f"--run_dir={run}", *arguments)
    shown = capsys.readouterr()
    assert code == 0, shown.err
    assert "40 training and 14 test images of celeba" in shown.out
    rows = [
        line.split("|")[1:-1] for line in shown.out.splitlines() if "%" in line[:60]
    ]
    assert [row[0].strip() for row in rows if len(row) == 9] == ["Smiling", "Male"]
    for row in rows[:2]:
        moved = [float(cell) for cell in row[4::2]]
        assert 0 < moved[0] < moved[1] and moved[2] > 0
