"""The notebook of examples/ runs at a tiny size, and its saved outputs are clean."""

import re
import sys
from pathlib import Path

import nbclient
import nbformat
import pytest

PATH = Path(__file__).parents[1] / "examples" / "quickstart.ipynb"
MAX_BYTES = 700_000
# Of a machine: folders, log lines of TensorFlow, paths of Python files.
OF_A_MACHINE = r"/(root|home|work|tmp|Users)/|[IWE]\d{4} \d\d:\d\d|\.py:\d"


@pytest.fixture
def notebook():
    return nbformat.read(PATH, as_version=4)


def _code(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def _texts(notebook, stream):
    """Returns what the cells have written to stdout or stderr, one for each output."""
    outputs = [output for cell in _code(notebook) for output in cell.outputs]
    return [one.text for one in outputs if one.get("name") == stream]


def _num_images(notebook):
    return sum(
        "image/png" in output.get("data", {})
        for cell in _code(notebook)
        for output in cell.outputs
    )


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # Jupyter's own
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_it_runs(notebook, tmp_path, monkeypatch):
    monkeypatch.delenv("TF_CPP_MIN_LOG_LEVEL")  # a reader has not set it
    [parameters] = [
        cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", [])
    ]
    parameters.source = 'NUM_STEPS, WIDTH, FOLDER = 2, 1, "runs"'
    for cell in _code(notebook):
        cell.outputs = []
    resources = {"metadata": {"path": str(tmp_path)}}
    client = nbclient.NotebookClient(notebook, timeout=600, resources=resources)
    client.create_kernel_manager()
    # This Python, whatever kernels the machine has.
    client.km.kernel_spec.argv[0] = sys.executable
    client.execute()
    for name in ("facades/checkpoint", "colour/checkpoint", "export/1/saved_model.pb"):
        assert (tmp_path / "runs" / name).is_file()
    assert _num_images(notebook) == 5
    assert _texts(notebook, "stdout")[-1] == "(256, 256, 3) True\n"  # as `load` gives
    errors = "".join(_texts(notebook, "stderr"))
    assert "IProgress" not in errors and "oneDNN" not in errors


def test_its_outputs_are_there_and_of_no_machine(notebook):
    assert _num_images(notebook) == 5
    assert not _texts(notebook, "stderr")
    counts = [cell.execution_count for cell in _code(notebook)]
    assert counts == list(range(1, len(counts) + 1))
    assert set(notebook.metadata) == {"kernelspec", "language_info"}  # no widgets
    text = PATH.read_text(encoding="utf-8")
    assert len(text) < MAX_BYTES
    assert not re.search(OF_A_MACHINE, text)


def test_its_links_lead_to_files(notebook):
    links = re.findall(
        r"\]\((\.\./[^)#]+)", "\n".join(c.source for c in notebook.cells)
    )
    assert links
    assert all((PATH.parent / link).is_file() for link in links)
