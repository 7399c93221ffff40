"""Samples of every label: who recognises them, and what comes of it."""

import dataclasses

import numpy as np
import pytest

from dfcvae_tf.checkpoints import load_for_inference
from dfcvae_tf.data.digits import DIGITS
from dfcvae_tf.errors import UserError
from dfcvae_tf.evaluation import asked
from dfcvae_tf.evaluation.judge import Judgement
from dfcvae_tf.evaluation.table import ORIGINALS
from dfcvae_tf.labels import ATTRIBUTES, CLASSES, Labels
from tests.evaluation.streams import digits

CHOICES = Labels(CLASSES, ("3", "1", "7"))
FACES = Labels(ATTRIBUTES, ("Smiling", "Male", "Rare"))


class Told:
    """A prior whose latents are what was asked for, and nothing else."""

    num_labels = 3

    def __init__(self, label=((0.0, 0.0, 0.0),)):
        self.label = np.asarray(label, np.float32)

    def given(self, label):
        return Told(label)

    def from_noise(self, noise):
        return np.broadcast_to(np.pad(self.label, [(0, 0), (0, 2)]), noise.shape)


@pytest.fixture(name="model", scope="module")
def _model():
    """A run that draws a picture of numbers: 10 times what was asked for, in its corner."""
    model = load_for_inference("pretrained:mnist_dfc_vae", prior="standard")

    class Drawing(type(model)):
        def decode(self, z):
            images = np.zeros((len(z), *self.image_shape), np.float32)
            images[:, 0, : z.shape[1], 0] = z
            return images

    return Drawing(model.config, model.run, model.vae, Told(), CHOICES)


class Judge:
    """Takes a picture of what was asked for as a digit: a 7 for a 1 as well."""

    name = "somebody"

    def __call__(self, images):
        corner = images[:, 0, :3, 0]
        digit = np.where(corner[:, 0] > 0.5, 3, 7)
        return Judgement(features(corner, len(images)), digit, None)


def features(corner, seed):
    noise = np.random.default_rng(seed).normal(0, 0.1, (len(corner), 4))
    return np.pad(corner, [(0, 0), (0, 1)]) + noise


@pytest.fixture(name="data")
def _data():
    return digits(600)


def judged_of(data, labels):
    """Originals and reconstructions by which the labels can be told."""
    rows = data.truth(labels) if labels.kind == CLASSES else data.read_attributes() == 1
    return {
        ORIGINALS: Judgement(features(rows, 0), data.labels, None),
        "run": Judgement(features(rows, 1), data.labels, None),
    }


def measure(model, data, judged, scores_tell=True, attributes=()):
    judge = Judge() if judged else None
    return asked.measure_asked(
        {"run": model}, data, judge, judged, scores_tell, attributes, 1.0, seed=0
    )


def test_classes_are_recognised_by_the_judges_scores(model, data):
    section = measure(model, data, judged_of(data, CHOICES))
    found = section.results["run"]
    assert found["by"] == "somebody"
    shares = {name: row["samples"] for name, row in found["labels"].items()}
    assert shares == {"3": 1.0, "1": 0.0, "7": 1.0}
    assert {row["reconstructions"] for row in found["labels"].values()} == {1.0}
    counts = [int((data.labels == digit).sum()) for digit in (3, 1, 7)]
    assert [row["num_images"] for row in found["labels"].values()] == counts
    three, one, seven = counts
    expected = [[three, 0, 0], [0, 0, one], [0, 0, seven]]
    np.testing.assert_array_equal(found["confusion"], expected)
    for row in found["labels"].values():
        assert row["frechet_samples"] < 0.1 and row["coverage_samples"] > 0.5
    assert section.runs["run"]["asked_recognised"] == pytest.approx(2 / 3)
    assert set(section.figures) == {"asked_0", "confusion_0"}


def test_without_scores_a_classifier_learns_from_the_originals(model, data):
    section = measure(model, data, judged_of(data, CHOICES), scores_tell=False)
    found = section.results["run"]
    assert found["by"] == "a linear classifier on features of somebody"
    for row in found["labels"].values():
        assert min(row["samples"], row["reconstructions"], row["originals"]) > 0.98


def faces(data, rare=1):
    has = np.random.default_rng(0).random((600, 3)) < 0.5
    has[:, 2] = np.arange(600) < rare
    return dataclasses.replace(
        data,
        read_attributes=lambda: has.astype(np.int8),
        attribute_names=FACES.names,
    )


def test_attributes_are_told_from_their_opposites(model, data):
    data = faces(data)
    model = dataclasses.replace(model, labels=FACES)
    judged = judged_of(data, FACES)
    found = measure(model, data, judged).results["run"]
    assert found["confusion"] is None
    assert set(found["labels"]) == {"Smiling", "Male"}  # one image tells nothing
    for row in found["labels"].values():
        assert min(row["samples"], row["reconstructions"], row["originals"]) > 0.95
    found = measure(model, data, judged, attributes=("Male",)).results["run"]
    assert list(found["labels"]) == ["Male"]


def test_a_classifier_that_can_tell_nothing_says_so(model, data):
    """Half of the samples are right by chance, and no more."""
    data = faces(data)
    model = dataclasses.replace(model, labels=FACES)
    judged = {
        name: Judgement(np.random.default_rng(i).normal(size=(600, 4)), None, None)
        for i, name in enumerate((ORIGINALS, "run"))
    }
    found = measure(model, data, judged).results["run"]
    for row in found["labels"].values():
        assert abs(row["reconstructions"] - 0.5) < 0.1


def test_what_cannot_be_judged_is_shown(model, data):
    section = measure(model, data, {})
    assert set(section.figures) == {"asked_0"} and not section.results
    strange = dataclasses.replace(model, labels=Labels(CLASSES, ("a", "b", "c")))
    section = measure(strange, data, judged_of(data, CHOICES))
    (note,) = section.notes
    assert "the test images do not have its classes" in note
    plain = dataclasses.replace(model, labels=None)
    assert not measure(plain, data, {}).figures
    with pytest.raises(UserError, match="no run can be asked for attributes"):
        asked.parse_attributes("Male", {"run": model})
    other = dataclasses.replace(model, labels=FACES)
    with pytest.raises(UserError, match="unknown attribute 'Mal'"):
        asked.parse_attributes("Mal", {"run": other, "plain": model})
    assert asked.parse_attributes("Male,Rare", {"run": other}) == ("Male", "Rare")


def test_what_images_are_by_the_names_that_a_prior_knows(data):
    truth = data.truth(Labels(CLASSES, ("7", "3")))
    np.testing.assert_array_equal(truth, np.equal.outer(data.labels, [7, 3]))
    assert data.truth(Labels(CLASSES, ("7", "x"))) is None
    assert data.truth(FACES) is None
    assert data.truth(Labels(CLASSES, DIGITS)).all(axis=0).sum() == 0
