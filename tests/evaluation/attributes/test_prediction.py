"""Classifiers on latents that tell an attribute, and on latents that do not."""

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, recall_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

from dfcvae_tf.errors import UserError
from dfcvae_tf.evaluation.attributes import prediction
from dfcvae_tf.evaluation.attributes.prediction import Prediction, Score

TRAIN = 2000


@pytest.fixture(name="z", scope="module")
def _z() -> np.ndarray:
    """[4000, 5] float32 with scales far apart."""
    rng = np.random.default_rng(0)
    return (rng.normal(3, 1, (4000, 5)) * [1, 100, 0.01, 1, 1]).astype(np.float32)


def predict(z, has):
    return prediction.predict(z[:TRAIN], has[:TRAIN], z[TRAIN:], has[TRAIN:], seed=0)


def test_a_separable_attribute_is_predicted(z):
    # Only standardised latents show it: the dimension that tells is the smallest.
    found = predict(z, (z[:, 2] > 0.03).astype(np.int8))
    for score in (found.plain, found.balanced):
        assert min(score.accuracy, score.balanced_accuracy) > 0.98
    assert abs(found.majority.accuracy - 0.5) < 0.05


def test_a_rare_coin_looks_well_predicted_by_accuracy_only(z):
    has = (np.random.default_rng(1).random(len(z)) < 0.1).astype(np.int8)
    found = predict(z, has)
    assert found.plain == Score(found.majority.accuracy, 0.5)  # "no" to all
    assert found.majority.accuracy == pytest.approx(1 - found.test_share)
    assert abs(found.balanced.balanced_accuracy - 0.5) < 0.08


def test_scores_are_those_of_independent_code(z):
    noise = np.random.default_rng(2).normal(0, 1, len(z))
    has = (z[:, 0] + noise > 4.5).astype(np.int8)
    found = predict(z, has)
    for score, weight in ((found.plain, None), (found.balanced, "balanced")):
        machine = make_pipeline(
            StandardScaler(), LinearSVC(dual=False, class_weight=weight, tol=1e-6)
        )
        answers = machine.fit(z[:TRAIN], has[:TRAIN]).predict(z[TRAIN:])
        truth = has[TRAIN:]
        recalls = [recall_score(truth, answers, pos_label=value) for value in (0, 1)]
        assert score.accuracy == pytest.approx(accuracy_score(truth, answers), abs=2e-3)
        assert score.balanced_accuracy == pytest.approx(np.mean(recalls), abs=4e-3)
    # Weighted alike, it finds more of the rare and calls more of the others so.
    assert found.balanced.balanced_accuracy > found.plain.balanced_accuracy + 0.03
    assert found.balanced.accuracy < found.plain.accuracy


def test_the_majority_is_that_of_train(z):
    has = np.zeros(len(z), np.int8)
    has[: TRAIN * 3 // 4] = 1  # common in train
    has[TRAIN : TRAIN + TRAIN // 5] = 1  # rare in test
    assert predict(z, has).majority == Score(pytest.approx(0.2), 0.5)


def test_one_value_only_is_named_with_what_to_exclude():
    train = np.array([[0, 1, 0, 0], [1, 1, 1, 0]])
    test = np.array([[0, 1, 1, 0], [1, 0, 1, 1]])
    with pytest.raises(UserError, match="agree in: b, c, d; .*--exclude=x,b,c,d$"):
        prediction.check_two_values(list("abcd"), train, test, ["x"])
    prediction.check_two_values(["a"], train[:, :1], test[:, :1])


def test_means_and_table():
    low = Prediction(0.1, Score(0.9, 0.5), Score(0.8, 0.6), Score(0.7, 0.7))
    high = Prediction(0.3, Score(0.7, 0.5), Score(1.0, 0.8), Score(0.9, 0.9))
    mean = prediction.mean_prediction([low, high])
    for score, expected in (
        (mean.majority, (0.8, 0.5)),
        (mean.plain, (0.9, 0.7)),
        (mean.balanced, (0.8, 0.8)),
    ):
        assert (score.accuracy, score.balanced_accuracy) == pytest.approx(expected)
    lines = prediction.table({"Bald": low, "mean": mean}).splitlines()
    assert " ".join(lines[2].split()) == "Bald 10.0 90.0 80.0 70.0 50.0 60.0 70.0"
    assert lines[-1].startswith("mean") and len({len(line) for line in lines}) == 1
