"""Conversion, and what operators a .tflite file holds."""

import numpy as np
import pytest
import tensorflow as tf

from dfcvae_tf.exporting.runtime import TFLiteFunction
from dfcvae_tf.exporting.saved_model import write_saved_model
from dfcvae_tf.exporting.tflite import convert, forbidden_operators, operators
from dfcvae_tf.models.prior import StandardNormal


@pytest.mark.parametrize(
    ("variant", "limit"), [("float32", 1e-5), ("float16", 5e-3), ("dynamic", 0.05)]
)
def test_a_decoder_file_decodes_like_keras(
    static_model, model, latents, variant, limit
):
    content = convert(static_model, "decode", variant)
    decode = TFLiteFunction(content, "decode", 1)
    assert decode.input_shapes == [(1, 3)]
    assert decode.dtypes == {np.float32}
    found = decode(latents)["image"]
    np.testing.assert_allclose(found, model.decoder(latents), atol=limit)
    assert forbidden_operators(content, dynamic_batch=False) == []
    assert "LOGISTIC" in operators(content)


def test_int8_is_whole_numbers_inside_and_float32_outside(static_model, model, latents):
    content = convert(static_model, "decode", "int8", latents)
    decode = TFLiteFunction(content, "decode", 1)
    assert decode.dtypes == {np.float32}
    found = operators(content)
    assert (found[0], found[-1]) == ("QUANTIZE", "DEQUANTIZE")
    assert found.count("QUANTIZE") == found.count("DEQUANTIZE") == 1
    errors = np.abs(decode(latents)["image"] - model.decoder(latents))
    assert 0 < errors.mean() < 0.03


def test_an_encoder_file_has_both_results(static_model, model):
    images = np.random.default_rng(0).random((20, 8, 8, 1), np.float32)
    encode = TFLiteFunction(convert(static_model, "encode", "float32"), "encode", 1)
    z_mean, z_log_var = model.encoder(images)
    found = encode(images)
    np.testing.assert_allclose(found["z_mean"], z_mean, atol=1e-5)
    np.testing.assert_allclose(found["z_log_var"], z_log_var, atol=1e-5)


def test_a_dynamic_batch_computes_shapes_a_fixed_one_does_not(tmp_path, vae):
    write_saved_model(vae, StandardNormal(), tmp_path / "any", batch_size=None)
    content = convert(tmp_path / "any", "decode", "float32")
    assert forbidden_operators(content, dynamic_batch=True) == []
    assert forbidden_operators(content, dynamic_batch=False) == ["PACK", "SHAPE"]


def test_calibration_fills_the_last_batch(tmp_path, vae, model, latents):
    write_saved_model(vae, StandardNormal(), tmp_path / "four", batch_size=4)
    content = convert(tmp_path / "four", "decode", "int8", latents[:50], batch_size=4)
    decode = TFLiteFunction(content, "decode", 1)
    assert decode.input_shapes == [(4, 3)]
    errors = np.abs(decode(latents[:5])["image"] - model.decoder(latents[:5]))
    assert errors.mean() < 0.03


def test_forbidden_operators_are_found():
    @tf.function(input_signature=[tf.TensorSpec([2], tf.float32)])
    def noisy(x):
        return x + tf.random.uniform([2])

    converter = tf.lite.TFLiteConverter.from_concrete_functions(
        [noisy.get_concrete_function()], noisy
    )
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
    content = converter.convert()
    assert forbidden_operators(content, dynamic_batch=False) == ["RANDOM_UNIFORM"]
