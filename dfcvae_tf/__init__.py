"""Plain and deep feature consistent variational auto-encoders in TensorFlow."""

import importlib
import inspect
import os
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dfcvae_tf.checkpoints import load_for_inference as load_run

# OpenCV reads it when it is first loaded, and has lines of its own about odd files.
os.environ.setdefault("OPENCV_LOG_LEVEL", "ERROR")

__version__ = "0.1.0"
__all__ = ["evaluate", "load_run", "train"]

# Public name -> where it is; importing the package alone does not import TensorFlow.
_LAZY = {"load_run": ("dfcvae_tf.checkpoints", "load_for_inference")}
# Programs that can also be called: `dfcvae_tf.train(…)` is `dfcvae_tf.train.train(…)`.
_CALLED = ("evaluate", "train")


class _Program(ModuleType):
    """A program's module, which is called as the function in it that has its name."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._function(*args, **kwargs)

    @property
    def __signature__(self) -> inspect.Signature:
        return inspect.signature(self._function)

    @property
    def _function(self) -> Any:
        return getattr(self, self.__name__.rpartition(".")[2])


class _Package(ModuleType):
    """This package: however a program of `_CALLED` is imported, it can be called."""

    def __setattr__(self, name: str, value: Any) -> None:
        # Importing a module sets it here.
        if name in _CALLED and type(value) is ModuleType:
            value.__class__ = _Program
        super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package


def __getattr__(name: str) -> Any:
    if name in _CALLED:
        return importlib.import_module(f"{__name__}.{name}")
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if "tensorflow" not in sys.modules:
        # Without its start-up messages, which a notebook would show.
        importlib.import_module(f"{__name__}.command_line").import_tensorflow()
    module, attribute = _LAZY[name]
    return getattr(importlib.import_module(module), attribute)


def __dir__() -> list[str]:
    return [*globals(), *_LAZY, *_CALLED]
