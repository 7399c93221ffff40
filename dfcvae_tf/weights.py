"""Keras weights as named arrays, the same names on Keras 2 and Keras 3.

The name of an array is "LAYER/WEIGHT" ("conv1/kernel"); a layer inside a model inside a
model is "INNER/LAYER/WEIGHT". Where layers have no names of their own, `number_from_zero`
names them by class and place. `write_arrays` and `read_arrays` put such arrays on
disk. Weight *files* of Keras itself differ between its versions; these do not.
"""

import hashlib
import re
from collections.abc import Iterable

import numpy as np
import tensorflow as tf

from dfcvae_tf.errors import UserError


def get_arrays(model: tf.keras.Model, prefix: str = "") -> dict[str, np.ndarray]:
    """Returns a copy of every weight (trainable or not) of a built model by its name.

    Args:
      model: a built functional or sequential model.
      prefix: put before every name, for several models in one file.
    """
    # np.array copies: on a CPU, numpy() may return the variable's own memory.
    return {
        name: np.array(variable.numpy())
        for name, variable in named_variables(model, prefix).items()
    }


def set_arrays(
    model: tf.keras.Model, arrays: dict[str, np.ndarray], prefix: str = ""
) -> None:
    """Gives every weight of a built model its array; changes nothing when it raises.

    Args:
      model: a built functional or sequential model.
      arrays: what `get_arrays` returned for a model of the same layers, with the same
        prefix; names that do not start with the prefix are another model's. Numbers that
        Keras gave to layers may start anywhere.
      prefix: as in `get_arrays`.

    Raises:
      UserError: arrays are missing, unexpected, not numbers or of another shape; names
        them.
    """
    variables = named_variables(model, prefix)
    own = {name: array for name, array in arrays.items() if name.startswith(prefix)}
    if set(own) != set(variables):
        own = _number_arrays(model, own, prefix)
    given = set(own)
    problems = []
    if missing := [name for name in variables if name not in given]:
        problems.append(f"missing {', '.join(missing)}")
    if unexpected := sorted(given - set(variables)):
        problems.append(f"unexpected {', '.join(unexpected)}")
    for name in variables:
        if name not in given:
            continue
        array, wanted = own[name], tuple(variables[name].shape)
        if array.shape != wanted:
            problems.append(f"{name} has shape {array.shape}, not {wanted}")
        elif array.dtype.kind not in "fiu":
            problems.append(f"{name} holds {array.dtype}, not numbers")
    if problems:
        raise UserError(
            f"these weights do not fit the network {model.name!r}: "
            + "; ".join(problems)
        )
    for name, variable in variables.items():
        variable.assign(own[name])
    finalize(model)


def finalize(model: tf.keras.Model) -> None:
    """Has layers take what they compute with from their weights; after weights were set.

    Normalization, for one, computes with a mean and a variance that it once took from its
    weights, and has Keras call this on loading a file.
    """
    # Keras has no public list of all layers, those inside layers included.
    for layer in model._flatten_layers():
        if hasattr(layer, "finalize_state"):
            layer.finalize_state()


def draw(model: tf.keras.Model, name: str, seed: int) -> None:
    """Draws a model's kernels anew, each by its layer's own initializer.

    What is drawn is a function of seed and names alone: not of what else was built before,
    of the precision, or of other layers. Biases and statistics keep their constants.

    Args:
      model: a built functional or sequential model.
      name: of the model among those drawn with this seed.
      seed: not negative.
    """
    for layer in model.layers:
        if isinstance(layer, tf.keras.Model):
            draw(layer, f"{name}/{layer.name}", seed)
        initializer = getattr(layer, "kernel_initializer", None)
        if initializer is None:
            continue
        text = f"{seed}/{name}/{layer.name}"
        own_seed = (
            int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big") >> 1
        )
        seeded = type(initializer).from_config(
            {**initializer.get_config(), "seed": own_seed}
        )
        layer.kernel.assign(seeded(layer.kernel.shape, "float32"))


def number_from_zero(model: tf.keras.Model) -> dict[str, int]:
    """Makes the names of layers that Keras named by counting those of a fresh process.

    "conv2d_207", when other networks were built before, becomes "conv2d_12", so that a
    layer has the same name in each run. Models inside the model count for themselves.

    Returns:
      Class prefix ("conv2d") -> number of such layers, of those with weights.
    """
    by_name = {layer.name: layer for layer in model.layers}
    counts = {}
    for prefix in {_prefix(layer) for layer in model.layers}:
        names = counted_from_zero(by_name, prefix)
        for name, new_name in names.items():
            layer = by_name[name]
            # Keras 2 has no public way to rename a layer.
            setattr(layer, "_name" if hasattr(layer, "_name") else "name", new_name)
        if any(by_name[name].weights for name in names):
            counts[prefix] = len(names)
    for layer in model.layers:
        if isinstance(layer, tf.keras.Model):
            number_from_zero(layer)
    return counts


def counted_from_zero(names: Iterable[str], prefix: str) -> dict[str, str]:
    """Returns name -> name counted from 0 of all names that are PREFIX or PREFIX_123."""
    numbers = {}
    for name in names:
        if match := re.fullmatch(rf"{re.escape(prefix)}(?:_(\d+))?", name):
            numbers[name] = int(match[1] or 0)
    return {
        name: f"{prefix}_{index}" if index else prefix
        for index, name in enumerate(sorted(numbers, key=numbers.__getitem__))
    }


def named_variables(model: tf.keras.Model, prefix: str = "") -> dict:
    """Returns name -> variable (a Keras variable or tf.Variable) of a built model.

    Of several weights of one name in a layer, the second is called "WEIGHT#2", and so on.
    """
    named: dict = {}
    for layer in model.layers:
        if isinstance(layer, tf.keras.Model):
            named.update(named_variables(layer, f"{prefix}{layer.name}/"))
            continue
        seen: dict[str, int] = {}
        for variable in layer.weights:
            name = weight_name(variable.name)
            seen[name] = seen.get(name, 0) + 1
            number = f"#{seen[name]}" if seen[name] > 1 else ""
            named[f"{prefix}{layer.name}/{name}{number}"] = variable
    return named


def weight_name(variable_name: str) -> str:
    """Returns "kernel" for "kernel" (Keras 3) and for "conv1/kernel:0" (Keras 2)."""
    return variable_name.split("/")[-1].split(":")[0]


def _number_arrays(
    model: tf.keras.Model, arrays: dict[str, np.ndarray], prefix: str
) -> dict[str, np.ndarray]:
    """Returns arrays by the names they have when layers are counted from 0."""
    layers = {name.removeprefix(prefix).partition("/")[0] for name in arrays}
    ours = {name: name for name in layers}
    for class_prefix in {_prefix(layer) for layer in model.layers}:
        ours |= counted_from_zero(layers, class_prefix)
    renamed = {}
    for name, array in arrays.items():
        layer, separator, rest = name.removeprefix(prefix).partition("/")
        renamed[f"{prefix}{ours[layer]}{separator}{rest}"] = array
    return renamed


def _prefix(layer) -> str:
    """Returns what Keras names a layer by when it has no name: Conv2D -> "conv2d"."""
    if layer.name.startswith("tf."):  # a TensorFlow function as a layer, in Keras 2
        return re.sub(r"_\d+$", "", layer.name)
    if re.fullmatch(r"model(_\d+)?", layer.name):  # a model in a model, in Keras 2
        return "model"
    name = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", layer.__class__.__name__)
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()
