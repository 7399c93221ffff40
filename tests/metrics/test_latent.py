"""Interpolations, traversals, active units and smoothness on known truth."""

import numpy as np
import pytest
import scipy.spatial
import scipy.stats

from dfcvae_tf.errors import UserError
from dfcvae_tf.metrics import latent


@pytest.fixture(name="rng")
def _rng():
    return np.random.default_rng(0)


def test_linear_path_has_equal_steps_and_exact_ends(rng):
    start, end = rng.normal(size=(2, 5)).astype(np.float32)
    points = latent.interpolate(start, end, steps=10)
    assert points.shape == (11, 5)
    assert points.dtype == np.float32
    np.testing.assert_array_equal(points[[0, -1]], [start, end])
    np.testing.assert_allclose(points, np.linspace(start, end, 11), rtol=1e-5)


def test_spherical_path_is_scipys_on_the_unit_sphere(rng):
    start, end = rng.normal(size=(2, 5))
    start, end = start / np.linalg.norm(start), end / np.linalg.norm(end)
    points = latent.interpolate(start, end, steps=7, path="spherical")
    expected = scipy.spatial.geometric_slerp(start, end, np.linspace(0, 1, 8))
    np.testing.assert_allclose(points, expected, atol=1e-6)


def test_spherical_path_takes_the_angle_between_vectors_of_any_length(rng):
    start, end = (rng.normal(size=(2, 5)) * [[0.1], [10]]).astype(np.float32)
    points = latent.interpolate(start, end, steps=6, path="spherical")
    np.testing.assert_array_equal(points[[0, -1]], [start, end])
    # At right angles slerp is cos and sin of a turning angle.
    quarter = latent.interpolate([3.0, 0.0], [0.0, 1.0], steps=3, path="spherical")
    angle = np.radians([0, 30, 60, 90])
    expected = np.stack([3 * np.cos(angle), np.sin(angle)], axis=1)
    np.testing.assert_allclose(quarter, expected, atol=1e-6)


@pytest.mark.parametrize("end", [[2.0, 4.0], [1.0, 2.0], [1.0, 2.0 + 1e-9]])
def test_spherical_path_of_one_direction_is_the_line(end):
    points = latent.interpolate([1.0, 2.0], end, steps=4, path="spherical")
    np.testing.assert_allclose(points, np.linspace([1, 2], end, 5), rtol=1e-6)


@pytest.mark.parametrize(
    "end, message",
    [([-1.0, -3.0], "opposite"), ([-0.1, -0.3], "opposite"), ([0.0, 0.0], "zero")],
)
def test_ends_no_single_arc_joins_are_an_error(end, message):
    start, end = np.float32([1.0, 3.0]), np.float32(end)
    for pair in (start, end), (end, start):
        with pytest.raises(UserError, match=message):
            latent.interpolate(*pair, steps=4, path="spherical")
    latent.interpolate(start, end, steps=4, path="linear")


def test_wrong_paths_steps_and_shapes_are_errors():
    with pytest.raises(UserError, match="--path 'spheric'.*Did you mean 'spherical'"):
        latent.interpolate([1.0], [2.0], steps=2, path="spheric")
    with pytest.raises(UserError, match="--steps is 0; a whole number from 1"):
        latent.interpolate([1.0], [2.0], steps=0)
    with pytest.raises(UserError, match="2.5; a whole number"):
        latent.interpolate([1.0], [2.0], steps=2.5)
    with pytest.raises(ValueError, match="expected"):
        latent.interpolate([1.0], [2.0, 3.0], steps=2)
    with pytest.raises(ValueError, match="expected"):
        latent.interpolate([[1.0]], [[2.0]], steps=2)


def test_traversal_changes_one_dimension_at_a_time():
    rows = latent.traverse(np.array([7.0, 8.0]), 1, [-1, 0, 1])
    assert rows.dtype == np.float32
    np.testing.assert_array_equal(rows, [[7, -1], [7, 0], [7, 1]])


def test_active_units_are_those_whose_mean_varies(rng):
    z_mean = rng.normal(size=(500, 3)) * [1.0, 0.0, 0.01] + [5.0, 5.0, 5.0]
    units = latent.active_units(z_mean.astype(np.float32))
    assert units.count == 1
    np.testing.assert_allclose(units.variances, [1, 0, 1e-4], rtol=0.2, atol=1e-12)
    assert latent.active_units(z_mean, threshold=1e-5).count == 2
    # Above the threshold, not at it: these have variance 0.25.
    assert latent.active_units([[0.0], [1.0]], threshold=0.25).count == 0
    with pytest.raises(ValueError, match="expected"):
        latent.active_units(z_mean[:1])


def test_label_changes_are_counted_per_interpolation():
    labels = [[1, 1, 1, 1], [1, 1, 3, 3], [1, 8, 1, 3], [5, 5, 5, 1]]
    np.testing.assert_array_equal(latent.label_changes(labels), [0, 1, 3, 1])


def test_smoothness_of_equal_interpolations_is_certain():
    result = latent.smoothness(np.tile([4, 4, 9, 4], (20, 1)))
    assert result == latent.Smoothness(2.0, 2.0, 2.0, 20)


def test_smoothness_interval_is_scipys(rng):
    labels = rng.integers(3, size=(200, 6))
    result = latent.smoothness(labels, seed=1)
    assert result == latent.smoothness(labels, seed=1)
    changes = latent.label_changes(labels)
    expected = scipy.stats.bootstrap(
        (changes,), np.mean, method="percentile", random_state=0
    ).confidence_interval
    assert result.mean_changes == changes.mean()
    assert result.num_interpolations == 200
    np.testing.assert_allclose([result.ci_low, result.ci_high], expected, atol=0.02)


def test_no_interpolation_has_no_smoothness():
    with pytest.raises(ValueError, match="at least 1 interpolation"):
        latent.smoothness(np.zeros((0, 5), int))


def test_random_pairs_are_of_two_and_uniform():
    pairs = latent.random_pairs(6000, num_examples=3, seed=0)
    assert pairs.dtype == np.int64
    np.testing.assert_array_equal(pairs, latent.random_pairs(6000, 3, seed=0))
    assert np.any(pairs != latent.random_pairs(6000, 3, seed=1))
    kinds, counts = np.unique(pairs, axis=0, return_counts=True)
    np.testing.assert_array_equal(
        kinds, [[0, 1], [0, 2], [1, 0], [1, 2], [2, 0], [2, 1]]
    )
    assert scipy.stats.chisquare(counts).pvalue > 0.001
    with pytest.raises(ValueError, match="needs 2 examples"):
        latent.random_pairs(1, num_examples=1, seed=0)
