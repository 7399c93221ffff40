"""Priors of whole runs: when training ends, and afterwards."""

from functools import partial

import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from dfcvae_tf import fit_prior, sample, train
from dfcvae_tf.checkpoints import load_for_inference
from dfcvae_tf.data.synthetic import SHAPES
from dfcvae_tf.files import read_json, write_json
from dfcvae_tf.prior_file import read_facts
from dfcvae_tf.run_dir import RunDir
from dfcvae_tf.training import prior_fitting
from tests.programs import read_grey, run_here

SMALL = [
    "--dataset=synthetic",
    "--network=conv",
    "--width=2",
    "--batch_size=16",
    "--objective=vae",
    "--steps=10",
    "--prior=flow",
]


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setattr(prior_fitting, "FLOW_STEPS", 20)
    monkeypatch.setattr(prior_fitting, "LABELLED_FLOW_STEPS", 20)
    monkeypatch.setattr(prior_fitting, "_LOOK_EVERY", 20)
    monkeypatch.setattr(prior_fitting, "_MIXTURE_ROUNDS", 2)
    monkeypatch.setattr(prior_fitting, "_MIXTURE_DRAWS", 500)
    monkeypatch.setattr(prior_fitting, "_HELD_OUT", 500)
    # Latents after ten steps tell nothing of classes.
    monkeypatch.setattr(prior_fitting, "label_gain", lambda *_: 1.0)


@pytest.mark.slow
def test_training_ends_with_a_prior_of_its_weights(tmp_path, monkeypatch, capsys):
    run = RunDir(tmp_path / "run")
    train_run = partial(run_here, train, *SMALL, f"--run_dir={run}")
    picture = tmp_path / "a.png"
    draw = partial(run_here, sample, f"--run_dir={run}", f"--output={picture}")

    def interrupt(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(prior_fitting, "_keep_best", interrupt)
        assert train_run() == 1
    assert run.weights.is_file() and not run.prior.exists()
    assert draw() == 2
    assert "has no learned prior" in capsys.readouterr().err
    assert draw("--prior=standard") == 0
    standard = read_grey(picture)

    assert train_run() == 0  # fits what is missing
    assert read_facts(run)["kind"] == "flow"
    assert (
        "flow that knows 3 classes (worth 1.00 nats), held-out"
        in capsys.readouterr().out
    )
    assert load_for_inference(run.path).labels.names == SHAPES
    pictures = (
        EventAccumulator(str(run.tensorboard / "train")).Reload().Tags()["tensors"]
    )
    assert "samples_by_label" in pictures
    assert draw() == 0
    assert np.abs(read_grey(picture) - standard).max() > 0.01
    before = run.prior.read_bytes()
    with monkeypatch.context() as patched:
        patched.setattr(prior_fitting, "_keep_best", interrupt)
        assert train_run() == 0  # nothing is missing
    assert run.prior.read_bytes() == before

    assert train_run("--steps=20", "--override") == 0
    assert read_facts(run)["weights_sha256"] not in str(before)
    load_for_inference(run.path)


@pytest.mark.slow
@pytest.mark.current_stack
def test_a_finished_run_is_given_another_prior(tmp_path, capsys, caplog):
    run = RunDir(tmp_path / "run")
    assert run_here(train, *SMALL, "--prior=standard", f"--run_dir={run}") == 0
    assert not run.prior.exists()
    for kind, *labels in (("flow", "--prior_labels=none"), ("gmm",)):
        assert run_here(fit_prior, f"--run_dir={run}", f"--prior={kind}", *labels) == 0
        assert f"prior.npz: {kind}, held-out log-likelihood" in capsys.readouterr().out
        assert read_facts(run)["kind"] == kind
        assert load_for_inference(run.path).labels is None
    before = run.prior.read_bytes()
    assert run_here(fit_prior, f"--run_dir={run}", "--prior=gmm") == 0
    assert run.prior.read_bytes() == before
    assert "other images" not in caplog.text
    content = read_json(run.config)
    images = content["provenance"]["num_images"]
    elsewhere = {"data_digest": "another", "num_images": images | {"test": 7}}
    changed = {**content, "provenance": {**content["provenance"], **elsewhere}}
    write_json(run.config, changed)
    assert run_here(fit_prior, f"--run_dir={run}", "--prior=gmm") == 0
    assert "was trained on other images (images " in caplog.text
    assert read_facts(run)["num_images"] == images
    write_json(run.config, content)
    assert run_here(fit_prior, f"--run_dir={run}", "--prior=standard") == 0
    assert "drawn from N(0, I)" in capsys.readouterr().out
    assert read_facts(run)["kind"] == "standard"
    # Training again fits what is missing, and nothing in place of what was chosen.
    assert run_here(train, *SMALL, f"--run_dir={run}") == 0
    assert "the prior that these weights have, standard" in caplog.text
    assert read_facts(run)["kind"] == "standard"
    assert not load_for_inference(run.path).has_learned_prior
