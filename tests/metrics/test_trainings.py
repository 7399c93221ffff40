"""Differences over trainings and images, where the truth is known."""

import numpy as np
import pytest
import scipy.stats

from dfcvae_tf.metrics import trainings
from dfcvae_tf.metrics.trainings import compare_trainings

IMAGES = 40


def measured(rng, number, mean, of_trainings, of_images):
    """[number, IMAGES]: a mean, what the training and the image add, and noise."""
    noise = rng.normal(size=(number, IMAGES))
    return mean + of_trainings * rng.normal(size=(number, 1)) + of_images + 0.3 * noise


@pytest.mark.parametrize(
    ("numbers", "of_trainings"), [((3, 3), 1.0), ((3, 5), 0.1), ((2, 2), 0.5)]
)
def test_the_interval_holds_the_truth_as_often_as_it_says(
    numbers, of_trainings, monkeypatch
):
    monkeypatch.setattr(trainings, "RESAMPLES", 300)
    rng = np.random.default_rng(0)
    held, found = [], []
    for _ in range(400):
        of_images = rng.normal(size=IMAGES)
        first, second = (
            measured(rng, number, mean, of_trainings, of_images)
            for number, mean in zip(numbers, (0.7, 0.2), strict=True)
        )
        test = compare_trainings(first, second)
        held.append(test.ci_low <= 0.5 <= test.ci_high)
        found.append(test.p_value < 0.05)
        assert (test.p_value < 0.05) == (not test.ci_low <= 0 <= test.ci_high)
    assert 0.92 <= np.mean(held) <= 0.995
    # Of images alone, as if there had been one training, it would not.
    assert np.mean(found) < 0.6 if of_trainings >= 0.5 else np.mean(found) > 0.9


def test_large_samples_agree_with_welch_and_with_the_paired_test():
    rng = np.random.default_rng(1)
    # Only trainings vary: Welch's test of their means.
    first = rng.normal(0.3, 0.2, (4, 1)) + np.zeros((4, IMAGES))
    second = rng.normal(0.0, 0.5, (6, 1)) + np.zeros((6, IMAGES))
    test = compare_trainings(first, second)
    welch = scipy.stats.ttest_ind(first[:, 0], second[:, 0], equal_var=False)
    assert test.t_statistic == pytest.approx(welch.statistic, rel=0.05)
    assert test.df == pytest.approx(welch.df)
    assert test.p_value == pytest.approx(welch.pvalue, rel=0.15)
    low, high = welch.confidence_interval()
    assert (test.ci_low, test.ci_high) == pytest.approx((low, high), rel=0.1)
    # Only images vary: the paired t test.
    a, b = rng.normal(0.2, 1, (2, 1, 300))
    test, paired = compare_trainings(a, b), scipy.stats.ttest_rel(a[0], b[0])
    assert test.t_statistic == pytest.approx(paired.statistic, rel=0.05)
    assert test.df == pytest.approx(299)
    assert "1 and 1 trainings, n 300" in str(test)


def test_what_does_not_vary_decides_nothing():
    test = compare_trainings(np.full((3, 9), 0.7), np.full((3, 9), 0.1 + 0.2))
    assert test.p_value == 1 and test.ci_low == test.ci_high == pytest.approx(0.4)
    assert test == compare_trainings(np.full((3, 9), 0.7), np.full((3, 9), 0.1 + 0.2))


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        (np.ones(3), np.ones((1, 3)), "shapes"),
        (np.ones((1, 3)), np.ones((1, 4)), "shapes"),
        (np.ones((0, 3)), np.ones((1, 3)), "a training of each"),
        (np.ones((1, 1)), np.ones((1, 1)), "at least 2 images"),
        (np.ones((1, 2)), np.array([[1, np.nan]]), "finite"),
    ],
)
def test_what_cannot_be_compared(first, second, message):
    with pytest.raises(ValueError, match=message):
        compare_trainings(first, second)
