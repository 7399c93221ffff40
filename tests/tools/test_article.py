"""tools/article.ipynb: it runs from top to bottom, and lies here without outputs."""

import json
import re

import pytest

from tests.programs import ROOT

NOTEBOOK = ROOT / "tools" / "article.ipynb"


def test_it_lies_here_without_outputs():
    for cell in json.loads(NOTEBOOK.read_text())["cells"]:
        if cell["cell_type"] == "code":
            assert (cell["outputs"], cell["execution_count"]) == ([], None)


@pytest.mark.slow
@pytest.mark.current_stack
def test_it_runs():
    nbclient = pytest.importorskip("nbclient")
    nbformat = pytest.importorskip("nbformat")
    pytest.importorskip("ipykernel")
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    where = {"metadata": {"path": str(ROOT)}}
    nbclient.NotebookClient(notebook, timeout=500, resources=where).execute()
    outputs = [each for cell in notebook.cells for each in cell.get("outputs", [])]
    text = "".join(each.get("text", "") for each in outputs)
    pictures = [each for each in outputs if "image/png" in each.get("data", {})]
    assert len(pictures) == 5
    unpaired, paired = map(float, re.findall(r"t = ([\d.]+)", text))
    assert paired > unpaired > 10
    # As in RESULTS.md.
    assert "difference 0.0303 (0.0300 to 0.0306), d_z 1.85" in text
