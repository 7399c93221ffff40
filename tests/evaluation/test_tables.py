"""The tables of a report, from numbers made by hand."""

import pytest

from dfcvae_tf.evaluation.tables import (
    MEASURES,
    main_table,
    metric_rows,
    summarize_trainings,
)


def results(*settings, **more):
    return {
        "comparison": {
            "columns": ["objective", "kl_weight"],
            "baseline": "a",
            "settings": settings,
        },
        **more,
    }


def setting(name, runs, **measures):
    found = {m: summarize_trainings(values) for m, values in measures.items()}
    values = {"objective": name, "kl_weight": None}
    return {"name": name, "runs": runs, "values": values, "measures": found}


def test_a_setting_is_the_mean_and_spread_of_its_trainings():
    of_a = {"mse": [0.1, 0.2, 0.3], "label_agreement": [0.9, 0.92, 0.94]}
    a = setting("a", ["a0", "a1", "a2"], **of_a)
    assert a["measures"]["mse"] == pytest.approx(
        {
            "mean": 0.2,
            "num_trainings": 3,
            "deviation": 0.1,
            "lowest": 0.1,
            "highest": 0.3,
        }
    )
    b = setting("b", ["b"], mse=[0.15], label_agreement=[0.9], kl_nats=[12.0])
    table = main_table(results(a, b))
    assert table.measures == ("mse", "label_agreement", "kl_nats")
    first, second = table.rows
    assert first.is_baseline and not second.is_baseline
    assert (first.trainings, first.values) == (3, ("a", "–"))
    cell = first.cells["label_agreement"]
    assert (cell.text, cell.spread, cell.best) == ("92.0%", "2.0", True)
    cell = second.cells["mse"]
    assert (cell.text, cell.spread, cell.best) == ("0.1500", "", True)
    assert first.cells["kl_nats"].text == "–" and not second.cells["kl_nats"].best


def test_the_labels_of_a_poor_judge_are_shown_and_not_ranked():
    settings = [
        setting(n, [n], label_agreement=[x], ssim=[x]) for x, n in enumerate("ab")
    ]
    judge = {"gives_verdicts": False}
    table = main_table(results(*settings, held_out_classifier=judge))
    best = {m: [row.cells[m].best for row in table.rows] for m in table.measures}
    assert best == {"ssim": [False, True], "label_agreement": [False, False]}


def test_what_runs_lack_is_no_part_of_a_mean():
    assert summarize_trainings([None, None]) is None
    assert summarize_trainings([None, 2.0]) == {"mean": 2.0, "num_trainings": 1}
    assert "deviation" not in (summarize_trainings(["inf", 2.0]) or {})


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
    rows = dict(metric_rows(runs, MEASURES))
    assert rows["Mean squared error"] == [("0.5000", False), ("0.2500", True)]
    assert rows["PSNR, dB"] == [("inf", True), ("20.00", False)]
    assert rows["Kernel distance of samples"] == [("1.0000", True), ("2.0000", False)]
    assert "Label agreement" not in rows
    (_, cells), *_ = metric_rows({"a": runs["a"]}, ["mse"])
    assert cells == [("0.5000", False)]  # nothing to be better than


def test_a_poor_judge_has_no_best():
    runs = {name: {"label_agreement": x, "ssim": x} for x, name in enumerate("ab")}
    rows = dict(metric_rows(runs, MEASURES, ("label_agreement",)))
    assert rows["Label agreement"] == [("0.0%", False), ("100.0%", False)]
    assert rows["SSIM"][1] == ("1.000", True)
