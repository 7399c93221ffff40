"""Parts of a run that a user wrote: their text, how it is kept, and when it is run.

A run that has such parts keeps their text with its digest, so that whoever holds the run can
make the same of it. What a command line or a call names is the user's own, and is run. What a
run brings along is run only where whoever loads it says that it is to be trusted.
"""

import ast
import contextlib
import hashlib
import importlib.abc
import importlib.util
import inspect
import random
import re
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

from absl import logging

from dfcvae_tf.config import FILE, OWN_FORM, OWN_PREFIXES, SETTINGS, Config
from dfcvae_tf.errors import UserError
from dfcvae_tf.files import atomic_file
from dfcvae_tf.run_dir import RunDir

NETWORK, TERM = "network", "term"
_PARTS = (NETWORK, TERM)
_LONGEST_REASON = 300
_PACKAGE = __name__.partition(".")[0]


@dataclass(frozen=True)
class OwnCode:
    """A function and the text that it stands in.

    Attributes:
      place: where the text was found, for messages.
      name: of the function.
      content: the text, Python, as it is in a file.
    """

    place: str
    name: str
    content: bytes

    def __str__(self) -> str:
        return f"{self.name} of {self.place}"

    @property
    def digest(self) -> str:
        """SHA-256 of the text."""
        return hashlib.sha256(self.content).hexdigest()

    def build(self, arguments: Mapping[str, Any], seed: int) -> Any:
        """Runs the text, calls the function and returns what it returns.

        Args:
          arguments: what the function is given, in order, by names for messages.
          seed: of all that Keras draws for what is built.

        Raises:
          UserError: there is no such function, it takes other arguments, or something in
            it raises.
        """
        with keras_seeded(seed):  # also for what the text makes outside of functions
            return self._build(arguments)

    def _build(self, arguments: Mapping[str, Any]) -> Any:
        function = self._function()
        with contextlib.suppress(ValueError):  # some of C have no signature
            signature = inspect.signature(function)
            try:
                signature.bind(*arguments.values())
            except TypeError as error:
                raise UserError(
                    f"{self.place}: {self.name}{signature} must take "
                    f"({', '.join(arguments)})"
                ) from error
        with self.told():
            return function(*arguments.values())

    @contextlib.contextmanager
    def told(self) -> Iterator[None]:
        """Makes one line, which says where in the text, of any error of the block.

        Raises:
          UserError: something in the block raises.
        """
        try:
            yield
        except (Exception, SystemExit) as error:
            if isinstance(error, UserError) and "\n" not in str(error):
                raise
            line = self._line(error)
            raise UserError(
                f"{self.place}{f', line {line}' if line else ''}: "
                f"{type(error).__name__}: {_reason(error)}"
            ) from error

    def _function(self) -> Callable:
        module = self._module()
        function = getattr(module, self.name, None)
        if not callable(function):
            found = [
                name
                for name, value in vars(module).items()
                if inspect.isfunction(value) and value.__module__ == module.__name__
            ]
            raise UserError(
                f"{self.place} has no function {self.name!r}; it has: "
                f"{', '.join(found) or 'none'}"
            )
        return function

    def _module(self) -> ModuleType:
        """Runs the text, once in a process: Keras has a list of classes by their names."""
        name = f"own_code_{self.digest}"
        if name in sys.modules:
            return sys.modules[name]
        module = ModuleType(name)
        module.__file__ = self._file
        sys.modules[name] = module  # where dataclasses look for it
        try:
            with self.told():
                # AutoGraph translates functions, of which it looks for the text there.
                text = importlib.util.decode_source(self.content)
                module.__loader__ = _Loader(text)
                code = compile(self.content, self._file, "exec")
                exec(code, vars(module))  # noqa: S102 -- the user's, or trusted
        except BaseException:
            del sys.modules[name]
            raise
        return module

    @property
    def _file(self) -> str:
        """A name of the text that no file has: a file may change while it runs."""
        return f"own_code_{self.digest}.py"

    def _line(self, error: BaseException) -> int | None:
        if isinstance(error, SyntaxError) and error.filename == self._file:
            return error.lineno
        # What AutoGraph translated stands in another file; it says in words what was where.
        told = re.findall(rf'File "{re.escape(self._file)}", line (\d+)', str(error))
        frames = traceback.extract_tb(error.__traceback__)
        lines = [frame.lineno for frame in frames if frame.filename == self._file]
        return int(told[-1]) if told else (lines or [None])[-1]


class _Loader(importlib.abc.InspectLoader):
    """What Python asks for the text of a module that is in no file."""

    def __init__(self, text: str):
        self._text = text

    def get_source(self, fullname: str) -> str:
        return self._text


