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
from dfcvae_tf.weights import finalize

# What a network of images may be made of. Not among them: layers that hold Python code or
# call any function by name (Lambda, TFOpLambda, TorchModuleWrapper), load another model
# from a path (TFSMLayer) or read a vocabulary from one (StringLookup, TextVectorization).
_LAYER_NAMES = {
    "Networks, and numbers they are computed in": (
        "Functional Model Sequential InputLayer TimeDistributed DTypePolicy DTypePolicyMap "
        "FloatDTypePolicy Policy"
    ),
    "Convolutions and products": (
        "Conv1D Conv2D Conv3D Conv2DTranspose Conv3DTranspose DepthwiseConv2D Dense "
        "EinsumDense LocallyConnected2D SeparableConv2D Attention AdditiveAttention "
        "GroupedQueryAttention GroupQueryAttention MultiHeadAttention Embedding"
    ),
    "Activations": "Activation ELU LeakyReLU PReLU ReLU Softmax ThresholdedReLU",
    "Normalization and noise": (
        "ActivityRegularization AlphaDropout BatchNormalization Dropout GaussianDropout "
        "GaussianNoise GroupNormalization LayerNormalization Normalization RMSNormalization "
        "SpatialDropout2D SpectralNormalization SyncBatchNormalization UnitNormalization"
    ),
    "Pooling": (
        "AveragePooling1D AveragePooling2D GlobalAveragePooling1D GlobalAveragePooling2D "
        "GlobalMaxPooling1D GlobalMaxPooling2D MaxPooling1D MaxPooling2D"
    ),
    "Shapes and sizes": (
        "CenterCrop Cropping2D Flatten Permute RepeatVector Rescaling Reshape Resizing "
        "UpSampling2D ZeroPadding2D LayerScale StochasticDepth "
        "RandomBrightness RandomContrast RandomCrop RandomFlip RandomRotation "
        "RandomTranslation RandomZoom"
    ),
    "Several inputs": "Add Average Concatenate Dot Maximum Minimum Multiply Subtract",
}
_LAYERS = frozenset().union(*(names.split() for names in _LAYER_NAMES.values()))
# Modules of Keras that hold nothing but numeric functions and settings of layers.
_NUMERIC_MODULES = frozenset(
    {
        "activations",
        "constraints",
        "dtype_policies",
        "initializers",
        "losses",
        "metrics",
        "mixed_precision",
        "ops",
        "optimizers",
        "quantizers",
        "regularizers",
    }
)
# Keras' own marks for values in a description.
_VALUES = frozenset(
    {
        "__bytes__",
        "__ellipsis__",
        "__keras_tensor__",
        "__numpy__",
        "__slice__",
        "__tensor__",
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
        model = tf.keras.models.load_model(path, compile=False, safe_mode=True)
    except Exception as error:  # Keras documents no types for a bad file
        raise UserError(
            f"{path} cannot be loaded by Keras {version('keras')}: "
            f"{type(error).__name__}: {_first_line(error)}"
        ) from error
    # Of an .h5 file, Keras 3 forgets to in networks inside the network.
    if isinstance(model, tf.keras.Model):
        finalize(model)
    return model


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
    """Raises UserError when a description names anything that is not on the lists."""
    if isinstance(config, dict):
        kind, module = config.get("class_name"), config.get("module")
        if isinstance(kind, str) and not _is_allowed(kind, module):
            origin = f" of the Python module {module!r}" if module else ""
            raise UserError(
                f"{path} uses {kind!r}{origin}; a file may hold no code and nothing but "
                "Keras' own layers of networks of images: rebuild the network from "
                "those, with the preprocessing outside"
            )
        for value in config.values():
            _refuse_code(path, value)
    elif isinstance(config, list):
        for value in config:
            _refuse_code(path, value)


def _is_allowed(kind: str, module: Any) -> bool:
    """Whether a description may name the class (or "function") `kind` of a module.

    Files in the format of Keras 2 give no modules; names are looked up in Keras then.
    """
    if kind in _VALUES or kind in _LAYERS and module is None:
        return True
    if module is None:
        return any(
            hasattr(getattr(tf.keras, place), kind)
            for place in ("initializers", "regularizers", "constraints")
        )
    if module == "builtins":
        return kind in ("function", "type", "NoneType")
    parts = str(module).split(".")
    parts = parts[1:] if parts[0] == "tensorflow" else parts
    if parts[0] not in ("keras", "tf_keras"):
        return False
    parts = [part for part in parts[1:] if part != "src"]
    if parts and parts[0] in _NUMERIC_MODULES:
        return True
    return kind in _LAYERS


def _first_line(error: Exception) -> str:
    # Keras may print the whole description of the network in one line.
    return str(error).strip().split("\n")[0][:200]
