"""`keras:NAME`: the pretrained networks of tf.keras.applications.

https://keras.io/api/applications/ lists them. Each is used without its classifier
(include_top=False) and behind its own `preprocess_input`.
"""

import inspect
import math
import re
import sys
import zlib
from collections.abc import Container, Mapping
from pathlib import Path

import h5py
import numpy as np
import tensorflow as tf
from absl import logging

from dfcvae_tf.errors import UserError, unknown_name
from dfcvae_tf.perceptual.feature_extractor import KerasFeatures, network_part
from dfcvae_tf.weights import (
    counted_from_zero,
    finalize,
    named_variables,
    number_from_zero,
    weight_name,
)

# relu1_1, relu2_1 and relu3_1 of VGG19, and so on, as Hou et al. 2017 (arXiv:1610.00291)
# name their two models after them. A convolution of Keras' VGG19 includes its ReLU.
SHORTHANDS = {
    "VGG19": {
        "123": ("block1_conv1", "block2_conv1", "block3_conv1"),
        "345": ("block3_conv1", "block4_conv1", "block5_conv1"),
    }
}
DEFAULT_LAYERS = {"VGG19": SHORTHANDS["VGG19"]["123"]}

# Smallest height and width that Keras builds a network for; 32 for those not named.
_MIN_SIZES = {"InceptionV3": 75, "InceptionResNetV2": 75, "Xception": 71}
_MIN_SIZE = 32
# How many layers an error names.
_LISTED = 5


def network_names() -> list[str]:
    """Returns the names of all networks of the installed Keras."""
    found = vars(tf.keras.applications)
    return sorted(name for name, value in found.items() if inspect.isfunction(value))


def build_keras_application(
    network: str,
    layers: tuple[str, ...],
    weights: str,
    image_shape: tuple[int, int, int],
    seed: int,
) -> KerasFeatures:
    """Returns a network of tf.keras.applications as a feature extractor.

    The network is built for the size of the images; images smaller than Keras builds
    the network for are enlarged to that size. With a weights file the network is what
    Keras makes of weights=PATH, which for EfficientNetB0 to B7 lacks the second
    rescaling of the input that weights="imagenet" has; one line says so.

    Args:
      network: name of the class, such as "VGG19".
      layers: names of layers, or one of the network's `SHORTHANDS`; the network's
        default when empty (only VGG19 has one).
      weights: "imagenet" downloads Keras' weights, once; "random" draws He-normal
        kernels (He et al. 2015, arXiv:1502.01852), the same for the same seed on every
        machine; else the path of an .h5 weights file as Keras distributes them, of
        which only the weights of the needed layers must be there, and those of no other
        network.
      image_shape: (height, width, channels) of the images to come.
      seed: of random weights.

    Raises:
      UserError: network or layer unknown, no layers given where there is no default,
        weights not downloadable, or a weights file that is unreadable or does not fit.
    """
    if network not in network_names():
        raise unknown_name("network", f"keras:{network}", network_names())
    layers = _written_out(network, layers)
    if weights not in ("imagenet", "random") and not Path(weights).is_file():
        raise UserError(
            f"--perceptual_weights={weights!r} is neither imagenet nor random nor an "
            "existing .h5 file"
        )
    builder = getattr(tf.keras.applications, network)
    smallest = _MIN_SIZES.get(network, _MIN_SIZE)
    height, width = (max(size, smallest) for size in image_shape[:2])
    arguments = {"include_top": False, "input_shape": (height, width, 3)}
    if weights == "imagenet":
        try:
            model = builder(weights="imagenet", **arguments)
        except Exception as error:  # Keras raises a plain Exception without a network
            raise UserError(
                f"the ImageNet weights of {network} are not in Keras' cache "
                f"(~/.keras/models) and could not be downloaded ({error}); connect once, "
                "copy them there, or give a file: --perceptual_weights=PATH.h5"
            ) from error
    else:
        model = builder(weights=None, **arguments)
    auto_counts = number_from_zero(model)
    name = f"keras:{network}"
    part = network_part(name, model, layers)
    if weights == "random":
        _draw_weights(part, seed)
    elif weights != "imagenet":
        _check_is_of(network, model, weights, auto_counts)
        load_h5_weights(part, weights, auto_counts)
        if re.fullmatch("EfficientNetB[0-7]", network):
            logging.warning(
                "%s with weights from a file is what Keras makes of it: without the "
                "second rescaling of the input that imagenet has",
                name,
            )
    # The function lives in the module of the network: not every network has a public
    # module of its own under tf.keras.applications.
    preprocess_input = sys.modules[builder.__module__].preprocess_input
    return KerasFeatures(
        name,
        part,
        layers,
        lambda images: preprocess_input(images * 255.0, data_format="channels_last"),
    )


