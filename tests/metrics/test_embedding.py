"""Projections to the plane against scikit-learn and on data with known groups."""

import numpy as np
import pytest
import scipy.spatial
import sklearn.decomposition

from dfcvae_tf.metrics.embedding import pca, tsne


@pytest.fixture(name="rng")
def _rng():
    return np.random.default_rng(0)


def test_pca_is_scikit_learns_but_for_the_sign(rng):
    z = (rng.normal(size=(300, 5)) @ rng.normal(size=(5, 5)) + 3).astype(np.float32)
    oracle = sklearn.decomposition.PCA(n_components=2)
    expected = oracle.fit_transform(z.astype(np.float64))
    result = pca(z)
    assert result.points.dtype == np.float32
    np.testing.assert_allclose(np.abs(result.points), np.abs(expected), atol=1e-5)
    shares = oracle.explained_variance_ratio_
    assert result.axis_labels == (
        f"1st component ({100 * shares[0]:.0f} % of variance)",
        f"2nd component ({100 * shares[1]:.0f} % of variance)",
    )


def test_pca_sign_makes_the_largest_weight_positive():
    z = np.array([[0.0, 4.0], [0.0, -4.0], [1.0, 0.0], [-1.0, 0.0]])
    result = pca(z)
    np.testing.assert_allclose(result.points, z[:, ::-1], atol=1e-7)
    assert result.axis_labels[0] == "1st component (94 % of variance)"


def test_pca_of_one_dimension_says_that_there_is_no_second():
    result = pca([[1.0], [3.0], [8.0]])
    np.testing.assert_allclose(result.points, [[-3, 0], [-1, 0], [4, 0]], atol=1e-6)
    assert result.axis_labels == (
        "1st component (100 % of variance)",
        "no 2nd component (1 latent dimension)",
    )


@pytest.mark.parametrize("dimensions", [1, 2, 5])
def test_tsne_keeps_groups_together(rng, dimensions):
    group = np.arange(90) % 3
    z = 20 * group[:, np.newaxis] + rng.normal(size=(90, dimensions))
    points = tsne(z, seed=0).points
    assert points.dtype == np.float32
    _, neighbours = scipy.spatial.KDTree(points).query(points, k=6)
    assert np.mean(group[neighbours] == group[:, np.newaxis]) > 0.99
    np.testing.assert_array_equal(tsne(z, seed=0).points, points)


def test_tsne_works_on_the_fewest_points():
    assert np.isfinite(tsne(np.eye(4), seed=0).points).all()


def test_tsne_does_not_depend_on_unit_and_origin(rng):
    z = rng.integers(-20, 20, size=(16, 3)) / 8  # exact under what follows
    expected = tsne(z, seed=0).points
    for same in 2.0**-100 * z, z + 2.0**24:
        np.testing.assert_array_equal(tsne(same, seed=0).points, expected)


@pytest.mark.parametrize("project", [pca, lambda z: tsne(z, seed=0)])
def test_a_collapsed_latent_space_is_one_point(project):
    np.testing.assert_array_equal(project(np.full((5, 3), 0.1)).points, 0.0)


@pytest.mark.parametrize("project, too_few", [(pca, 1), (lambda z: tsne(z, seed=0), 3)])
def test_too_few_points_and_wrong_ranks_are_errors(project, too_few):
    for bad in np.zeros((too_few, 2)), np.zeros(9), np.zeros((9, 0)):
        with pytest.raises(ValueError, match=f"N at least {too_few + 1}, got"):
            project(bad)
