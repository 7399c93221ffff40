"""How a perceptual model agrees with another."""

import numpy as np
import pytest

from dfcvae_tf.perceptual.feature_extractor import FeatureExtractor
from tools import perceptual_agreement as agreement

PHOTOS = np.random.default_rng(0).random((12, 8, 8, 3), np.float32)


def _scaled(factor: float) -> FeatureExtractor:
    """An extractor of two layers: the image, and four times it; both times a factor."""
    return FeatureExtractor(
        "scaled", ("a", "b"), lambda x: [factor * x, 4 * factor * x], (None, None, 3)
    )


def test_distances_gradients_and_energies_are_those_of_the_formula():
    others = PHOTOS[::-1]
    compared = agreement.compare_pairs(_scaled(2.0), PHOTOS, {"other": others})["other"]
    difference = PHOTOS.astype(np.float64) - others
    squared = np.sum(difference**2, axis=(1, 2, 3))
    np.testing.assert_allclose(compared.distances[:, 0], 4 * squared, rtol=1e-5)
    np.testing.assert_allclose(compared.gradients[1], -128 * difference, rtol=1e-4)
    energy = np.mean(np.sum(PHOTOS.astype(np.float64) ** 2, axis=(1, 2, 3)))
    np.testing.assert_allclose(compared.energies, [4 * energy, 64 * energy], rtol=1e-5)
    total, gradient = compared.total("energy")
    np.testing.assert_allclose(total, 2 * squared / energy, rtol=1e-5)
    np.testing.assert_allclose(gradient, -4 * difference / energy, rtol=1e-4)
    np.testing.assert_allclose(
        compared.total("mean")[0], 68 * squared / (8 * 8 * 3), rtol=1e-5
    )


def test_agreement_of_equal_and_of_opposite_models():
    pairs = agreement.make_pairs(PHOTOS, 0)
    found = agreement.compare_pairs(_scaled(1.0), PHOTOS, pairs)
    same = agreement.agree(found, found, "energy")
    assert list(same) == [*pairs, agreement.ALL]
    for value in same.values():
        assert value.correlation == pytest.approx(1) == value.cosine
    opposite = {
        name: agreement.Compared(-x.distances, -x.gradients, x.energies, x.sizes)
        for name, x in found.items()
    }
    for value in agreement.agree(opposite, found, "mean").values():
        assert value.correlation == pytest.approx(-1) == value.cosine


def test_projected_photos_are_not_the_photos():
    error = np.mean((agreement.make_pairs(PHOTOS, 0)["projected"] - PHOTOS) ** 2)
    assert 0.1 < error / PHOTOS.var() < 1


def test_a_model_takes_as_long_as_itself():
    ratio = agreement.relative_time(_scaled(1.0), _scaled(1.0), (8, 8, 3), 3)
    assert 0.1 < ratio < 10
