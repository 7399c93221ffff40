"""What a manifest says."""

import numpy as np
import pytest

from dfcvae_tf import attribute_vectors, checkpoints
from dfcvae_tf.errors import UserError
from dfcvae_tf.exporting.manifest import attribute_directions, latent_ranges


def test_ranges_hold_the_usual_latents_and_never_less_than_two():
    rng = np.random.default_rng(0)
    z_mean = np.stack([rng.normal(0, 3, 20_000), rng.normal(1, 0.1, 20_000)], axis=1)
    (wide_low, wide_high), narrow = latent_ranges(z_mean.astype(np.float32))
    # The 1st percentile of a normal distribution is at -2.326 standard deviations.
    assert abs(wide_low + 3 * 2.326) < 0.15 and abs(wide_high - 3 * 2.326) < 0.15
    assert narrow == [-2.0, 2.0]


def test_attribute_directions_are_those_of_the_weights(
    tmp_path, vae, make_vae, make_run
):
    run = make_run(tmp_path / "run", vae)
    model = checkpoints.load_for_inference(str(run))
    told: list[str] = []
    assert attribute_directions(model, None, told.append) == {}
    rng = np.random.default_rng(0)
    found = attribute_vectors.AttributeVectors(
        names=("Smiling", "Male"),
        vectors=rng.normal(size=(2, 3)).astype(np.float32),
        z_mean=np.zeros((4, 3), np.float32),
        attributes=np.eye(4, 2, dtype=np.int8),
        image_names=("a", "b", "c", "d"),
    )
    attribute_vectors.save(run.attributes, found, run, "faces", "train")
    directions = attribute_directions(model, None, told.append)
    assert list(directions) == ["Smiling", "Male"]
    np.testing.assert_array_equal(np.float32(list(directions.values())), found.vectors)
    assert told == []
    assert attribute_directions(model, 10, told.append) == {}
    assert len(told) == 1 and "left out" in told[0]
    checkpoints.save_inference_weights(run, make_vae(seed=1))
    with pytest.raises(UserError, match="attributes vectors --run_dir="):
        attribute_directions(model, None, told.append)
