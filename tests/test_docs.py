"""Documents that scripts make say what the scripts say."""

from pathlib import Path

import numpy as np

from tests.conftest import read_image
from tools import draw_networks

DOCS_DIR = Path(__file__).parents[1] / "docs"


def test_the_document_of_the_networks_is_what_its_script_prints(capsys):
    assert draw_networks.main([]) == 0
    printed = capsys.readouterr().out
    assert printed == (DOCS_DIR / "networks.md").read_text(encoding="utf-8")


def test_the_squares_are_drawn_on_a_photograph(tmp_path):
    path = tmp_path / "fields.png"
    assert draw_networks.main(["--receptive_fields", str(path)]) == 0
    image = read_image(path)[:, :, :3].astype(int)
    red = (image == [255, 0, 0]).all(axis=2)
    assert red.sum() > 500
    assert len(np.unique(image.reshape(-1, 3), axis=0)) > 1000  # the photograph


def test_a_file_that_cannot_be_written_ends_with_one_line(capsys, tmp_path):
    path = tmp_path / "none" / "x.png"
    assert draw_networks.main(["--receptive_fields", str(path)]) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith("draw_networks: error: ") and str(path) in line
