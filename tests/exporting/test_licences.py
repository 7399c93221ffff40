"""Licences: that what is for research alone is said to be."""

import pytest

from dfcvae_tf.exporting.licences import licences, render_licences, restriction
from dfcvae_tf.run_dir import RunDir, resolve


@pytest.mark.parametrize("dataset", ["celeba:/faces", "tfds:celeb_a"])
def test_celeba_is_not_for_commerce_and_neither_is_its_model(dataset):
    known = licences(RunDir("runs/faces"), dataset)
    assert known["weights"] is None
    said = restriction(known)
    assert said is not None and "for non-commercial research" in said
    assert said in render_licences(known) and "LiteRT.js: [Apache-2.0]" in (
        render_licences(known)
    )


def test_bundled_runs_and_pictures_of_ones_own():
    bundled = licences(resolve("pretrained:mnist_vae"), "mnist")
    assert bundled["data"]["name"] == "CC BY-SA 3.0"
    assert bundled["weights"]["name"] == "Apache-2.0"
    own = licences(RunDir("runs/mine"), "folder:/photos")
    assert own["data"] is None and restriction(own) is None
    assert render_licences(own).count("their owner knows") == 2
