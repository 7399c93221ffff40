"""The benchmark's flags."""

import pytest
import tensorflow as tf

from dfcvae_tf.training import devices
from tests.programs import run_here
from tools import benchmark, perceptual_agreement, prior_comparison


def test_export_compares_the_bundled_decoder_unless_told_otherwise(monkeypatch, capsys):
    monkeypatch.setattr(
        benchmark.decoder_speed, "compare", lambda *given: f"compared {given}"
    )
    monkeypatch.setattr(
        benchmark.batch_speed, "compare", lambda *given: f"batches {given}"
    )
    assert run_here(benchmark, "export") == 0
    images = "(None, None, False)"
    expected = f"compared ('pretrained:mnist_dfc_vae', {images}, [1, 2], 200, 5, False)"
    expected += "\n\nbatches ('pretrained:mnist_dfc_vae', 200, 5, False)"
    assert capsys.readouterr().out.strip() == expected
    arguments = ["--run_dir=x", "--threads=4, 1,4", "--repeats=7", "--rounds=2"]
    arguments += ["--dataset=folder:y", "--trust_code"]
    assert run_here(benchmark, "export", *arguments) == 0
    images = "('folder:y', None, False)"
    expected = f"compared ('x', {images}, [4, 1], 7, 2, True)\n\n"
    expected += "batches ('x', 7, 2, True)"
    assert capsys.readouterr().out.strip() == expected


def test_training_and_data_get_what_was_asked_for(monkeypatch, capsys):
    monkeypatch.setattr(
        benchmark.training_speed, "compare", lambda *given: f"compared {given}"
    )
    assert run_here(benchmark, "train", "--contestants=float32", "--steps=9") == 0
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
    assert run_here(benchmark, "data", *arguments, "--perceptual_weights=w.h5") == 0
    assert capsys.readouterr().out.strip() == "hou2017-vae-123 celeba:c 64 w.h5 2048 3"


@pytest.mark.parametrize("has", [True, False])
def test_bfloat16_is_left_out_where_it_would_be_emulated(monkeypatch, capsys, has):
    monkeypatch.setattr(benchmark.training_speed, "compare", lambda names, *_: names)
    monkeypatch.setattr(devices, "cpu_has_bfloat16", lambda: has)
    monkeypatch.setattr(tf.config, "get_visible_devices", lambda kind: [])
    assert run_here(benchmark, "train") == 0
    left_out = "mixed_bfloat16 is left out"
    *said, names = capsys.readouterr().out.splitlines()
    assert ("mixed_bfloat16" in names) == has
    assert [line[:26] for line in said] == [left_out] * (not has)
    # By name it is measured all the same.
    assert run_here(benchmark, "train", "--contestants=mixed_bfloat16") == 0
    assert capsys.readouterr().out == "['mixed_bfloat16']\n"


def test_evaluation_gets_sizes_and_images(monkeypatch, capsys):
    monkeypatch.setattr(
        benchmark.evaluation_cost, "compare", lambda *given: f"compared {given}"
    )
    assert run_here(benchmark, "evaluate") == 0
    assert capsys.readouterr().out.strip() == "compared ([28, 64, 128, 256], 400)"
    assert run_here(benchmark, "evaluate", "--sizes=128", "--images=50") == 0
    assert capsys.readouterr().out.strip() == "compared ([128], 50)"


def test_a_perceptual_model_and_its_photos(monkeypatch, capsys):
    def compare(config, weights, sizes, *rest):
        objective = config.objective
        model = (objective.perceptual_model, objective.perceptual_layers)
        return f"{config.data.dataset} {model} {weights} {sizes} {rest}"

    monkeypatch.setattr(perceptual_agreement, "compare", compare)
    arguments = ["perceptual", "--dataset=folder:x"]
    assert run_here(benchmark, *arguments) == 0
    assert capsys.readouterr().out.strip() == (
        "folder:x ('photos', ()) imagenet [64] (256, None, 7, False)"
    )
    arguments += ["--perceptual_model=file:a.keras", "--perceptual_layers=a,b"]
    arguments += ["--perceptual_weights=w.h5", "--sizes=64,128", "--run_dir=r"]
    arguments += ["--trust_code"]
    assert run_here(benchmark, *arguments) == 0
    assert capsys.readouterr().out.strip() == (
        "folder:x ('file:a.keras', ('a', 'b')) w.h5 [64, 128] (256, 'r', 7, True)"
    )
    assert run_here(benchmark, "perceptual") == 2
    assert "--dataset is missing" in capsys.readouterr().err


def test_priors_are_compared_on_the_run_that_is_named(monkeypatch, capsys):
    monkeypatch.setattr(prior_comparison, "compare", lambda *given: f"compared {given}")
    assert run_here(benchmark, "priors") == 0
    judge = "(None, (), 'imagenet')"
    expected = f"('pretrained:mnist_dfc_vae', (None, None, False), {judge}, 10000, 200, 5, False)"
    assert capsys.readouterr().out.strip() == f"compared {expected}"
    arguments = ["--run_dir=x", "--images=50", "--repeats=7", "--rounds=2"]
    arguments += ["--dataset=celeba:c", "--judge=graphdef:f.pb", "--judge_layers=a:0"]
    arguments += ["--trust_code"]
    assert run_here(benchmark, "priors", *arguments) == 0
    judge = "('graphdef:f.pb', ('a:0',), 'imagenet')"
    expected = f"('x', ('celeba:c', None, False), {judge}, 50, 7, 2, True)"
    assert capsys.readouterr().out.strip() == f"compared {expected}"
