"""The comparison of priors: its table, its refusals, a tiny run from the command line."""

import numpy as np
import pytest

from dfcvae_tf.training import prior_fitting
from tests.programs import run_here, untrained_run
from tools import benchmark, prior_comparison
from tools.decoder_speed import Speed
from tools.prior_comparison import CEILING, STANDARD, TWO_STAGE, Candidate, Quality


def cells(text: str) -> dict[str, list[str]]:
    """The rows of the table: first cell -> the others."""
    rows = [row.split("|")[1:-1] for row in text.splitlines() if row.startswith("| ")]
    return {row[0].strip(): [cell.strip() for cell in row[1:]] for row in rows}


def test_the_table_says_what_was_measured_and_leaves_empty_what_is_not_there():
    def speed(median, num_bytes=0):
        return Speed(num_bytes, 0.0, np.full((2, 3), median), 0.0)

    quality = Quality(12.345, 0.9876, 0.5, 75.04)
    text = prior_comparison.table(
        {
            STANDARD: Candidate(np.resize, log_prob=-7.234, fit_s=0.0),
            TWO_STAGE: Candidate(np.resize, log_prob=-6.5, fit_s=61.4),
            CEILING: Candidate(np.resize),
        },
        {
            STANDARD: quality,
            TWO_STAGE: quality,
            CEILING: Quality(1.0, 1.0, 1.0, None),
        },
        {STANDARD: speed(200.0), TWO_STAGE: speed(230.0, 42_100)},
    )
    alone = ["0", "200", "1.00 (1.00 to 1.00)", "0"]
    more = ["42", "230", "1.15 (1.15 to 1.15)", "61"]
    judged = ["12.3", "0.988", "0.500", "75.0 %"]
    found = cells(text)
    assert found[STANDARD] == ["-7.23", *judged, *alone]
    assert found[TWO_STAGE] == ["≥ -6.50", *judged, *more]
    assert found[CEILING] == ["", "1", "1.000", "1.000", *[""] * 5]


def test_a_run_that_nobody_judges_is_refused_in_a_line(tmp_path, capsys):
    untrained_run(tmp_path / "run", (28, 28, 1), dataset="synthetic")
    assert run_here(benchmark, "priors", f"--run_dir={tmp_path / 'run'}") == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "--judge is missing" in line


@pytest.mark.slow
@pytest.mark.current_stack
def test_a_tiny_run_from_the_command_line(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(prior_fitting, "FLOW_STEPS", 4)
    monkeypatch.setattr(prior_fitting, "_LOOK_EVERY", 2)
    monkeypatch.setattr(prior_fitting, "_MIXTURE_ROUNDS", 1)
    monkeypatch.setattr(prior_fitting, "_MIXTURE_DRAWS", 500)
    monkeypatch.setattr(prior_fitting, "_HELD_OUT", 500)
    monkeypatch.setattr(prior_fitting, "COMPONENTS", (20, 2))
    monkeypatch.setattr(prior_comparison, "_HELD_OUT", 500)
    monkeypatch.setattr(prior_comparison, "_BOUND_DRAWS", 2)
    untrained_run(tmp_path / "run", (28, 28, 1), dataset="synthetic")
    arguments = ["--judge=mnist_judge", "--images=20", "--repeats=3", "--rounds=2"]
    code = run_here(benchmark, "priors", f"--run_dir={tmp_path / 'run'}", *arguments)
    shown = capsys.readouterr()
    assert code == 0, shown.err
    assert "2000 training and 500 test images of synthetic; 20 samples" in shown.out
    found = cells(shown.out)
    assert len(found) == 8  # with the titles and the rule
    assert found[STANDARD][5] == "0" and found[CEILING][5] == ""
    sizes = [float(row[5]) for name, row in list(found.items())[3:-1]]
    assert len(sizes) == 4 and min(sizes) > 1
    for row in list(found.values())[2:]:
        assert float(row[1]) >= 0 and 0 <= float(row[3]) <= 1
