"""Where a result comes from: command line, revision, versions, machine."""

import importlib.metadata
import platform
import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any


def describe_process(packages: Sequence[str]) -> dict[str, Any]:
    """Returns how this process was started and what it runs on, ready for JSON.

    Args:
      packages: distributions whose versions are wanted.
    """
    versions = {}
    for package in packages:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            versions[package] = "not installed"
    return {
        "command": _command(),
        "git_revision": _git_revision(),
        "python": platform.python_version(),
        "machine": f"{platform.system()} {platform.machine()}",
        "versions": versions,
    }


def _command() -> str:
    """The command line, as it can be typed anywhere the package is installed."""
    spec = getattr(sys.modules["__main__"], "__spec__", None)
    # `python -m export` runs export/__main__.py.
    name = spec and spec.name.removesuffix(".__main__")
    program = f"python -m {name}" if name else Path(sys.argv[0]).name
    return shlex.join([*shlex.split(program), *sys.argv[1:]])


def _git_revision() -> str | None:
    """The revision of the checkout this file is in, None outside of one."""
    try:
        result = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=12"],
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            timeout=10,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return result.stdout.strip() or None
