"""dfcvae_tf/evaluate.py, as its users run it."""

import json

import pytest

from dfcvae_tf import evaluate
from tests.programs import run_here, untrained_run

PRETRAINED = (
    "--runs=vae=pretrained:mnist_vae,dfc=pretrained:mnist_dfc_vae,"
    "gan=pretrained:mnist_dfc_vae_gan"
)


@pytest.mark.slow
def test_the_pretrained_runs(tmp_path, capsys):
    fewer = "--num_images=500", "--importance_samples=5"
    assert run_here(evaluate, PRETRAINED, *fewer, f"--output_dir={tmp_path}") == 0
    out = capsys.readouterr().out
    assert f"report: {tmp_path}/report.html" in out
    results = json.loads((tmp_path / "report.json").read_text())
    # What the project claims of its runs.
    assert all(v["supported"] for v in results["blur"]["verdicts"])
    of_vae = [v for v in results["fidelity"]["verdicts"] if v["second"] == "vae"]
    assert [v["supported"] for v in of_vae] == [True, True]
    vae, dfc, gan = (results["runs"][name] for name in ("vae", "dfc", "gan"))
    # The article's weights reach 0.42 against 0.23, and 95.6 % against 87.7 %.
    assert dfc["sharpness_ratio"] > max(0.42, 1.5 * vae["sharpness_ratio"])
    assert dfc["label_agreement"] > 0.956 and vae["label_agreement"] > 0.877
    # As sharp as the originals, where they are sharp, and not more than they.
    assert 0.85 < gan["sharpness_ratio"] < 1.1 and gan["label_agreement"] > 0.97
    assert gan["blurred_edge_recovery"] > dfc["blurred_edge_recovery"]
    assert 0.7 < gan["high_frequency_ratio"] < 1.1
    assert max(run["kl_nats"] for run in (vae, dfc, gan)) < 12.6
    distances = [run["frechet_samples"] for run in (vae, dfc, gan)]
    assert distances == sorted(distances, reverse=True)
    curves = results["sensitivity"]["curves"]["shift"]
    assert (
        curves["perceptual loss of dfc"]["relative"][1]
        < curves["pixel loss (squared error)"]["relative"][1]
    )


@pytest.mark.slow
def test_a_run_of_colour_images_without_a_judge(tmp_path, capsys):
    """The run of a stranger in a folder with an odd name; what it names is not read."""
    model = tmp_path / "model.pb"
    run = untrained_run(
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
    code = run_here(evaluate, *arguments, "--groups=both=circle,square")
    shown = capsys.readouterr()
    assert code == 0, shown.err
    assert f"names, {model}; --read_model_files reads it" in shown.out
    page = (run.reports / "report.html").read_text()
    assert "No held-out classifier saw these images" in page
    assert "--read_model_files reads it" in page and "no TensorFlow graph" not in page
    results = json.loads((run.reports / "report.json").read_text())
    assert "both" in results["data"]["groups"] and "held_out_classifier" not in results
    assert not (run.reports / "figures" / "traversals_0.png").exists()
