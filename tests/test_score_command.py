"""The tool that measures folders of images."""

import json
import shutil

import pytest
from PIL import Image

from pix2pix_tf import metrics
from pix2pix_tf.commands import score
from tests.conftest import read_image, write_image


@pytest.fixture
def folders(tmp_path):
    """(outputs, targets, test): two images each, and the same as a test writes them."""
    outputs, targets, images = (tmp_path / name for name in ("o", "t", "test/images"))
    for folder in (outputs, targets, images / "sub"):
        folder.mkdir(parents=True)
    for number, stem in enumerate(["1", "sub/2"]):
        output = write_image(images / f"{stem}-outputs.png", 20, 30, seed=number)
        target = write_image(images / f"{stem}-targets.png", 20, 30, seed=9)
        Image.open(output).save(outputs / f"{stem[-1]}.bmp")
        shutil.copy(target, targets / f"{stem[-1]}.png")
    return outputs, targets, tmp_path / "test"


def _score(*folders):
    out = folders[0].parent / "out"
    assert score.main([*map(str, folders), "--output_dir", str(out)]) == 0
    return json.loads((out / "metrics.json").read_text())


def test_folders_of_images_and_of_tests_are_measured_as_test_mode_does(folders):
    outputs, targets, test = folders
    found = _score(outputs, targets)
    assert [image["name"] for image in found["images"]] == ["1", "2"]
    pair = read_image(test / "images/sub/2-outputs.png"), read_image(targets / "2.png")
    assert found["images"][1] == {"name": "2", **metrics.score(*pair)}
    alone = _score(test)
    assert [image["name"] for image in alone["images"]] == ["1", "sub/2"]
    assert alone["mean"] == found["mean"]
    (outputs / "1.bmp").rename(outputs / "\u00e9.bmp")
    (targets / "1.png").rename(targets / "e\u0301.png")  # the same letter
    assert _score(outputs, targets)["images"][0]["name"] == "2"
    other = shutil.copytree(test, test.with_name("other"))
    (other / "images/1-targets.png").unlink()
    assert _score(test, other)["mean"]["l1"] == 0  # the outputs of two tests


def test_what_cannot_be_measured_is_named(folders, capsys):
    outputs, targets, test = folders

    def error(*arguments):
        assert score.main(list(map(str, arguments))) == 2
        return capsys.readouterr().err

    assert f"error: targets {test / 'x'} is not a folder" in error(outputs, test / "x")
    assert f"error: outputs {test / 'x'} is not a folder" in error(test / "x", outputs)
    write_image(targets / "2.png", 20, 31)
    assert "2 has two sizes: 30x20 and 31x20" in error(outputs, targets)
    (targets / "2.png").write_bytes(b"x")
    assert "2.png is no" in error(outputs, targets)
    (targets / "2.png").unlink()
    assert "1 of 2 names lack an output or a target: 2" in error(outputs, targets)
    assert "o has no images/*-targets.png" in error(outputs)
    message = error(test, outputs)  # sub/2 and 2
    assert f"{test} and {outputs} must have both" in message and "sub/2" in message
