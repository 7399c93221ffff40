"""Documentation: that every command in it names programs and flags that there are."""

import importlib
import re
import shlex
from pathlib import Path

import pytest
from absl import flags

ROOT = Path(__file__).parents[1]
DOCUMENTS = ("README.md", "USAGE.md", "RESULTS.md", "WORKSPACE.md")
PROGRAM = re.compile(r"(?:python -m |dfcvae-)([\w.-]+)(.*)")
# Of others, with their own flags.
FOREIGN = ("http.server",)


def commands(name):
    """Every command line of a document: (program, arguments)."""
    text = (ROOT / name).read_text().replace("\\\n", " ")
    variables = dict(re.findall(r'^    (\w)="(.*)"$', text, re.MULTILINE))
    # Lines of code, and code within a line.
    lines = re.findall(r"^    (.*)$", text, re.MULTILINE)
    lines += re.findall(r"`([^`\n]*)`", text)
    found = []
    for line in lines:
        for variable, value in variables.items():
            line = line.replace(f"${variable} ", f"{value} ")
        match = PROGRAM.match(line)
        if match and match[1] not in FOREIGN:
            found.append((match[1], shlex.split(match[2], comments=True)))
    return found


def module_of(program):
    """`train-classifier` is dfcvae_tf.train_classifier, `export` is dfcvae_tf.export."""
    name = program.replace("-", "_")
    return name if "." in name else f"dfcvae_tf.{name}"


@pytest.mark.parametrize("name", DOCUMENTS)
def test_programs_and_flags_of_documents_exist(name):
    found = commands(name)
    assert len(found) >= 3
    for program, arguments in found:
        module = importlib.import_module(module_of(program))
        values = flags.FlagValues()
        module.define_flags(values)
        # "…" and "FILE" stand for values; flags that are no text need one.
        given = [a for a in arguments if not re.fullmatch(r"--\w+=…|…|--help", a)]
        try:
            values([program, *given])
        except flags.Error as error:
            pytest.fail(f"{name}: {program} {' '.join(arguments)}: {error}")


@pytest.mark.parametrize("name", DOCUMENTS)
def test_links_and_pictures_of_documents_exist(name):
    text = (ROOT / name).read_text()
    for target in re.findall(r"\]\(([^)]+)\)", text):
        assert target.startswith("http") or (ROOT / target).exists(), target
    for target in re.findall(r"`((?:[\w-]+/)*[\w-]+\.(?:md|cff|ipynb))`", text):
        # What programs write lies in runs.
        assert (ROOT / target).exists() or target.startswith("runs/"), target


def test_the_front_page_is_read_in_a_minute_or_four():
    assert len((ROOT / "README.md").read_text().split()) < 900
