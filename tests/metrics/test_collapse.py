"""What is said of latents that carry nothing."""

import numpy as np

from dfcvae_tf.metrics.collapse import active_dimensions, collapse


def test_collapse_is_said_with_the_way_out():
    assert active_dimensions(np.array([3.0, 0.011, 0.009, 0.0])) == 2
    assert collapse(np.array([3.0, 0.011, 0.009, 0.0])) is None
    total = collapse(np.full(64, 4e-5 / 64))
    assert "carry 4e-05 nats" in total and "--target_kl" in total
    # Two dimensions are active, and together they do not tell two kinds of images apart.
    nearly = collapse(np.array([0.05, 0.03, 0.0, 0.0, 0.009]))
    assert "carry 0.089 nats" in nearly and "--latent_dim" not in nearly
    partial = collapse(np.array([3.0, 1.0, 0.0, 0.0, 0.001]))
    assert "only 2 of 5" in partial and "--latent_dim=2" in partial
