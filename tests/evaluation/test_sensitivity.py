"""The losses of runs on moved images."""

import numpy as np

from dfcvae_tf.checkpoints import load_for_inference
from dfcvae_tf.evaluation.chosen import ChosenImages
from dfcvae_tf.evaluation.sensitivity import measure_losses
from tests.evaluation.streams import digits


def test_runs_with_a_perceptual_loss_have_a_curve_whatever_the_classes():
    data, places = digits(12), np.array([7, 0, 3, 9])
    originals = ChosenImages(places)
    originals.add(0, next(data.batches()))
    models = {
        name: load_for_inference(f"pretrained:mnist_{name}")
        for name in ("vae", "dfc_vae")
    }
    for labels, other_classes in (
        (data.labels[places], True),
        (np.zeros(4, np.int64), False),
        (None, False),
    ):
        section = measure_losses(models, originals, places, labels, False, seed=0)
        assert section.results["others_of_another_class"] == other_classes
        curves = section.results["curves"]["shift"]
        assert list(curves) == [
            "pixel loss (squared error)",
            "perceptual loss of dfc_vae",
        ]
        assert all(curve.relative[0] == 0 for curve in curves.values())
        assert list(section.figures) == ["sensitivity"] and section.notes == []
