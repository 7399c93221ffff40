"""Traversals and samples: how many there are, and that they are the run's own."""

import numpy as np
import pytest

from dfcvae_tf.checkpoints import load_for_inference
from dfcvae_tf.evaluation import latent_space
from dfcvae_tf.evaluation.measuring import Latents


@pytest.fixture(scope="module")
def models():
    return {"dfc": load_for_inference("pretrained:mnist_dfc_vae")}


@pytest.fixture(name="rows")
def _rows(monkeypatch):
    """What would be drawn."""
    drawn = []
    monkeypatch.setattr(
        latent_space.figures, "image_rows", lambda rows, *_: drawn.extend(rows) or b""
    )
    return drawn


def test_the_dimensions_with_most_kl_are_traversed(models, rows):
    kl = np.tile(np.arange(5, dtype=np.float32), (4, 1))
    latents = {"dfc": Latents(np.zeros((4, 5), np.float32), kl)}
    section = latent_space.draw_traversals(models, latents, start=2, most=3)
    assert list(section.figures) == ["traversals_0"]
    assert [name for name, _ in rows] == ["dfc, z[4]", "dfc, z[3]", "dfc, z[2]"]
    assert {len(images) for _, images in rows} == {11}
    none = latent_space.draw_traversals(models, latents, start=2, most=0)
    assert none.figures == {}
    rows.clear()
    latent_space.draw_traversals(models, latents, start=2, most=100)
    assert len(rows) == 5
