"""SavedModels: the networks with named signatures, for TensorFlow and on the way to TFLite.

Keras' ExportArchive writes them. TFLite files converted from a plain tf.Module around a
Keras 3 model, or from concrete functions, never read their variables and give NaN.
"""

import contextlib
import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import tensorflow as tf

from dfcvae_tf.errors import UserError
from dfcvae_tf.exporting.signatures import LABEL, SIGNATURES, arguments
from dfcvae_tf.files import disk_errors
from dfcvae_tf.models.prior import Prior, prior_given
from dfcvae_tf.models.vae import VAE

Outputs = dict[str, tf.Tensor]


def write_saved_model(
    vae: VAE,
    prior: Prior,
    path: Path,
    batch_size: int | None = None,
    decode_z: Callable[[tf.Tensor], tf.Tensor] | None = None,
) -> None:
    """Writes the networks with the signatures decode, encode, reconstruct and generate.

    decode(z [N, D]) -> image [N, H, W, C] in [0, 1]; encode(image) -> z_mean, z_log_var
    [N, D]; reconstruct(image) -> image, decoded from z_mean; generate(noise [N, D]) ->
    image, where the noise is standard normal, and where the prior knows labels
    generate(noise, label [N, A]). All are float32; no graph holds a random operator.
    `serving_default` is decode.

    Args:
      vae: the networks, float32.
      prior: what makes latents of noise.
      path: folder to write; it must not exist.
      batch_size: N; any N when None.
      decode_z: z -> images, of the VAE's decoder in another form; `vae.decode` when None.

    Raises:
      UserError: the disk is full or not writable.
    """
    decode_z = decode_z or vae.decode

    def decode(z: tf.Tensor) -> Outputs:
        return {"image": decode_z(z)}

    def encode(image: tf.Tensor) -> Outputs:
        z_mean, z_log_var = vae.encoder(image, training=False)
        return {"z_mean": z_mean, "z_log_var": z_log_var}

    def reconstruct(image: tf.Tensor) -> Outputs:
        return decode(encode(image)["z_mean"])

    def generate(noise: tf.Tensor, label: tf.Tensor | None = None) -> Outputs:
        return decode(prior_given(prior, label).from_noise(noise))

    shapes = {
        LABEL: (batch_size, prior.num_labels),
        "noise": (batch_size, *vae.decoder.input_shape[1:]),
        "z": (batch_size, *vae.decoder.input_shape[1:]),
        "image": (batch_size, *vae.encoder.input_shape[1:]),
    }
    archive = tf.keras.export.ExportArchive()
    for function in (decode, encode, reconstruct, generate):
        name = function.__name__
        specs = [
            tf.TensorSpec(shapes[argument], tf.float32, name=argument)
            for argument in arguments(name, prior.num_labels)
        ]
        archive.add_endpoint(name, function, input_signature=specs)
    # It lists every variable on stdout, on Keras 2 without a way to ask it not to.
    with disk_errors(path), contextlib.redirect_stdout(io.StringIO()):
        try:
            archive.write_out(str(path))
        except tf.errors.OpError as error:
            raise UserError(
                f"cannot write {path}: {error.message.splitlines()[0]}"
            ) from error


def load_signature(path: Path, signature: str) -> Callable[..., dict[str, np.ndarray]]:
    """Loads one signature of a SavedModel as a function from and to NumPy arrays.

    It takes one batch of any size, of a signature with labels also those, and returns
    name -> array.
    """
    model = tf.saved_model.load(str(path))
    function = model.signatures[signature]
    (name,), _ = SIGNATURES[signature]

    def run(*values: np.ndarray) -> dict[str, np.ndarray]:
        given = zip((name, LABEL), map(tf.constant, values), strict=False)
        outputs = function(**dict(given))
        return {name: value.numpy() for name, value in outputs.items()}

    run.model = model  # type: ignore[attr-defined]  # signatures die with their model
    return run
