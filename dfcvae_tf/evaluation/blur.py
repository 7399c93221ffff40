"""The article's experiment: who is blurred, tested on the right pairs.

The article claims that its DFC-VAE is sharper than its plain VAE, and tests originals
against the plain VAE. Here every pair is tested under its own name.
"""

import dataclasses
from collections.abc import Mapping
from itertools import combinations

import numpy as np

from dfcvae_tf.evaluation import figures, selection
from dfcvae_tf.evaluation.dataset import EvaluationImages
from dfcvae_tf.evaluation.section import ORIGINALS, Section
from dfcvae_tf.metrics import comparisons, sharpness

_AXIS = "Laplacian variance"


def measure_blur(
    data: EvaluationImages,
    reconstructions: Mapping[str, np.ndarray],
    groups: Mapping[str, np.ndarray],
    seed: int,
) -> Section:
    """Compares originals and runs by Laplacian variance.

    Args:
      data: the originals, [N, H, W, C].
      reconstructions: run -> [N, H, W, C] float32 in [0, 1].
      groups: name -> bool [N], see `selection.class_groups`.
      seed: of the bootstrap intervals.
    """
    values = {
        name: sharpness.laplacian_variance(images)
        for name, images in {ORIGINALS: data.images, **reconstructions}.items()
    }
    pairs = [
        (b, a) if values[b].mean() > values[a].mean() else (a, b)
        for a, b in combinations(reconstructions, 2)
    ]
    tests = comparisons.compare_groups(
        values, [*pairs, *((ORIGINALS, name) for name in reconstructions)], groups, seed
    )
    section = Section()
    section.results = {
        "mean_laplacian_variance": {
            name: {
                group: x[mask].mean() for group, mask in groups.items() if mask.any()
            }
            for name, x in values.items()
        },
        "tests": tests,
        "verdicts": [
            dataclasses.asdict(verdict) | {"sentence": verdict.sentence}
            for verdict in (
                sharpness.assess_sharper(
                    data.images, reconstructions[a], reconstructions[b], a, b, seed
                )
                for a, b in pairs
            )
        ],
    }
    if data.labels is not None:
        present, labels = np.unique(data.labels, return_inverse=True)
        section.figures["blur_by_class"] = figures.class_boxplot(
            values[ORIGINALS], labels, [data.class_names[i] for i in present], _AXIS
        )
    section.figures["blur_histograms"] = figures.histograms(
        values, selection.asked_for(groups, data.class_names), _AXIS
    )
    section.figures["blur_differences"] = figures.difference_intervals(
        {
            f"{pair.first} − {pair.second}": [
                (g.group, g.test.mean_difference, g.test.ci_low, g.test.ci_high)
                for g in pair.groups
            ]
            for pair in tests
        },
        f"mean difference of {_AXIS} (95 % interval)",
    )
    return section
