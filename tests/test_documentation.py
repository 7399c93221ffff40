"""Documentation: that every command in it names programs and flags that there are."""

import importlib
import re

import pytest
from absl import flags

from tests.documents import DOCUMENTS, ROOT, commands, make_targets, module_of

# Of others, with their own flags.
FOREIGN = ("http.server",)


@pytest.mark.parametrize("name", DOCUMENTS)
def test_programs_and_flags_of_documents_exist(name):
    found = [each for each in commands(name) if each[0] not in FOREIGN]
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


def test_what_documents_have_made_is_in_the_makefile():
    targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    named = {target for name in DOCUMENTS for target in make_targets(name)}
    assert {"demo", "test", "lint"} <= named <= set(targets)


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
