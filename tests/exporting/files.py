"""Small .tflite files for tests."""

import tempfile
from pathlib import Path

import numpy as np
import tensorflow as tf

from dfcvae_tf.exporting.device_form import device_decode
from dfcvae_tf.exporting.saved_model import write_saved_model
from dfcvae_tf.exporting.tflite import convert
from dfcvae_tf.messages import held_back_messages
from dfcvae_tf.models.prior import StandardNormal
from dfcvae_tf.models.vae import VAE


def tflite_file(function, x: np.ndarray, rows: int | None = 1) -> bytes:
    """A file of decode(z) -> image for a function of `x`; None = any number of rows."""
    spec = tf.TensorSpec([rows, *x.shape[1:]], tf.float32, name="z")
    module = tf.Module()
    module.decode = tf.function(
        lambda z: {"image": function(z)}, input_signature=[spec]
    )
    with tempfile.TemporaryDirectory() as folder, held_back_messages():
        tf.saved_model.save(module, folder, {"decode": module.decode})
        return convert(Path(folder), "decode", "float32")


def exported(vae: VAE) -> dict[tuple[str, str], bytes]:
    """A network's files as an export has them, a row per call: (signature, variant)."""
    with tempfile.TemporaryDirectory() as folder, held_back_messages():
        decode = device_decode(vae, vae.to_images)
        write_saved_model(vae, StandardNormal(), Path(folder) / "model", 1, decode)
        return {
            (signature, variant): convert(Path(folder) / "model", signature, variant)
            for signature in ("decode", "encode")
            for variant in ("float32", "float16")
        }
