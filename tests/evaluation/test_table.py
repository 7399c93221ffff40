"""The table of measures, and which of its runs are compared."""

import numpy as np

from dfcvae_tf.evaluation.table import ORIGINALS, MeasureTable, join


def test_each_run_is_compared_with_the_baseline_and_with_the_originals():
    values: dict = {name: {} for name in (ORIGINALS, "base", "mine", "newer")}
    table = MeasureTable(values)
    assert table.runs == ["base", "mine", "newer"]
    assert table.run_pairs() == [("mine", "base"), ("newer", "base")]
    assert table.pairs()[2:] == [
        (ORIGINALS, "base"),
        (ORIGINALS, "mine"),
        (ORIGINALS, "newer"),
    ]
    others = MeasureTable(values, baseline="newer").run_pairs()
    assert others == [("base", "newer"), ("mine", "newer")]


def test_two_trainings_of_the_baselines_setting_are_not_compared():
    values: dict = {name: {} for name in (ORIGINALS, "a-s0", "a-s1", "b-s0", "b-s1")}
    table = MeasureTable(values, baseline="a-s1", siblings=("a-s0", "a-s1"))
    assert table.run_pairs() == [("b-s0", "a-s1"), ("b-s1", "a-s1")]


def test_batches_are_put_in_their_order():
    parts = [
        MeasureTable({ORIGINALS: {"m": x}, "a": {"m": x + 1, "n": np.float32(x)}})
        for x in (np.array([1.0, 2.0]), np.array([3.0]))
    ]
    table = join(parts)
    np.testing.assert_array_equal(table.column("m")["a"], [2, 3, 4])
    assert list(table.column("n")) == ["a"]
    assert table.column("n")["a"].dtype == np.float64
