"""Traversals and samples: how many there are, and that they are the run's own."""

import numpy as np
import pytest

from dfcvae_tf.checkpoints import load_for_inference
from dfcvae_tf.evaluation import latent_space
from dfcvae_tf.evaluation.judge import Judgement
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


def test_samples_are_the_runs_own(models, rows, monkeypatch):
    whole = models["dfc"].sample(1100, seed=3, temperature=0.8)
    seen = []

    def judge(images):
        seen.append(images)
        return Judgement(images.reshape(len(images), -1), None, None)

    _, judged = latent_space.draw_samples(models, judge, 1100, 0.8, seed=3)
    assert [len(images) for images in seen] == [500, 500, 100]
    np.testing.assert_array_equal(judged["dfc"].features, whole.reshape(1100, -1))
    shown = np.concatenate([images for _, images in rows])
    np.testing.assert_array_equal(shown, whole[:50])
    rows.clear()
    _, judged = latent_space.draw_samples(models, None, 1100, 0.8, seed=3)
    assert judged == {}
    few = np.concatenate([images for _, images in rows])
    np.testing.assert_allclose(few, shown, atol=1e-5)
