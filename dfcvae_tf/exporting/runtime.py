"""Runs .tflite files in the runtime that devices use.

That is LiteRT (`ai_edge_litert`), or where it cannot be imported the same interpreter in
TensorFlow. Importing this module imports neither.
"""

import importlib.metadata
import os
from pathlib import Path
from typing import Any

import numpy as np

from dfcvae_tf.messages import held_back_messages

# Rows per call of a file with a dynamic batch.
DYNAMIC_ROWS = 32


def interpreter_class() -> tuple[type, str]:
    """Returns the interpreter and what it is: package and version."""
    try:
        from ai_edge_litert.interpreter import Interpreter

        package = "ai-edge-litert"
    except ImportError:
        import tensorflow as tf

        Interpreter, package = tf.lite.Interpreter, "tensorflow"
    return Interpreter, f"{package} {importlib.metadata.version(package)}"


class TFLiteFunction:
    """One signature of a .tflite file, from and to NumPy arrays.

    Attributes:
      input_shape: of a call; -1 where any size will do.
    """

    def __init__(self, model: bytes | Path, signature: str, num_threads: int):
        """Loads the file; XNNPACK computes, as is the runtime's default.

        Args:
          model: the file, or its content.
          signature: "decode" or "encode"; takes one argument.
          num_threads: threads per call.
        """
        if isinstance(model, bytes):
            source: dict[str, Any] = {"model_content": model}
        else:
            source = {"model_path": str(model)}
        with held_back_messages():  # it announces XNNPACK
            interpreter = interpreter_class()[0](**source, num_threads=num_threads)
            interpreter.allocate_tensors()
            self._runner = interpreter.get_signature_runner(signature)
        ((self._argument, details),) = self._runner.get_input_details().items()
        self.input_shape = tuple(int(size) for size in details["shape_signature"])
        self.dtypes = {details["dtype"]} | {
            output["dtype"] for output in self._runner.get_output_details().values()
        }

    def call(self, values: np.ndarray) -> dict[str, np.ndarray]:
        """Runs one batch of exactly `input_shape`; returns name -> array."""
        return self._runner(**{self._argument: values})

    def __call__(self, values: np.ndarray) -> dict[str, np.ndarray]:
        """Runs any number of rows, at least one; the last batch is filled up with zeros.

        Args:
          values: [N, ...] float32.

        Returns:
          name -> [N, ...].
        """
        rows = self.input_shape[0]
        if rows < 0:
            rows = min(DYNAMIC_ROWS, len(values))
        parts = []
        for start in range(0, len(values), rows):
            batch = values[start : start + rows]
            missing = rows - len(batch)
            filled = np.pad(batch, [(0, missing)] + [(0, 0)] * (batch.ndim - 1))
            outputs = self.call(filled)
            parts.append({k: v[: len(batch)] for k, v in outputs.items()})
        return {k: np.concatenate([part[k] for part in parts]) for k in parts[0]}


def check_threads() -> int:
    """Threads for runs whose speed is not measured."""
    return min(4, os.cpu_count() or 1)
