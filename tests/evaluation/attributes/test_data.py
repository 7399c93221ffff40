"""Splits of drawn faces, encoded."""

import dataclasses
import shutil

import numpy as np
import pytest

from dfcvae_tf import images as images_lib
from dfcvae_tf.config import DataConfig, ModelConfig
from dfcvae_tf.data.celeba_lists import IMAGES_DIR
from dfcvae_tf.errors import UserError
from dfcvae_tf.evaluation.attributes import data as attribute_data
from dfcvae_tf.loaded_run import LoadedRun
from dfcvae_tf.models.vae import build_vae
from dfcvae_tf.presets import preset_config
from dfcvae_tf.run_dir import RunDir


def make_model(channels=3):
    shape = (8, 8, channels)
    network = ModelConfig(network="conv", depth=1, width=4, latent_dim=3)
    config = dataclasses.replace(
        preset_config("hou2017-vae"), model=network, image_shape=shape
    )
    return LoadedRun(config, RunDir("run"), build_vae(network, shape, "float32"))


@pytest.fixture(name="model", scope="module")
def _model():
    return make_model()


@pytest.fixture(name="data")
def _data(tiny_celeba):
    return DataConfig(dataset=f"celeba:{tiny_celeba}", image_size=(8, 8))


def test_a_split_is_encoded_in_its_order(model, data, monkeypatch):
    monkeypatch.setattr(images_lib, "inference_batch", lambda shape: 5)
    source = attribute_data.open_with_attributes(model, data)
    found = attribute_data.encode_split(model, source, data, "test", keep_images=True)
    assert found.images.shape == (14, 8, 8, 3) and found.images.dtype == np.uint8
    expected = model.encoder(found.images / 255)[0]
    np.testing.assert_allclose(found.z_mean, expected, atol=1e-5)
    rows = [row["attributes"].numpy() for row in source.dataset("test")]
    np.testing.assert_array_equal(found.attributes, rows)
    assert list(found.image_names) == source.image_names("test")
    first = attribute_data.encode_split(model, source, data, "test", count=7)
    assert first.images is None and len(first.image_names) == len(first.attributes) == 7
    np.testing.assert_allclose(first.z_mean, found.z_mean[:7], atol=1e-5)


def test_datasets_that_do_not_fit_are_refused(model, data):
    synthetic = dataclasses.replace(data, dataset="synthetic")
    with pytest.raises(UserError, match="synthetic has no attributes; celeba:PATH"):
        attribute_data.open_with_attributes(model, synthetic)
    grey = make_model(channels=1)
    with pytest.raises(UserError, match="images of 3 channels, the run makes 1"):
        attribute_data.open_with_attributes(grey, data)


def test_a_damaged_image_is_named(model, data, tiny_celeba, tmp_path):
    folder = tmp_path / "celeba"
    shutil.copytree(tiny_celeba, folder)
    (folder / IMAGES_DIR / "000003.jpg").write_bytes(b"no JPEG")
    data = dataclasses.replace(data, dataset=f"celeba:{folder}")
    source = attribute_data.open_with_attributes(model, data)
    with pytest.raises(UserError, match="unreadable image file .*000003.jpg"):
        attribute_data.encode_split(model, source, data, "train")


def test_latents_that_are_not_finite_are_an_error(data):
    model = make_model()
    for variable in model.vae.encoder.trainable_variables:
        variable.assign(np.full(variable.shape, np.nan))
    source = attribute_data.open_with_attributes(model, data)
    with pytest.raises(UserError, match="values that are not finite"):
        attribute_data.encode_split(model, source, data, "test")
