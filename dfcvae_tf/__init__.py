"""Plain and deep feature consistent variational auto-encoders in TensorFlow."""

import importlib
import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dfcvae_tf.checkpoints import load_for_inference as load_run

# OpenCV reads it when it is first loaded, and has lines of its own about odd files.
os.environ.setdefault("OPENCV_LOG_LEVEL", "ERROR")

__version__ = "0.1.0"
__all__ = ["load_run"]

# Public name -> where it is; importing the package alone does not import TensorFlow.
_LAZY = {"load_run": ("dfcvae_tf.checkpoints", "load_for_inference")}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, attribute = _LAZY[name]
    return getattr(importlib.import_module(module), attribute)


def __dir__() -> list[str]:
    return [*globals(), *_LAZY]
