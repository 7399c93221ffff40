"""The article's experiment: who is blurred, tested on the right pairs.

The article claims that its DFC-VAE is sharper than its plain VAE, and tests originals
against the plain VAE. Here every pair is tested under its own name.
"""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from dfcvae_tf.evaluation import figures, selection
from dfcvae_tf.evaluation.dataset import EvaluationImages
from dfcvae_tf.evaluation.section import Section
from dfcvae_tf.evaluation.table import ORIGINALS, MeasureTable
from dfcvae_tf.metrics.comparisons import Comparisons, PairTests
from dfcvae_tf.metrics.sharpness_verdict import SharpnessVerdict, assess_sharper

_AXIS = "Laplacian variance"
# Of values in [0, 1]: below it a mean is that of flat images.
_ROUNDING = 1e-9
# ratio -> measure: mean over the run's images, relative to that over the originals
_RATIOS = {
    "sharpness_ratio": "laplacian_variance",
    "blurred_sharpness_ratio": "blurred_laplacian_variance",
    "high_frequency_ratio": "high_frequency_energy",
}


def compare_blur(
    table: MeasureTable,
    comparisons: Comparisons,
    data: EvaluationImages,
    groups: Mapping[str, np.ndarray],
) -> Section:
    """Compares originals and runs by Laplacian variance, and asks whether it is sharpness.

    Args:
      table: what was measured.
      comparisons: of the table; where it compares no images, there are no tests and no
        verdicts.
      data: labels and class names are used.
      groups: name -> bool [N], see `selection.class_groups`.
    """
    section = Section()
    values = table.column("laplacian_variance")
    tests = [
        pair
        for pair in comparisons.compare_groups(table.pairs(), "laplacian_variance")
        if pair.groups
    ]
    for name in table.runs:
        section.runs[name] = {
            ratio: table.values[name][measure].mean() / of_originals
            for ratio, measure in _RATIOS.items()
            # Nothing is relative to originals that have none, but for rounding.
            if (of_originals := table.values[ORIGINALS][measure].mean()) > _ROUNDING
        }
    verdicts = []
    for first, second in table.run_pairs() if tests else ():
        ratio = section.runs[first].get("high_frequency_ratio")
        verdict = _assess(first, second, comparisons, ratio)
        if verdict is None:
            section.notes.append(
                f"Too few originals have edges to tell whether {first} is sharper than "
                f"{second}."
            )
        else:
            verdicts.append(verdict)
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
            for verdict in verdicts
        ],
    }
    section.figures = _draw(values, tests, data, groups)
    return section


def _draw(
    values: Mapping[str, np.ndarray],
    tests: Sequence[PairTests],
    data: EvaluationImages,
    groups: Mapping[str, np.ndarray],
) -> dict[str, figures.Picture]:
    pictures: dict[str, figures.Picture] = {}
    if data.labels is not None:
        present, labels = np.unique(data.labels, return_inverse=True)
        pictures["blur_by_class"] = figures.class_boxplot(
            values[ORIGINALS], labels, [data.class_names[i] for i in present], _AXIS
        )
    pictures["blur_histograms"] = figures.histograms(
        values, selection.asked_for(groups, data.class_names), _AXIS
    )
    if not tests:
        return pictures
    pictures["blur_differences"] = figures.difference_intervals(
        {
            f"{pair.first} − {pair.second}": [
                (g.group, g.test.mean_difference, g.test.ci_low, g.test.ci_high)
                for g in pair.groups
            ]
            for pair in tests
        },
        f"mean difference of {_AXIS} (95 % interval)",
    )
    return pictures


def _assess(
    first: str,
    second: str,
    comparisons: Comparisons,
    high_frequency_ratio: float | None,
) -> SharpnessVerdict | None:
    """The verdict over all images; None where fewer than two originals have edges."""
    laplacian, blurred, edge_recovery = (
        comparisons.compare(first, second, measure, selection.ALL)
        for measure in (
            "laplacian_variance",
            "blurred_laplacian_variance",
            "blurred_edge_recovery",
        )
    )
    if laplacian is None or blurred is None or edge_recovery is None:
        return None
    if high_frequency_ratio is None:
        return None
    return assess_sharper(
        first,
        second,
        laplacian=laplacian,
        blurred=blurred,
        edge_recovery=edge_recovery,
        high_frequency_ratio=float(high_frequency_ratio),
    )
