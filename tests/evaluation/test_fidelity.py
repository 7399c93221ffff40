"""Label agreement and distances of a perfect, a useless and a duplicated run."""

import numpy as np
import pytest

from dfcvae_tf.evaluation.fidelity import (
    compare_agreement,
    describe_judge,
    measure_distances,
)
from dfcvae_tf.evaluation.judge import Judgement, assess_worth
from dfcvae_tf.evaluation.notes import judge_notes
from dfcvae_tf.evaluation.table import ORIGINALS, MeasureTable
from dfcvae_tf.metrics.comparisons import Comparisons

N = 60


def judgement(labels, features):
    return Judgement(features, labels, np.linspace(0, 1, len(labels)))


def agreement_verdicts(worth=None, **runs):
    table = MeasureTable({ORIGINALS: {}, **runs})
    comparisons = Comparisons(table.values, {"all": np.ones(N, bool)}, seed=0)
    return compare_agreement(table, comparisons, worth).results["verdicts"]


def test_perfect_useless_and_duplicated():
    labels = np.random.default_rng(0).integers(0, 10, N)
    wrong = labels.copy()
    wrong[: N // 2] += 1
    originals, half = (judgement(x, np.zeros((N, 4))) for x in (labels, wrong))
    useless = {"label_agreement": originals.same_label(half)}
    perfect = {"label_agreement": originals.same_label(originals)}
    verdicts = agreement_verdicts(useless=useless, copy=useless, perfect=perfect)
    tie, above = verdicts
    assert (tie["first"], tie["second"]) == ("copy", "useless")
    assert not tie["supported"] and tie["sentence"].startswith("Not supported: ")
    assert above["supported"]
    assert "of perfect is higher than that of useless" in above["sentence"]
    assert "100.0 % against 50.0 %, +50.0 points" in above["sentence"]
    # The baseline is the first run, whichever is better.
    (below,) = agreement_verdicts(perfect=perfect, useless=useless)
    assert (below["first"], below["supported"]) == ("useless", False)
    assert "50.0 % against 100.0 %, -50.0 points" in below["sentence"]


def test_a_judge_that_is_hardly_right_gives_no_verdict():
    labels = np.arange(N) % 5
    runs = {"a": np.zeros(N), "b": np.ones(N)}
    runs = {name: {"label_agreement": agrees} for name, agrees in runs.items()}
    for right, count in ((0.24, 0), (0.7, 1)):
        said = np.where(np.arange(N) < right * N, labels, -1)
        worth = assess_worth(said, labels)
        assert len(agreement_verdicts(worth, **runs)) == count
        notes = judge_notes(judgement(said, np.zeros((N, 1))), worth)
        assert len(notes) == 1 - count
    assert describe_judge(judgement(said, np.zeros((N, 1))), labels, 0)[
        "gives_verdicts"
    ]
    (note,) = judge_notes(judgement(said, np.zeros((N, 1))), None)
    assert "no labels" in note


def test_without_labels_nothing_is_said_of_them():
    runs = {name: {"mse": np.arange(N)} for name in "ab"}
    assert agreement_verdicts(**runs) == []


def test_distances_and_facts_of_the_judge():
    rng = np.random.default_rng(1)
    features = rng.normal(size=(N, 4))
    labels = np.arange(N) % 10
    original = judgement(labels, features)
    far = judgement(labels, features + 3)
    found = measure_distances(
        original, {"reconstructions": original, "samples": far}, seed=0
    )
    assert found["frechet_reconstructions"] == pytest.approx(0, abs=1e-6)
    assert found["frechet_samples"] == pytest.approx(4 * 9)
    assert found["kernel_samples"].mean > found["kernel_reconstructions"].mean
    assert found["sure_samples"] == pytest.approx(0.1)
    facts = describe_judge(original, np.where(labels == 0, 1, labels), seed=0)
    assert facts["accuracy"] == pytest.approx(0.9)
    assert facts["num_features"] == 4 and facts["frechet_between_halves"] > 0
