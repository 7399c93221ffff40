"""Which images are shown and which groups are compared."""

import numpy as np
import pytest

from dfcvae_tf.data.digits import DIGITS
from dfcvae_tf.errors import UserError
from dfcvae_tf.evaluation import selection
from dfcvae_tf.evaluation.settings import Settings
from dfcvae_tf.files import read_arrays
from dfcvae_tf.run_dir import ASSETS_DIR
from tests.evaluation.streams import stream

LABELS = np.array([2, 0, 1, 0, 2, 2])
NAMES = ("cat", "dog", "eel")


@pytest.fixture(scope="module")
def mnist_labels():
    return read_arrays(ASSETS_DIR / "mnist_sample.npz")["test_labels"].astype(np.int64)


def test_the_articles_images_show_every_digit_once(mnist_labels):
    shown = selection.choose_shown(10_000, mnist_labels, True, seed=0)
    assert mnist_labels[shown].tolist() == list(range(10))
    ends = selection.choose_interpolations(shown, mnist_labels, DIGITS)
    assert [tuple(mnist_labels[list(p)]) for p in ends] == [(1, 5), (1, 3), (3, 7)]


def test_other_data_shows_one_of_each_class():
    shown = selection.choose_shown(6, LABELS, False, seed=0)
    assert LABELS[shown].tolist() == [0, 1, 2]
    assert shown == selection.choose_shown(6, LABELS, False, seed=0)
    assert selection.choose_interpolations(shown, LABELS, NAMES) == [
        (shown[0], shown[1])
    ]
    unlabelled = selection.choose_shown(6, None, False, seed=0)
    assert unlabelled == [0, 1, 2, 3, 4, 5]


def test_wanted_images_are_named_by_their_places_in_the_split():
    data = stream(np.zeros((6, 4, 4, 1), np.float32), total=20)  # places 1, 3, 5, …
    settings = Settings(indices=(5, 1))
    assert selection.select(data, settings).shown == [2, 0]
    with pytest.raises(UserError, match="--indices has 4, which is not among the 6"):
        selection.select(data, Settings(indices=(4,)))


def test_digits_are_grouped_as_in_the_article(mnist_labels):
    groups = selection.class_groups({}, mnist_labels, DIGITS, 10_000)
    assert [int(m.sum()) for m in groups.values()][:3] == [10_000, 8865, 980]
    assert list(groups)[:3] == ["all", "class ≠ 1", "class 0"]
    shown = selection.asked_for(groups, DIGITS)
    assert {k: int(m.sum()) for k, m in shown.items()} == {
        "class ≠ 1": 8865,
        "class 1": 1135,
    }


def test_groups_of_any_classes():
    wanted = selection.parse_groups(" furry = cat,dog ; wet=eel", NAMES)
    assert wanted == {"furry": ["cat", "dog"], "wet": ["eel"]}
    groups = selection.class_groups(wanted, LABELS, NAMES, 6)
    np.testing.assert_array_equal(groups["furry"], LABELS < 2)
    assert list(selection.asked_for(groups, NAMES)) == ["furry", "wet"]
    assert list(selection.asked_for(selection.class_groups({}, None, (), 6), ())) == [
        "all"
    ]


@pytest.mark.parametrize("text", ["cat,dog", "=cat", "a=", "a=cat;a=dog"])
def test_misspelt_groups(text):
    with pytest.raises(UserError, match="must look like"):
        selection.parse_groups(text, NAMES)


def test_classes_whose_names_hold_what_stands_between_names():
    names = ("a,b", "x;y=z", "c", "d", "c;d=d")
    read = selection.parse_groups(' one = c, a,b ; two=1=x;y=z;three="c;d=d"', names)
    assert read == {"one": ["c", "a,b"], "two=1": ["x;y=z"], "three": ["c;d=d"]}
    with pytest.raises(UserError, match=r'read as g="c";d="d" and as g="c;d=d"; write'):
        selection.parse_groups("g=c;d=d", names)
    with pytest.raises(UserError, match="unknown class 'e'; known: a,b, x;y=z, c, d"):
        selection.parse_groups("g=a,b,e", names)
    with pytest.raises(UserError, match="needs a dataset with labels"):
        selection.parse_groups("g=a", ())


@pytest.mark.parametrize(
    ("wanted", "labels", "message"),
    [
        ({"a": ["cow"]}, LABELS, "unknown class 'cow'; known: cat, dog, eel"),
        ({"a": ["cat"]}, LABELS + 1, "class 'cat' of group 'a' has none of the 6"),
        ({"a": ["cat"]}, None, "needs a dataset with labels"),
        ({"all": ["cat"]}, LABELS, "'all', which is there already"),
    ],
)
def test_groups_that_cannot_be(wanted, labels, message):
    with pytest.raises(UserError, match=message):
        selection.class_groups(wanted, labels, (*NAMES, "fox")[:3], 6)
