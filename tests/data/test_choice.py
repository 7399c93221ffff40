"""Which images of a split are used where not all of them are."""

import cv2
import numpy as np
import pytest

from dfcvae_tf.config import DataConfig
from dfcvae_tf.data.choice import choose_places, representative
from dfcvae_tf.data.folder import open_folder
from dfcvae_tf.data.mnist_sample import open_mnist_sample

# Sorted, as in the order of paths: 40, 3, 30 and 27 of a class.
LABELS = np.repeat([0, 1, 2, 3], [40, 3, 30, 27])


@pytest.mark.parametrize(
    ("count", "of_class"),
    [
        (4, [1, 1, 1, 1]),
        (23, [7, 3, 7, 6]),
        (60, [19, 3, 19, 19]),
        (100, [40, 3, 30, 27]),
    ],
)
def test_each_class_has_as_many_as_there_are(count, of_class):
    places = choose_places(100, count, LABELS, seed=0)
    assert (np.diff(places) > 0).all() and len(places) == count
    found = np.bincount(LABELS[places], minlength=4)
    # Who has the one more is drawn.
    assert sorted(found) == sorted(of_class) and found[1] == of_class[1]


def test_the_choice_is_the_seeds_alone():
    first = choose_places(100, 20, LABELS, seed=0)
    np.testing.assert_array_equal(choose_places(100, 20, LABELS, seed=0), first)
    assert (choose_places(100, 20, LABELS, seed=1) != first).any()
    often = np.concatenate([choose_places(100, 20, None, seed) for seed in range(200)])
    counts = np.bincount(often, minlength=100)  # 40 each on average, deviation 5.7
    assert counts.min() > 15 and counts.max() < 65


def test_those_required_are_among_them_and_the_classes_stay_equal():
    plain = choose_places(100, 20, LABELS, seed=0)
    required = [99, 0, 1]
    places = choose_places(100, 20, LABELS, seed=0, required=required)
    assert len(places) == 20 and set(required) <= set(places)
    assert sorted(np.bincount(LABELS[places])) == [3, 5, 6, 6]
    assert len(set(plain) - set(places)) <= 3
    many = choose_places(100, 10, LABELS, seed=0, required=range(8))
    assert np.bincount(LABELS[many], minlength=4)[0] == 8


def test_a_folder_is_mixed_and_others_are_taken_from_the_first(tmp_path):
    for index in range(60):
        grey = np.full((4, 4), index, np.uint8)
        (tmp_path / f"{index:02d}.png").write_bytes(cv2.imencode(".png", grey)[1])
    source = open_folder("folder", str(tmp_path), DataConfig())
    train = [int(e["image"][0, 0, 0]) for e in source.dataset("train")]
    cut = representative(source, "train", 10, seed=0)
    images = [int(e["image"][0, 0, 0]) for e in cut.dataset("train")]
    places = choose_places(len(train), 10, None, seed=0)
    assert images == [train[place] for place in places] and images != train[:10]
    assert cut.num_examples == {**source.num_examples, "train": 10}
    assert representative(source, "train", 100, seed=0) is source
    mnist = open_mnist_sample()
    assert representative(mnist, "train", 10, seed=0) is mnist
