"""The prior, against SciPy."""

import numpy as np
import scipy.stats

from dfcvae_tf.models.prior import StandardNormal

RNG = np.random.default_rng(0)
Z = RNG.normal(size=(50, 3)).astype(np.float32)


def test_log_prob_is_that_of_a_normal_distribution():
    expected = scipy.stats.norm.logpdf(Z).sum(axis=1)
    np.testing.assert_allclose(StandardNormal().log_prob(Z), expected, rtol=1e-5)


def test_kl_is_the_mean_of_the_difference_of_log_densities():
    mean, log_var = np.float32([[0.5, -1.0, 0.0]]), np.float32([[-1.0, 0.5, 0.0]])
    q = scipy.stats.norm(mean, np.exp(0.5 * log_var))
    z = q.rvs((400_000, 3), random_state=RNG)
    expected = (q.logpdf(z) - scipy.stats.norm.logpdf(z)).mean(axis=0)
    found = StandardNormal().kl(mean, log_var)
    np.testing.assert_allclose(found[0], expected, atol=0.01)


def test_noise_becomes_itself():
    np.testing.assert_array_equal(StandardNormal().from_noise(Z), Z)
