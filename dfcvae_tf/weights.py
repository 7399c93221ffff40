"""Keras weights as named arrays, the same names on Keras 2 and Keras 3.

The name of an array is "LAYER/WEIGHT" ("conv1/kernel"); a layer inside a model inside a
model is "INNER/LAYER/WEIGHT". `write_arrays` and `read_arrays` put such arrays on
disk. Weight *files* of Keras itself differ between its versions; these do not.
"""

import hashlib

import numpy as np
import tensorflow as tf

from dfcvae_tf.errors import UserError


def get_arrays(model: tf.keras.Model, prefix: str = "") -> dict[str, np.ndarray]:
    """Returns a copy of every weight (trainable or not) of a built model by its name.

    Args:
      model: a built functional or sequential model.
      prefix: put before every name, for several models in one file.

    Raises:
      ValueError: two weights of one layer have the same name.
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
        prefix; names that do not start with the prefix are another model's.
      prefix: as in `get_arrays`.

    Raises:
      UserError: arrays are missing, unexpected, not numbers or of another shape; names
        them.
    """
    variables = named_variables(model, prefix)
    given = {name for name in arrays if name.startswith(prefix)}
    problems = []
    if missing := [name for name in variables if name not in given]:
        problems.append(f"missing {', '.join(missing)}")
    if unexpected := sorted(given - set(variables)):
        problems.append(f"unexpected {', '.join(unexpected)}")
    for name in variables:
        if name not in given:
            continue
        array, wanted = arrays[name], tuple(variables[name].shape)
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
        variable.assign(arrays[name])
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


def named_variables(model: tf.keras.Model, prefix: str = "") -> dict:
    """Returns name -> variable (a Keras variable or tf.Variable) of a built model.

    Raises:
      ValueError: two weights of one layer have the same name.
    """
    named: dict = {}
    for layer in model.layers:
        if isinstance(layer, tf.keras.Model):
            named.update(named_variables(layer, f"{prefix}{layer.name}/"))
            continue
        for variable in layer.weights:
            name = f"{prefix}{layer.name}/{weight_name(variable.name)}"
            if name in named:
                raise ValueError(f"two weights are named {name!r}")
            named[name] = variable
    return named


def weight_name(variable_name: str) -> str:
    """Returns "kernel" for "kernel" (Keras 3) and for "conv1/kernel:0" (Keras 2)."""
    return variable_name.split("/")[-1].split(":")[0]
