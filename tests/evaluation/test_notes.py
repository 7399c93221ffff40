"""What is said out loud about runs, data and groups."""

import dataclasses
import json

import numpy as np
import pytest

from dfcvae_tf.config import DataConfig
from dfcvae_tf.evaluation.measuring import Latents
from dfcvae_tf.evaluation.notes import collapse_notes, data_notes, group_notes
from dfcvae_tf.loaded_run import LoadedRun
from dfcvae_tf.presets import preset_config
from dfcvae_tf.run_dir import RunDir
from tests.evaluation.streams import stream


@pytest.fixture
def trained_on(tmp_path):
    def make(dataset):
        run = RunDir(tmp_path / dataset.replace(":", "_"))
        run.path.mkdir()
        run.config.write_text(
            json.dumps({"provenance": {"dataset": f"all of {dataset}"}})
        )
        config = dataclasses.replace(
            preset_config("mnist-vae"), data=DataConfig(dataset=dataset)
        )
        return LoadedRun(config, run, vae=None)

    return make


def data(name="mnist_sample", count=100, total=100):
    images = np.zeros((count, 28, 28, 1), np.float32)
    return stream(images, name=name, description=f"the {name}", total=total)


def test_runs_whose_latents_carry_nothing_are_named():
    good, dead = (Latents(np.zeros((3, 2)), np.full((3, 2), kl)) for kl in (2.0, 1e-6))
    (note,) = collapse_notes({"good": good, "dead": dead})
    assert note.startswith("dead: posterior collapse") and note.endswith(".")


def test_same_data_needs_no_words(trained_on):
    assert data_notes({"a": trained_on("mnist")}, data()) == []


def test_other_and_different_data_are_said(trained_on):
    models = {"a": trained_on("mnist"), "b": trained_on("tfds:kmnist")}
    other, different = data_notes(models, data())
    assert "b was trained on other data (all of tfds:kmnist)" in other
    assert "a: all of mnist; b: all of tfds:kmnist" in different


def test_a_part_of_the_test_split_is_said(trained_on):
    (note,) = data_notes({"a": trained_on("mnist")}, data(total=10_000))
    assert note == "100 of 10000 test images were used, drawn with seed 0."


def test_labels_that_are_unknown_are_said(trained_on):
    images = dataclasses.replace(data(), num_unlabelled=7)
    (note,) = data_notes({"a": trained_on("mnist")}, images)
    assert "7 of 100 test images have a label that is none of the classes" in note


def test_small_and_empty_groups_are_said():
    groups = {
        "big": np.ones(40, bool),
        "small": np.arange(40) < 29,
        "none": np.zeros(40, bool),
    }
    no_judge, small, empty = group_notes(groups, judge=None)
    assert "--judge" in no_judge
    assert small.startswith("Fewer than 30 images in small:")
    assert empty == "None of the images is of none."
