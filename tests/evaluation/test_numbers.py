"""Numbers for other programs: what is written reads back."""

import csv
import io
import re

import numpy as np
import pytest

from dfcvae_tf.evaluation.numbers import (
    csv_of,
    escape_tex,
    rows_of_images,
    rows_of_runs,
    rows_of_settings,
    tex_of,
)
from dfcvae_tf.evaluation.table import ORIGINALS, MeasureTable
from dfcvae_tf.evaluation.tables import summarize_trainings
from tests.evaluation.streams import stream

MSE = {"a_0": 0.1, "b & c": 1 / 3, "a_1": 0.3}


def read(content: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(content.decode(), newline="")))


@pytest.fixture(name="results")
def _results():
    def setting(name, *runs):
        found = summarize_trainings(MSE[run] for run in runs)
        values = {"kl_weight": 1.0, "layers": ["x", "y"]}
        return {
            "name": name,
            "runs": runs,
            "values": values,
            "collapsed": [],
            "measures": {"mse": found},
        }

    settings = [setting("a", "a_0", "a_1"), setting("b & c", "b & c")]
    training = {"training": {"seed": 3}}
    return {
        "comparison": {
            "columns": ["kl_weight", "layers"],
            "baseline": "a",
            "differing_along": {"steps": [7, 8]},
            "settings": settings,
        },
        "runs": {name: {"mse": x, "kl_per_dimension": [1]} for name, x in MSE.items()},
        "provenance": {
            "runs": {
                name: {"run_dir": "runs/ü,x", "step": 5, "settings": training}
                for name in MSE
            }
        },
    }


def test_a_row_per_run_in_the_order_given(results):
    rows = read(csv_of(rows_of_runs(results)))
    assert [row["run"] for row in rows] == list(MSE)
    assert [row["setting"] for row in rows] == ["a", "b & c", "a"]
    assert rows[0]["run_dir"] == "runs/ü,x" and rows[0]["seed"] == "3"
    assert [row["steps"] for row in rows] == ["7", "8", "7"]
    assert rows[0]["layers"] == "x y" and "kl_per_dimension" not in rows[0]
    assert [float(row["mse"]) for row in rows] == pytest.approx(list(MSE.values()))
    of_a, of_b = rows_of_settings(results)
    assert of_a["mse"] == pytest.approx(0.2)
    assert of_a["mse_deviation"] == pytest.approx(np.std([0.1, 0.3], ddof=1))
    assert of_b["trainings"] == 1 and "mse_deviation" not in of_b


def test_a_row_per_image_and_run():
    images = np.zeros((3, 2, 2, 1), np.float32)
    data = stream(images, np.array([1, 0, 1]), ("no, none", "yes"), total=10)
    values = {
        ORIGINALS: {"sharp": np.arange(3.0)},
        "a": {"sharp": np.array([np.nan, np.inf, 1e-12])},
        "b": {"sharp": np.ones(3), "more": np.ones(3)},
    }
    rows = read(csv_of(rows_of_images(MeasureTable(values), data)))
    assert [(row["run"], row["index"], row["class"]) for row in rows[:4]] == [
        ("a", "1", "yes"),
        ("a", "3", "no, none"),
        ("a", "5", "yes"),
        ("b", "1", "yes"),
    ]
    assert [row["sharp"] for row in rows[:3]] == ["nan", "inf", "1e-12"]
    assert [row["original_sharp"] for row in rows] == ["0", "1", "2"] * 2
    assert rows[0]["more"] == "" and "file" not in rows[0]


def test_the_table_is_whole_latex(results):
    tex = tex_of(results)
    comments = [line for line in tex.splitlines() if line.startswith("%")]
    assert len(comments) == 3 and "booktabs" in comments[0]
    lines = tex.splitlines()[len(comments) :]
    (columns,) = re.findall(r"\\begin\{tabular\}\{([lr]+)\}", lines[0])
    assert lines[1] == r"\toprule" and lines[3] == r"\midrule"
    assert lines[-2:] == [r"\bottomrule", r"\end{tabular}"]
    for line in (lines[2], *lines[4:-2]):
        assert len(re.split(r"(?<!\\)&", line)) == len(columns)
        assert line.endswith(r" \\") and line.count("{") == line.count("}")
    assert r"\textbf{0.2000} {\scriptsize $\pm$ 0.1414}" in lines[4]
    assert lines[5].startswith(r"b \& c & 1 & x, y & 1 & 0.3333")


def test_no_character_of_a_name_is_a_command():
    assert escape_tex(r"50% a_b {x} #1 $ \y ~^") == (
        r"50\% a\_b \{x\} \#1 \$ \textbackslash{}y \textasciitilde{}\textasciicircum{}"
    )