def load_h5_weights(
    model: tf.keras.Model, path: str, auto_counts: dict[str, int] | None = None
) -> None:
    """Loads the weights of all layers of `model`, by layer name, from an .h5 file.

    The layout is that of Keras' weight files: a group per layer, the attribute
    `layer_names` with their names, and in each group the attribute `weight_names`; all
    at the root, or in a group `model_weights`. Layers that `model` lacks are ignored.

    Args:
      model: its layers get the weights.
      path: of the file.
      auto_counts: class prefix ("conv2d") -> number of layers that Keras named by
        counting; a file that has as many is taken to count from its own first one.

    Raises:
      UserError: the file is unreadable or of another layout, or it lacks a layer or has
        one of another shape.
    """
    needed = {layer.name for layer in model.layers}
    names, _, found = _read_layers(path, needed, auto_counts or {})
    layers = [layer for layer in model.layers if layer.weights]
    missing = [layer.name for layer in layers if layer.name not in found]
    if missing:
        raise UserError(
            f"{path} has no weights for the layers {', '.join(missing)}; it has: "
            f"{', '.join(names)}"
        )
    for layer in layers:
        shapes = [array.shape for _, array in found[layer.name]]
        if shapes != _shapes_of(layer):
            raise UserError(f"{path}: {_other_shapes(layer, shapes)}")
    for layer in layers:
        _assign_layer(layer, found[layer.name])
    finalize(model)


def _read_layers(
    path: str, needed: Container[str], auto_counts: Mapping[str, int]
) -> tuple[
    list[str], dict[str, list[tuple[int, ...]]], dict[str, list[tuple[str, np.ndarray]]]
]:
    """Reads an .h5 file of weights.

    Args:
      path: of the file.
      needed: names of layers, of which the weights are read.
      auto_counts: see `load_h5_weights`.

    Returns:
      Names in the file of its layers with weights; by their names in the network the
      shapes of all their weights, in the file's order; and (name, array) of each weight
      of the layers needed.

    Raises:
      UserError: the file is unreadable or of another layout.
    """
    try:
        with h5py.File(path, "r") as file:
            root = file.get("model_weights", file)
            names = [_text(name) for name in root.attrs["layer_names"]]
            ours = {name: name for name in names if len(_weight_names(root[name]))}
            for prefix, count in auto_counts.items():
                counted = counted_from_zero(names, prefix)
                if len(counted) == count:
                    ours.update(counted)
            shapes = {
                ours[name]: [root[name][w].shape for w in _weight_names(root[name])]
                for name in ours
            }
            found = {
                ours[name]: _read_layer(root[name])
                for name in ours
                if ours[name] in needed
            }
    except (OSError, KeyError, ValueError, RuntimeError, AttributeError) as error:
        raise UserError(
            f"{path} is not an .h5 weights file in the layout of Keras "
            f"({type(error).__name__}: {error})"
        ) from error
    return list(ours), shapes, found


