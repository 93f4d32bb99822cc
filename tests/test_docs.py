"""The documents agree with the code: what scripts print, links, blocks, versions."""

import configparser
import re

import numpy as np
import pytest

import draw_networks
import pix2pix_tf
from tests.conftest import read_image
from tests.documents import BLOCK, DOCS_DIR, DOCUMENTS, ROOT, prose


def test_blocks_are_in_languages_that_are_checked():
    for path in DOCUMENTS:
        text = path.read_text(encoding="utf-8")
        languages = {found[1] for found in BLOCK.finditer(text)}
        assert languages <= {"", "bash", "python", "toml", "mermaid"}
        assert "```" not in BLOCK.sub("", text)


def test_the_extras_that_are_named_exist():
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    for path in DOCUMENTS:
        named = re.findall(r"'\.\[(\w+)\]'", path.read_text(encoding="utf-8"))
        assert set(named) <= set(setup["options.extras_require"])


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_to_files_and_headings_that_exist(path):
    for link in re.findall(r"\]\((.*?)\)", prose(path)):
        if "://" not in link:
            name, _, anchor = link.partition("#")
            target = path.parent / name if name else path
            assert target.exists(), link
            assert not anchor or anchor in _anchors(target), link


def _anchors(path):
    """Returns the anchors that GitHub gives to the headings of a document."""
    headings = re.findall(r"^#+ (.*)$", prose(path), re.MULTILINE)
    return [re.sub(r"[^\w -]", "", one.lower()).replace(" ", "-") for one in headings]


def test_the_index_lists_every_page():
    text = (DOCS_DIR / "README.md").read_text(encoding="utf-8")
    pages = {path.name for path in DOCS_DIR.glob("*.md")} - {"README.md"}
    assert pages == pages.intersection(re.findall(r"\]\(([\w.]+)", text))


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


def test_the_version_is_the_same_everywhere():
    citation = re.search(r"^version: (.*)$", (ROOT / "CITATION.cff").read_text(), re.M)
    changes = re.search(r"^## ([0-9.]+) ", (ROOT / "CHANGELOG.md").read_text(), re.M)
    assert citation[1] == changes[1] == pix2pix_tf.__version__
