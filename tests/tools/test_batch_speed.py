"""Pictures per second in batches: a short run."""

import os

import numpy as np
import pytest

from dfcvae_tf.exporting.accelerator import find_device
from tools import batch_speed


@pytest.mark.slow
def test_a_short_run_has_a_row_for_each_that_computes():
    report = batch_speed.compare("pretrained:mnist_dfc_vae", repeats=40, rounds=2)
    rows = [
        [cell.strip() for cell in line.split("|")[1:-1]]
        for line in report.splitlines()
        if "|" in line
    ]
    titles, _, *rows = rows
    assert titles[1:] == ["batches of 1", "batches of 8", "batches of 32"]
    device = find_device("auto")
    names = [f"CPU, threads: {count}" for count in dict.fromkeys((1, os.cpu_count()))]
    assert [row[0] for row in rows] == names + ([device.name] if device else [])
    # Some GPUs do no batches.
    on_cpu = np.array([row[1:] for row in rows[: len(names)]], float)
    assert (on_cpu > 1).all()
    for row in rows[len(names) :]:
        assert float(row[1]) > 1 and all(
            cell == "-" or float(cell) > 1 for cell in row[2:]
        )
    assert ("finds no GPU" in report) == (device is None)
