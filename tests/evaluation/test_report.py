"""The report page, the files beside it and the table, from results made by hand."""

import base64
import csv
import json
import re

import cv2
import numpy as np
import pytest

from dfcvae_tf.evaluation import evaluator, report
from dfcvae_tf.evaluation.settings import Settings
from dfcvae_tf.evaluation.tables import MEASURES
from tests.evaluation.streams import digits

# A page is made alike on both stacks.
pytestmark = pytest.mark.current_stack

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
    pictures = [
        cv2.imdecode(np.frombuffer(base64.b64decode(file), np.uint8), 1)
        for file in re.findall(r"data:image/webp;base64,([^\"]+)", page)
    ]
    figures = {
        name: cv2.imdecode(np.frombuffer(picture.png, np.uint8), 1)
        for name, picture in evaluation.figures.items()
    }
    # Five strips first, of originals and of what each run makes; then every figure.
    assert len(pictures) == 5 + len(figures)
    assert all(strip.shape == (28, 10 * 30 - 2, 3) for strip in pictures[:5])
    shapes = sorted(picture.shape for picture in pictures[5:])
    assert shapes == sorted(figure.shape for figure in figures.values())
    for name, picture in evaluation.figures.items():
        for kind in ("png", "svg"):
            path = tmp_path / "figures" / f"{name}.{kind}"
            assert path.read_bytes() == getattr(picture, kind)
        assert figures[name].shape[0] > 50
    stored = json.loads(
        (tmp_path / "report.json").read_text(),
        parse_constant=lambda name: pytest.fail(name),
    )
    assert stored == evaluation.results
    assert (tmp_path / "projector" / "projector_config.pbtxt").is_file()
    rows = {
        name: list(csv.DictReader((tmp_path / name).open(newline="")))
        for name in ("metrics.csv", "per_image.csv")
    }
    assert [row["run"] for row in rows["metrics.csv"]] == list(RUNS)
    assert len(rows["per_image.csv"]) == 2 * 120
    assert "\\toprule" in (tmp_path / "table.tex").read_text()


def test_the_answer_comes_first_and_all_else_is_folded(evaluation):
    page = report.render(evaluation)
    answer, _, rest = page.partition('<div class="parts">')
    places = [
        answer.index(text)
        for text in ('alt="originals"', '<table class="main', "<h2>Against plain")
    ]
    assert places == sorted(places)
    assert "<details" not in answer and "One training of each" in answer
    assert "<th" in answer and answer.count("<tr>") == 3
    (line,) = re.findall(r"<li>.*</li>", answer)
    assert "sharper: Laplacian variance +0.03" in line
    for match in re.finditer("<table|<figure", rest):
        before = rest[: match.start()]
        assert before.count("<details") > before.count("</details"), match


def test_a_page_has_as_many_figures_as_there_is_room_for(evaluation, monkeypatch):
    whole = report.render(evaluation)
    monkeypatch.setattr(report, "_MOST_BYTES", 200_000)
    page = report.render(evaluation)
    assert len(page) < 200_000 * 4 / 3 + len(re.sub(r"base64,[^\"]+", "", whole))
    assert 'alt="originals"' in page
    (left_out,) = re.findall(r"there alone: ([^.]*)\.", page)
    assert "traversals_1" in left_out and "there alone" not in whole


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
        name for name in MEASURES if name.endswith(("_learned", "_standard"))
    }
    assert len(of_learned_priors) == 7
    for run in results["runs"].values():
        assert set(MEASURES) - of_learned_priors <= set(run)
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
    page = report.render(evaluation)
    sections = dict(re.findall(r'(?s)<h2 id="(\w+)">(.*?)(?=<h2 id|</body)', page))
    assert "SSIM" in sections["fidelity"] and "Label agreement" in sections["fidelity"]
    assert "Edges recovered" in sections["blur"] and "KL to" in sections["latent"]
    assert "Fréchet distance of samples" in sections["samples"]
    for elsewhere in ("KL to", "Edges recovered", "Laplacian", "NLL, nats"):
        assert elsewhere not in sections["fidelity"]
    assert "Those 3 of the 5 dimensions of dfc with most KL" in page


def test_terminal_table_names_settings_and_verdicts(evaluation):
    text = report.terminal_table(evaluation.results)
    assert "agreement" in text and "\nplain <b>" in text
    assert "dfc against plain <b>: sharper: Laplacian variance" in text
    assert max(map(len, text.splitlines())) <= 110
