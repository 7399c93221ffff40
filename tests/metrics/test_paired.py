"""Paired comparison against hand-made data, SciPy and high-precision constants."""

import dataclasses
import math
import tracemalloc

import numpy as np
import pytest
import scipy.stats

from dfcvae_tf.metrics import paired


def with_t_statistic(t_statistic, n):
    """[n] differences whose t statistic is `t_statistic`."""
    noise = np.random.default_rng(0).normal(size=n)
    noise = (noise - noise.mean()) / noise.std(ddof=1)
    return noise + t_statistic / math.sqrt(n)


def test_by_hand():
    # Differences 1, 2, 3, 4, 5: mean 3, variance 2.5, t = 3 / sqrt(2.5 / 5).
    b = np.array([7.0, 1.0, 4.0, 2.0, 9.0])
    result = paired.compare_paired(b + [3, 1, 5, 2, 4], b)
    assert result.n == 5
    assert result.mean_difference == 3.0
    assert result.t_statistic == pytest.approx(3 * math.sqrt(2))
    assert result.effect_size == pytest.approx(3 / math.sqrt(2.5))
    # All positive, which one in 2^5 signs is; either side counts.
    assert result.wilcoxon_p == pytest.approx(2 / 2**5)
    assert 1.0 <= result.ci_low < 3.0 < result.ci_high <= 5.0


def test_p_is_the_closed_form_of_one_and_two_degrees_of_freedom():
    result = paired.compare_paired([1.0, 3.0], [0.0, 0.0])
    assert result.t_statistic == pytest.approx(2.0)
    assert result.p_value == pytest.approx(1 - 2 / math.pi * math.atan(2))
    result = paired.compare_paired([0.0, 0.0, 0.0], [1.0, 2.0, 3.0])
    t = -2 * math.sqrt(3)
    assert result.t_statistic == pytest.approx(t)
    assert result.p_value == pytest.approx(1 + t / math.sqrt(2 + t**2))
    assert result.log10_p == pytest.approx(math.log10(result.p_value))


@pytest.mark.parametrize("n", [5, 8, 30, 50, 51, 400])
@pytest.mark.parametrize("rounded", [False, True], ids=["distinct", "ties_and_zeros"])
def test_tests_are_scipys(n, rounded):
    a, b = np.random.default_rng(n).normal([[0.4], [0.0]], 1.0, (2, n))
    if rounded:
        a, b = np.round(2 * a), np.round(2 * b)
    result = paired.compare_paired(a, b)
    expected = scipy.stats.ttest_rel(a, b)
    assert result.t_statistic == pytest.approx(expected.statistic, rel=1e-12)
    assert result.p_value == pytest.approx(expected.pvalue, rel=1e-12)
    assert result.wilcoxon_p == scipy.stats.wilcoxon(a, b).pvalue
    assert result.wilcoxon_log10_p == pytest.approx(math.log10(result.wilcoxon_p))


@pytest.mark.parametrize(
    ("t_statistic", "n", "log10_p"),
    [  # from mpmath with 40 digits
        (364.80, 8865, -5340.33254906829362),
        (78.94, 1135, -462.328080719608614),
        (-50.0, 5001, -441.937327142429044),
    ],
)
def test_p_too_small_for_a_double(t_statistic, n, log10_p):
    result = paired.compare_paired(with_t_statistic(t_statistic, n), np.zeros(n))
    assert result.t_statistic == pytest.approx(t_statistic)
    assert result.p_value == 0.0
    assert result.log10_p == pytest.approx(log10_p, rel=1e-10)


def test_wilcoxon_p_too_small_for_a_double():
    # All of 10,000 signs are one: z = 86.6; its tail from mpmath.
    result = paired.compare_paired(np.arange(1.0, 10001.0), np.zeros(10000))
    assert result.wilcoxon_p == 0.0
    assert result.wilcoxon_log10_p == pytest.approx(-1630.72139259175129, rel=1e-10)


@pytest.mark.parametrize(("t_statistic", "n"), [(30, 10000), (-80, 300), (1e6, 51)])
def test_logarithms_agree_with_scipy_where_both_reach(monkeypatch, t_statistic, n):
    monkeypatch.setattr(paired, "_SMALLEST_P", 1.0)
    # Rounded, so that there are ties and zeros among the ranks.
    differences = np.round(with_t_statistic(t_statistic, n), 2)
    result = paired.compare_paired(differences, np.zeros(n))
    assert 0.0 < result.p_value < 1e-150
    assert result.log10_p == pytest.approx(math.log10(result.p_value), rel=1e-12)
    assert result.wilcoxon_log10_p == pytest.approx(
        math.log10(result.wilcoxon_p), rel=1e-12
    )


