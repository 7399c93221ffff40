"""What --runs names: folders, patterns of folders, and names for them."""

import csv
import glob
import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from dfcvae_tf.errors import UserError
from dfcvae_tf.run_dir import RunDir

FORMS = "NAME=DIR, DIR or a pattern such as 'runs/*'"
_PATTERN = set("*?[")


def find_runs(
    given: str | os.PathLike | Mapping[str, str | os.PathLike] | Iterable,
) -> tuple[list[tuple[str, str]], list[str]]:
    """Returns (name, or "", path) of each run, and sentences on what was left out.

    A text is a list with commas between its parts, as in --runs. A path that exists is
    taken as it is, whatever is in it; else one with a comma stands in double quotes.

    Args:
      given: text, or name -> path, or several texts.

    Raises:
      UserError: nothing is given, or a pattern matches no run.
    """
    runs: list[tuple[str, str]] = []
    notes: list[str] = []
    texts: list[str | os.PathLike] = []
    if isinstance(given, Mapping):
        if "" in given:
            raise UserError(f"--runs: {given['']!s} has an empty name; give it one")
        runs = [(name, os.fspath(path)) for name, path in given.items()]
    else:
        texts = [given] if isinstance(given, str | os.PathLike) else list(given)
    for text in texts:
        for part in _parts(os.fspath(text)):
            found, left_out = _runs_of(part)
            runs += found
            notes += left_out
    if not runs:
        raise UserError(f"--runs is missing: {FORMS}, with commas between them")
    return runs, notes


def _parts(text: str) -> list[str]:
    """What stands between commas, or all of it where that is there."""
    if _is_there(text) or _is_there(text.partition("=")[2]):
        return [text]
    try:
        (parts,) = csv.reader([text], strict=True)
    except (csv.Error, ValueError) as error:
        raise UserError(f"--runs={text} cannot be read: {error}") from error
    return [part.strip() for part in parts if part.strip()]


def _is_there(path: str) -> bool:
    return os.path.isdir(path)


def _runs_of(part: str) -> tuple[list[tuple[str, str]], list[str]]:
    """The runs that one part names, and what was left out."""
    name, separator, path = part.partition("=")
    if separator and (_is_there(path) or not _is_there(part)):
        if not (name and path):
            raise UserError(f"--runs has {part!r}; each must be {FORMS}")
        if not _PATTERN & set(path) or _is_there(path):
            return [(name, path)], []
    if not _PATTERN & set(part) or _is_there(part):
        return [("", part)], []
    folders = [path for path in sorted(glob.glob(part)) if os.path.isdir(path)]
    runs = [path for path in folders if RunDir(path).config.is_file()]
    if not runs:
        raise UserError(
            f"--runs={part} matches no run directory (a folder with config.json)"
        )
    finished = [path for path in runs if RunDir(path).weights.is_file()]
    notes = [
        f"{Path(path)} left out: its training did not finish"
        for path in runs
        if path not in finished
    ]
    if not finished:
        raise UserError(f"--runs={part} matches no run whose training has finished")
    return [("", path) for path in finished], notes
