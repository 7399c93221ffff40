"""What can be asked for, as people write it and as numbers."""

import numpy as np
import pytest

from dfcvae_tf.errors import UserError
from dfcvae_tf.labels import ATTRIBUTES, CLASSES, Labels, has_enough, labels_of

DIGITS = Labels(CLASSES, ("0", "1", "7"))
FACES = Labels(ATTRIBUTES, ("Smiling", "Male", "Blond-Gray"))


def test_classes_and_attributes_as_rows():
    found = DIGITS.read("7, 0")
    assert list(found) == ["7", "0"]
    np.testing.assert_array_equal(list(found.values()), [[0, 0, 1], [1, 0, 0]])
    found = FACES.read("Smiling-Male,-Blond-Gray")
    assert list(found) == ["Smiling-Male", "-Blond-Gray"]
    np.testing.assert_array_equal(list(found.values()), [[1, -1, 0], [0, 0, -1]])
    assert Labels.from_facts(FACES.facts()) == FACES
    assert DIGITS.read("") == {}


@pytest.mark.parametrize(
    ("labels", "text", "reason"),
    [
        (DIGITS, "8", "unknown label '8'; known: 0, 1, 7"),
        (DIGITS, "7,", "lacks a label"),
        (FACES, "Smiling+Mael", "unknown attribute 'Mael'.*Did you mean 'Male'"),
        (FACES, "Male-Male", "Male cannot be asked for both with and without it"),
    ],
)
def test_what_cannot_be_asked_for(labels, text, reason):
    with pytest.raises(UserError, match=reason):
        labels.read(text)


def test_examples_are_of_everything_that_may_be_asked_for():
    rows = DIGITS.examples(np.random.default_rng(0), 300)
    assert rows.dtype == np.float32
    assert np.sum(rows.sum(1) == 0) == 100 and np.sum(rows.sum(1) == 1) == 200
    assert (rows.sum(0) > 40).all()
    rows = FACES.examples(np.random.default_rng(0), 300)
    assert set(np.unique(rows)) == {-1, 0, 1} and np.sum(~rows.any(1)) >= 100


def test_labels_of_a_data_set_and_those_that_enough_images_tell_of():
    assert labels_of(("a", "b"), ("Smiling",)) == Labels(CLASSES, ("a", "b"))
    assert labels_of((), ("Smiling",)) == Labels(ATTRIBUTES, ("Smiling",))
    assert labels_of((), ()) is None
    rows = np.array([[1, 0, 0]] * 3 + [[0, 1, 0]] * 2 + [[0, 0, 1]])
    assert has_enough(rows, DIGITS).tolist() == [True, True, False]
    rows = np.array([[1, 1, -1]] * 3 + [[-1, 1, 1]] * 2)
    assert has_enough(rows, FACES).tolist() == [True, False, True]
