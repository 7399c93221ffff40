"""The report page, the files beside it and the table, from results made by hand."""

import base64
import json
import re

import pytest

from dfcvae_tf.evaluation import evaluator, report
from dfcvae_tf.evaluation.settings import Settings
from dfcvae_tf.picture_files import read_picture
from tests.evaluation.streams import digits

RUNS = {"plain <b>": "pretrained:mnist_vae", "dfc": "pretrained:mnist_dfc_vae"}


@pytest.fixture(scope="module")
def evaluation():
    """Both pretrained runs on few images."""
    data = digits(120)
    settings = Settings(
        importance_images=5,
        importance_samples=3,
        num_interpolations=10,
        num_embedded=40,
        num_traversals=3,
    )
    told = []
    found = evaluator.evaluate(evaluator.load_runs(RUNS), data, settings, told.append)
    assert len(told) >= 7
    return found


def test_everything_is_written_and_the_page_needs_nothing_else(evaluation, tmp_path):
    page = report.write_report(tmp_path, evaluation).read_text()
    assert not re.search(r"""(src|href)=["'](?!data:|#)""", page)
    assert "plain &lt;b&gt;" in page and "plain <b>" not in page
    text = re.sub(r"base64,[^\"]+", "", page)
    assert "Fréchet" in text and "FID" not in text
    images = [
        base64.b64decode(png)
        for png in re.findall(r"data:image/png;base64,([^\"]+)", page)
    ]
    assert sorted(images) == sorted(evaluation.figures.values())
    for name, png in evaluation.figures.items():
        path = tmp_path / "figures" / f"{name}.png"
        assert path.read_bytes() == png
        assert read_picture(path).pixels.shape[0] > 50
    stored = json.loads(
        (tmp_path / "report.json").read_text(),
        parse_constant=lambda name: pytest.fail(name),
    )
    assert stored == evaluation.results
    assert (tmp_path / "projector" / "projector_config.pbtxt").is_file()


def test_every_part_of_the_evaluation_is_there(evaluation):
    assert set(evaluation.figures) == {
        "reconstructions",
        "blur_by_class",
        "blur_histograms",
        "blur_differences",
        "kl",
        "interpolations",
        "smoothness",
        "traversals_0",
        "traversals_1",
        "samples",
        "asked_0",
        "asked_1",
        "confusion_0",
        "confusion_1",
        "copies",
        "pca",
        "tsne",
        "sensitivity",
    }
    results = evaluation.results
    of_learned_priors = {
        name for name in report.MEASURES if name.endswith(("_learned", "_standard"))
    }
    assert len(of_learned_priors) == 7
    for run in results["runs"].values():
        assert set(report.MEASURES) - of_learned_priors <= set(run)
    assert results["held_out_classifier"]["name"] == "mnist_judge"
    assert results["held_out_classifier"]["accuracy"] > 0.9
    assert any("120 of 10000 test images" in note for note in results["notes"])
    assert any("Fewer than 30 images in class 0" in note for note in results["notes"])
    assert {v["supported"] for v in results["blur"]["verdicts"]} == {True}
    (difference,) = results["measures"]["differences"]
    assert (difference["first"], difference["second"]) == ("dfc", "plain <b>")
    blur = results["blur"]
    assert (
        blur["verdicts"][0]["laplacian"]
        == blur["tests"][0]["groups"][0]["test"]
        == difference["measures"]["laplacian_variance"]
    )
    assert results["provenance"]["runs"]["dfc"]["step"] == 9375
    assert results["provenance"]["runs"]["dfc"]["prior"]["kind"] == "flow"
    assert results["provenance"]["versions"]["scikit-learn"]


def test_each_measure_stands_in_the_table_of_its_section(evaluation):
    page = report.render(evaluation.results, {})
    sections = dict(re.findall(r'(?s)<h2 id="(\w+)">(.*?)(?=<h2|</body)', page))
    assert "SSIM" in sections["fidelity"] and "Label agreement" in sections["fidelity"]
    assert "Edges recovered" in sections["blur"] and "KL to" in sections["latent"]
    assert "Fréchet distance of samples" in sections["samples"]
    for elsewhere in ("KL to", "Edges recovered", "Laplacian", "NLL, nats"):
        assert elsewhere not in sections["fidelity"]
    assert "Those 3 of the 5 dimensions of dfc" not in page  # no such figure here
    with_figure = report.render(evaluation.results, evaluation.figures)
    assert "Those 3 of the 5 dimensions of dfc with most KL" in with_figure


def test_table_rows_mark_the_best():
    runs = {
        "a": {
            "mse": 0.5,
            "ssim": "nan",
            "psnr": "inf",
            "kernel_samples": {"mean": 1.0},
        },
        "b": {"mse": 0.25, "ssim": 0.9, "psnr": 20.0, "kernel_samples": {"mean": 2.0}},
    }
    rows = dict(report.metric_rows(runs, report.MEASURES))
    assert rows["Mean squared error"] == [("0.5000", False), ("0.2500", True)]
    assert rows["PSNR, dB"] == [("inf", True), ("20.00", False)]
    assert rows["Kernel distance of samples"] == [("1.0000", True), ("2.0000", False)]
    assert "Label agreement" not in rows
    (_, cells), *_ = report.metric_rows({"a": runs["a"]}, ["mse"])
    assert cells == [("0.5000", False)]  # nothing to be better than


def test_a_poor_judge_has_no_best():
    runs = {name: {"label_agreement": x, "ssim": x} for x, name in enumerate("ab")}
    rows = dict(report.metric_rows(runs, report.MEASURES, ("label_agreement",)))
    assert rows["Label agreement"] == [("0.0%", False), ("100.0%", False)]
    assert rows["SSIM"][1] == ("1.000", True)


def test_terminal_table_names_runs_and_verdicts(evaluation):
    text = report.terminal_table(evaluation.results)
    assert "plain <b>" in text.splitlines()[0]
    assert (
        "Label agreement" in text and "Supported: dfc is sharper than plain <b>" in text
    )
    assert max(map(len, text.splitlines())) <= 100
