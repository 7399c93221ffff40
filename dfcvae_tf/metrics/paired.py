"""Paired comparison of two measurements of the same images, and how to print its p values.

p values are also given as log10, which stays finite where a double is 0 (below about
1e-308): with thousands of images that is the usual case, and "p = 0.00" says nothing.
"""

import dataclasses
import math
import warnings
from collections.abc import Sequence
from typing import Protocol

import numpy as np
import scipy.special
import scipy.stats

CONFIDENCE = 0.95
RESAMPLES = 2000
# Indices drawn at once: 16 MiB however many pairs there are.
_BOOTSTRAP_BLOCK = 2**21
# Below, SciPy's p values near the smallest double and are computed as logarithms instead.
_SMALLEST_P = 1e-290


@dataclasses.dataclass(frozen=True)
class PairedComparison:
    """What `compare_paired` found about the differences a - b."""

    n: int
    mean_difference: float
    ci_low: float  # 95 % interval of the mean difference
    ci_high: float
    t_statistic: float
    p_value: float  # two-sided; 0.0 where a double cannot hold it
    log10_p: float
    effect_size: float  # d_z: mean / standard deviation of the differences
    wilcoxon_p: float  # two-sided; 0.0 where a double cannot hold it
    wilcoxon_log10_p: float

    @property
    def deciding_p(self) -> float:
        """The p that a verdict goes by.

        Where all differences are equal, t is infinite and its p 0 however few there are;
        the p of Wilcoxon's test, which knows how many they are, takes its place.
        """
        return self.wilcoxon_p if math.isinf(self.t_statistic) else self.p_value

    def __str__(self) -> str:
        return (
            f"{self.mean_difference:+.3g} [{self.ci_low:.3g}, {self.ci_high:.3g}], "
            f"d_z {self.effect_size:.2f}, p {format_p(self.log10_p)}, n {self.n}"
        )


class Comparison(Protocol):
    """What verdicts ask of a comparison, over images or over trainings and images.

    As text it is a reader's: difference, interval, p, and of how many.
    """

    @property
    def mean_difference(self) -> float:
        """First minus second."""

    @property
    def ci_low(self) -> float:
        """Low end of the 95 % interval of the mean difference."""

    @property
    def ci_high(self) -> float:
        """Its high end."""

    @property
    def deciding_p(self) -> float:
        """The p that a verdict goes by."""


def compare_paired(a: np.ndarray, b: np.ndarray, seed: int = 0) -> PairedComparison:
    """Compares two measurements of the same things, pair by pair.

    Paired t test; percentile bootstrap of the mean difference (2,000 resamples); effect
    size d_z (Cohen 1988, section 2.3.5); Wilcoxon signed-rank test without the pairs that
    are equal. Where all differences are one number other than 0, t and d_z are infinite
    with its sign, p is 0 and log10_p -inf; where all are 0, t and d_z are 0 and p is 1.

    Args:
      a: [N] float, N at least 2.
      b: [N] float; b[i] belongs to a[i].
      seed: of the bootstrap.

    Raises:
      ValueError: not two vectors of one length of at least 2, or a value is not finite.
    """
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    if a.ndim != 1 or b.ndim != 1:
        raise ValueError(
            f"expected two vectors [N], got shapes {a.shape} and {b.shape}"
        )
    if len(a) != len(b):
        raise ValueError(f"expected pairs, got {len(a)} and {len(b)} values")
    if len(a) < 2:
        raise ValueError(f"a paired comparison needs at least 2 pairs, got {len(a)}")
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        raise ValueError("a paired comparison needs finite values, got NaN or infinity")
    differences = a - b
    t_statistic, p_value, log10_p, effect_size = _t_test(a, b)
    wilcoxon_p, wilcoxon_log10_p = _wilcoxon(differences)
    ci_low, ci_high = _bootstrap_interval(differences, seed)
    return PairedComparison(
        n=len(differences),
        mean_difference=float(differences.mean()),
        ci_low=ci_low,
        ci_high=ci_high,
        t_statistic=t_statistic,
        p_value=p_value,
        log10_p=log10_p,
        effect_size=effect_size,
        wilcoxon_p=wilcoxon_p,
        wilcoxon_log10_p=wilcoxon_log10_p,
    )


def holm(log10_p: Sequence[float]) -> list[float]:
    """Adjusts p values for being several, after Holm (1979), step down.

    Each adjusted value below log10 of a level is significant at it, and the chance of any
    false one among them is at most that level.

    Args:
      log10_p: log10 of the p values of one family.

    Returns:
      log10 of the adjusted p values, in the order given, at most 0.

    Raises:
      ValueError: a value is NaN or above 0.
    """
    if not all(value <= 0.0 for value in log10_p):
        raise ValueError(f"expected logarithms of p values, got {list(log10_p)}")
    adjusted = [0.0] * len(log10_p)
    largest = -math.inf
    for rank, index in enumerate(np.argsort(log10_p, kind="stable")):
        value = float(log10_p[index]) + math.log10(len(log10_p) - rank)
        largest = max(largest, min(value, 0.0))
        adjusted[index] = largest
    return adjusted


