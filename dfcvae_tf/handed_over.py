"""A function that is handed over in Python, as text that makes it anew elsewhere.

One of a module is kept as the module's file. One of a script or a notebook is kept with what
it uses of it: imports, functions, classes, plain values; all else there is the script's own.
"""

import ast
import dis
import importlib
import inspect
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dfcvae_tf.config import FILE, HANDED
from dfcvae_tf.errors import UserError
from dfcvae_tf.own_code import OwnCode, read

_SCRIPT = "__main__"


def read_function(part: str, function: Any) -> tuple[str, OwnCode]:
    """Returns the setting of a part that a function is handed over for, and its text.

    Args:
      part: "network", say.
      function: of a module, a script or a notebook.

    Raises:
      UserError: it is another kind of function, or uses what cannot be kept as text.
    """
    if not inspect.isfunction(function) or not function.__qualname__.isidentifier():
        raise UserError(
            f"{part} must be a function with a name, of a module, a script or a "
            f"notebook and in no other function, got {function!r}"
        )
    name, module = function.__name__, sys.modules[function.__module__]
    path = getattr(module, "__file__", None)
    if module.__name__ != _SCRIPT and path and Path(path).is_file():
        setting = f"{FILE}{path}:{name}"
        return setting, read(part, setting)
    texts: dict[str, str] = {}
    _add(part, name, function, vars(module), texts)
    text = "\n".join(texts.values())
    return f"{HANDED}{name}", OwnCode("what was handed over", name, text.encode())


def _add(
    part: str, name: str, value: Any, namespace: dict[str, Any], texts: dict[str, str]
) -> None:
    """Adds the text of what a name stands for, behind that of all that it uses."""
    if name in texts:
        return
    home = getattr(value, "__module__", None)
    if isinstance(value, types.ModuleType):
        texts[name] = f"import {value.__name__} as {name}\n"
    elif isinstance(value, types.FunctionType | type) and home == namespace["__name__"]:
        text = _source(part, value)
        texts[name] = ""  # it may use itself
        for used in _names_used(compile(text, "text", "exec")):
            if used in namespace and not used.startswith("__"):
                _add(part, used, namespace[used], namespace, texts)
        texts[name] = texts.pop(name) + f"\n{text}\n"
    elif callable(value) and _is_found(home, value):
        texts[name] = f"from {home} import {value.__name__} as {name}\n"
    elif _is_plain(value):
        texts[name] = f"{name} = {value!r}\n"
    else:
        raise UserError(
            f"{part} uses {name}, a {type(value).__name__}, which cannot be kept as text; "
            "make it inside of the function"
        )


def _source(part: str, value: Any) -> str:
    """The text of a function or a class; notebooks have it by its functions alone."""
    functions = [value, *vars(value).values()] if isinstance(value, type) else [value]
    try:
        function = next(filter(inspect.isfunction, functions))
        lines, _ = inspect.findsource(function)
    except (StopIteration, OSError) as error:
        raise UserError(
            f"{part}: the text of {value.__name__} cannot be found; put it into a file"
        ) from error
    nodes = [
        node
        for node in ast.parse("".join(lines)).body
        if getattr(node, "name", None) == value.__name__
    ]
    node: Any = nodes[-1]
    first = min([node.lineno, *(each.lineno for each in node.decorator_list)])
    return "".join(lines[first - 1 : node.end_lineno])


def _names_used(code: types.CodeType) -> Iterator[str]:
    """Names that code takes from the module it stands in."""
    for step in dis.get_instructions(code):
        if step.opname in ("LOAD_GLOBAL", "LOAD_NAME"):
            yield step.argval
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _names_used(constant)


def _is_found(home: str | None, value: Any) -> bool:
    """Whether something of a module can be imported from it."""
    name = getattr(value, "__name__", "")
    if not home or home == _SCRIPT:
        return False
    return getattr(importlib.import_module(home), name, None) is value


def _is_plain(value: Any) -> bool:
    try:
        return bool(ast.literal_eval(repr(value)) == value)
    except (ValueError, SyntaxError, TypeError):
        return False
