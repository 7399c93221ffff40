"""The benchmark: its count of operations, and a short run."""

import subprocess
import sys
from pathlib import Path

import pytest

from tools import benchmark

ROOT = Path(__file__).parents[2]


def test_operations_are_those_counted_by_hand():
    conv1 = 28 * 28 * 9 * 1 * 32
    encoder = conv1 + 14 * 14 * 9 * (32 * 64 + 64 * 64 + 64 * 64)
    encoder += 14 * 14 * 64 * 32 + 2 * 32 * 5
    decoder = 5 * 14 * 14 * 64 + 14 * 14 * 9 * 64 * 32 + 28 * 28 * 9 * 32
    features = 26 * 26 * 9 * 32 + 11 * 11 * 9 * 32 * 64
    by_hand = 2 * (3 * (encoder + decoder) - conv1 + 3 * features)
    assert benchmark._flops_per_image() == by_hand


@pytest.mark.slow
def test_a_short_run_prints_rates_and_ratios():
    command = [sys.executable, "-m", "tools.benchmark", "train", "--repeats=3"]
    done = subprocess.run(
        [*command, "--steps=1", "--batch_size=8", "--contestants=fit,float32"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    rows = {line.split()[0]: line.split() for line in done.stdout.splitlines() if line}
    assert float(rows["fit"][1]) > 0 and float(rows["fit"][4]) == 1.0
    assert float(rows["float32"][1]) > 0


def test_an_unknown_contestant_is_named():
    done = subprocess.run(
        [sys.executable, "-m", "tools.benchmark", "train", "--contestants=bf16"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "known: fit, float32, mixed_bfloat16" in done.stderr
