"""What an export is calibrated and checked on."""

import dataclasses

import numpy as np
import pytest

from dfcvae_tf.config import DataConfig
from dfcvae_tf.errors import UserError
from dfcvae_tf.exporting.samples import EXTREME, calibration_samples, check_samples
from dfcvae_tf.models.vae import build_vae


@pytest.fixture(name="calibration", scope="module")
def _calibration(model):
    return calibration_samples(model, model.config.data, seed=1)


@pytest.fixture(name="checks", scope="module")
def _checks(model):
    return check_samples(model, model.config.data, seed=1)


def test_there_are_enough_of_every_kind(calibration, checks):
    kinds = ["encoder means", "prior", "extremes", "interpolations"]
    assert list(calibration.latents) == kinds
    assert list(checks.latents) == kinds[:3]
    assert len(calibration.all_latents) >= 256 and len(checks.all_latents) >= 1000
    assert calibration.images.shape == (500, 8, 8, 1)
    assert checks.images.shape == (500, 8, 8, 1)  # all that the test split has
    for samples in (calibration, checks):
        assert not samples.digits
        assert samples.all_latents.dtype == samples.images.dtype == np.float32


def test_kinds_are_what_their_names_say(model, calibration, checks):
    z_mean, _ = model.encoder(checks.images[:7])
    np.testing.assert_allclose(checks.latents["encoder means"][:7], z_mean, atol=1e-6)
    prior = calibration.latents["prior"]
    assert abs(prior.mean()) < 0.15 and abs(prior.std() - 1) < 0.1
    extremes = np.abs(checks.latents["extremes"])
    assert 0.95 * EXTREME < extremes.max() <= EXTREME
    between = calibration.latents["interpolations"]
    assert (between <= calibration.z_mean.max(0)).all()
    assert (between >= calibration.z_mean.min(0)).all()
    assert not np.isin(between, calibration.z_mean).all()


def test_checks_see_nothing_of_the_calibration(calibration, checks):
    for kind in ("prior", "extremes"):
        assert not np.isin(checks.latents[kind], calibration.latents[kind]).any()
    flat = {
        samples: s.images.reshape(500, -1)
        for samples, s in (("calibration", calibration), ("checks", checks))
    }
    known = {row.tobytes() for row in flat["calibration"]}
    assert not [row for row in flat["checks"] if row.tobytes() in known]


def test_the_seed_decides(model, calibration):
    again = calibration_samples(model, model.config.data, seed=1)
    np.testing.assert_array_equal(again.all_latents, calibration.all_latents)
    other = calibration_samples(model, model.config.data, seed=2)
    assert not np.isin(other.latents["prior"], calibration.latents["prior"]).any()


def test_digits_are_told_from_the_classes(model):
    config = dataclasses.replace(model.config, image_shape=(28, 28, 1))
    vae = build_vae(config.model, (28, 28, 1), "float32")
    digits = dataclasses.replace(model, config=config, vae=vae)
    samples = check_samples(digits, DataConfig(dataset="mnist_sample"), seed=0)
    assert samples.digits and len(samples.images) == 3000
    shapes = check_samples(digits, DataConfig(dataset="synthetic"), seed=0)
    assert not shapes.digits


def test_missing_images_name_the_flag(model):
    data = dataclasses.replace(model.config.data, dataset="folder:/absent")
    with pytest.raises(UserError, match="/absent.*give others with --dataset"):
        check_samples(model, data, seed=0)