def test_bootstrap_interval_is_that_of_the_mean():
    differences = np.random.default_rng(0).exponential(2.0, 10000)
    result = paired.compare_paired(differences, np.zeros(10000))
    # The mean of so many is normal.
    half_width = 1.96 * differences.std() / 100
    assert result.ci_low == pytest.approx(differences.mean() - half_width, abs=2e-3)
    assert result.ci_high == pytest.approx(differences.mean() + half_width, abs=2e-3)


def test_bootstrap_depends_on_its_seed_alone(monkeypatch):
    a, b = np.random.default_rng(0).normal(size=(2, 60))
    first = paired.compare_paired(a, b)
    other_seed = paired.compare_paired(a, b, seed=1)
    assert other_seed.ci_low != first.ci_low
    assert (
        dataclasses.replace(other_seed, ci_low=first.ci_low, ci_high=first.ci_high)
        == first
    )
    monkeypatch.setattr(paired, "_BOOTSTRAP_BLOCK", 1)
    assert paired.compare_paired(a, b) == first


def test_ten_thousand_pairs_need_little_memory():
    a, b = np.random.default_rng(0).normal(size=(2, 10000))
    tracemalloc.start()
    paired.compare_paired(a, b)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 100 * 2**20


def test_identical_measurements():
    a = np.random.default_rng(0).random(100)
    assert paired.compare_paired(a, a) == paired.PairedComparison(
        n=100,
        mean_difference=0.0,
        ci_low=0.0,
        ci_high=0.0,
        t_statistic=0.0,
        p_value=1.0,
        log10_p=0.0,
        effect_size=0.0,
        wilcoxon_p=1.0,
        wilcoxon_log10_p=0.0,
    )


@pytest.mark.parametrize("difference", [0.1, -0.1])
def test_constant_difference(difference):
    # Not a sum of powers of 2: the mean of ten is not quite the value itself.
    result = paired.compare_paired(np.full(10, difference), np.zeros(10))
    assert result.t_statistic == math.copysign(math.inf, difference)
    assert result.effect_size == math.copysign(math.inf, difference)
    assert (result.p_value, result.log10_p) == (0.0, -math.inf)
    assert result.ci_low == pytest.approx(difference)
    assert result.ci_high == pytest.approx(difference)
    assert result.wilcoxon_p == pytest.approx(2 / 2**10)


@pytest.mark.parametrize(
    ("a", "b", "message"),
    [
        ([1.0], [2.0], "at least 2 pairs, got 1"),
        ([], [], "at least 2 pairs, got 0"),
        ([1.0, 2.0], [1.0, 2.0, 3.0], "got 2 and 3 values"),
        ([[1.0, 2.0]], [[1.0, 2.0]], "two vectors"),
        ([1.0, 2.0], 1.0, "two vectors"),
        ([1.0, math.nan], [1.0, 2.0], "NaN or infinity"),
        ([1.0, 2.0], [1.0, math.inf], "NaN or infinity"),
    ],
)
def test_what_are_no_pairs_is_an_error(a, b, message):
    with pytest.raises(ValueError, match=message):
        paired.compare_paired(a, b)


def test_holm():
    p = [0.01, 0.04, 0.03, 0.005]
    # Times 3, 1, 2, 4; that of 0.04 may not be below that of 0.03.
    adjusted = 10 ** np.array(paired.holm(np.log10(p)))
    np.testing.assert_allclose(adjusted, [0.03, 0.06, 0.06, 0.02])


def test_holm_at_the_ends():
    assert paired.holm([]) == []
    assert paired.holm([math.log10(0.7)] * 3) == [0.0, 0.0, 0.0]
    np.testing.assert_allclose(
        paired.holm([-5000.0, 0.0, -math.inf]), [-5000 + math.log10(2), 0, -math.inf]
    )
    for wrong in (math.nan, 0.1):
        with pytest.raises(ValueError, match="logarithms"):
            paired.holm([-1.0, wrong])


@pytest.mark.parametrize(
    ("log10_p", "text"),
    [
        (0.0, "1"),
        (math.log10(0.041), "0.041"),
        (math.log10(0.0032), "0.0032"),
        (math.log10(0.001), "0.001"),
        (math.log10(3.2e-8), "3.2e-8"),
        (math.log10(9.97e-8), "1.0e-7"),
        (math.log10(1.6) - 5321, "1.6e-5321"),
        (-math.inf, "0 (all differences are equal)"),
    ],
)
def test_format_p(log10_p, text):
    assert paired.format_p(log10_p) == text
