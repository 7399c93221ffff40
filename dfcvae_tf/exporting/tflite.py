"""From a SavedModel to .tflite files, and what operators such a file holds."""

from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import tensorflow as tf

from dfcvae_tf.exporting.signatures import SIGNATURES
from dfcvae_tf.messages import held_back_messages

# What no exported file may hold: state, randomness, TensorFlow's own kernels.
_FORBIDDEN = (
    "ASSIGN_VARIABLE",
    "CALL_ONCE",
    "CUSTOM",
    "DELEGATE",
    "MULTINOMIAL",
    "RANDOM_STANDARD_NORMAL",
    "RANDOM_UNIFORM",
    "READ_VARIABLE",
    "VAR_HANDLE",
)
# What computes shapes; a file with a fixed batch has none to compute.
_DYNAMIC = ("PACK", "SHAPE")


def convert(
    saved_model: Path,
    signature: str,
    variant: str,
    calibration: np.ndarray | None = None,
    batch_size: int = 1,
) -> bytes:
    """Converts one signature of a SavedModel.

    Args:
      saved_model: written by `write_saved_model`.
      signature: "decode" or "encode".
      variant: one of `settings.VARIANTS`.
      calibration: [M, ...] float32, arguments that int8 measures its ranges on.
      batch_size: rows of the SavedModel's argument; with a dynamic batch, any number.

    Returns:
      The .tflite file: signature, argument and results named as in the SavedModel,
      float32 in and out.
    """
    converter = tf.lite.TFLiteConverter.from_saved_model(
        str(saved_model), signature_keys=[signature]
    )
    if variant != "float32":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        # A scale for each of the thousands of units that a few latents feed makes a
        # file larger than float32. TensorFlow 2.15 has one scale and not this switch.
        converter._experimental_disable_per_channel_quantization_for_dense_layers = True
    if variant == "float16":
        converter.target_spec.supported_types = [tf.float16]
    if variant == "int8":
        assert calibration is not None
        (argument,), _ = SIGNATURES[signature]
        calls = -(-len(calibration) // batch_size)
        rows = np.resize(calibration, (calls, batch_size, *calibration.shape[1:]))

        def examples() -> Iterator[tuple[str, dict[str, np.ndarray]]]:
            for batch in rows:
                yield signature, {argument: batch}

        converter.representative_dataset = examples
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    with held_back_messages():
        return converter.convert()


def operators(model: bytes) -> list[str]:
    """Returns the names of a .tflite file's operators in order, as in its format."""
    names = builtin_names()
    content = schema().ModelT.InitFromPackedBuf(model, 0)
    codes = [names[code.builtinCode] for code in content.operatorCodes]
    return [
        codes[operator.opcodeIndex]
        for subgraph in content.subgraphs
        for operator in subgraph.operators
    ]


def builtin_names() -> dict[int, str]:
    """Returns code -> name of the format's operators."""
    return {
        value: name
        for name, value in vars(schema().BuiltinOperator).items()
        if isinstance(value, int)
    }


def forbidden_operators(model: bytes, dynamic_batch: bool) -> list[str]:
    """Returns the operators of a .tflite file that no export may hold."""
    bad = set(_FORBIDDEN if dynamic_batch else (*_FORBIDDEN, *_DYNAMIC))
    return sorted(bad & set(operators(model)))


def schema() -> ModuleType:
    """The format of .tflite files, as Python classes."""
    try:
        from ai_edge_litert import schema_py_generated as found
    except ImportError:
        from tensorflow.lite.python import schema_py_generated as found
    return found
