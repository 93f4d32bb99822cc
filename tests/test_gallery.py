import html.parser
import os
from pathlib import Path

import numpy as np
import pytest

from pix2pix_tf.inference import gallery
from tests.conftest import read_image

PICTURES = {kind: np.full([4, 6, 3], 7, np.uint8) for kind in gallery.KINDS}


class _Page(html.parser.HTMLParser):
    """Collects cells and image sources, and checks that tags nest."""

    def __init__(self, text):
        super().__init__()
        self.cells, self.sources, self.open_tags = [], [], []
        self.feed(text)
        assert self.open_tags == []

    def handle_starttag(self, tag, attributes):
        if tag == "img":
            self.sources.append(dict(attributes)["src"])
        elif tag != "meta":
            self.open_tags.append(tag)

    def handle_endtag(self, tag):
        assert self.open_tags.pop() == tag

    def handle_data(self, text):
        if self.open_tags and self.open_tags[-1] in ("th", "td"):
            self.cells.append(text)


def test_pictures_are_written_under_the_originals_names(tmp_path):
    gallery.write_images(tmp_path, gallery.Row("a", 12), PICTURES)
    gallery.write_images(tmp_path, gallery.Row("a"), PICTURES)
    for stem in ("a", "00000012-a"):
        for kind in ("inputs", "outputs", "targets"):
            image = read_image(tmp_path / "images" / f"{stem}-{kind}.png")
            np.testing.assert_array_equal(image, PICTURES[kind])


@pytest.mark.parametrize("name", ["sub/" + "\u7d75" * 81, "a" * 251])
def test_the_longest_names_are_written_and_found_again(tmp_path, name):
    rows = [gallery.Row(name, 12), gallery.Row(f"{name[:-1]}b", 12)]
    for row in rows:
        gallery.write_images(tmp_path, row, PICTURES)
        gallery.write_images(tmp_path, row._replace(step=None), PICTURES)
    found = gallery.training_rows(tmp_path)
    assert [row.step for row in found] == [12, 12]
    assert {row.stem for row in found} == {row.stem for row in rows}
    for row in found:
        gallery.read_image(tmp_path, row, "outputs")


def test_a_picture_that_is_cut_leaves_the_one_before(tmp_path, monkeypatch):
    old, new = gallery.Row("a", 1), gallery.Row("a", 2)
    gallery.write_images(tmp_path, old, PICTURES)
    write_bytes = Path.write_bytes

    def cut(path, contents):
        write_bytes(path, contents[: len(contents) // 2])
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "write_bytes", cut)
    others = {kind: picture + 1 for kind, picture in PICTURES.items()}
    for row in (old, new):
        with pytest.raises(KeyboardInterrupt):
            gallery.write_images(tmp_path, row, others)
    assert gallery.training_rows(tmp_path) == [old]
    for kind, picture in PICTURES.items():
        found = gallery.read_image(tmp_path, old, kind)
        np.testing.assert_array_equal(found, picture)


def test_the_index_is_valid_and_links_to_every_picture(tmp_path):
    rows = [gallery.Row("1"), gallery.Row("a b#c%d")]
    for row in rows:
        gallery.write_images(tmp_path, row, PICTURES)
    page = _Page(gallery.write_index(tmp_path, rows).read_text())
    assert page.cells == ["name", "input", "output", "target", "1", "a b#c%d"]
    assert len(page.sources) == 6
    from urllib.parse import unquote

    assert all((tmp_path / unquote(source)).is_file() for source in page.sources)


def test_names_are_escaped(tmp_path):
    name = '<script>alert("x")</script>&\'"'
    text = gallery.write_index(tmp_path, [gallery.Row(name)]).read_text()
    assert "<script>alert" not in text
    assert name in _Page(text).cells


def test_columns_stand_before_the_pictures_and_say_which_end_is_worst(tmp_path):
    rows = [gallery.Row("a"), gallery.Row("b")]
    columns = [
        gallery.Column("l1", [0.25, 0.5], 4, is_better_high=False),
        gallery.Column("ssim", [None, -0.5], 2, is_better_high=True),
    ]
    text = gallery.write_index(tmp_path, rows, columns=columns).read_text()
    cells = ["name", "l1", "ssim", "input", "output", "target"]
    assert _Page(text).cells == [*cells, "a", "0.2500", "b", "0.5000", "-0.50"]
    assert '<th class="number" data-sort="down">l1</th>' in text
    assert '<th class="number" data-sort="up">ssim</th>' in text


def test_images_of_a_test_are_not_taken_for_training_images(tmp_path):
    image = np.zeros([4, 4, 3], np.uint8)
    gallery.write_images(tmp_path, gallery.Row("1"), {"inputs": image})
    assert gallery.training_rows(tmp_path) == []


def test_training_rows_come_back_from_the_files_in_order(tmp_path):
    rows = [gallery.Row("b-c", 2), gallery.Row("a", 10)]
    for row in reversed(rows):
        gallery.write_images(tmp_path, row, PICTURES)
    assert gallery.training_rows(tmp_path) == rows
    page = _Page(gallery.write_index(tmp_path, rows).read_text())
    assert page.cells[:5] == ["step", "name", "input", "output", "target"]
    assert page.cells[5:] == ["2", "b-c", "10", "a"]


def test_names_that_are_not_utf8_are_shown_and_linked(tmp_path):
    row = gallery.Row(os.fsdecode(b"caf\xe9"))
    gallery.write_images(tmp_path, row, PICTURES)
    page = _Page(gallery.write_index(tmp_path, [row]).read_text())
    assert page.cells[4] == "caf\ufffd"
    assert page.sources[0] == "images/caf%E9-inputs.png"
    assert os.path.exists(tmp_path / os.fsdecode(b"images/caf\xe9-inputs.png"))


def test_a_sub_folder_stays_one(tmp_path):
    rows = [gallery.Row("cats/7", 2), gallery.Row("cats/sub/7", 3)]
    for row in rows:
        gallery.write_images(tmp_path, row, PICTURES)
    assert (tmp_path / "images/cats/00000002-7-outputs.png").exists()
    assert gallery.training_rows(tmp_path) == rows
    page = _Page(gallery.write_index(tmp_path, rows).read_text())
    assert page.sources[0] == "images/cats/00000002-7-inputs.png"
