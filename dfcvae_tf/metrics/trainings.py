"""Comparison of two settings by measures of the same images, over trainings and images.

A test over images alone says whether two trained networks differ. Whether the settings do
that they were trained with, only several trainings of each can tell: another seed gives
another network. Both are drawn again here, trainings and images (a hierarchical bootstrap
of crossed factors: every training is measured on the same images).

There are few trainings, mostly three, and a percentile interval of so few is far too
narrow: no resample goes beyond the best and the worst of them. So the bootstrap gives the
standard error, with deviations of trainings widened as their number asks for (Davison and
Hinkley 1997, section 2.4), and the interval is that of Student's t (Hesterberg 2015, "What
teachers should know about the bootstrap", section 5), with degrees of freedom of Welch and
Satterthwaite.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import scipy.stats

from dfcvae_tf.metrics.paired import CONFIDENCE, RESAMPLES, format_p, log10_p_of_t

# Counts drawn at once: 16 MiB however many images there are.
_BLOCK = 2**21


@dataclass(frozen=True)
class TrainingsComparison:
    """What `compare_trainings` found about first minus second."""

    n: int  # images
    num_first: int  # trainings
    num_second: int
    mean_difference: float
    ci_low: float  # 95 % interval of the mean difference
    ci_high: float
    t_statistic: float
    df: float
    p_value: float  # two-sided; 0.0 where a double cannot hold it
    log10_p: float

    @property
    def deciding_p(self) -> float:
        """The p that a verdict goes by."""
        return self.p_value

    def __str__(self) -> str:
        return (
            f"{self.mean_difference:+.3g} [{self.ci_low:.3g}, {self.ci_high:.3g}], "
            f"p {format_p(self.log10_p)}, {self.num_first} and {self.num_second} "
            f"trainings, n {self.n}"
        )


def compare_trainings(
    first: np.ndarray, second: np.ndarray, seed: int = 0
) -> TrainingsComparison:
    """Compares the means of two settings.

    With a single training of a setting nothing is known of how much another one would
    differ: the interval then holds for that training only. Where nothing varies at all,
    p is 1 and the interval a point.

    Args:
      first: [S, N] float, S trainings measured on N images, N at least 2.
      second: [T, N] float, on the same images.
      seed: of the bootstrap.

    Raises:
      ValueError: shapes do not fit, or a value is not finite.
    """
    first, second = np.asarray(first, np.float64), np.asarray(second, np.float64)
    if first.ndim != 2 or second.ndim != 2 or first.shape[1] != second.shape[1]:
        raise ValueError(
            f"expected [S, N] and [T, N], got shapes {first.shape} and {second.shape}"
        )
    if not len(first) or not len(second) or first.shape[1] < 2:
        raise ValueError("a comparison needs a training of each and at least 2 images")
    if not (np.isfinite(first).all() and np.isfinite(second).all()):
        raise ValueError("a comparison needs finite values, got NaN or infinity")
    difference = float(first.mean() - second.mean())
    error = _standard_error(first, second, seed)
    df = _degrees_of_freedom(first, second)
    t_statistic, p_value, log10_p, reach = 0.0, 1.0, 0.0, 0.0
    # Rounding alone gives equal values a small deviation.
    if error > 1e-12 * max(abs(first).max(), abs(second).max()):
        t_statistic = difference / error
        p_value = 2.0 * float(scipy.stats.t.sf(abs(t_statistic), df))
        log10_p = log10_p_of_t(t_statistic, df, p_value)
        reach = error * float(scipy.stats.t.isf((1.0 - CONFIDENCE) / 2.0, df))
    return TrainingsComparison(
        n=first.shape[1],
        num_first=len(first),
        num_second=len(second),
        mean_difference=difference,
        ci_low=difference - reach,
        ci_high=difference + reach,
        t_statistic=t_statistic,
        df=df,
        p_value=p_value,
        log10_p=log10_p,
    )


def _standard_error(first: np.ndarray, second: np.ndarray, seed: int) -> float:
    rng = np.random.default_rng(seed)
    draws = []
    for counts in _image_counts(first.shape[1], rng):
        # The same images are drawn for all trainings of both settings.
        means = [values @ counts / counts.sum(axis=0) for values in (first, second)]
        of_first, of_second = (_draw_trainings(mean, rng) for mean in means)
        draws.append(of_first - of_second)
    return float(np.concatenate(draws).std(ddof=1))


def _image_counts(num_images: int, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """How often each image is in each resample, [N, R], RESAMPLES in all."""
    most = max(1, _BLOCK // num_images)
    for start in range(0, RESAMPLES, most):
        size = min(most, RESAMPLES - start)
        drawn = rng.integers(0, num_images, (num_images, size))
        drawn += num_images * np.arange(size)
        counts = np.bincount(drawn.ravel(), minlength=num_images * size)
        yield counts.reshape(size, num_images).T.astype(np.float64)


def _draw_trainings(means: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Mean over as many trainings as there are, drawn anew in each resample.

    Args:
      means: [S, R], of each training in each resample of the images.
    """
    number, resamples = means.shape
    centre = means.mean(axis=0)
    if number == 1:
        return centre
    drawn = rng.integers(0, number, (number, resamples))
    deviation = np.take_along_axis(means, drawn, axis=0).mean(axis=0) - centre
    return centre + math.sqrt(number / (number - 1)) * deviation


def _degrees_of_freedom(first: np.ndarray, second: np.ndarray) -> float:
    """Of the sum of three variances: of the trainings of each, and of the images."""
    of_images = first.mean(axis=0) - second.mean(axis=0)
    parts = [
        (values.var(ddof=1) / len(values), len(values) - 1)
        for values in (first.mean(axis=1), second.mean(axis=1), of_images)
        if len(values) > 1
    ]
    total = sum(variance for variance, _ in parts)
    if not total > 0.0:
        return float(of_images.size - 1)
    return float(total**2 / sum(variance**2 / df for variance, df in parts))
