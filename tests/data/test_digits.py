"""What counts as digits."""

import pytest

from dfcvae_tf.config import DataConfig
from dfcvae_tf.data import digits
from dfcvae_tf.data.registry import open_source


@pytest.mark.parametrize(
    ("name", "expected"), [("mnist_sample", True), ("synthetic", False)]
)
def test_sources_are_told_by_their_classes(name, expected):
    source = open_source(DataConfig(dataset=name), seed=0)
    assert digits.are_digits(source.class_names) == expected
    assert digits.are_like_mnist((28, 28, 1), source.class_names) == expected
    assert not digits.are_like_mnist((32, 32, 1), source.class_names)


@pytest.mark.parametrize("names", [(), tuple("123456789"), tuple("9876543210")])
def test_other_names_or_another_order_are_none(names):
    assert not digits.are_digits(names)