def _check_is_of(
    network: str, model: tf.keras.Model, path: str, auto_counts: Mapping[str, int]
) -> None:
    """Raises UserError when a file has weights of another network than this one.

    It may end early, so that only the weights of layers before some others are there,
    and may have those of the network's own top.
    """
    layers = {layer.name: layer for layer in model.layers}
    _, shapes, _ = _read_layers(path, (), auto_counts)
    foreign = [name for name in shapes if name not in layers]
    if foreign:
        top = _names_with_top(network)
        foreign = [name for name in foreign if name not in top]
    if foreign:
        raise UserError(
            f"{path} is not of {network}, which has no layer "
            f"{', '.join(foreign[:_LISTED])}; a network of your own goes whole, as "
            "--perceptual_model=file:PATH"
        )
    known = [name for name in shapes if name in layers]
    if not known:
        return
    before = tf.keras.Model(model.inputs, [layers[name].output for name in known])
    missing = [x.name for x in before.layers if x.weights and x.name not in known]
    if missing:
        raise UserError(
            f"{path} is not of {network}: it has no weights for "
            f"{', '.join(missing[:_LISTED])}, but for layers behind it"
        )
    for name in known:
        # The order of a layer's weights is not the same in all versions of Keras.
        if sorted(shapes[name]) != sorted(_shapes_of(layers[name])):
            problem = _other_shapes(layers[name], shapes[name])
            raise UserError(f"{path} is not of {network}: {problem}")


def _shapes_of(layer) -> list[tuple[int, ...]]:
    return [tuple(variable.shape) for variable in layer.weights]


def _other_shapes(layer, shapes: list[tuple[int, ...]]) -> str:
    return (
        f"layer {layer.name} has weights of shapes {_shapes(shapes)}, not "
        f"{_shapes(_shapes_of(layer))}"
    )


def _names_with_top(network: str) -> set[str]:
    """Names of the layers of a network with its classifier."""
    size = _MIN_SIZES.get(network, _MIN_SIZE)
    model = getattr(tf.keras.applications, network)(
        weights=None, include_top=True, input_shape=(size, size, 3), classes=2
    )
    number_from_zero(model)
    return {layer.name for layer in model.layers}


def _written_out(network: str, layers: tuple[str, ...]) -> tuple[str, ...]:
    """Returns the layers that no name, or a shorthand, stands for."""
    if not layers:
        return DEFAULT_LAYERS.get(network, ())
    if len(layers) > 1 or not layers[0].isdigit():
        return layers
    shorthands = SHORTHANDS.get(network, {})
    if layers[0] not in shorthands:
        raise unknown_name(
            f"shorthand for layers of {network}", layers[0], shorthands or ["none"]
        )
    return shorthands[layers[0]]


def _read_layer(group: h5py.Group) -> list[tuple[str, np.ndarray]]:
    """Returns (name, array) of a layer's weights in the order they were saved."""
    names = _weight_names(group)
    return [(weight_name(name), np.asarray(group[name])) for name in names]


def _weight_names(group: h5py.Group) -> list[str]:
    return [_text(name) for name in group.attrs["weight_names"]]


def _assign_layer(layer, arrays: list[tuple[str, np.ndarray]]) -> None:
    # By name where the names agree, for the order of a layer's weights is not the same
    # in all versions of Keras; else (older files name them "param_0", ...) by position.
    by_name = dict(arrays)
    for index, variable in enumerate(layer.weights):
        variable.assign(by_name.get(weight_name(variable.name), arrays[index][1]))


def _draw_weights(model: tf.keras.Model, seed: int) -> None:
    """He-normal kernels; biases and normalisations stay as Keras starts them."""
    for name, variable in named_variables(model).items():
        shape = tuple(variable.shape)
        if len(shape) < 2:
            continue
        # A depthwise kernel [h, w, channels, 1] sees one channel at a time.
        depthwise = len(shape) == 4 and shape[3] == 1
        fan_in = math.prod(shape[:2] if depthwise else shape[:-1])
        # By layer and shape: the order of weights, and the name of a depthwise kernel,
        # differ between versions of Keras.
        place = f"{name.rpartition('/')[0]} {shape}"
        rng = np.random.default_rng([seed, zlib.crc32(place.encode())])
        kernel = rng.standard_normal(shape, np.float32) * math.sqrt(2.0 / fan_in)
        variable.assign(kernel)


def _text(name: str | bytes) -> str:
    return name.decode() if isinstance(name, bytes) else name


def _shapes(shapes) -> str:
    return ", ".join(str(shape) for shape in shapes)
