"""What the documents of this project tell their readers to run."""

import re
import shlex
import subprocess
import textwrap
from pathlib import Path

ROOT = Path(__file__).parents[1]
DOCUMENTS = ("README.md", "USAGE.md", "RESULTS.md", "WORKSPACE.md")
# A line of code, or code within a line, which may go on in the next.
CODE = re.compile(r"^    (?P<line>.*)$|`(?P<within>[^`]+)`", re.MULTILINE)
PROGRAM = re.compile(r"(?:python -m |dfcvae-)([\w.-]+)(.*)")


def code(name: str) -> list[str]:
    """Returns all code of a document, line by line, in its order."""
    text = (ROOT / name).read_text().replace("\\\n", " ")
    variables = re.findall(r'^    (\w)="(.*)"$', text, re.MULTILINE)
    found = []
    for match in CODE.finditer(text):
        line = match["line"] or (match["within"] or "").replace("\n", " ")
        for variable, value in variables:
            line = line.replace(f"${variable} ", f"{value} ")
        found.append(line)
    return found


def commands(name: str) -> list[tuple[str, list[str]]]:
    """Returns every command of a document that starts Python: (program, arguments)."""
    matches = map(PROGRAM.match, code(name))
    return [(m[1], shlex.split(m[2], comments=True)) for m in matches if m]


def module_of(program: str) -> str:
    """`train-classifier` is dfcvae_tf.train_classifier, `export` is dfcvae_tf.export."""
    name = program.replace("-", "_")
    return name if "." in name else f"dfcvae_tf.{name}"


def make_targets(name: str) -> list[str]:
    """Returns what a document has `make` make."""
    return [line.split()[1] for line in code(name) if re.match(r"make \w", line)]


def recipe(target: str) -> list[tuple[str, list[str]]]:
    """Returns the commands that start Python when `make` makes something."""
    shown = subprocess.run(
        ["make", "--dry-run", target], cwd=ROOT, capture_output=True, check=True
    )
    matches = map(PROGRAM.search, shown.stdout.decode().splitlines())
    return [(m[1], shlex.split(m[2])) for m in matches if m and m[1] != "pip"]


def blocks(name: str) -> list[str]:
    """Returns the blocks of code of a document."""
    text = (ROOT / name).read_text()
    found = re.findall(r"(?:^    .*\n)(?:^    .*\n|^\n(?=    ))*", text, re.MULTILINE)
    return [textwrap.dedent(block) for block in found]


def python_blocks(name: str) -> list[str]:
    """Returns the blocks of a document that are Python."""
    calls = re.compile(r"^\w+ = dfcvae_tf\.", re.MULTILINE)
    return [block for block in blocks(name) if calls.search(block)]


def files(name: str) -> dict[str, str]:
    """Returns NAME.py -> text, of those that a document has, each behind its name."""
    texts = "\n".join(blocks(name))
    found = re.findall(r"(^# (\w+\.py): .*\n(?:.+\n)+)", texts, re.MULTILINE)
    return {file: text for text, file in found}
