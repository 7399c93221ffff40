"""Judges: who may judge, and what they say."""

import dataclasses

import numpy as np
import pytest

from dfcvae_tf.checkpoints import Inputs, load_for_inference, write_config
from dfcvae_tf.data.digits import DIGITS
from dfcvae_tf.errors import UserError
from dfcvae_tf.evaluation.judge import (
    Judgement,
    assess_worth,
    build_judge,
    check_is_held_out,
    join_judgements,
)
from dfcvae_tf.files import read_arrays
from dfcvae_tf.perceptual.classifiers import load_classifier
from dfcvae_tf.perceptual.registry import build_perceptual_model
from dfcvae_tf.presets import preset_config
from dfcvae_tf.run_dir import ASSETS_DIR
from tests.programs import untrained_run

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


def test_distance_of_features_is_relative_to_their_own_size():
    first, second = (
        Judgement(np.array(features, np.float32), None, None)
        for features in ([[3, 4], [1, 0], [0, 0]], [[0, 4], [1, 0], [0, 0]])
    )
    np.testing.assert_allclose(first.distance(second), [9 / 25, 0, 0])


def test_no_judge_where_none_fits():
    assert build(classes=("cat", "dog")) is None
    assert build(shape=(32, 32, 1)) is None
    assert build("none") is None


def test_the_perceptual_model_of_a_run_may_not_judge():
    with pytest.raises(UserError, match="mnist_classifier is the perceptual model of"):
        build("mnist_classifier")
    assert build("mnist_classifier", runs=RUNS[:1]).name == "mnist_classifier"


def test_a_copy_of_a_perceptual_model_is_known_by_its_weights(tmp_path):
    path = tmp_path / "my_own.h5"
    load_classifier("mnist_classifier").save(path)
    runs = {"dfc": load_for_inference("pretrained:mnist_dfc_vae")}
    copy = build(f"file:{path}", ("dense1", "logits"))
    with pytest.raises(
        UserError, match="my_own.h5 has the weights of .* of dfc, mnist_"
    ):
        check_is_held_out(copy, runs, False)
    assert check_is_held_out(build(), runs, False) == []


def test_weights_of_a_file_are_known_from_the_run(tmp_path):
    path = tmp_path / "my_own.h5"
    load_classifier("mnist_judge").save(path)
    perceptual = {
        "perceptual_model": f"file:{path}",
        "perceptual_layers": ("conv1",),
        "perceptual_layer_weights": (),
        "objective": "dfc_vae",
    }
    run = untrained_run(tmp_path / "run", (28, 28, 1), **perceptual)
    runs = {"own": load_for_inference(str(run))}
    # As runs of earlier versions are: without digests.
    (note,) = check_is_held_out(build(), runs, False)
    assert "of own is not known: it is in a file; --read_model_files reads it" in note
    with pytest.raises(UserError, match="mnist_judge has the weights"):
        check_is_held_out(build(), runs, True)

    objective = runs["own"].config.objective
    kernels = build_perceptual_model(objective, (28, 28, 1), 0).kernel_digests()
    write_config(
        run, runs["own"].config, Inputs("made up", {}, "", {}, sorted(kernels))
    )
    path.unlink()
    with pytest.raises(UserError, match="mnist_judge has the weights"):
        check_is_held_out(build(), runs, False)


@pytest.mark.parametrize(
    ("right", "count", "labels", "is_enough"),
    [
        (100, 100, 10, True),
        (56, 100, 10, True),  # half way from 1 in 10 to all is 55
        (54, 100, 10, False),
        (24, 100, 5, False),
        (3, 4, 2, False),  # of so few, 3 right may be luck
        (100, 100, 1, False),
    ],
)
def test_a_judge_must_be_better_than_the_commonest_label(
    right, count, labels, is_enough
):
    true = np.arange(count) % labels
    said = np.where(np.arange(count) < right, true, -1)
    worth = assess_worth(said, true)
    assert worth.is_enough == is_enough
    assert worth.accuracy == right / count
    assert worth.needed == pytest.approx((1 + 1 / labels) / 2)


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
