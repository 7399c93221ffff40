"""Distances of feature sets against closed forms, SciPy and a double loop."""

import numpy as np
import pytest
import scipy.linalg

from dfcvae_tf.metrics.frechet import frechet_distance, kernel_distance


@pytest.fixture(name="rng")
def _rng():
    return np.random.default_rng(0)


def gaussian(rng, mean, covariance, count):
    """Points whose sample mean and sample covariance are exactly those given."""
    points = rng.normal(size=(count, len(mean)))
    points -= points.mean(axis=0)
    white = points @ np.linalg.inv(np.linalg.cholesky(np.cov(points.T))).T
    return white @ np.linalg.cholesky(covariance).T + mean


def test_two_gaussians_have_the_closed_form(rng):
    # Covariances that commute: the root is that of the variances, axis by axis.
    std_a, std_b = np.array([1.0, 2.0, 0.5]), np.array([3.0, 0.1, 0.5])
    mean_a, mean_b = np.array([0.0, 1.0, -2.0]), np.array([2.0, 1.0, 0.0])
    rotation = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    a = gaussian(rng, rotation @ mean_a, rotation @ np.diag(std_a**2) @ rotation.T, 50)
    b = gaussian(rng, rotation @ mean_b, rotation @ np.diag(std_b**2) @ rotation.T, 70)
    expected = np.sum((mean_a - mean_b) ** 2) + np.sum((std_a - std_b) ** 2)
    np.testing.assert_allclose(frechet_distance(a, b), expected, rtol=1e-9)


def test_frechet_is_scipys_matrix_root(rng):
    a = rng.normal(size=(60, 8)) @ rng.normal(size=(8, 8)) + 1
    b = rng.normal(size=(40, 8)) @ rng.normal(size=(8, 8))
    cov_a, cov_b = np.cov(a.T), np.cov(b.T)
    expected = np.sum((a.mean(0) - b.mean(0)) ** 2) + np.trace(
        cov_a + cov_b - 2 * scipy.linalg.sqrtm(cov_a @ cov_b).real
    )
    np.testing.assert_allclose(frechet_distance(a, b), expected, rtol=1e-8)
    np.testing.assert_allclose(frechet_distance(b, a), expected, rtol=1e-8)


@pytest.mark.parametrize("shape", [(200, 16), (10, 64)])  # the second is singular
def test_identical_sets_have_distance_0(rng, shape):
    a = (100 * rng.normal(size=shape)).astype(np.float32)
    assert 0 <= frechet_distance(a, a[::-1]) < 1e-9 * np.sum(a.var(axis=0))


def test_a_duplicated_set_differs_only_by_the_divisor(rng):
    a = rng.normal(size=(30, 5))
    count, spread = len(a), np.sum(a.var(axis=0))
    expected = (
        spread
        * (np.sqrt(count / (count - 1)) - np.sqrt(2 * count / (2 * count - 1))) ** 2
    )
    np.testing.assert_allclose(
        frechet_distance(a, np.concatenate([a, a])), expected, rtol=1e-6
    )


def test_singular_covariances_keep_full_precision():
    # On a line each, at right angles: the root vanishes and the variances remain.
    a, b = np.zeros((4, 100)), np.zeros((3, 100))
    a[:, 0], b[:, 1] = [-3, -1, 1, 3], [-1, 0, 1]
    np.testing.assert_allclose(frechet_distance(a, b), 20 / 3 + 1, rtol=1e-12)
    b[:, 1], b[:, 0] = 0, [-1, 0, 1]  # on the same line
    expected = (np.sqrt(20 / 3) - 1) ** 2
    np.testing.assert_allclose(frechet_distance(a, b), expected, rtol=1e-12)


def test_both_distances_grow_with_noise(rng):
    a = rng.normal(size=(400, 6))
    noise = rng.normal(size=a.shape)
    noisy = [a + level * noise for level in (0.0, 0.5, 1.0, 2.0)]
    assert np.all(np.diff([frechet_distance(a, b) for b in noisy]) > 0)
    means = [kernel_distance(a, b, 10, 200).mean for b in noisy]
    assert np.all(np.diff(means) > 0)


def test_kernel_distance_is_the_double_loop(rng):
    a, b = rng.normal(size=(7, 3)), rng.normal(1.0, 1.0, size=(7, 3))

    def kernel(x, y):
        return (sum(x * y) / 3 + 1) ** 3

    pairs = [(i, j) for i in range(7) for j in range(7)]
    expected = (
        sum(kernel(a[i], a[j]) + kernel(b[i], b[j]) for i, j in pairs if i != j) / 42
        - 2 * sum(kernel(a[i], b[j]) for i, j in pairs) / 49
    )
    # Subsets as large as the sets are the sets, in whatever order.
    result = kernel_distance(a, b, num_subsets=3, subset_size=1000)
    np.testing.assert_allclose(result.mean, expected, rtol=1e-10)
    assert result.std < 1e-10


def test_kernel_distance_of_one_distribution_is_0_on_average(rng):
    a, b = rng.normal(size=(2, 2000, 10))
    result = kernel_distance(a, b[:1500], num_subsets=50, subset_size=100)
    assert abs(result.mean) < 4 * result.std / np.sqrt(50)
    shifted = kernel_distance(a, b + 0.5, num_subsets=50, subset_size=100)
    assert shifted.mean > 4 * shifted.std / np.sqrt(50)


def test_kernel_distance_follows_its_seed(rng):
    a, b = rng.normal(size=(2, 50, 4))
    first, again, other = (kernel_distance(a, b, 5, 20, seed=s) for s in (1, 1, 2))
    assert first == again != other


@pytest.mark.parametrize("distance", [frechet_distance, kernel_distance])
def test_what_is_no_pair_of_feature_sets_is_an_error(distance):
    good = np.eye(4)
    for bad, message in [
        (np.zeros(4), "expected"),
        (np.zeros((4, 5)), "expected"),
        (np.zeros((1, 4)), "2 rows"),
        (np.full((3, 4), np.nan), "finite"),
        (np.full((3, 4), np.inf), "finite"),
    ]:
        for pair in (good, bad), (bad, good):
            with pytest.raises(ValueError, match=message):
                distance(*pair)


@pytest.mark.parametrize("num_subsets, subset_size", [(0, 10), (10, 1)])
def test_subsets_too_few_or_too_small_are_an_error(num_subsets, subset_size):
    with pytest.raises(ValueError, match="subsets of"):
        kernel_distance(np.eye(4), np.eye(4), num_subsets, subset_size)
