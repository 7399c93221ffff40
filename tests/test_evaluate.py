"""dfcvae_tf/evaluate.py, as its users run it."""

import dataclasses
import json
import os

import pytest

from dfcvae_tf import checkpoints
from dfcvae_tf.command_line import run_program
from dfcvae_tf.config import apply_settings
from dfcvae_tf.evaluate import define_flags, main
from dfcvae_tf.models.vae import build_vae
from dfcvae_tf.presets import preset_config
from dfcvae_tf.run_dir import RunDir

PAIR = "--runs=vae=pretrained:mnist_vae,dfc=pretrained:mnist_dfc_vae"


def evaluate(*arguments):
    """Runs the program here and returns its exit code."""
    with pytest.raises(SystemExit) as stop:
        run_program("", define_flags, main, ["evaluate", *arguments])
    return stop.value.code


def make_run(path, image_shape, **settings):
    """An untrained run of its own."""
    config = apply_settings(preset_config("mnist-vae"), settings)
    config = dataclasses.replace(config, image_shape=image_shape)
    run = RunDir(path)
    checkpoints.write_config(
        run,
        config,
        checkpoints.Inputs(f"a set called {config.data.dataset}", {}, "", {}),
    )
    vae = build_vae(config.model, image_shape, "float32")
    checkpoints.save_inference_weights(run, vae)
    return run


@pytest.mark.slow
def test_the_pretrained_pair(tmp_path, capsys):
    assert evaluate(PAIR, "--num_images=1000", f"--output_dir={tmp_path}") == 0
    out = capsys.readouterr().out
    assert f"report: {tmp_path}/report.html" in out
    results = json.loads((tmp_path / "report.json").read_text())
    # What the project claims of its runs.
    assert [v["supported"] for v in results["blur"]["verdicts"]] == [True]
    assert [v["supported"] for v in results["fidelity"]["verdicts"]] == [True]
    vae, dfc = results["runs"]["vae"], results["runs"]["dfc"]
    # The article's weights reach 0.42 against 0.23, and 95.6 % against 87.7 %.
    assert dfc["sharpness_ratio"] > max(0.42, 1.5 * vae["sharpness_ratio"])
    assert dfc["label_agreement"] > 0.956 and vae["label_agreement"] > 0.877
    assert max(vae["kl_nats"], dfc["kl_nats"]) < 12.6
    assert dfc["frechet_samples"] < vae["frechet_samples"]
    curves = results["sensitivity"]["curves"]["shift"]
    assert (
        curves["perceptual loss of dfc"]["relative"][1]
        < curves["pixel loss (squared error)"]["relative"][1]
    )


@pytest.mark.slow
def test_a_run_of_colour_images_without_a_judge(tmp_path, capsys):
    """The run of a stranger in a folder with an odd name; what it names is not read."""
    model = tmp_path / "model.pb"
    run = make_run(
        tmp_path / "a, run=[1]",
        (32, 48, 3),
        dataset="synthetic",
        color="rgb",
        network="conv",
        objective="dfc_vae",
        perceptual_model=f"graphdef:{model}",
        perceptual_layers=("conv1",),
    )
    model.write_text("no graph")
    arguments = f'--runs="own={run}"', "--num_images=60", "--traversals=0"
    code = evaluate(*arguments, "--groups=both=circle,square")
    shown = capsys.readouterr()
    assert code == 0, shown.err
    assert f"names, {model}; --read_model_files reads it" in shown.out
    page = (run.reports / "report.html").read_text()
    assert "No held-out classifier saw these images" in page
    assert "--read_model_files reads it" in page and "no TensorFlow graph" not in page
    results = json.loads((run.reports / "report.json").read_text())
    assert "both" in results["data"]["groups"] and "held_out_classifier" not in results
    assert not (run.reports / "figures" / "traversals_0.png").exists()


def test_wrong_input_is_one_line(tmp_path, capsys):
    run = make_run(tmp_path / "small", (32, 48, 3), dataset="synthetic", network="conv")
    unfinished = make_run(tmp_path / "unfinished", (28, 28, 1))
    os.remove(unfinished.weights)
    cases = {
        (): "--runs is missing",
        ("--runs=vae",): "each must be NAME=DIR",
        ("--runs=a=x,a=y",): "cannot call a run 'a'",
        ("--runs=a=nowhere",): "no such run directory: nowhere",
        (f"--runs=a={tmp_path}",): "it has no config.json",
        (f"--runs=a={unfinished}",): "training did not finish",
        ("--runs=a=pretrained:mnist",): "unknown pretrained run 'mnist'",
        (f"{PAIR},own={run}",): "vae 28x28x1, dfc 28x28x1, own 32x48x3",
        (PAIR, "--indices=3,x"): "must be numbers from 0",
        (PAIR, "--num_images=50", "--indices=50"): "there are images 0 to 49",
        (PAIR, "--num_images=3"): "evaluate at least 4",
        (PAIR, "--num_images=0"): "--num_images=0: 0 is not a positive",
        (PAIR, "--num_images=50", "--groups=a=ten"): "unknown class 'ten'",
        (PAIR, "--num_images=4", "--groups=a=9"): "has none of the 4 images",
        (PAIR, "--num_images=50", "--judge=mnist_classifier"): "judge its own work",
        (PAIR, "--num_images=50", "--judge=vgg"): "unknown perceptual model 'vgg'",
        (PAIR, "--dataset=folder:nowhere"): "nowhere",
        (PAIR, "--traversals=-1"): "--traversals=-1",
        (PAIR, "--temperature=-1"): "must be a number from 0 up",
        (
            PAIR,
            "--output_dir=/proc/report",
            "--num_images=50",
        ): "cannot write /proc/report",
    }
    for arguments, message in cases.items():
        assert evaluate(*arguments) == 2, arguments
        error = capsys.readouterr().err
        assert error.startswith("error: ") and error.count("\n") == 1, (
            arguments,
            error,
        )
        assert message in error, (arguments, error)
