"""Runs .tflite files in the runtime that devices use.

That is LiteRT (`ai_edge_litert`), or where it cannot be imported the same interpreter in
TensorFlow. Importing this module imports neither.
"""

import importlib.metadata
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np

from dfcvae_tf.exporting.signatures import LABEL
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
      input_shapes: of a call, of each argument; -1 where any size will do.
    """

    def __init__(self, model: bytes | Path, signature: str, num_threads: int):
        """Loads the file; XNNPACK computes, as is the runtime's default.

        Args:
          model: the file, or its content.
          signature: of the file; its arguments are taken in their order, a label last.
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
        details = self._runner.get_input_details()
        self._arguments = sorted(details, key=lambda name: name == LABEL)
        self.input_shapes = [
            tuple(int(size) for size in details[name]["shape_signature"])
            for name in self._arguments
        ]
        outputs = self._runner.get_output_details()
        self.dtypes = {d["dtype"] for d in (*details.values(), *outputs.values())}

    def call(self, *values: np.ndarray) -> dict[str, np.ndarray]:
        """Runs one batch of exactly `input_shapes`; returns name -> array."""
        return self._runner(**dict(zip(self._arguments, values, strict=True)))

    def __call__(self, *values: np.ndarray) -> dict[str, np.ndarray]:
        """Runs any number of rows, at least one; the last batch is filled up with zeros.

        Args:
          values: [N, ...] float32, of each argument.

        Returns:
          name -> [N, ...].
        """
        count, rows = len(values[0]), self.input_shapes[0][0]
        if rows < 0:
            rows = min(DYNAMIC_ROWS, count)
        parts = []
        for start in range(0, count, rows):
            batch = [value[start : start + rows] for value in values]
            left = len(batch[0])
            outputs = self.call(*(_filled(value, rows) for value in batch))
            parts.append({k: v[:left] for k, v in outputs.items()})
        return {k: np.concatenate([part[k] for part in parts]) for k in parts[0]}


def _filled(values: np.ndarray, rows: int) -> np.ndarray:
    """Fills up with rows of zeros."""
    missing = [(0, rows - len(values))] + [(0, 0)] * (values.ndim - 1)
    return np.pad(values, missing)


def child_environment() -> dict[str, str]:
    """The environment of a process that finds the modules that this one does."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}


def check_threads() -> int:
    """Threads for runs whose speed is not measured."""
    return min(4, os.cpu_count() or 1)
