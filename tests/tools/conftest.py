"""Benchmarks are of the current stack: their slow tests are not run on TensorFlow 2.15."""

from importlib.metadata import version
from pathlib import Path

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if not version("keras").startswith("2."):
        return
    skip = pytest.mark.skip(reason="benchmarks are of the current stack")
    for item in items:
        if Path(__file__).parent in item.path.parents and "slow" in item.keywords:
            item.add_marker(skip)
