"""Splitting a folder of images: which go where, and what is done again."""

import errno
import os
import random
from pathlib import Path

import pytest

from pix2pix_tf import data
from pix2pix_tf.commands import split


@pytest.fixture
def folder(tmp_path):
    """Ten files that look like images; what is in them is of no interest here."""
    folder = tmp_path / "images"
    folder.mkdir()
    for number in range(10):
        suffix = (".png", ".JPG", ".tif")[number % 3]
        (folder / f"{number}{suffix}").write_bytes(bytes([number] * 100))
    (folder / ".hidden.png").write_bytes(b"x")
    (folder / "notes.txt").write_text("x")
    (folder / "more.png").mkdir()
    return folder


def _run(folder, *flags):
    return split.main(["--dir", str(folder), *flags])


def _contents(folder):
    """Returns {split/name: bytes} of all visible files in the three splits."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.glob("*/*"))
        if path.parent.name in split.SPLITS and not path.name.startswith(".")
    }


def _names(folder):
    """Returns the names of the images that are in the folder itself."""
    names = {path.name for path in folder.iterdir() if path.is_file()}
    return sorted(names - {".hidden.png", "notes.txt"})


def test_each_image_is_copied_to_one_place_by_the_fractions(folder, capsys):
    names = _names(folder)
    assert _run(folder, "--test_frac", "0.1") == 0
    assert capsys.readouterr().out == "train 8, val 1, test 1: 10 new, 0 were there\n"
    contents = _contents(folder)
    assert sorted(Path(place).name for place in contents) == names == _names(folder)
    for place, values in contents.items():
        assert values == bytes([int(Path(place).stem)] * 100)


def test_the_draw_is_the_originals_for_sorted_names(folder, tmp_path, monkeypatch):
    splits = ["train"] * 8 + ["val"] * 2
    random.seed(0)
    random.shuffle(splits)
    want = {f"{s}/{name}" for s, name in zip(splits, _names(folder), strict=True)}
    listed = data.list_images
    monkeypatch.setattr(data, "list_images", lambda path: sorted(listed(path))[::-1])
    assert _run(folder, "--output_dir", str(tmp_path / "out")) == 0
    assert set(_contents(tmp_path / "out")) == want
    assert not (tmp_path / "out" / "test").exists()


def test_another_seed_is_another_split_and_sort_takes_them_by_name(folder, tmp_path):
    places = []
    for number, flags in enumerate((["--seed", "0"], ["--seed", "1"], ["--sort"])):
        out = tmp_path / str(number)
        flags = ["--test_frac", "0.1", *flags, "--output_dir", str(out)]
        assert _run(folder, *flags) == 0
        places.append(set(_contents(out)))
    assert len(set(map(frozenset, places))) == 3
    assert {"train/7.JPG", "test/8.tif", "val/9.png"} < places[2]


@pytest.mark.parametrize(
    "total, fractions, counts",
    [
        (10, ("0.8", "0", None), (8, 0, 2)),
        (10, ("0.29", "0.71", None), (2, 7, 1)),
        (100, ("0.29", "0", None), (29, 0, 71)),  # 0.29 * 100 is less than 29
        (10, ("0.3", "0.3", "0.3"), (3, 3, 3)),  # one stays in none
        (10, ("0.34", "0.33", "0.33"), (3, 3, 4)),  # all, so none is left over
        (10, ("0.7", "0.1", "0.2"), (7, 1, 2)),
        (10, ("0", "1", None), (0, 10, 0)),
    ],
)
def test_counts(total, fractions, counts):
    argv = ["--dir", "x", "--train_frac", fractions[0], "--test_frac", fractions[1]]
    argv += ["--val_frac", fractions[2]] if fractions[2] else []
    names = [f"{number:03}.png" for number in range(total)]
    places = list(split.assign(names, split.parse(argv)).values())
    assert tuple(places.count(name) for name in split.SPLITS) == counts


@pytest.mark.parametrize("flags", [[], ["--move"]])
def test_a_second_run_changes_nothing(folder, capsys, flags):
    assert _run(folder, *flags) == 0
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    capsys.readouterr()
    assert _run(folder, *flags) == 0
    assert capsys.readouterr().out == "train 8, val 2, test 0: 0 new, 10 were there\n"
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before


def test_moving_leaves_none_behind_and_gives_the_same_split(folder, tmp_path):
    assert _run(folder, "--output_dir", str(tmp_path / "copied")) == 0
    (folder / "0.png").rename(tmp_path / "0.png")
    (folder / "0.png").symlink_to(Path("..", "0.png"))  # what it leads to is taken
    assert _run(folder, "--output_dir", str(tmp_path / "moved"), "--move") == 0
    assert _contents(tmp_path / "moved") == _contents(tmp_path / "copied")
    assert _names(folder) == []


@pytest.mark.parametrize("flags", [[], ["--move"]])
@pytest.mark.parametrize("is_other_disk", [False, True])
def test_a_run_that_was_stopped_leaves_whole_files_and_is_gone_on_with(
    folder, tmp_path, monkeypatch, flags, is_other_disk
):
    assert _run(folder, "--output_dir", str(tmp_path / "whole")) == 0
    want = _contents(tmp_path / "whole")
    replace = os.replace

    def replace_few(old, new):
        if is_other_disk and Path(old).parent == folder:
            raise OSError(errno.EXDEV, "Invalid cross-device link")
        if Path(new).name.startswith("5"):
            raise KeyboardInterrupt
        replace(old, new)

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", replace_few)
        assert _run(folder, *flags) == 130
    partly = _contents(folder)
    assert 0 < len(partly) < 10 and partly.items() < want.items()
    assert _run(folder, *flags) == 0
    assert _contents(folder) == want
    assert not list(folder.glob("*/.*.partial*"))
    assert (_names(folder) == []) == bool(flags)


def test_copied_images_can_still_be_moved(folder):
    assert _run(folder) == 0
    assert _run(folder, "--move") == 0
    assert _names(folder) == []
    assert len(_contents(folder)) == 10


def test_another_split_and_changed_images_are_refused_by_name(folder, capsys):
    assert _run(folder, "--sort") == 0
    before, names = _contents(folder), _names(folder)
    for flags in (["--sort"], ["--sort", "--move"]):
        capsys.readouterr()
        assert _run(folder, "--train_frac", "0.7", *flags) == 2
        [line] = capsys.readouterr().err.splitlines()
        assert "train/7.JPG would not be there: --output_dir holds another" in line
        assert _contents(folder) == before and _names(folder) == names
    (folder / "val" / "0.png").write_bytes(b"in two splits")
    assert _run(folder, "--sort") == 2
    assert "val/0.png would not be there" in capsys.readouterr().err
    (folder / "val" / "0.png").unlink()
    (folder / "train" / "notes.txt").write_text("of no interest")
    (folder / "train" / "0.png").write_bytes(b"changed")
    assert _run(folder, "--sort") == 2
    assert "train/0.png differ from --dir's" in capsys.readouterr().err


@pytest.mark.parametrize("flags", [[], ["--move"]])
def test_what_is_no_file_is_refused_by_name_before_anything_is_written(
    folder, capsys, flags
):
    os.mkfifo(folder / "pipe.png")
    (folder / "link.png").symlink_to("nowhere")
    assert _run(folder, *flags) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert "images/link.png, images/pipe.png cannot be read, or are no files" in line
    assert _contents(folder) == {} and len(_names(folder)) == 10


@pytest.mark.parametrize(
    "flags, message",
    [
        (["--train_frac", "-0.1"], "--train_frac must be from 0 to 1, got -0.1"),
        (["--val_frac", "nan"], "--val_frac must be from 0 to 1, got nan"),
        (["--test_frac", "0.3"], "the fractions must add up to 1 at most, got 1.1"),
        (["--dir", "gone"], "--dir gone is not a folder"),
        (["--dir", "more.png"], "--dir more.png has no images: wanted files ending in"),
        (["--output_dir", "notes.txt"], "Not a directory"),
    ],
)
def test_wrong_usage_is_one_line_and_writes_nothing(
    folder, capsys, monkeypatch, flags, message
):
    monkeypatch.chdir(folder)
    before = sorted(folder.rglob("*"))
    assert split.main(["--dir", ".", *flags]) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith("pix2pix-tf split: error: ") and message in line
    assert sorted(folder.rglob("*")) == before
