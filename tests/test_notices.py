"""What is said at the start about files that may not be read as was meant."""

import numpy as np
import pytest
import tifffile
from PIL import Image

from pix2pix_tf import data, train
from tests.conftest import TINY, write_image


def _notices(capsys, folder, are_pairs=True):
    examples = data.find_examples(folder)
    data.print_notices(examples, [folder], are_pairs)
    return capsys.readouterr().err.splitlines()


@pytest.mark.parametrize(
    "height, width, is_single",
    [
        (512, 768, True),
        (768, 512, True),
        (256, 256, True),
        (321, 481, True),
        (256, 512, False),
        (256, 1024, False),
    ],
)
def test_halves_that_are_higher_than_wide_are_suspected(
    capsys, tmp_path, height, width, is_single
):
    for name in "abcd":
        Image.new("RGB", (width, height)).save(tmp_path / f"{name}.png")
    lines = _notices(capsys, tmp_path)
    assert bool(lines) == is_single
    if is_single:
        [line] = lines
        words = ["4 of 4 images (a.png, b.png, c.png and 1 more)", "--target_dir"]
        words += ["--lab_colorization", "--inputs_only"]
        assert all(word in line for word in words)
    assert _notices(capsys, tmp_path, are_pairs=False) == []


def test_pages_and_files_that_are_not_read_are_named(capsys, tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", np.zeros([12, 8, 16, 3], np.uint8))
    tifffile.imwrite(tmp_path / "b.tif", np.zeros([8, 16, 3], np.uint8))
    for name in ("x.HEIC", "y.jxl", "._x.heic", "notes.txt"):
        (tmp_path / name).touch()
    pages, unread = _notices(capsys, tmp_path)
    assert "1 of 2 files have several pages or frames (a.tif)" in pages
    assert f"2 files in {tmp_path} are not read (x.HEIC, y.jxl)" in unread


def test_every_command_that_reads_pairs_prints_them(capsys, tmp_path, trained_dir):
    photos = tmp_path / "photos"
    photos.mkdir()
    write_image(photos / "map.png", 48, 48)
    folders = ["--input_dir", str(photos), "--output_dir"]
    dry_run = ["--mode", "train", "--dry_run", *TINY, *folders, str(tmp_path / "a")]
    test = ["--mode", "test", "--checkpoint", str(trained_dir), *folders]
    for flags in (dry_run, [*test, str(tmp_path / "b")]):
        assert train.main(flags) == 0
        assert "may be single images: give --lab" in capsys.readouterr().err
    assert train.main([*test, str(tmp_path / "c"), "--inputs_only"]) == 0
    assert "may be single images" not in capsys.readouterr().err


@pytest.mark.parametrize("flags", [[], ["--lab_colorization"]])
def test_the_sample_data_bring_no_notice(capsys, tmp_path, flags):
    dry_run = ["--mode", "train", "--dry_run", *TINY, "--output_dir", str(tmp_path)]
    assert train.main([*dry_run, *flags]) == 0
    assert "warning" not in capsys.readouterr().err
