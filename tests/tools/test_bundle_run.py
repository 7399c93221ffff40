"""A bundled run is the run."""

from dfcvae_tf import run_dir as run_dir_lib
from tests.programs import run_here
from tools import bundle_run

SOURCE = run_dir_lib.PRETRAINED_DIR / "mnist_dfc_vae"


def test_a_bundled_run_is_the_run(tmp_path, monkeypatch):
    monkeypatch.setattr(run_dir_lib, "PRETRAINED_DIR", tmp_path)
    assert run_here(bundle_run, f"--run_dir={SOURCE}", "--name=mine") == 0
    copied = {
        p.relative_to(tmp_path / "mine") for p in (tmp_path / "mine").rglob("*.*")
    }
    for path in copied - {p for p in copied if p.name == "card.md"}:
        assert (tmp_path / "mine" / path).read_bytes() == (SOURCE / path).read_bytes()
    assert {p.name for p in copied} == {
        "config.json",
        "inference.npz",
        "prior.npz",
        "perceptual_energies.json",
        "card.md",
    }
    card = (tmp_path / "mine" / "card.md").read_text()
    assert card.startswith("# pretrained:mine") and "9375 steps of 128" in card
    # In place: a card can be written anew.
    assert run_here(bundle_run, "--run_dir=pretrained:mine", "--name=mine") == 0
