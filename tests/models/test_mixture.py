"""The mixture: against scipy, and its map of noise."""

import numpy as np
import pytest
import tensorflow as tf
from scipy import stats
from sklearn.mixture import GaussianMixture as Oracle

from dfcvae_tf.models import mixture
from dfcvae_tf.models.mixture import GaussianMixture


def build(count=5, dim=3):
    rng = np.random.default_rng(0)
    factors = np.tril(rng.normal(0, 0.4, (count, dim, dim)))
    factors += np.eye(dim) * rng.uniform(0.8, 1.2, (count, 1, 1))
    parameters = {
        "weights": rng.dirichlet(np.full(count, 5.0)),
        "means": rng.normal(0, 3, (count, dim)),
        "factors": np.tril(np.abs(factors) * np.eye(dim) + np.tril(factors, -1)),
    }
    return GaussianMixture({k: v.astype(np.float32) for k, v in parameters.items()})


def test_distribution_function_and_quantile():
    x = np.linspace(-4, 4, 81, dtype=np.float32)
    u = mixture._distribution(tf.constant(x))
    np.testing.assert_allclose(u, stats.norm.cdf(x), atol=4e-4)
    np.testing.assert_allclose(mixture._quantile(u)[10:-10], x[10:-10], atol=1e-3)
    assert np.isfinite(mixture._quantile(tf.constant([0.0, 1.0]))).all()


def test_the_density_is_scipys():
    p = build().parameters
    z = np.random.default_rng(1).normal(0, 3, (50, 3)).astype(np.float32)
    parts = [
        w * stats.multivariate_normal(m, f @ f.T).pdf(z)
        for w, m, f in zip(p["weights"], p["means"], p["factors"], strict=True)
    ]
    np.testing.assert_allclose(build().log_prob(z), np.log(sum(parts)), rtol=1e-4)


@pytest.mark.parametrize(("count", "dim"), [(5, 3), (1, 2), (4, 1)])
def test_noise_becomes_draws_of_the_mixture(count, dim):
    drawn = build(count, dim)
    noise = np.random.default_rng(2).normal(size=(20_000, dim)).astype(np.float32)
    z = drawn.from_noise(tf.constant(noise)).numpy()
    p = drawn.parameters
    oracle = Oracle(count, random_state=0)
    oracle.weights_, oracle.means_ = p["weights"] / p["weights"].sum(), p["means"]
    oracle.covariances_ = p["factors"] @ p["factors"].transpose(0, 2, 1)
    oracle.precisions_cholesky_ = np.linalg.inv(p["factors"]).transpose(0, 2, 1)
    expected = oracle.sample(20_000)[0]
    for axis in range(dim):
        assert stats.ks_2samp(z[:, axis], expected[:, axis]).statistic < 0.02
    np.testing.assert_allclose(np.cov(z.T), np.cov(expected.T), atol=0.4)


def test_a_latent_has_a_noise_that_gives_it():
    z = build().from_noise(tf.random.stateless_normal([200, 3], [1, 2]))
    np.testing.assert_allclose(build().from_noise(build().to_noise(z)), z, atol=0.02)
