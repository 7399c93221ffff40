"""Distances between two sets of images, taken in the feature space of a network.

Whose features they are is the caller's choice and part of the number's name.
"""

from dataclasses import dataclass

import numpy as np


def frechet_distance(features_a: np.ndarray, features_b: np.ndarray) -> float:
    """Squared Fréchet distance of two Gaussians fitted to the features.

    Heusel et al. (2017), equation 6: |mu_a - mu_b|^2 + tr(S_a + S_b - 2 (S_a S_b)^1/2),
    with sample covariances (divided by N - 1). With fewer images the value is higher, so
    compare only values over equally many. It is called FID only where the features are
    the pooled ones of the Inception network; elsewhere say "Fréchet distance in ...
    features".

    Args:
      features_a: [N, F], N at least 2.
      features_b: [M, F], M at least 2.

    Returns:
      At least 0; squared units of the features.

    Raises:
      ValueError: not two finite matrices of equal width with at least 2 rows each.
    """
    a, b = _as_features(features_a, features_b)
    mean_a, factor_a = _mean_and_covariance_factor(a)
    mean_b, factor_b = _mean_and_covariance_factor(b)
    # With S_a = A'A and S_b = B'B, the eigenvalues of S_a S_b are the squared singular
    # values of A B'. Taking those instead of a matrix root keeps the result real, and
    # full precision where covariances are singular (fewer images than features).
    trace_of_root = np.linalg.svd(factor_a @ factor_b.T, compute_uv=False).sum()
    distance = (
        np.sum((mean_a - mean_b) ** 2)
        + np.sum(factor_a**2)
        + np.sum(factor_b**2)
        - 2 * trace_of_root
    )
    return max(0.0, float(distance))


@dataclass(frozen=True)
class KernelDistance:
    """See `kernel_distance`.

    Attributes:
      mean: over the subsets; near 0, of either sign, for sets of one distribution.
      std: standard deviation over the subsets.
    """

    mean: float
    std: float


def kernel_distance(
    features_a: np.ndarray,
    features_b: np.ndarray,
    num_subsets: int = 50,
    subset_size: int = 1000,
    seed: int = 0,
) -> KernelDistance:
    """Squared maximum mean discrepancy with the kernel (x.y / F + 1)^3, unbiased.

    Bińkowski et al. (2018), "KID" where the features are Inception's. Unlike the Fréchet
    distance its expected value does not depend on the number of images.

    Args:
      features_a: [N, F], N at least 2.
      features_b: [M, F], M at least 2.
      num_subsets: how many pairs of subsets the estimate is averaged over; one where
        a subset is the whole of both sets.
      subset_size: rows drawn from each set without replacement, at least 2; no more than
        the smaller set holds.
      seed: of the draws.

    Raises:
      ValueError: not two finite matrices of equal width with at least 2 rows each, no
        subset, or a subset of fewer than 2.
    """
    a, b = _as_features(features_a, features_b)
    if num_subsets < 1 or subset_size < 2:
        raise ValueError(f"cannot take {num_subsets} subsets of {subset_size} rows")
    size = min(subset_size, len(a), len(b))
    if size == len(a) == len(b):
        num_subsets = 1  # every subset is the whole set
    a, b = _for_inner_product(a), _for_inner_product(b)
    rng = np.random.default_rng(seed)
    values = [
        _unbiased_mmd2(
            a[rng.choice(len(a), size, replace=False)],
            b[rng.choice(len(b), size, replace=False)],
        )
        for _ in range(num_subsets)
    ]
    return KernelDistance(mean=float(np.mean(values)), std=float(np.std(values)))


def _unbiased_mmd2(a: np.ndarray, b: np.ndarray) -> float:
    """Gretton et al. (2012), equation 3, for two [n, K] sets with kernel (x.y)^3."""
    n = len(a)
    # Leaving out every image's kernel with itself is what makes the estimate unbiased.
    within = sum(
        _sum_of_cubes(x @ x.T) - _sum_of_cubes(np.sum(x * x, axis=1)) for x in (a, b)
    )
    return within / (n * (n - 1)) - 2 * _sum_of_cubes(a @ b.T) / n**2


def _sum_of_cubes(values: np.ndarray) -> float:
    return float(np.vdot(values * values, values))  # several times faster than ** 3


def _for_inner_product(features: np.ndarray) -> np.ndarray:
    """[N, F] -> [N, F + 1], whose inner products are x.y / F + 1."""
    scaled = features / np.sqrt(features.shape[1])
    return np.pad(scaled, ((0, 0), (0, 1)), constant_values=1.0)


def _mean_and_covariance_factor(features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns the mean [F] and a matrix A [min(N, F), F] with A'A = sample covariance."""
    mean = features.mean(axis=0)
    factor = np.linalg.qr(features - mean, mode="r")
    return mean, factor / np.sqrt(len(features) - 1)


def _as_features(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    if a.ndim != 2 or b.ndim != 2 or a.shape[1] != b.shape[1]:
        raise ValueError(f"expected [N, F] and [M, F], got {a.shape} and {b.shape}")
    if min(len(a), len(b)) < 2:
        raise ValueError(f"expected at least 2 rows each, got {len(a)} and {len(b)}")
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        raise ValueError("features hold values that are not finite")
    return a, b
