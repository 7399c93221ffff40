"""What a manifest says."""

import numpy as np

from dfcvae_tf.exporting.manifest import latent_ranges


def test_ranges_hold_the_usual_latents_and_never_less_than_two():
    rng = np.random.default_rng(0)
    z_mean = np.stack([rng.normal(0, 3, 20_000), rng.normal(1, 0.1, 20_000)], axis=1)
    (wide_low, wide_high), narrow = latent_ranges(z_mean.astype(np.float32))
    # The 1st percentile of a normal distribution is at -2.326 standard deviations.
    assert abs(wide_low + 3 * 2.326) < 0.15 and abs(wide_high - 3 * 2.326) < 0.15
    assert narrow == [-2.0, 2.0]
