"""The test split as arrays."""

import dataclasses

import numpy as np
import pytest

from dfcvae_tf.config import DataConfig
from dfcvae_tf.errors import UserError
from dfcvae_tf.evaluation.dataset import load_evaluation_images
from dfcvae_tf.files import read_arrays
from dfcvae_tf.presets import preset_config
from dfcvae_tf.run_dir import ASSETS_DIR

CONFIG = dataclasses.replace(preset_config("mnist-vae"), image_shape=(28, 28, 1))


def test_the_first_images_in_order():
    sample = read_arrays(ASSETS_DIR / "mnist_sample.npz")
    data = load_evaluation_images(CONFIG, DataConfig(), 1234)
    for _ in range(2):  # every pass is the same
        np.testing.assert_array_equal(
            np.concatenate(list(data.batches())),
            sample["test_images"][:1234].astype(np.float32) / 255,
        )
    sizes = [len(batch) for batch in data.batches(count=25, size=10)]
    assert sizes == [10, 10, 5]
    np.testing.assert_array_equal(data.labels, sample["test_labels"][:1234])
    assert data.total == 10_000 and not data.is_mnist
    assert load_evaluation_images(CONFIG, DataConfig(), 10_000).is_mnist


def test_images_are_resized_to_the_runs_shape():
    config = dataclasses.replace(CONFIG, image_shape=(16, 16, 1))
    data = load_evaluation_images(config, DataConfig(), 3)
    assert next(data.batches()).shape == (3, *data.image_shape) == (3, 16, 16, 1)


def test_images_of_another_colour_are_refused():
    config = dataclasses.replace(CONFIG, image_shape=(28, 28, 3))
    with pytest.raises(UserError, match="images of 1 channels, the run makes 3"):
        load_evaluation_images(config, DataConfig(), 3)
