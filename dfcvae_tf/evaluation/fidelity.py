"""How faithful runs are to the originals, image by image and as sets of images."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from dfcvae_tf.evaluation import selection
from dfcvae_tf.evaluation.judge import Judge, Judgement, Worth, assess_worth
from dfcvae_tf.evaluation.section import Section
from dfcvae_tf.evaluation.table import ORIGINALS, MeasureTable
from dfcvae_tf.metrics import coverage, frechet
from dfcvae_tf.metrics.comparisons import Comparisons
from dfcvae_tf.metrics.paired import PairedComparison, format_p
from dfcvae_tf.metrics.sharpness_verdict import is_higher

_SURE = 0.9


def compare_agreement(
    table: MeasureTable, comparisons: Comparisons, worth: Worth | None = None
) -> Section:
    """Whether one run's label agreement is above another's.

    Nothing is said without labels, and of a judge whose own are not worth it.

    Args:
      table: what was measured.
      comparisons: of the table.
      worth: of the judge; None where the originals have no labels to tell.
    """
    section = Section()
    if worth is not None and not worth.is_enough:
        section.results["verdicts"] = []
        return section
    shares = {n: x.mean() for n, x in table.column("label_agreement").items()}
    section.results["verdicts"] = [
        _assess_agreement(first, second, shares[first], shares[second], test)
        for first, second in table.run_pairs()
        if first in shares
        and (
            test := comparisons.compare(first, second, "label_agreement", selection.ALL)
        )
    ]
    return section


def compare_as_judged(
    judge: Judge,
    judged: Mapping[str, Judgement],
    drawn: Mapping[str, Mapping[str, Judgement]],
    labels: np.ndarray | None,
    seed: int,
) -> Section:
    """Distances of all runs' images from the originals, and what to know of the judge.

    Args:
      judge: the held-out classifier.
      judged: originals and each run's reconstructions as it sees them.
      drawn: each run's samples as it sees them, by where they come from.
      labels: [N] int, the true ones of the originals, or None.
      seed: of halves and subsets.
    """
    originals = judged[ORIGINALS]
    section = Section()
    section.results = {
        "name": judge.name,
        "layers": judge.layers,
        **describe_judge(originals, labels, seed),
    }
    for name, samples in drawn.items():
        made = {"reconstructions": judged[name], **samples}
        section.runs[name] = measure_distances(originals, made, seed)
    return section


def measure_distances(
    originals: Judgement, made: Mapping[str, Judgement], seed: int
) -> dict[str, Any]:
    """Distances of one run's images from the originals, in the classifier's features.

    Args:
      originals: the originals as it sees them.
      made: what a run made: "reconstructions", and samples of several kinds.
      seed: of subsets.
    """
    found: dict[str, Any] = {}
    for what, judged in made.items():
        pair = originals.features, judged.features
        found[f"frechet_{what}"] = frechet.frechet_distance(*pair)
        found[f"kernel_{what}"] = frechet.kernel_distance(*pair, seed=seed)
        if what == "reconstructions":
            continue
        if len(originals.features) > coverage.NEIGHBORS:
            measured = coverage.measure_coverage(*pair)
            found[f"density_{what}"] = measured.density
            found[f"coverage_{what}"] = measured.coverage
        if judged.confidence is not None:
            found[f"sure_{what}"] = (judged.confidence > _SURE).mean()
    return found


def describe_judge(
    judged: Judgement, labels: np.ndarray | None, seed: int
) -> dict[str, Any]:
    """How well originals are classified, and how far two halves of them are apart.

    Args:
      judged: the originals as the held-out classifier sees them.
      labels: [N] int, the true ones, or None.
      seed: of the halves.
    """
    order = np.random.default_rng(seed).permutation(len(judged.features))
    halves = np.array_split(judged.features[order], 2)
    facts: dict[str, Any] = {"num_features": judged.features.shape[1]}
    if len(halves[1]) >= 2:
        facts["frechet_between_halves"] = frechet.frechet_distance(*halves)
    if judged.labels is not None and labels is not None:
        worth = assess_worth(judged.labels, labels)
        facts |= {
            "accuracy": worth.accuracy,
            "majority": worth.majority,
            "accuracy_needed": worth.needed,
            "gives_verdicts": worth.is_enough,
        }
    return facts


def _assess_agreement(
    first: str,
    second: str,
    first_share: float,
    second_share: float,
    test: PairedComparison,
) -> dict[str, Any]:
    """Says whether the first's label agreement, a share in [0, 1], is the higher one."""
    supported = is_higher(test)
    claim = f"the label agreement of {first} is higher than that of {second}"
    numbers = (
        f"{100 * first_share:.1f} % against {100 * second_share:.1f} %, "
        f"{100 * test.mean_difference:+.1f} points "
        f"[{100 * test.ci_low:.1f}, {100 * test.ci_high:.1f}], "
        f"p {format_p(test.log10_p)}, n {test.n}"
    )
    return {
        "first": first,
        "second": second,
        "supported": supported,
        "sentence": f"{'Supported' if supported else 'Not supported'}: {claim}: {numbers}.",
    }
