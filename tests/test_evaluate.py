"""dfcvae_tf/evaluate.py, as its users run it."""

import csv
import json
import sys
from types import ModuleType

import pytest

import dfcvae_tf
from dfcvae_tf import evaluate
from dfcvae_tf.errors import UserError
from tests.programs import run_here, run_python, untrained_run

PRETRAINED = (
    "--runs=vae=pretrained:mnist_vae,dfc=pretrained:mnist_dfc_vae,"
    "gan=pretrained:mnist_dfc_vae_gan"
)


@pytest.mark.slow
@pytest.mark.current_stack
def test_the_pretrained_runs(tmp_path, capsys):
    fewer = "--num_images=500", "--importance_samples=5"
    assert run_here(evaluate, PRETRAINED, *fewer, f"--output_dir={tmp_path}") == 0
    out = capsys.readouterr().out
    assert f"report: {tmp_path}/report.html" in out
    results = json.loads((tmp_path / "report.json").read_text())
    # What the project claims of its runs.
    for verdict in results["comparison"]["verdicts"]:
        assert [claim["supported"] for claim in verdict["claims"]] == [True, True]
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
@pytest.mark.current_stack
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
    arguments = f"--runs=own={run}", "--num_images=60", "--traversals=0"
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


@pytest.mark.slow
@pytest.mark.current_stack
def test_from_python_the_same_as_plain_data(tmp_path, monkeypatch):
    runs = [
        untrained_run(
            tmp_path / f"of {seed}", (28, 28, 1), dataset="synthetic", seed=seed
        )
        for seed in (0, 1)
    ]
    other = untrained_run(
        tmp_path / "a=b, c", (28, 28, 1), dataset="synthetic", kl_weight=7.0
    )
    # As if pandas were not installed.
    monkeypatch.setattr(evaluate, "_as_table", lambda rows: rows)
    told = []
    found = dfcvae_tf.evaluate(  # type: ignore[operator]
        [*(run.path for run in runs), other.path],
        output_dir=tmp_path / "report",
        progress=told.append,
        baseline=other.path,
        num_images=30,
        importance_samples=1,
        traversals=0,
        indices=[3, 1],
        judge="none",
    )
    assert told and found["report"]["comparison"]["baseline"] == "kl7-s0"
    assert found["report"] == json.loads((tmp_path / "report/report.json").read_text())
    assert [row["trainings"] for row in found["settings"]] == [2, 1]
    assert [row["seed"] for row in found["metrics"]] == [0, 1, 0]
    with (tmp_path / "report" / "per_image.csv").open(newline="") as file:
        written = list(csv.DictReader(file))
    assert len(written) == len(found["per_image"]) == 3 * 30
    assert [float(row["mse"]) for row in written] == pytest.approx(
        [row["mse"] for row in found["per_image"]]
    )


def test_rows_are_a_data_frame_where_pandas_is_there(monkeypatch):
    class DataFrame(list):
        """What is made of rows where pandas is there."""

    pandas = ModuleType("pandas")
    pandas.DataFrame = DataFrame  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "pandas", pandas)
    assert isinstance(evaluate._as_table([{"a": 1}]), DataFrame)
    monkeypatch.setitem(sys.modules, "pandas", None)  # not installed
    assert type(evaluate._as_table([{"a": 1}])) is list


def test_what_python_is_told_of_wrong_options():
    call = dfcvae_tf.evaluate
    with pytest.raises(UserError, match="must be a number from 0"):
        call("a=b", temperature=-1)  # type: ignore[operator]
    with pytest.raises(UserError, match="num_images"):
        call("a=b", num_images=0)  # type: ignore[operator]
    with pytest.raises(TypeError, match="no option 'images'; it has"):
        call("a=b", images=3)  # type: ignore[operator]


def test_the_program_and_the_function_are_one_and_light():
    code = (
        "import sys, dfcvae_tf\n"
        "assert callable(dfcvae_tf.evaluate)\n"
        "import dfcvae_tf.evaluate\n"
        "from dfcvae_tf.evaluate import run\n"
        "assert callable(dfcvae_tf.evaluate) and dfcvae_tf.evaluate.run is run\n"
        "assert 'tensorflow' not in sys.modules\n"
    )
    done = run_python("-c", code)
    assert done.returncode == 0, done.stderr


def test_a_report_of_many_runs_has_a_short_name(tmp_path):
    runs = {f"run{i}": f"runs/{i}" for i in range(12)}
    folder = evaluate._output_dir({"output_dir": None}, runs)
    assert str(folder) == "reports/run0-and-11-more"


def test_a_report_lies_in_reports_whatever_runs_are_called():
    for name in ("../../evil", "..", "/tmp/evil"):
        runs = {name: "pretrained:mnist_vae"}
        folder = evaluate._output_dir({"output_dir": None}, runs)
        assert str(folder.parent) == "reports" and folder.name != ".."