def format_p(log10_p: float) -> str:
    """Writes a p value with two significant digits: "0.041", "3.2e-8", "1.6e-5321"."""
    if log10_p == -math.inf:
        return "0 (all differences are equal)"
    if log10_p >= -3.0:
        return f"{10.0**log10_p:.2g}"
    exponent = math.floor(log10_p)
    mantissa = f"{10.0 ** (log10_p - exponent):.1f}"
    if mantissa == "10.0":
        mantissa, exponent = "1.0", exponent + 1
    return f"{mantissa}e{exponent}"


def _t_test(a: np.ndarray, b: np.ndarray) -> tuple[float, float, float, float]:
    """t statistic, p, log10 p and d_z."""
    differences = a - b
    # Asked of the values: rounding in the mean gives equal ones a small deviation.
    if np.ptp(differences) == 0.0:
        if differences[0] == 0.0:
            return 0.0, 1.0, 0.0, 0.0
        infinite = math.copysign(math.inf, differences[0])
        return infinite, 0.0, -math.inf, infinite
    with warnings.catch_warnings():
        # Of differences that are all but equal, whose t is as large as it looks.
        warnings.filterwarnings("ignore", "Precision loss", RuntimeWarning)
        result = scipy.stats.ttest_rel(a, b)
    t_statistic, p_value = float(result.statistic), float(result.pvalue)
    log10_p = log10_p_of_t(t_statistic, len(a) - 1, p_value)
    effect_size = float(differences.mean() / differences.std(ddof=1))
    return t_statistic, p_value, log10_p, effect_size


def log10_p_of_t(t_statistic: float, df: float, p_value: float) -> float:
    """log10 of a two-sided p value of t, also of one that is no double any more."""
    if p_value > _SMALLEST_P:
        return math.log10(p_value)
    return _log10_t_tails(t_statistic, df)


def _log10_t_tails(t_statistic: float, df: float) -> float:
    """log10 of the two-sided p value of a large t, above 30 or so.

    p is the regularised incomplete beta function I_x(df/2, 1/2) at x = df / (df + t^2)
    (Abramowitz and Stegun, 26.7.1), that is (DLMF 8.17.8, then 15.8.1)

        x^(df/2) (1 - x)^(-1/2) / (df/2 B(df/2, 1/2)) * F(1/2, 1; df/2 + 1; -df / t^2).

    The terms of F alternate in sign and the k-th shrinks by less than (2 k + 1) / t^2, so
    20 of them are far more than doubles can tell apart.
    """
    half = df / 2.0
    ratio = df / t_statistic**2
    term, series = 1.0, 1.0
    for k in range(20):
        term *= -ratio * (k + 0.5) / (half + 1.0 + k)
        series += term
    log_p = (
        -half * math.log1p(1.0 / ratio)
        + 0.5 * math.log1p(ratio)
        - math.log(half)
        - float(scipy.special.betaln(half, 0.5))
        + math.log(series)
    )
    return log_p / math.log(10.0)


def _wilcoxon(differences: np.ndarray) -> tuple[float, float]:
    """Two-sided p of the signed-rank test, and its log10."""
    differences = differences[differences != 0.0]
    if not len(differences):
        return 1.0, 0.0
    p_value = float(scipy.stats.wilcoxon(differences).pvalue)
    if p_value > _SMALLEST_P:
        return p_value, math.log10(p_value)
    # Only many pairs get here, and SciPy's own p is then that of this normal deviate; the
    # sum of squared mid-ranks is its variance with the correction for ties.
    ranks = scipy.stats.rankdata(np.abs(differences))
    z = np.sum(np.sign(differences) * ranks) / math.sqrt(np.sum(ranks**2))
    log_p = float(scipy.special.log_ndtr(-abs(z))) + math.log(2.0)
    return p_value, log_p / math.log(10.0)


def _bootstrap_interval(differences: np.ndarray, seed: int) -> tuple[float, float]:
    rng = np.random.default_rng(seed)
    n = len(differences)
    block = max(1, _BOOTSTRAP_BLOCK // n)
    means = np.empty(RESAMPLES)
    for start in range(0, RESAMPLES, block):
        rows = min(block, RESAMPLES - start)
        indices = rng.integers(0, n, (rows, n))
        means[start : start + rows] = differences.take(indices).mean(axis=1)
    tail = (1.0 - CONFIDENCE) / 2.0
    low, high = np.quantile(means, [tail, 1.0 - tail])
    return float(low), float(high)
