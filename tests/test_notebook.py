"""The notebook of examples/ runs at a tiny size, and its saved outputs are clean."""

import re
import sys
from pathlib import Path

import nbclient
import nbformat
import pytest

PATH = Path(__file__).parents[1] / "examples" / "quickstart.ipynb"
MAX_BYTES = 700_000


@pytest.fixture
def notebook():
    return nbformat.read(PATH, as_version=4)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # Jupyter's own
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_it_runs(notebook, tmp_path):
    [parameters] = [
        cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", [])
    ]
    parameters.source = 'NUM_STEPS, WIDTH, FOLDER = 2, 1, "runs"'
    resources = {"metadata": {"path": str(tmp_path)}}
    client = nbclient.NotebookClient(notebook, timeout=600, resources=resources)
    client.create_kernel_manager()
    # This Python, whatever kernels the machine has.
    client.km.kernel_spec.argv[0] = sys.executable
    client.execute()
    for name in ("facades/checkpoint", "colour/checkpoint", "export/1/saved_model.pb"):
        assert (tmp_path / "runs" / name).is_file()
    said = [
        output.text
        for cell in notebook.cells
        for output in cell.get("outputs", [])
        if output.output_type == "stream"
    ]
    assert said[-1] == "(256, 256, 3) True\n"  # the export equals `load`


def test_its_outputs_are_there_and_of_no_machine(notebook):
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    images = [
        output
        for cell in code
        for output in cell.outputs
        if "image/png" in output.get("data", {})
    ]
    assert len(images) == 5
    assert all(
        output.output_type != "error" for cell in code for output in cell.outputs
    )
    text = PATH.read_text(encoding="utf-8")
    assert len(text) < MAX_BYTES
    assert not re.search(r"/(root|home|work|tmp|Users)/", text)
