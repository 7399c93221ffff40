"""The table in short."""

import numpy as np
import pytest

from dfcvae_tf.evaluation.summary import summarize
from dfcvae_tf.evaluation.table import ORIGINALS, MeasureTable
from dfcvae_tf.metrics.comparisons import Comparisons
from dfcvae_tf.metrics.measures import measure_images
from dfcvae_tf.metrics.sharpness import blur


def test_perfect_useless_and_duplicated():
    images = np.random.default_rng(0).random((9, 14, 14, 1)).astype(np.float32)
    images[0] = 0.5  # no edges to recover, which spoils no mean
    soft = blur(images)
    of_originals, runs = measure_images(
        images, {"perfect": images, "useless": soft, "copy": soft}
    )
    table = MeasureTable({ORIGINALS: of_originals, **runs})
    section = summarize(
        table, Comparisons(table.values, {"all": np.ones(9, bool)}, seed=0)
    )
    perfect, bad = section.runs["perfect"], section.runs["useless"]
    assert perfect["mse"] == 0 and perfect["psnr"] == np.inf
    assert perfect["edge_recovery"] == pytest.approx(1)
    assert bad["edge_recovery"] < 0.5
    assert bad["mse"] == pytest.approx(((images - soft) ** 2).mean())
    np.testing.assert_equal(section.runs["copy"], bad)
    by_pair = {(d["first"], d["second"]): d for d in section.results["differences"]}
    assert list(by_pair) == table.run_pairs()
    worse = by_pair["useless", "perfect"]["measures"]["mse"]
    assert worse.mean_difference > 0
    assert by_pair["copy", "perfect"]["measures"]["mse"] == worse
    assert "psnr" not in by_pair["useless", "perfect"]["measures"]  # all infinite
