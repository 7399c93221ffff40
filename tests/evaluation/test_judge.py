"""Judges: who may judge, and what they say."""

import dataclasses

import numpy as np
import pytest

from dfcvae_tf.data.digits import DIGITS
from dfcvae_tf.errors import UserError
from dfcvae_tf.evaluation.judge import build_judge, join_judgements
from dfcvae_tf.files import read_arrays
from dfcvae_tf.presets import preset_config
from dfcvae_tf.run_dir import ASSETS_DIR

RUNS = [
    dataclasses.replace(preset_config(name), image_shape=(28, 28, 1))
    for name in ("mnist-vae", "mnist-dfc-vae")
]


def build(name=None, layers=(), shape=(28, 28, 1), classes=DIGITS, runs=RUNS):
    return build_judge(name, layers, "random", shape, classes, runs)


def test_the_bundled_judge_knows_digits():
    sample = read_arrays(ASSETS_DIR / "mnist_sample.npz")
    images = sample["test_images"][:1000].astype(np.float32) / 255
    judge = build()
    judged = join_judgements([judge(images[:700]), judge(images[700:])])
    assert (judged.labels == sample["test_labels"][:1000]).mean() > 0.99
    assert judged.features.shape == (1000, 96)
    assert judged.confidence.min() >= 0.1 and judged.confidence.max() <= 1


def test_no_judge_where_none_fits():
    assert build(classes=("cat", "dog")) is None
    assert build(shape=(32, 32, 1)) is None
    assert build("none") is None


def test_the_perceptual_model_of_a_run_may_not_judge():
    with pytest.raises(UserError, match="mnist_classifier is the perceptual model of"):
        build("mnist_classifier")
    assert build("mnist_classifier", runs=RUNS[:1]).name == "mnist_classifier"


def test_another_network_judges_by_pooled_features():
    judge = build(
        "keras:MobileNetV2", ("Conv1",), (32, 32, 3), classes=(), runs=RUNS[:1]
    )
    judged = judge(np.random.default_rng(0).random((3, 32, 32, 3), np.float32))
    assert judged.features.shape == (3, 32)
    assert judged.labels is None and judged.confidence is None


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        (
            ("conv1", "pool3", "logits"),
            "one of class scores if it has one; .* are too many",
        ),
        (("pool3", "conv1"), "layer conv1 of mnist_judge has no class scores"),
        (("nothing",), "no layer 'nothing'"),
    ],
)
def test_unusable_layers(layers, message):
    with pytest.raises(UserError, match=message):
        build("mnist_judge", layers)(np.zeros((1, 28, 28, 1), np.float32))
