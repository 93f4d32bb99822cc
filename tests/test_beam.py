"""Data sets prepared by Apache Beam; skipped where it is not installed."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import tensorflow as tf

from pix2pix_tf import datasets
from pix2pix_tf.commands import process
from pix2pix_tf.datasets import __main__ as command
from pix2pix_tf.datasets import records
from pix2pix_tf.runtime.errors import UsageError
from tests.conftest import read_image, write_image

pytest.importorskip("apache_beam")
# Beam and what it imports warn of their own past.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::Warning")

PROCESSES = "direct_running_mode=multi_processing,direct_num_workers=2"
DIRECT = ["--beam_runner", "DirectRunner"]


def _run(*arguments):
    return command.main([str(argument) for argument in arguments])


def _prepare(data_dir, name, *arguments):
    """Prepares a data set; returns {split: [record as bytes, ...]}."""
    assert _run("--data_dir", data_dir, "--name", name, *DIRECT, *arguments) == 0
    return _read(data_dir, name)


def _read(data_dir, name):
    builder = datasets.load(name, data_dir)
    return {
        split: [
            {key: value.numpy() for key, value in record.items()}
            for record in records.records(builder, split)
        ]
        for split in builder.info.splits
    }


def _shards(data_dir):
    """Returns {file name: number of bytes} of the files of records."""
    paths = data_dir.rglob("pix2pix_folder-*")
    return {path.name: path.stat().st_size for path in paths}


def _report(data_dir, split="train"):
    [path] = data_dir.rglob(f"{split}-skipped.json")
    return json.loads(path.read_text())


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """A folder of 12 photographs, of which 5.jpg is damaged."""
    folder = tmp_path_factory.mktemp("photos")
    for number in range(1, 13):
        write_image(folder / f"{number}.jpg", 20, 30, seed=number)
    (folder / "5.jpg").write_bytes(b"hello")
    return folder


@pytest.mark.parametrize("file_format", ["array_record", "tfrecord"])
def test_one_process_and_two_write_the_same_records_in_the_same_files(
    tmp_path, photos, file_format, capfd
):
    flags = ["--input_dir", photos, "--num_shards", 3, "--file_format", file_format]
    flags += ["--operations", "resize,edges", "--size", 16]
    one = _prepare(tmp_path / "one", "x", *flags)
    two = _prepare(tmp_path / "two", "x", *flags, "--beam_options", PROCESSES)
    assert one == two and len(one["train"]) == 11
    assert _shards(tmp_path / "one") == _shards(tmp_path / "two")
    assert len(_shards(tmp_path / "one")) == 3
    assert "train: skipped 1 of 12 examples" in capfd.readouterr().out


def test_files_are_stored_in_the_order_and_form_that_they_have_without_beam(
    tmp_path, photos
):
    for split in ("train", "val"):
        (tmp_path / "in" / split).mkdir(parents=True)
    for path in photos.iterdir():
        if path.stem != "5":
            split = "val" if path.stem in ("1", "10") else "train"
            (tmp_path / "in" / split / path.name).write_bytes(path.read_bytes())
    flags = ["--input_dir", tmp_path / "in"]
    with_beam = _prepare(tmp_path / "beam", "x", *flags)
    assert _run(*flags, "--name", "x", "--data_dir", tmp_path / "plain") == 0
    assert with_beam == _read(tmp_path / "plain", "x")
    assert [record["name"] for record in with_beam["val"]] == [b"1", b"10"]
    assert _report(tmp_path / "beam", "val") == {"examples": 2, "skipped": []}


def test_operations_make_what_the_command_process_makes_of_files(tmp_path, photos):
    flags = ["--operations", "resize,edges,combine", "--size", 16]
    found = _prepare(tmp_path / "set", "x", "--input_dir", photos, *flags)["train"]

    def run(operation, source, target, *more):
        argv = ["--input_dir", tmp_path / source, "--output_dir", tmp_path / target]
        argv += ["--operation", operation, *more]
        return process.main(list(map(str, argv)))

    assert run("resize", photos, "squares", "--size", 16) == 2  # 5.jpg
    assert run("edges", "squares", "lines") == 0
    assert run("combine", "lines", "pairs", "--b_dir", tmp_path / "squares") == 0
    for record in found:
        want = read_image(tmp_path / "pairs" / f"{record['name'].decode()}.png")
        got = tf.io.decode_png(record["image"]).numpy()
        np.testing.assert_array_equal(got, want)
    [skipped] = _report(tmp_path / "set")["skipped"]
    assert skipped["number"] == 4 and skipped["file"] == str(photos / "5.jpg")
    assert "not an image" in skipped["reason"]


def test_pairs_that_differ_in_size_are_left_out_and_named(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        for number in range(3):
            height = 9 if (name, number) == ("b", 1) else 8
            write_image(tmp_path / name / f"{number}.png", height, 8)
    flags = ["--input_dir", tmp_path / "a", "--target_dir", tmp_path / "b"]
    found = _prepare(tmp_path / "set", "x", *flags)["train"]
    assert [record["name"] for record in found] == [b"0", b"2"]
    assert found[1]["target"] == (tmp_path / "b/2.png").read_bytes()
    [skipped] = _report(tmp_path / "set")["skipped"]
    assert "are 8x8 and 8x9" in skipped["reason"]


def test_a_list_may_name_files_anywhere_and_pairs(tmp_path, photos):
    fsspec = pytest.importorskip("fsspec")
    paths = [photos / f"{number}.jpg" for number in (9, 10, 5)]
    with tf.io.gfile.GFile("ram://bucket/b/x.jpg", "wb") as file:
        file.write(paths[0].read_bytes())
    with fsspec.open("memory://bucket/y.jpg", "wb") as file:
        file.write(paths[1].read_bytes())
    lines = [f"{paths[1]}\t{paths[0]}", "ram://bucket/b/x.jpg\tmemory://bucket/y.jpg"]
    lines += [f"ram://bucket/none.jpg\t{paths[0]}", f"{paths[0]}\t{paths[2]}"]
    (tmp_path / "list.txt").write_text("\n".join(lines))
    found = _prepare(tmp_path, "x", "--input_list", tmp_path / "list.txt")["train"]
    ten, nine = paths[1].read_bytes(), paths[0].read_bytes()
    assert [(one["input"], one["target"]) for one in found] == [
        (ten, nine),
        (nine, ten),
    ]
    skipped = _report(tmp_path)["skipped"]
    assert [one["number"] for one in skipped] == [2, 3]
    assert skipped[0]["file"] == "ram://bucket/none.jpg"


def test_names_in_a_list_are_paths_under_the_folder_that_all_share(tmp_path, photos):
    for name in ("s/a/1.jpg", "s/ab/1.jpg"):
        path = tmp_path / name
        path.parent.mkdir(parents=True)
        path.write_bytes((photos / "1.jpg").read_bytes())
    text = f"{tmp_path}/s/ab/1.jpg\n\n{tmp_path}/s/a/1.jpg\n"
    (tmp_path / "list.txt").write_text(text)
    found = _prepare(tmp_path, "x", "--input_list", tmp_path / "list.txt")["train"]
    assert [record["name"] for record in found] == [b"ab/1.jpg", b"a/1.jpg"]


def test_a_folder_in_a_cloud_is_listed_with_its_splits(tmp_path, photos):
    for split, numbers in (("train", (10, 9)), ("val", (1,))):
        tf.io.gfile.makedirs(f"ram://cloud/set/{split}")
        for number in numbers:
            url = f"ram://cloud/set/{split}/{number}.jpg"
            with tf.io.gfile.GFile(url, "wb") as file:
                file.write((photos / f"{number}.jpg").read_bytes())
    found = _prepare(tmp_path, "x", "--input_dir", "ram://cloud/set/")
    assert [record["name"] for record in found["train"]] == [b"9", b"10"]
    assert found["val"][0]["image"] == (photos / "1.jpg").read_bytes()


def test_a_run_that_is_killed_leaves_no_half_data_set(tmp_path, photos):
    """It is killed when its first file of records is there."""
    flags = ["--input_dir", photos, "--num_shards", 3]
    line = [sys.executable, "-m", "pix2pix_tf.datasets", "--data_dir", tmp_path]
    line += ["--name", "x", *flags, *DIRECT, "--beam_options", PROCESSES]
    started = subprocess.Popen(
        list(map(str, line)),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # its workers are killed with it
    )
    while not list(tmp_path.rglob("*-of-00003")):
        assert started.poll() is None
        time.sleep(0.01)
    os.killpg(started.pid, signal.SIGKILL)
    assert started.wait() == -signal.SIGKILL
    with pytest.raises(UsageError, match="is not known"):
        datasets.load("x", tmp_path)
    again = _prepare(tmp_path, "x", *flags)
    assert len(again["train"]) == 11
    whole = next(path for path in tmp_path.rglob("1.0.0"))
    assert not list(whole.rglob("*incomplete*")) and not (whole / "list").exists()


@pytest.mark.parametrize(
    "arguments, words",
    [
        (["--beam_runner", "Nix"], "--beam_runner Nix cannot be used"),
        ([*DIRECT, "--beam_options", "a_b=1"], "a_b is not an option of Apache Beam"),
        ([*DIRECT, "--operations", "combine"], "combine needs two images"),
        ([*DIRECT, "--operations", "edges,combine,resize"], "resize cannot follow"),
        ([*DIRECT, "--num_shards", "13"], "--num_shards 13 is more than the 12"),
    ],
)
def test_what_beam_cannot_do_is_told_in_one_line(
    tmp_path, photos, capsys, arguments, words
):
    arguments = ["--input_dir", photos, "--name", "x", *arguments]
    assert _run(*arguments, "--data_dir", tmp_path) == 2
    assert words in capsys.readouterr().err.splitlines()[-1]
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize(
    "text, words",
    [
        ("", "has no lines"),
        ("a.jpg\na.jpg\tb.jpg\n", "example 2 has 2 paths"),
        ("a.jpg\t\n", "example 1 has 2 paths"),
    ],
)
def test_a_list_that_is_not_one_is_told(tmp_path, capsys, text, words):
    (tmp_path / "list.txt").write_text(text)
    flags = ["--input_list", tmp_path / "list.txt", "--name", "x", *DIRECT]
    assert _run(*flags, "--data_dir", tmp_path) == 2
    assert words in capsys.readouterr().err


def test_a_set_without_a_usable_image_is_not_written(tmp_path, capsys):
    (tmp_path / "in").mkdir()
    (tmp_path / "in/1.png").write_bytes(b"x")
    flags = ["--input_dir", tmp_path / "in", "--name", "x", *DIRECT]
    assert _run(*flags, "--data_dir", tmp_path / "out") == 2
    assert "number of generated examples is 0" in capsys.readouterr().err
    with pytest.raises(UsageError, match="is not known"):
        datasets.load("x", tmp_path / "out")
