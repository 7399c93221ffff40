"""Density and coverage of sets whose values are known."""

import numpy as np
import pytest

from dfcvae_tf.metrics.coverage import measure_coverage


def test_a_line_by_hand():
    # Radii to the second nearest: 2, 1, 2, 7, 8.
    real = np.array([[0.0], [1.0], [2.0], [9.0], [10.0]])
    found = measure_coverage(real, np.array([[0.5], [1.5], [-3.0]]), neighbors=2)
    # 0.5 is in the balls of 0, 1 and 2; 1.5 in those and no other; 9 reaches to 2.
    assert found.density == pytest.approx(6 / (2 * 3))
    assert found.coverage == pytest.approx(3 / 5)


def test_one_distribution_has_the_values_of_the_paper():
    real, made = np.random.default_rng(0).normal(size=(2, 3000, 16))
    found = measure_coverage(real, made)
    assert found.density == pytest.approx(1.0, abs=0.03)
    assert found.coverage == pytest.approx(1 - 0.5**5, abs=0.01)


def test_a_mode_that_is_never_made_shows_though_nothing_else_is_wrong():
    real = np.random.default_rng(0).normal(size=(2000, 8))
    real[:500] += 20
    made = np.random.default_rng(1).normal(size=(2000, 8))
    found = measure_coverage(real, made)
    assert found.coverage == pytest.approx(0.75 * (1 - 0.5 ** (5 / 0.75)), abs=0.01)
    assert found.density > 0.95


def test_copies_cover_all_and_what_is_far_nothing():
    real = np.random.default_rng(0).normal(size=(50, 4))
    assert measure_coverage(real, real).coverage == 1.0
    far = measure_coverage(real, real + 100)
    assert far.coverage == far.density == 0.0


@pytest.mark.parametrize(
    ("real", "made"),
    [
        (np.zeros((5, 2)), np.zeros((5, 2))),
        (np.zeros((9, 2)), np.zeros((9, 3))),
        (np.zeros((9, 2)), np.zeros((0, 2))),
        (np.full((9, 2), np.nan), np.zeros((9, 2))),
    ],
)
def test_what_has_no_value_is_refused(real, made):
    with pytest.raises(ValueError):
        measure_coverage(real, made)
