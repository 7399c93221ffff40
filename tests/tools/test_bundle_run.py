"""A bundled run is the run."""

import pytest

from dfcvae_tf import run_dir as run_dir_lib
from dfcvae_tf.command_line import run_program
from tools import bundle_run

SOURCE = run_dir_lib.PRETRAINED_DIR / "mnist_dfc_vae"


def bundle(*arguments):
    with pytest.raises(SystemExit) as stop:
        run_program(
            None, bundle_run.define_flags, bundle_run.main, ["bundle_run", *arguments]
        )
    return stop.value.code


def test_a_bundled_run_is_the_run(tmp_path, monkeypatch):
    monkeypatch.setattr(run_dir_lib, "PRETRAINED_DIR", tmp_path)
    assert bundle(f"--run_dir={SOURCE}", "--name=mine") == 0
    copied = {
        p.relative_to(tmp_path / "mine") for p in (tmp_path / "mine").rglob("*.*")
    }
    for path in copied - {p for p in copied if p.name == "card.md"}:
        assert (tmp_path / "mine" / path).read_bytes() == (SOURCE / path).read_bytes()
    assert {p.name for p in copied} == {
        "config.json",
        "inference.npz",
        "perceptual_energies.json",
        "card.md",
    }
    card = (tmp_path / "mine" / "card.md").read_text()
    assert card.startswith("# pretrained:mine") and "9375 steps of 128" in card
    # In place: a card can be written anew.
    assert bundle("--run_dir=pretrained:mine", "--name=mine") == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--name=mine"], "--run_dir is missing"),
        ([f"--run_dir={SOURCE}"], "--name is missing"),
        ([f"--run_dir={SOURCE}", "--name=../mine"], "must be a plain name"),
        (["--run_dir=nowhere", "--name=mine"], "no such run directory"),
    ],
)
def test_wrong_input(arguments, message, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(run_dir_lib, "PRETRAINED_DIR", tmp_path)
    assert bundle(*arguments) == 2
    assert message in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
