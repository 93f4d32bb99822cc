"""The tool that measures folders of pictures."""

import json
import shutil

import numpy as np
import pytest
import score
from PIL import Image

from pix2pix_tf import metrics
from tests.conftest import read_image, write_image


@pytest.fixture
def folders(tmp_path):
    """(outputs, targets), two pictures each, and the same as a test writes them."""
    rng = np.random.default_rng(0)
    outputs, targets, images = (tmp_path / name for name in ("o", "t", "test/images"))
    for folder in (outputs, targets, images / "sub"):
        folder.mkdir(parents=True)
    for number, stem in enumerate(["1", "sub/2"]):
        target = write_image(images / f"{stem}-targets.png", 20, 30, seed=number)
        draw = rng.integers(0, 256, [20, 30, 3], dtype=np.uint8)
        Image.fromarray(draw).save(images / f"{stem}-outputs.png")
        Image.fromarray(draw).save(outputs / f"{stem[-1]}.bmp")
        shutil.copy(target, targets / f"{stem[-1]}.png")
    return outputs, targets


def test_two_folders_are_measured_as_test_mode_does(folders, tmp_path, capsys):
    out = tmp_path / "out"
    assert score.main([*map(str, folders), "--output_dir", str(out)]) == 0
    found = json.loads((out / "metrics.json").read_text())
    assert [image["name"] for image in found["images"]] == ["1", "2"]
    pair = read_image(folders[0] / "2.bmp"), read_image(folders[1] / "2.png")
    assert found["images"][1] == {"name": "2", **metrics.score(*pair)}
    table = capsys.readouterr().out
    assert score.main([str(tmp_path / "test"), "--output_dir", str(out)]) == 0
    assert capsys.readouterr().out == table
    again = json.loads((out / "metrics.json").read_text())
    assert [image["name"] for image in again["images"]] == ["1", "sub/2"]
    assert again["mean"] == found["mean"]


def test_sets_that_cannot_be_measured_leave_the_figures_of_the_pictures(
    folders, tmp_path, capsys
):
    Image.new("RGB", (30, 20)).save(folders[1] / "1.png")
    Image.new("RGB", (30, 20)).save(folders[1] / "2.png")
    flags = ["--palette", "targets", "--output_dir", str(tmp_path / "out")]
    assert score.main([*map(str, folders), *flags]) == 2
    assert "--palette targets has 1 colours" in capsys.readouterr().err
    assert json.loads((tmp_path / "out/metrics.json").read_text())["count"] == 2


def test_what_cannot_be_measured_is_named(folders, tmp_path, capsys):
    def error(*arguments):
        assert score.main(list(map(str, arguments))) == 2
        [line] = capsys.readouterr().err.splitlines()
        return line

    assert "has no pictures" in error(tmp_path)
    assert "x is not a folder" in error(folders[0], tmp_path / "x")
    write_image(folders[1] / "2.jpg", 20, 30)
    assert "are one name" in error(*folders)
    (folders[1] / "2.jpg").unlink()
    write_image(folders[1] / "2.png", 20, 31)
    assert "2 has two sizes: 30x20 and 31x20" in error(*folders)
    (folders[1] / "2.png").write_bytes(b"x")
    assert "2.png is no picture" in error(*folders)
    (folders[1] / "2.png").unlink()
    assert "1 of 2 names lack an output or a target: 2" in error(*folders)
