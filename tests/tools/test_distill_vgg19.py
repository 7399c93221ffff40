"""Distilling VGG19, for a few steps, on generated pictures, out of random weights."""

import cv2
import numpy as np
import pytest
import tensorflow as tf

from dfcvae_tf.files import read_arrays
from dfcvae_tf.perceptual.photos import photos_network
from dfcvae_tf.perceptual.preprocessing import to_caffe
from dfcvae_tf.weights import set_arrays
from tests.programs import run_here
from tools import distill_vgg19, distillation
from tools.distorted_photos import SIZE, draw_pairs

FLAGS = [
    "--weights=random",
    "--feature_steps=1",
    "--pair_steps=2",
    "--batch_size=2",
]


@pytest.fixture(autouse=True)
def _eager():
    # Tracing takes longer than a few steps do.
    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


@pytest.fixture(scope="module")
def teacher():
    return distill_vgg19.build_teacher("random", 0)


@pytest.mark.slow
def test_a_killed_training_goes_on_as_if_it_had_not_been(
    tmp_path, monkeypatch, capsys, teacher
):
    monkeypatch.setattr(distill_vgg19, "build_teacher", lambda *given: teacher)
    monkeypatch.setattr(distillation, "CHECKPOINT_SECONDS", 0.0)
    photos = tmp_path / "photos"
    photos.mkdir()
    for number, pixels in enumerate(
        np.random.default_rng(0).integers(0, 256, (8, 40, 40, 3))
    ):
        cv2.imwrite(str(photos / f"{number}.png"), pixels)
    flags = [*FLAGS, f"--dataset=folder:{photos}"]
    whole, resumed = tmp_path / "whole.npz", tmp_path / "resumed.npz"
    assert run_here(distill_vgg19, *flags, f"--output={whole}") == 0

    steps = []

    def fails_at_the_second_step(photos, rng):
        steps.append(len(photos))
        if len(steps) == 3:  # the first is for the size of features
            raise RuntimeError("killed")
        return draw_pairs(photos, rng)

    with monkeypatch.context() as patch, pytest.raises(RuntimeError, match="killed"):
        patch.setattr(distillation, "draw_pairs", fails_at_the_second_step)
        run_here(distill_vgg19, *flags, f"--output={resumed}")
    assert not resumed.exists()
    other = [*flags, "--seed=1", f"--output={resumed}"]
    assert run_here(distill_vgg19, *other) == 2
    assert "a training of other settings" in capsys.readouterr().err
    assert run_here(distill_vgg19, *flags, f"--output={resumed}") == 0
    a, b = read_arrays(whole), read_arrays(resumed)
    assert sorted(a) == sorted(b)
    for name in a:
        np.testing.assert_allclose(a[name], b[name], rtol=1e-4, atol=1e-5)
    assert sorted(tmp_path.iterdir()) == [photos, resumed, whole]  # no state is left


def test_what_is_written_computes_what_was_trained(teacher):
    crops = np.random.default_rng(0).random((2, SIZE, SIZE, 3), np.float32)
    settings = distillation.Settings(1, 1, 2, 1e-3, 0)
    student = distillation.Student(teacher, crops, settings)
    student.features(crops, training=True)  # statistics unlike those at the start
    network = photos_network()
    set_arrays(network, student.arrays())
    features = student.features(crops)
    for a, b in zip(network(to_caffe(crops)), features, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5 * np.max(b))
    np.testing.assert_allclose(features[0], teacher(crops)[0], rtol=1e-4, atol=1e-3)


def test_the_learning_rate_falls_from_first_to_last_step():
    settings = distillation.Settings(10, 20, 2, 1e-3, 0)
    rates = [settings.learning_rate_at(step) for step in (0, 15, 29)]
    assert rates[:2] == pytest.approx([1e-3, 5e-4]) and rates[2] < 1e-5


def test_pairs_are_crops_with_distortions_of_all_strengths():
    photos = np.random.default_rng(1).random((64, 44, 60, 3), np.float32)
    crops, distorted = draw_pairs(photos, np.random.default_rng(0))
    assert crops.shape == distorted.shape == (64, SIZE, SIZE, 3)
    assert crops.dtype == distorted.dtype == np.float32
    for images in (crops, distorted):
        assert images.min() >= 0 and images.max() <= 1
    errors = np.mean((crops - distorted) ** 2, axis=(1, 2, 3))
    assert 0 < errors.min() < 1e-3 and errors.max() > 1e-2
    again = draw_pairs(photos, np.random.default_rng(0))
    np.testing.assert_array_equal(again[1], distorted)
