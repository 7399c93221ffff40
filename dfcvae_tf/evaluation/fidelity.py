"""How faithful runs are: pixels, likelihood, latents, and what a judge sees."""

from collections.abc import Mapping
from itertools import combinations
from typing import Any

import numpy as np

from dfcvae_tf.evaluation import figures
from dfcvae_tf.evaluation.inference import RunOutputs
from dfcvae_tf.evaluation.judge import Judgement
from dfcvae_tf.evaluation.section import ORIGINALS, Section
from dfcvae_tf.metrics import frechet, latent
from dfcvae_tf.metrics.measures import blur_measures, pixel_measures
from dfcvae_tf.metrics.paired import PairedComparison, compare_paired, format_p
from dfcvae_tf.metrics.sharpness import SIGNIFICANCE

# ratio -> measure: mean over the run's images, relative to that over the originals
_RATIOS = {
    "sharpness_ratio": "laplacian_variance",
    "blurred_sharpness_ratio": "blurred_laplacian_variance",
    "high_frequency_ratio": "high_frequency_energy",
}
_SURE = 0.9


def measure_fidelity(
    images: np.ndarray,
    outputs: Mapping[str, RunOutputs],
    judged: Mapping[str, Judgement],
    seed: int,
) -> Section:
    """Measures every image of every run, and compares the runs pair by pair.

    Args:
      images: the originals, [N, H, W, C] float32 in [0, 1].
      outputs: by run.
      judged: originals and each run's reconstructions as the judge sees them; {} without
        a judge.
      seed: of the bootstrap intervals.
    """
    section = Section()
    originals = blur_measures(images, images)
    measured: dict[str, dict[str, np.ndarray]] = {}
    for name, output in outputs.items():
        recon = output.reconstructions
        measures = blur_measures(images, recon) | pixel_measures(images, recon)
        measures["kl_nats"] = output.kl.sum(axis=1)
        measures["bernoulli_nll"] = output.bernoulli_nll
        measures["negative_elbo"] = output.negative_elbo
        kept = judged[ORIGINALS].same_label(judged[name]) if judged else None
        if kept is not None:
            measures["label_kept"] = kept
        measured[name] = measures
        section.runs[name] = {key: np.nanmean(x) for key, x in measures.items()}
        section.runs[name] |= {
            ratio: measures[key].mean() / originals[key].mean()
            for ratio, key in _RATIOS.items()
        }
        section.runs[name]["kl_per_dimension"] = output.kl.mean(axis=0)
        section.runs[name]["active_units"] = latent.active_units(output.z_mean).count
    section.results["differences"] = [
        {
            "first": a,
            "second": b,
            "measures": _compare(measured[a], measured[b], seed),
        }
        for b, a in combinations(measured, 2)
    ]
    labelled = {n: m["label_kept"] for n, m in measured.items() if "label_kept" in m}
    section.results["verdicts"] = [
        _assess_label(labelled, *pair, seed) for pair in combinations(labelled, 2)
    ]
    section.figures["kl"] = figures.kl_per_dimension(
        {name: output.kl.mean(axis=0) for name, output in outputs.items()}
    )
    return section


def measure_distances(
    originals: Judgement, reconstructions: Judgement, samples: Judgement, seed: int
) -> dict[str, Any]:
    """Distances of one run's images from the originals, in the judge's features."""
    found: dict[str, Any] = {}
    for what, judged in (("reconstructions", reconstructions), ("samples", samples)):
        pair = originals.features, judged.features
        found[f"frechet_{what}"] = frechet.frechet_distance(*pair)
        found[f"kernel_{what}"] = frechet.kernel_distance(*pair, seed=seed)
    if samples.confidence is not None:
        found["sure_samples"] = (samples.confidence > _SURE).mean()
    return found


def describe_judge(
    judged: Judgement, labels: np.ndarray | None, seed: int
) -> dict[str, Any]:
    """How well originals are judged, and how far two halves of them are apart.

    Args:
      judged: the originals as the judge sees them.
      labels: [N] int, the true ones, or None.
      seed: of the halves.
    """
    order = np.random.default_rng(seed).permutation(len(judged.features))
    halves = np.array_split(judged.features[order], 2)
    facts: dict[str, Any] = {"num_features": judged.features.shape[1]}
    if len(halves[1]) >= 2:
        facts["frechet_between_halves"] = frechet.frechet_distance(*halves)
    if judged.labels is not None and labels is not None:
        facts["accuracy"] = (judged.labels == labels).mean()
    return facts


def _assess_label(
    kept: Mapping[str, np.ndarray], a: str, b: str, seed: int
) -> dict[str, Any]:
    """Says whether one of two runs keeps the label more often (run -> 0 or 1, [N])."""
    if kept[b].mean() > kept[a].mean():
        a, b = b, a
    test = compare_paired(kept[a], kept[b], seed)
    supported = test.ci_low > 0 and test.p_value < SIGNIFICANCE
    numbers = (
        f"{100 * kept[a].mean():.1f} % against {100 * kept[b].mean():.1f} %, "
        f"{100 * test.mean_difference:+.1f} points "
        f"[{100 * test.ci_low:.1f}, {100 * test.ci_high:.1f}], "
        f"p {format_p(test.log10_p)}, n {test.n}"
    )
    claim = f"{a} keeps the label more often than {b}"
    return {
        "first": a,
        "second": b,
        "supported": supported,
        "sentence": f"{'Supported' if supported else 'Not supported'}: {claim}: {numbers}.",
    }


def _compare(
    a: Mapping[str, np.ndarray], b: Mapping[str, np.ndarray], seed: int
) -> dict[str, PairedComparison]:
    """Compares every measure over the images for which both runs have a finite value."""
    comparisons = {}
    for measure in a:
        finite = np.isfinite(a[measure]) & np.isfinite(b[measure])
        if finite.sum() >= 2:
            comparisons[measure] = compare_paired(
                a[measure][finite], b[measure][finite], seed
            )
    return comparisons
