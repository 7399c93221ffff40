"""`file:PATH`: any Keras model in a .keras or .h5 file.

A model file is a program. Keras refuses some of what it may contain, not the same in
every version and not in .h5 files of Keras 2; so the description of the network inside
the file is read as plain JSON, and searched, before Keras sees the file.
"""

import json
import zipfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

import h5py
import tensorflow as tf

from dfcvae_tf.errors import UserError
from dfcvae_tf.perceptual.feature_extractor import KerasFeatures
from dfcvae_tf.perceptual.preprocessing import NEEDS_RGB, PREPROCESSING

# Lambda holds Python bytecode; the others, of Keras 2, call any function of TensorFlow
# or method that the file names, such as one that writes files.
_REFUSED_CLASSES = frozenset(
    {
        "Lambda",
        "__lambda__",
        "TFOpLambda",
        "SlicingOpLambda",
        "ClassMethod",
        "InstanceMethod",
        "InstanceProperty",
    }
)


def build_keras_file(
    path: str, layers: tuple[str, ...], preprocessing: str
) -> KerasFeatures:
    """Returns the network in a model file as a feature extractor.

    Args:
      path: a .keras or .h5 file that holds a functional or sequential model (not only
        weights) with one image as its input, channels last.
      layers: names of layers, at least one.
      preprocessing: what the network expects; a key of `PREPROCESSING`.

    Raises:
      UserError: the file is missing, unreadable, no such model, or holds code (a Lambda
        layer); a layer is unknown or none is given; the preprocessing is for RGB but
        the network takes grey images.
    """
    model = load_keras_file(path)
    if not getattr(model, "inputs", None) or not getattr(model, "outputs", None):
        raise UserError(f"{path} holds no functional or sequential Keras model")
    if preprocessing in NEEDS_RGB and model.inputs[0].shape[-1] != 3:
        raise UserError(
            f"--perceptual_preprocessing={preprocessing} is for RGB networks, but "
            f"{path} takes {model.inputs[0].shape[-1]} channels; "
            "none, 0_255 and -1_1 are for any network"
        )
    return KerasFeatures(f"file:{path}", model, layers, PREPROCESSING[preprocessing])


def load_keras_file(path: str) -> tf.keras.Model:
    """Returns the model in a .keras or .h5 file, running no code from the file.

    Raises:
      UserError: the file is missing, unreadable, no model, or holds code.
    """
    if not Path(path).is_file():
        raise UserError(f"no such file: {path}")
    if Path(path).suffix not in (".keras", ".h5"):
        raise UserError(f"{path} is not a .keras or .h5 file")
    _refuse_code(path, _read_config(path))
    try:
        return tf.keras.models.load_model(path, compile=False, safe_mode=True)
    except Exception as error:  # Keras documents no types for a bad file
        raise UserError(
            f"{path} cannot be loaded by Keras {version('keras')}: "
            f"{type(error).__name__}: {_first_line(error)}"
        ) from error


def _read_config(path: str) -> Any:
    """Returns the JSON that describes the model in a file."""
    try:
        if Path(path).suffix == ".keras":
            with zipfile.ZipFile(path) as archive:
                text = archive.read("config.json")
        else:
            with h5py.File(path, "r") as file:
                if "model_config" not in file.attrs:
                    raise UserError(
                        f"{path} holds no model (only weights?); a file written by "
                        "model.save() is needed"
                    )
                text = file.attrs["model_config"]
        return json.loads(text)
    # What zipfile, h5py and json raise for truncated and foreign files.
    except (OSError, KeyError, ValueError, RuntimeError, zipfile.BadZipFile) as error:
        raise UserError(
            f"{path} is not a readable Keras model file ({type(error).__name__}: "
            f"{_first_line(error)})"
        ) from error


def _refuse_code(path: str, config: Any) -> None:
    """Raises UserError when a description names a layer with code or a foreign module."""
    if isinstance(config, dict):
        kind, module = config.get("class_name"), config.get("module")
        if kind in _REFUSED_CLASSES:
            raise UserError(
                f"{path} has a layer of class {kind}, which may run any code; rebuild "
                "the network from plain Keras layers, with the preprocessing outside"
            )
        known = ("keras", "tensorflow.keras", "tf_keras", "builtins")
        if isinstance(module, str) and not f"{module}.".startswith(
            tuple(f"{name}." for name in known)
        ):
            raise UserError(
                f"{path} uses {kind!r} of the Python module {module!r}; only what "
                "Keras itself defines can be loaded"
            )
        if module == "builtins" and kind not in ("function", "type", "NoneType"):
            raise UserError(f"{path} calls the Python builtin {kind!r}")
        for value in config.values():
            _refuse_code(path, value)
    elif isinstance(config, list):
        for value in config:
            _refuse_code(path, value)


def _first_line(error: Exception) -> str:
    # Keras may print the whole description of the network in one line.
    return str(error).strip().split("\n")[0][:200]
