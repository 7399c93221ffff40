"""Settings of an export, from flags."""

import pytest

from dfcvae_tf.errors import UserError
from dfcvae_tf.exporting.settings import parse_settings

FLAGS = {
    "quantize": ["float32", "int8"],
    "batch_size": "1",
    "seed": 0,
    "accelerator": "auto",
    "signatures": None,
    "saved_model": "yes",
    "name": None,
    "model_version": None,
}


def parse(**flags):
    return parse_settings(FLAGS | flags)


def test_flags_become_settings():
    settings = parse(
        quantize=["int8", " float32", "int8", ""], batch_size="dynamic", seed=7
    )
    assert settings.variants == ("int8", "float32")
    assert (settings.batch_size, settings.seed) == ("dynamic", 7)
    assert parse(batch_size="3").batch_size == 3
    assert parse(accelerator="none").accelerator == "none"
    # A generator is made of its decoder's file.
    assert parse(signatures=["generate", "decode"]).signatures == ("decode", "generate")
    assert not parse(saved_model="no").saved_model
    assert parse(name="Ziffern 2").name == "Ziffern 2"


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"quantize": ["int9"]}, "unknown variant .*'int9'.* Did you mean 'int8'"),
        ({"quantize": [""]}, "--quantize is empty"),
        ({"batch_size": "0"}, "--batch_size must be .* from 1, or 'dynamic', got '0'"),
        ({"batch_size": "two"}, "--batch_size .* got 'two'"),
        ({"accelerator": "tpu"}, "unknown --accelerator 'tpu'.* auto, gpu, none"),
        ({"signatures": ["decod"]}, "unknown signature .* Did you mean 'decode'"),
        ({"signatures": ["encode"]}, "--signatures must have decode"),
        ({"name": " "}, "--name must be a line of text"),
        ({"model_version": "1\n2"}, "--model_version must be a line of text"),
    ],
)
def test_wrong_ones_are_named(flags, message):
    with pytest.raises(UserError, match=message):
        parse(**flags)
