"""Settings of an export, from flags."""

import pytest

from dfcvae_tf.errors import UserError
from dfcvae_tf.exporting.settings import parse_settings


def test_flags_become_settings():
    settings = parse_settings(["int8", " float32", "int8", ""], "dynamic", 7)
    assert settings.variants == ("int8", "float32")
    assert (settings.batch_size, settings.seed) == ("dynamic", 7)
    assert parse_settings(["int8"], "3", 0).batch_size == 3
    assert parse_settings(["int8"], "3", 0, "none").accelerator == "none"


@pytest.mark.parametrize(
    ("variants", "batch_size", "message"),
    [
        (["int9"], "1", "unknown variant .*'int9'.* Did you mean 'int8'"),
        ([""], "1", "--quantize is empty"),
        (["int8"], "0", "--batch_size must be .* from 1, or 'dynamic', got '0'"),
        (["int8"], "two", "--batch_size .* got 'two'"),
    ],
)
def test_wrong_ones_are_named(variants, batch_size, message):
    with pytest.raises(UserError, match=message):
        parse_settings(variants, batch_size, 0)


def test_an_unknown_accelerator_is_named():
    with pytest.raises(
        UserError, match=r"unknown --accelerator 'tpu'.* auto, gpu, none"
    ):
        parse_settings(["int8"], "1", 0, "tpu")
