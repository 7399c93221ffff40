"""The benchmark's flags."""

import pytest

from dfcvae_tf.command_line import run_program
from tools import benchmark


def run_here(*arguments) -> object:
    """Runs the program in this process and returns its exit code."""
    with pytest.raises(SystemExit) as stop:
        run_program(
            benchmark.__doc__,
            benchmark.define_flags,
            benchmark.COMMANDS,
            ["benchmark", *arguments],
        )
    return stop.value.code


def test_export_compares_the_bundled_decoder_unless_told_otherwise(monkeypatch, capsys):
    monkeypatch.setattr(
        benchmark.decoder_speed, "compare", lambda *given: f"compared {given}"
    )
    assert run_here("export") == 0
    images = "(None, None, False)"
    expected = f"compared ('pretrained:mnist_dfc_vae', {images}, [1, 2], 200, 5)"
    assert capsys.readouterr().out.strip() == expected
    arguments = ["--run_dir=x", "--threads=4, 1,4", "--repeats=7", "--rounds=2"]
    assert run_here("export", *arguments, "--dataset=folder:y") == 0
    images = "('folder:y', None, False)"
    assert capsys.readouterr().out.strip() == f"compared ('x', {images}, [4, 1], 7, 2)"


def test_training_and_data_get_what_was_asked_for(monkeypatch, capsys):
    monkeypatch.setattr(
        benchmark.training_speed, "compare", lambda *given: f"compared {given}"
    )
    assert run_here("train", "--contestants=float32", "--steps=9") == 0
    assert capsys.readouterr().out.strip() == "compared (['float32'], 7, 9, 128)"
    monkeypatch.setattr(
        benchmark.data_rates,
        "compare",
        lambda config, images, repeats: (
            f"{config.preset} {config.data.dataset} {config.training.batch_size} "
            f"{config.objective.perceptual_weights} {images} {repeats}"
        ),
    )
    arguments = ["--preset=hou2017-vae-123", "--dataset=celeba:c", "--repeats=3"]
    assert run_here("data", *arguments, "--perceptual_weights=w.h5") == 0
    assert capsys.readouterr().out.strip() == "hou2017-vae-123 celeba:c 64 w.h5 2048 3"


def test_evaluation_gets_sizes_and_images(monkeypatch, capsys):
    monkeypatch.setattr(
        benchmark.evaluation_cost, "compare", lambda *given: f"compared {given}"
    )
    assert run_here("evaluate") == 0
    assert capsys.readouterr().out.strip() == "compared ([28, 64, 128, 256], 400)"
    assert run_here("evaluate", "--sizes=128", "--images=50") == 0
    assert capsys.readouterr().out.strip() == "compared ([128], 50)"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["evaluate", "--sizes=28,30"], "--sizes takes some of 28,64,128,256"),
        (["train", "--contestants=bf16"], "known: fit, float32, mixed_bfloat16"),
        (
            ["train", "--rounds=2"],
            "--rounds is not a flag of train; it is one of export",
        ),
        (
            ["export", "--steps=2"],
            "--steps is not a flag of export; it is one of train",
        ),
        (
            ["export", "--batch_size=2"],
            "is not a flag of export; it is one of train and data",
        ),
        (
            ["train", "--dataset=x"],
            "is not a flag of train; it is one of data and export",
        ),
        (["data", "--preset=hou"], "unknown preset 'hou'"),
        (["data", "--dataset=folder:absent"], "no such folder: absent"),
        (["export", "--threads=1,0"], "whole numbers from 1, got '1,0'"),
        (["export", "--threads="], "whole numbers from 1, got ''"),
        (["export", "--run_dir=absent"], "no such run directory: absent"),
    ],
)
def test_wrong_input_is_one_line_and_exit_code_2(capsys, arguments, message):
    assert run_here(*arguments) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ") and message in line
