"""The table of measures, and the one direction of its pairs."""

import numpy as np

from dfcvae_tf.evaluation.table import ORIGINALS, MeasureTable, join


def test_the_later_run_comes_first_and_originals_count_as_last():
    table = MeasureTable({name: {} for name in (ORIGINALS, "base", "mine", "newer")})
    assert table.runs == ["base", "mine", "newer"]
    assert table.run_pairs() == [
        ("mine", "base"),
        ("newer", "base"),
        ("newer", "mine"),
    ]
    assert table.pairs()[3:] == [
        (ORIGINALS, "base"),
        (ORIGINALS, "mine"),
        (ORIGINALS, "newer"),
    ]


def test_batches_are_put_in_their_order():
    parts = [
        MeasureTable({ORIGINALS: {"m": x}, "a": {"m": x + 1, "n": np.float32(x)}})
        for x in (np.array([1.0, 2.0]), np.array([3.0]))
    ]
    table = join(parts)
    np.testing.assert_array_equal(table.column("m")["a"], [2, 3, 4])
    assert list(table.column("n")) == ["a"]
    assert table.column("n")["a"].dtype == np.float64
