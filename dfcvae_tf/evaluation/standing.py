"""How settings stand against the baseline: what may be said, and what to know first."""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import numpy as np

from dfcvae_tf.evaluation.judge import Worth
from dfcvae_tf.evaluation.measuring import Latents
from dfcvae_tf.evaluation.selection import ALL
from dfcvae_tf.evaluation.table import ORIGINALS, MeasureTable
from dfcvae_tf.evaluation.variants import Variant, Variants
from dfcvae_tf.metrics.collapse import is_collapsed
from dfcvae_tf.metrics.comparisons import Comparisons
from dfcvae_tf.metrics.paired import Comparison
from dfcvae_tf.metrics.sharpness_verdict import (
    MIN_EDGE_RECOVERY_GAIN,
    SIGNIFICANCE,
    SharpnessVerdict,
    assess_sharper,
    is_higher,
)
from dfcvae_tf.metrics.trainings import compare_trainings

_ENERGY = "high_frequency_energy"
# Rates so near to each other count as equal: what --target_kl comes to, and some more.
_SAME_RATE = 0.05

# Measure -> the comparison of two settings; None where too few images have it.
_Compare = Callable[[str], Comparison | None]


def describe_variants(
    variants: Variants, latents: Mapping[str, Latents], num_images: int
) -> dict[str, Any]:
    """Which runs belong together, and what a reader must know of them first.

    Args:
      variants: the settings.
      latents: by run.
      num_images: that every run was measured on.
    """
    nats = {name: own.kl.mean(axis=0) for name, own in latents.items()}
    collapsed = {n: float(kl.sum()) for n, kl in nats.items() if is_collapsed(kl)}
    return {
        "baseline": variants.of(variants.baseline).name,
        "baseline_run": variants.baseline,
        "columns": variants.columns,
        "differing_along": {s: variants.values(s) for s in variants.along},
        "settings": [
            {
                "name": variant.name,
                "runs": variant.runs,
                "values": variant.values,
                "collapsed": [run for run in variant.runs if run in collapsed],
            }
            for variant in variants.each
        ],
        "alerts": [
            *_collapse_alerts(variants, collapsed),
            *_rate_alerts(
                variants,
                {n: float(kl.sum()) for n, kl in nats.items() if n not in collapsed},
            ),
        ],
        "basis": _describe_basis(variants, num_images),
    }


def compare_variants(
    table: MeasureTable,
    comparisons: Comparisons,
    variants: Variants,
    collapsed: Sequence[str],
    worth: Worth | None,
    seed: int,
) -> list[dict[str, Any]]:
    """What is supported of each setting against the baseline's.

    Nothing is said of a setting whose runs have all collapsed, or against one, and nothing
    of label agreement by a judge whose labels are not worth it.

    Args:
      table: what was measured.
      comparisons: of the table, for settings of a single run.
      variants: the settings.
      collapsed: runs whose latents carry nothing.
      worth: of the judge; None where the originals have no labels to tell.
      seed: of the bootstrap.
    """
    baseline = variants.of(variants.baseline)
    verdicts: list[dict[str, Any]] = []
    if _has_collapsed(baseline, collapsed):
        return verdicts
    for variant in variants.each:
        if variant is baseline or _has_collapsed(variant, collapsed):
            continue

        def compare(measure: str, first: Variant = variant) -> Comparison | None:
            if len(first.runs) == len(baseline.runs) == 1:
                return comparisons.compare(
                    first.runs[0], baseline.runs[0], measure, ALL
                )
            rows = [
                np.stack([table.values[run][measure] for run in each.runs])
                for each in (first, baseline)
            ]
            used = np.isfinite(np.concatenate(rows)).all(axis=0)
            if used.sum() < 2:
                return None
            return compare_trainings(rows[0][:, used], rows[1][:, used], seed)

        claims = [_assess_sharper(table, variant, baseline, compare)]
        if worth is not None and worth.is_enough:
            claims.append(_assess_agreement(table, variant, baseline, compare))
        verdicts.append(
            {
                "first": variant.name,
                "second": baseline.name,
                "claims": [claim for claim in claims if claim is not None],
            }
        )
    return verdicts


def _has_collapsed(variant: Variant, collapsed: Collection[str]) -> bool:
    """Whether all runs of a setting have."""
    return set(variant.runs) <= set(collapsed)


def _assess_sharper(
    table: MeasureTable, first: Variant, second: Variant, compare: _Compare
) -> dict[str, Any] | None:
    """Whether the first is sharper; None where too few originals have edges."""
    laplacian = compare("laplacian_variance")
    blurred = compare("blurred_laplacian_variance")
    edge_recovery = compare("blurred_edge_recovery")
    energy = table.values[ORIGINALS][_ENERGY].mean()
    if laplacian is None or blurred is None or edge_recovery is None or not energy > 0:
        return None
    own = np.mean([table.values[run][_ENERGY].mean() for run in first.runs])
    verdict = assess_sharper(
        first.name,
        second.name,
        laplacian=laplacian,
        blurred=blurred,
        edge_recovery=edge_recovery,
        high_frequency_ratio=float(own / energy),
    )
    return {
        "claim": "sharper",
        "supported": verdict.supported,
        "text": _describe_sharper(verdict),
        "sentence": verdict.sentence,
    }


