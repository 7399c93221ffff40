"""The images of an evaluation: which they are, and how they are read."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from dfcvae_tf.config import DataConfig
from dfcvae_tf.data.source import Source
from dfcvae_tf.errors import UserError
from dfcvae_tf.evaluation import dataset
from dfcvae_tf.evaluation.dataset import load_evaluation_images
from dfcvae_tf.files import read_arrays
from dfcvae_tf.presets import preset_config
from dfcvae_tf.run_dir import ASSETS_DIR

CONFIG = dataclasses.replace(preset_config("mnist-vae"), image_shape=(28, 28, 1))


@pytest.fixture(name="labelled")
def _labelled(monkeypatch):
    """A function labels -> a set with them; image i is filled with i."""

    def opened(labels):
        def example(index, label):
            return {
                "image": tf.fill((28, 28, 1), tf.cast(index, tf.uint8)),
                "label": label,
            }

        source = Source(
            name="sorted",
            description="sorted by class",
            num_examples={"train": 1, "test": len(labels)},
            image_shape=(28, 28, 1),
            class_names=("a", "b", "c"),
            dataset=lambda split: tf.data.Dataset.from_tensor_slices(
                (np.arange(len(labels)), labels)
            ).map(example),
            digest="",
        )
        monkeypatch.setattr(dataset, "open_source", lambda data, seed: source)

    return opened


def test_the_whole_split_in_its_order():
    sample = read_arrays(ASSETS_DIR / "mnist_sample.npz")
    data = load_evaluation_images(CONFIG, DataConfig(), 10_000)
    for _ in range(2):  # every pass is the same
        np.testing.assert_array_equal(
            np.concatenate(list(data.batches(1234))),
            sample["test_images"][:1234].astype(np.float32) / 255,
        )
    sizes = [len(batch) for batch in data.batches(count=25, size=10)]
    assert sizes == [10, 10, 5]
    np.testing.assert_array_equal(data.labels, sample["test_labels"])
    assert data.total == 10_000 and data.is_mnist and data.choice == ""
    assert (data.num_training, data.total_training) == (
        10_000,
        len(sample["train_images"]),
    )


def test_some_images_are_of_all_classes_whatever_the_runs_seed(labelled):
    labelled(np.repeat([0, 1, 2], 40))
    found = []
    for run_seed in (0, 7):
        training = dataclasses.replace(CONFIG.training, seed=run_seed)
        config = dataclasses.replace(CONFIG, training=training)
        found.append(load_evaluation_images(config, DataConfig(), 12, 3, [50]))
    data, other = found
    assert np.bincount(data.labels).tolist() == [4, 4, 4] and 50 in data.places
    np.testing.assert_array_equal(data.places, other.places)
    images = np.concatenate(list(data.batches(size=5)))
    np.testing.assert_allclose(images[:, 0, 0, 0] * 255, data.places, atol=1e-4)
    assert data.rows_of([50]) == [data.places.tolist().index(50)]
    assert data.choice == (
        "drawn with seed 3, of each class as equally many as there are, those of "
        "--indices among them"
    )
    with pytest.raises(UserError, match="--indices has 120; there are images 0 to 119"):
        load_evaluation_images(CONFIG, DataConfig(), 12, 3, [120])
    with pytest.raises(UserError, match="2 images, more than --num_images=1"):
        load_evaluation_images(CONFIG, DataConfig(), 1, 3, [1, 2])


@pytest.mark.parametrize("unknown", [5, 60])
def test_images_without_a_known_label_are_all_without_labels(labelled, unknown):
    labels = np.repeat([0, 1, 2], 20)
    labels[:unknown] = -1
    labelled(labels)
    data = load_evaluation_images(CONFIG, DataConfig(), 12)
    assert data.labels is None and data.class_names == ()
    assert data.num_unlabelled == unknown and data.choice == "drawn with seed 0"


def test_images_are_resized_to_the_runs_shape():
    config = dataclasses.replace(CONFIG, image_shape=(16, 16, 1))
    data = load_evaluation_images(config, DataConfig(), 3)
    assert next(data.batches()).shape == (3, *data.image_shape) == (3, 16, 16, 1)


def test_images_of_another_colour_are_refused():
    config = dataclasses.replace(CONFIG, image_shape=(28, 28, 3))
    with pytest.raises(UserError, match="images of 1 channels, the run makes 3"):
        load_evaluation_images(config, DataConfig(), 3)
