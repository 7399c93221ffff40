"""dfcvae_tf/training/classifier.py"""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from dfcvae_tf.config import DataConfig
from dfcvae_tf.data.source import Source
from dfcvae_tf.errors import UserError
from dfcvae_tf.files import read_arrays
from dfcvae_tf.perceptual.classifiers import build_classifier
from dfcvae_tf.perceptual.keras_file import load_keras_file
from dfcvae_tf.training import classifier
from dfcvae_tf.training.classifier import Settings, train_classifier
from dfcvae_tf.weights import get_arrays, set_arrays


def _source(**changes):
    """Bright squares in one of the four corners; the label is the corner."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 4, 256)
    images = rng.integers(0, 60, (256, 24, 24, 1)).astype(np.uint8)
    for image, label in zip(images, labels, strict=True):
        top, left = 12 * (label // 2) + 3, 12 * (label % 2) + 3
        image[top : top + 6, left : left + 6] = 255
    data = {"image": images, "label": labels}
    source = Source(
        name="corners",
        description="squares in corners",
        num_examples={"train": 256, "test": 256},
        image_shape=(24, 24, 1),
        class_names=("a", "b", "c", "d"),
        dataset=lambda split: tf.data.Dataset.from_tensor_slices(data),
        digest="corners",
    )
    return dataclasses.replace(source, **changes)


SETTINGS = Settings(epochs=6, batch_size=32, seed=3)


@pytest.fixture(scope="module")
def result():
    return train_classifier(_source(), SETTINGS)


def test_learns_and_is_repeatable(result):
    assert result.accuracy > 0.95
    assert result.num_test == 256
    again = train_classifier(_source(), SETTINGS)
    for name, array in get_arrays(again.model).items():
        np.testing.assert_array_equal(array, get_arrays(result.model)[name], name)


def test_written_arrays_make_the_same_classifier(result, tmp_path):
    path = tmp_path / "new" / "net.npz"
    classifier.write_classifier(path, result.model)
    data = DataConfig("corners", data_dir="my data", offline=True)
    classifier.write_card(path, _source(), SETTINGS, result, data)

    model = build_classifier("mnist_classifier", (24, 24, 1), 4)
    set_arrays(model, read_arrays(path))
    images, labels = classifier.read_split(_source(), "test")
    assert classifier.compute_accuracy(model, images, labels) == result.accuracy
    card = path.with_suffix(".md").read_text()
    assert f"{result.accuracy:.2%}" in card
    command = (
        "python -m dfcvae_tf.train_classifier --dataset=corners '--data_dir=my data' "
        "--offline --output=net.npz --network=mnist_classifier --epochs=6 "
        "--batch_size=32 --learning_rate=0.002 --seed=3"
    )
    assert f"`{command}`" in card


def test_written_keras_file_can_be_a_perceptual_model(result, tmp_path):
    path = tmp_path / "net.keras"
    classifier.write_classifier(path, result.model)
    images, labels = classifier.read_split(_source(), "test")
    model = load_keras_file(str(path))
    assert classifier.compute_accuracy(model, images, labels) == result.accuracy


def test_accuracy_counts_every_image_once():
    images = tf.keras.Input((1, 1, 2))
    model = tf.keras.Model(images, tf.keras.layers.Flatten()(images))
    pixels = np.zeros([1203, 1, 1, 2], np.uint8)
    pixels[:, 0, 0, 1] = 255
    labels = np.ones(1203, np.int64)
    labels[-3:] = 0
    assert classifier.compute_accuracy(model, pixels, labels) == 1200 / 1203


def test_augmentation_moves_but_keeps_the_image():
    image = np.zeros([64, 29, 29, 1], np.float32)
    image[:, 10:19, 13:16] = 1.0
    moved = classifier._augment(tf.constant(image), tf.constant([0, 1])).numpy()
    ys, xs = np.mgrid[:29, :29]
    total = moved[..., 0].sum(axis=(1, 2))
    y = (moved[..., 0] * ys).sum(axis=(1, 2)) / total - 14
    x = (moved[..., 0] * xs).sum(axis=(1, 2)) / total - 14
    np.testing.assert_allclose(total, 27, rtol=0.05)
    for offset in (y, x):  # rotated about its centre, so only the shift moves it
        assert np.abs(offset).max() <= classifier.MAX_SHIFT + 0.1
        assert offset.std() > 0.8
        assert abs(offset.mean()) < 0.5


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"class_names": ()}, "no labels"),
        ({"image_shape": (None, None, 3)}, "several sizes"),
        ({"image_shape": (16, 16, 1)}, "at least 24x24"),
        (
            {"labels": lambda split: np.full(9, -1 if split == "test" else 3)},
            "9 of the 9 test images of corners have a label such as -1, which is none of its 4",
        ),
        ({"num_examples": {"train": 8, "test": 8}}, "--batch_size"),
    ],
)
def test_unsuitable_sources_are_refused(changes, message):
    with pytest.raises(UserError, match=message):
        train_classifier(_source(**changes), SETTINGS)


def test_divergence_is_an_error():
    settings = dataclasses.replace(SETTINGS, learning_rate=1e30)
    with pytest.raises(UserError, match="--learning_rate"):
        train_classifier(_source(), settings)
