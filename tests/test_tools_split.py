"""Splitting a folder of pictures: which go where, and what is done again."""

import errno
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from pix2pix_tf.runtime import files
from tools import split

TOOL = Path(split.__file__)


@pytest.fixture
def folder(tmp_path):
    """Ten files that look like pictures; what is in them is of no interest here."""
    folder = tmp_path / "pictures"
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
        if path.parent.name in split.SPLITS
    }


def _names(folder):
    return sorted(path.name for path in folder.iterdir() if path.is_file())


def test_each_picture_is_copied_to_one_place_by_the_fractions(folder, capsys):
    before = _names(folder)
    assert _run(folder, "--test_frac", "0.1") == 0
    assert capsys.readouterr().out == "train 8, val 1, test 1: 10 new, 0 were there\n"
    contents = _contents(folder)
    assert sorted(Path(place).name for place in contents) == [
        name for name in before if name not in (".hidden.png", "notes.txt")
    ]
    for place, values in contents.items():
        assert values == bytes([int(Path(place).stem)] * 100)
    assert _names(folder) == before


def test_the_draw_is_the_originals_for_sorted_names(folder, tmp_path):
    assert _run(folder, "--output_dir", str(tmp_path / "out")) == 0
    splits = ["train"] * 8 + ["val"] * 2
    random.seed(0)
    random.shuffle(splits)
    names = [
        name for name in _names(folder) if name not in (".hidden.png", "notes.txt")
    ]
    want = {f"{place}/{name}" for place, name in zip(splits, names, strict=True)}
    assert set(_contents(tmp_path / "out")) == want
    assert not (tmp_path / "out" / "test").exists()


def test_the_order_of_the_file_system_is_of_no_influence(folder, tmp_path, monkeypatch):
    assert _run(folder, "--output_dir", str(tmp_path / "a")) == 0
    listed = Path.iterdir
    monkeypatch.setattr(Path, "iterdir", lambda path: reversed(list(listed(path))))
    assert _run(folder, "--output_dir", str(tmp_path / "b")) == 0
    assert _contents(tmp_path / "a") == _contents(tmp_path / "b")


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
    "fractions, counts",
    [
        ((0.8, 0, None), (8, 0, 2)),
        ((0.29, 0.71, None), (2, 7, 1)),
        ((0.3, 0.3, 0.3), (3, 3, 3)),  # one stays in none
        ((0.34, 0.33, 0.33), (3, 3, 4)),  # all, so none is left over
        ((0.7, 0.1, 0.2), (7, 1, 2)),
        ((0, 1, None), (0, 10, 0)),
    ],
)
def test_counts(fractions, counts):
    names = [f"{number}.png" for number in range(10)]
    argv = ["--dir", "x", "--train_frac", str(fractions[0])]
    argv += ["--test_frac", str(fractions[1])]
    if fractions[2] is not None:
        argv += ["--val_frac", str(fractions[2])]
    places = list(split.assign(names, split.parse(argv)).values())
    assert tuple(places.count(name) for name in split.SPLITS) == counts


def test_a_share_of_29_in_100_is_29():
    options = split.parse(["--dir", "x", "--train_frac", "0.29"])
    names = [f"{number:03}.png" for number in range(100)]
    assert list(split.assign(names, options).values()).count("train") == 29


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
    assert _run(folder, "--output_dir", str(tmp_path / "moved"), "--move") == 0
    assert _contents(tmp_path / "moved") == _contents(tmp_path / "copied")
    assert _names(folder) == [".hidden.png", "notes.txt"]


@pytest.mark.parametrize("flags", [[], ["--move"]])
@pytest.mark.parametrize("is_other_disk", [False, True])
def test_a_run_that_was_stopped_leaves_whole_files_and_is_gone_on_with(
    folder, tmp_path, monkeypatch, flags, is_other_disk
):
    assert _run(folder, "--output_dir", str(tmp_path / "whole")) == 0
    want = _contents(tmp_path / "whole")
    replace = os.replace

    def replace_few(old, new):
        new = Path(new)
        if is_other_disk and Path(old).parent == folder:
            raise OSError(errno.EXDEV, "Invalid cross-device link")
        if new.name.startswith("5"):
            raise KeyboardInterrupt
        replace(old, new)

    with monkeypatch.context() as patch:
        patch.setattr(files.os, "replace", replace_few)
        assert _run(folder, *flags) == 130
    partly = {name: v for name, v in _contents(folder).items() if "/." not in name}
    assert 0 < len(partly) < 10 and partly.items() < want.items()
    assert _run(folder, *flags) == 0
    assert _contents(folder) == want  # without what was left half written
    if flags:
        assert _names(folder) == [".hidden.png", "notes.txt"]


def test_a_moved_picture_that_was_copied_but_not_removed_is_removed(folder):
    assert _run(folder) == 0
    assert _run(folder, "--move") == 0
    assert _names(folder) == [".hidden.png", "notes.txt"]
    assert len(_contents(folder)) == 10


def test_another_split_into_the_same_place_is_refused_by_name(folder, capsys):
    assert _run(folder, "--sort") == 0
    before = _contents(folder)
    for flags in (["--sort"], ["--sort", "--move"]):
        capsys.readouterr()
        assert _run(folder, "--train_frac", "0.7", *flags) == 2
        [line] = capsys.readouterr().err.splitlines()
        assert "holds another split (train/7.JPG would not be there)" in line
        assert _contents(folder) == before
    assert _names(folder)[:2] == [".hidden.png", "0.png"]  # nothing was moved


def test_what_is_strange_in_the_splits_is_refused_by_name(folder, capsys):
    assert _run(folder, "--sort") == 0
    (folder / "train" / "notes.txt").write_text("of no interest")
    (folder / "train" / "0.png").write_bytes(b"changed")
    assert _run(folder, "--sort") == 2
    assert "train/0.png differ from the pictures of --dir" in capsys.readouterr().err
    (folder / "val" / "0.png").write_bytes(b"twice")
    assert _run(folder, "--sort") == 2
    assert "0.png is in train and in val of" in capsys.readouterr().err


@pytest.mark.parametrize(
    "flags, message",
    [
        (["--train_frac", "-0.1"], "--train_frac must be from 0 to 1, got -0.1"),
        (["--val_frac", "nan"], "--val_frac must be from 0 to 1, got nan"),
        (["--test_frac", "0.3"], "the fractions must add up to 1 at most, got 1.1"),
        (["--train_frac", "x"], "argument --train_frac: invalid float value: 'x'"),
        (["--dir", "gone"], "--dir gone is not a folder"),
        (["--dir", "more.png"], "--dir more.png has no pictures: wanted files ending"),
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
    assert line.startswith("split: error: ") and message in line
    assert sorted(folder.rglob("*")) == before


def test_it_runs_from_any_folder_without_an_installation(tmp_path):
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, str(TOOL)],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2 and done.stdout == ""
    [line] = done.stderr.splitlines()
    assert "the following arguments are required: --dir" in line