def _describe_sharper(verdict: SharpnessVerdict) -> str:
    """A verdict on sharpness, in few words."""
    variance = f"Laplacian variance {describe_interval(verdict.laplacian)}"
    edges = f"edges recovered {describe_interval(verdict.edge_recovery)}"
    if verdict.supported:
        return f"sharper: {variance}, {edges}"
    if not is_higher(verdict.laplacian):
        return f"not sharper: {variance}"
    if not is_higher(verdict.blurred):
        return f"noisier, not sharper: {variance}, but not after a blur"
    if not is_higher(verdict.edge_recovery, by=MIN_EDGE_RECOVERY_GAIN):
        return f"not sharper where the originals are: {edges}"
    return (
        f"noisier, not sharper: {verdict.high_frequency_ratio:.2f} times the originals' "
        "high-frequency energy"
    )


def _assess_agreement(
    table: MeasureTable, first: Variant, second: Variant, compare: _Compare
) -> dict[str, Any] | None:
    """Whether the first's label agreement is the higher one."""
    if any("label_agreement" not in table.values[r] for r in first.runs + second.runs):
        return None
    test = compare("label_agreement")
    if test is None:
        return None
    supported = is_higher(test)
    lower = test.ci_high < 0 and test.deciding_p < SIGNIFICANCE
    word = "higher" if supported else "lower" if lower else "not higher"
    points = describe_interval(test, 100, digits=1)
    return {
        "claim": "label agreement",
        "supported": supported,
        "text": f"label agreement {word}: {points} points",
        "sentence": (
            f"{'Supported' if supported else 'Not supported'}: the label agreement of "
            f"{first.name} is higher than that of {second.name}: {test}."
        ),
    }


def describe_interval(
    test: Comparison, factor: float = 1.0, digits: int | None = None
) -> str:
    """Difference and interval.

    Args:
      test: the comparison.
      factor: of all numbers, such as 100 for points.
      digits: behind the point; as many as tell the ends apart when None.
    """
    mean, low, high = (
        factor * x for x in (test.mean_difference, test.ci_low, test.ci_high)
    )
    if digits is None:
        size, width = max(abs(low), abs(high)), high - low
        digits = max(
            1 - int(np.floor(np.log10(size))) if size > 0 else 0,
            -int(np.floor(np.log10(width))) if width > 0 else 0,
        )
        digits = min(max(digits, 0), 7)
    form = f".{digits}f"
    return f"{mean:+{form}} [{low:{form}}, {high:{form}}]"


def _collapse_alerts(variants: Variants, collapsed: Mapping[str, float]) -> list[str]:
    """At most one sentence on settings that collapsed, and one on those that did partly."""
    whole = [v for v in variants.each if _has_collapsed(v, collapsed)]
    partly = {
        v.name: [run for run in v.runs if run in collapsed]
        for v in variants.each
        if v not in whole
    }
    alerts = []
    if whole:
        listed = ", ".join(
            f"{v.name} ({np.mean([collapsed[run] for run in v.runs]):.2g} nats)"
            for v in whole
        )
        alert = (
            f"Collapsed: {listed}. Latents that carry nothing reconstruct all images "
            "alike, so there is no verdict on these; --target_kl=NATS asks for more, a "
            "lower --kl_weight allows it."
        )
        if variants.of(variants.baseline) in whole:
            alert += (
                " The baseline is among them, so nothing is compared: choose another "
                "with --baseline."
            )
        alerts.append(alert)
    listed = ", ".join(
        f"{len(runs)} of {len(variants.of(runs[0]).runs)} trainings of {name} "
        f"({', '.join(runs)})"
        for name, runs in partly.items()
        if runs
    )
    if listed:
        alerts.append(f"Collapsed: {listed}; means are over good and bad ones.")
    return alerts


def _rate_alerts(variants: Variants, nats: Mapping[str, float]) -> list[str]:
    """A sentence where a setting's latents carry more than the baseline's, or less.

    Args:
      variants: the settings.
      nats: by run, of those that have not collapsed.
    """
    rates = {
        variant.name: np.mean([nats[run] for run in variant.runs if run in nats])
        for variant in variants.each
        if any(run in nats for run in variant.runs)
    }
    own = rates.get(variants.of(variants.baseline).name)
    if own is None:
        return []
    others = [
        f"{name} {rate:.3g}"
        for name, rate in rates.items()
        if abs(rate - own) > _SAME_RATE * own
    ]
    if not others:
        return []
    alert = (
        f"Other rates than the baseline's {own:.3g} nats: {', '.join(others)}. With more "
        "nats any method reconstructs better and samples worse; --target_kl asks for the "
        "same of all."
    )
    return [alert]


def _describe_basis(variants: Variants, num_images: int) -> str:
    """What intervals and tests are over, in one sentence."""
    if len(variants.each) < 2:
        return ""
    single = [v.name for v in variants.each if len(v.runs) == 1]
    if len(single) == len(variants.each):
        return (
            f"One training of each: intervals (95 %) are over the {num_images} images "
            "and hold for these trainings only; what another seed would do is not known."
        )
    basis = f"Intervals (95 %) are over trainings and the {num_images} images"
    if single:
        them = "it" if len(single) == 1 else "them"
        basis += (
            f"; of {', '.join(single)} there is one training, so that what is said of "
            f"{them} holds for that training only"
        )
    return f"{basis}."