def _reason(error: BaseException) -> str:
    text = re.sub(r"\x1b\[[0-9;]*m", "", str(error)).strip()
    if text.startswith("in user code:"):
        text = text.splitlines()[-1].strip().removeprefix(f"{type(error).__name__}: ")
    # Of a layer, Keras tells first which and last of what; between them stands why.
    text = text.partition("\n\nArguments received by")[0]
    return " ".join(text.split())[:_LONGEST_REASON]


def own_parts(config: Config) -> dict[str, str]:
    """Returns part ("network") -> its setting, of the parts that a user wrote."""
    settings = {part: SETTINGS[part].of(config) or "" for part in _PARTS}
    return {
        part: text for part, text in settings.items() if text.startswith(OWN_PREFIXES)
    }


def read(part: str, setting: str) -> OwnCode:
    """Reads the file that a user named; nothing of it is run.

    Tells of what it imports that will not be kept with it.

    Raises:
      UserError: the setting has not the form, or the file cannot be read.
    """
    path, _, name = setting.removeprefix(FILE).rpartition(":")
    if not (setting.startswith(FILE) and path and name.isidentifier()):
        raise UserError(f"--{part}={setting} must look like {OWN_FORM}")
    try:
        code = OwnCode(path, name, Path(path).read_bytes())
    except OSError as error:
        raise UserError(f"--{part}: cannot read {path}: {error.strerror}") from error
    if beside := _imported_from_beside(Path(path), code.content):
        logging.warning(
            "%s imports what stands beside it and is not kept with the run: %s; elsewhere "
            "the run loads only where that is found",
            path,
            ", ".join(beside),
        )
    return code


def _imported_from_beside(path: Path, content: bytes) -> list[str]:
    names = set()
    with contextlib.suppress(SyntaxError, ValueError):  # which running it tells
        for node in ast.walk(ast.parse(content)):
            if isinstance(node, ast.Import):
                names |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                names.add((node.module or "").partition(".")[0])
    folder = path.parent
    return sorted(
        name
        for name in names - {"", _PACKAGE}
        if (folder / f"{name}.py").is_file() or (folder / name).is_dir()
    )


def keep(run: RunDir, codes: Mapping[str, OwnCode]) -> None:
    """Writes the text of each part to the run directory, atomically.

    Raises:
      UserError: the disk is full or not writable.
    """
    for part, code in codes.items():
        with atomic_file(run.code / f"{part}.py") as file:
            file.write(code.content)


def read_kept(
    run: RunDir, part: str, setting: str, digest: str | None, trusted: bool
) -> OwnCode:
    """Reads what a run keeps of one of its parts, to be run.

    Args:
      run: the run.
      part: "network", say.
      setting: of the part.
      digest: of the text that the run was made with; None where it does not say.
      trusted: whether whoever loads the run trusts it.

    Raises:
      UserError: it is not trusted, is not the text that the run was made with, or is
        missing.
    """
    path = run.code / f"{part}.py"
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UserError(
            f"{run} has a {part} of its own, and its text cannot be read: {path}: "
            f"{error.strerror}"
        ) from error
    code = OwnCode(str(path), setting.rpartition(":")[-1], content)
    if code.digest != digest:
        raise UserError(
            f"{path} is not the {part} that {run} was trained with: its SHA-256 is "
            f"{code.digest}, that in {run.config} {digest}"
        )
    if not trusted:
        raise UserError(
            f"{run} has a {part} of its own, and loading it runs code: {path} (by "
            f"{_owner(path)}, from {setting}, SHA-256 {digest}); read it, and where you trust it add "
            "--trust_code (in Python trust_code=True)"
        )
    return code


def _owner(path: Path) -> str:
    try:
        return path.owner()
    except (KeyError, NotImplementedError, OSError):
        return "an unknown user"


@contextlib.contextmanager
def keras_seeded(seed: int) -> Iterator[None]:
    """Has initializers and dropout without a seed take one that follows from `seed`.

    Keras takes them from Python's random numbers, which go on afterwards as before; Keras 2
    from numbers of its own once somebody has called `set_random_seed`.
    """
    state = random.getstate()
    random.seed(seed)
    keras = SimpleNamespace()
    if version("keras").startswith("2."):
        keras = importlib.import_module("keras.src.backend")._SEED_GENERATOR
    before = getattr(keras, "generator", None)
    keras.generator = random.Random(seed)
    try:
        yield
    finally:
        keras.generator = before
        random.setstate(state)
