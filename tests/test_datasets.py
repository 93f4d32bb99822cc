"""Data sets of tensorflow_datasets: the paper's, one's own folders, and by name."""

import functools
import http.server
import shlex
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import threading
from pathlib import Path
from urllib.request import urlretrieve

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds

from pix2pix_tf import data, datasets, train
from pix2pix_tf.datasets import __main__ as command
from pix2pix_tf.datasets import addresses, find, folder, listing, paper, records
from pix2pix_tf.images import kinds, pixels
from pix2pix_tf.options import PairConfig
from pix2pix_tf.runtime.errors import UsageError
from tests.conftest import TINY, write_image

SPLITS = ("train", "val", "test")
PAIRS = kinds.kind_of(PairConfig())
BEAM = ["--beam_runner", "DirectRunner"]


def _write_archive_folder(parent, name, splits):
    """Writes NAME/<split>/*.jpg, one file more in each split; returns NAME's path."""
    for number, split in enumerate(splits, 1):
        split_dir = parent / name / split
        split_dir.mkdir(parents=True)
        for stem in range(1, number + 2):
            write_image(split_dir / f"{stem}.jpg", 8, 16, seed=10 * number + stem)
    return parent / name


@pytest.fixture(scope="module")
def shoes_dir(tmp_path_factory):
    """edges2shoes, as its archive unpacks."""
    parent = tmp_path_factory.mktemp("paper")
    return _write_archive_folder(parent, "edges2shoes", ("train", "val"))


@pytest.fixture(scope="module")
def server(tmp_path_factory, shoes_dir):
    """Serves edges2shoes.tar.gz, and a facades.tar.gz of another size; its address."""
    served = tmp_path_factory.mktemp("server")
    for name in ("edges2shoes", "facades"):
        with tarfile.open(served / f"{name}.tar.gz", "w:gz") as archive:
            archive.add(shoes_dir, name)
    handler = functools.partial(_QuietHandler, directory=served)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


class _QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


def _run(*arguments):
    return command.main([str(argument) for argument in arguments])


def _error(capsys, *arguments):
    """Returns the one line with which a command of wrong usage ends."""
    assert _run(*arguments) == 2
    [line] = capsys.readouterr().err.splitlines()
    return line


def _names(builder, split):
    return [r["name"].numpy().decode() for r in records.records(builder, split)]


class _BuilderTestCase(tfds.testing.DatasetBuilderTestCase):
    """TFDS's own checks of a builder, on folders made here."""

    __test__ = False
    SPLITS = {"train": 2, "val": 3, "test": 4}
    # The forbidden functions are those that only local folders need, as ours are.
    MOCK_OUT_FORBIDDEN_OS_FUNCTIONS = False

    @classmethod
    def setUpClass(cls):
        cls.EXAMPLE_DIR = tempfile.mkdtemp()
        cls.addClassCleanup(shutil.rmtree, cls.EXAMPLE_DIR)
        super().setUpClass()


class Pix2pixTest(_BuilderTestCase):
    __test__ = True
    DATASET_CLASS = paper.Pix2pix
    BUILDER_CONFIG_NAMES_TO_TEST = ["facades", "night2day"]

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        for name in cls.BUILDER_CONFIG_NAMES_TO_TEST:
            _write_archive_folder(Path(cls.EXAMPLE_DIR), name, SPLITS)


class Pix2pixFolderTest(_BuilderTestCase):
    __test__ = True
    DATASET_CLASS = folder.Pix2pixFolder

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        parent = Path(cls.EXAMPLE_DIR)
        ours = str(_write_archive_folder(parent, "a", SPLITS))
        theirs = str(_write_archive_folder(parent, "b", SPLITS))
        cls.BUILDER_CONFIG_NAMES_TO_TEST = [
            folder.FolderConfig(name="single", input_dir=ours),
            folder.FolderConfig(name="pairs", input_dir=ours, target_dir=theirs),
        ]


def test_the_table_has_the_papers_six_data_sets():
    assert set(addresses.ARCHIVES) == {
        "facades",
        "cityscapes",
        "maps",
        "edges2shoes",
        "edges2handbags",
        "night2day",
    }
    for name, archive in addresses.ARCHIVES.items():
        assert archive.file == f"{name}.tar.gz" and archive.splits[0] == "train"
    wanted = "http://efrosgans.eecs.berkeley.edu/pix2pix/datasets/maps.tar.gz"
    assert addresses.make_url("maps.tar.gz") == wanted
    assert addresses.make_url("a.tar.gz", "http://b") == "http://b/a.tar.gz"


def test_a_file_that_is_not_the_archive_is_told_by_size_then_by_sha256(tmp_path):
    path = tmp_path / "abc"
    path.write_bytes(b"abc")
    # FIPS 180-2, appendix B.1.
    sha256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    archive = addresses.Archive("x.tar.gz", ("train",), sha256, 3)
    assert addresses.check(path, archive) == sha256
    with pytest.raises(UsageError, match="abc has 3 bytes, and x.tar.gz 4"):
        addresses.check(path, archive._replace(size=4))
    with pytest.raises(UsageError, match=f"http://a has the sha256 {sha256}, and"):
        addresses.check(path, archive._replace(sha256="0"), "http://a")


def test_a_data_set_of_the_paper_is_downloaded_and_kept_as_its_files(
    capsys, tmp_path, server, shoes_dir
):
    arguments = ["--paper", "edges2shoes", "--base_url", server]
    assert _run(*arguments, "--data_dir", tmp_path) == 0
    printed = capsys.readouterr().out.splitlines()
    assert printed[1].startswith("pix2pix/edges2shoes/1.0.0 in ")
    assert printed[2].startswith("train: 2 examples, ") and printed[3][:6] == "val: 3"
    assert printed[4].endswith(
        "python -m pix2pix_tf.train --mode train --dataset pix2pix:edges2shoes"
    )
    builder = datasets.load("pix2pix:edges2shoes", tmp_path)
    assert builder.info.features["image"].shape == (None, None, 3)
    stored = {
        record["name"].numpy().decode(): record["image"].numpy()
        for record in records.records(builder, "val")
    }
    files = {path.name: path.read_bytes() for path in (shoes_dir / "val").iterdir()}
    assert stored == files


def test_an_archive_put_there_by_hand_gives_what_its_folder_gives(
    tmp_path, server, shoes_dir
):
    by_hand = tmp_path / "by_hand"
    by_hand.mkdir()
    urlretrieve(f"{server}/edges2shoes.tar.gz", by_hand / "edges2shoes.tar.gz")
    shards = []
    for name, manual_dir in (("a", by_hand), ("b", shoes_dir.parent)):
        arguments = ["--paper", "edges2shoes", "--file_format", "tfrecord"]
        arguments += ["--base_url", "http://127.0.0.1:9"]  # it is not asked
        arguments += ["--data_dir", tmp_path / name, "--manual_dir", manual_dir]
        assert _run(*arguments) == 0
        [shard] = (tmp_path / name).rglob("*train.tfrecord*")
        shards.append(shard.read_bytes())
    assert shards[0] == shards[1]


def test_a_wrong_archive_is_refused_and_not_kept(capsys, tmp_path, server):
    arguments = ["--paper", "facades", "--base_url", server, "--data_dir", tmp_path]
    line = _error(capsys, *arguments)
    assert "facades.tar.gz 30168306: download it again" in line
    assert not list(tmp_path.rglob("*.tar.gz")) and not list(tmp_path.rglob("1.0.0*"))


@pytest.mark.parametrize(
    "name, cut, words",
    [
        ("edges2shoes", 50, "edges2shoes.tar.gz is damaged ("),
        ("edges2shoes", 2500, "edges2shoes.tar.gz is damaged ("),
        ("edges2handbags", 0, "has no edges2handbags/train/*.jpg"),
    ],
)
def test_an_archive_cut_short_or_of_another_data_set_is_told(
    capsys, tmp_path, server, name, cut, words
):
    by_hand = tmp_path / "by_hand" / f"{name}.tar.gz"
    by_hand.parent.mkdir()
    urlretrieve(f"{server}/edges2shoes.tar.gz", by_hand)
    contents = by_hand.read_bytes()
    by_hand.write_bytes(contents[: len(contents) - cut])
    arguments = ["--paper", name, "--manual_dir", by_hand.parent]
    line = _error(capsys, *arguments, "--data_dir", tmp_path / "out")
    assert words in line and "download it again" in line


def test_an_address_without_the_archive_is_told_in_one_line(capsys, tmp_path, server):
    arguments = ["--paper", "maps", "--base_url", server, "--data_dir", tmp_path]
    line = _error(capsys, *arguments)
    assert "HTTP code: 404" in line and "--manual_dir DIR reads maps.tar.gz" in line
    arguments[3] = "http://127.0.0.1:1"
    assert _run(*arguments) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert "http://127.0.0.1:1/maps.tar.gz could not be reached (Connection" in line
    assert "HTTPConnectionPool" not in line and "--manual_dir DIR reads" in line


@pytest.mark.parametrize(
    ("file_format", "num_shards", "files"),
    [("array_record", 2, "files"), ("tfrecord", 2, "files"), ("tfrecord", 1, "file")],
)
def test_a_folder_becomes_records_of_its_files_in_trainings_order(
    capsys, tmp_path, pair_dir, file_format, num_shards, files
):
    arguments = ["--input_dir", pair_dir, "--name", "mine", "--data_dir", tmp_path]
    arguments += ["--file_format", file_format, "--num_shards", num_shards]
    assert _run(*arguments) == 0
    assert f", {num_shards} {file_format} {files}\n" in capsys.readouterr().out
    builder = datasets.load("mine", tmp_path)
    paths = [example.paths[0] for example in data.find_examples(pair_dir)]
    assert _names(builder, "train") == [path.stem for path in paths]
    stored = [r["image"].numpy() for r in records.records(builder, "train")]
    assert stored == [path.read_bytes() for path in paths]
    assert pixels.decode(stored[0]).shape == (64, 128, 3)
    assert _names(builder, "train[1:3]") == [path.stem for path in paths[1:3]]
    with pytest.raises(UsageError, match="no split val"):
        records.records(builder, "val")
    # It is a data set like any other, for those who have none of this code.
    theirs = tfds.builder("pix2pix_folder/mine", data_dir=tmp_path)
    assert theirs.info.splits["train"].num_examples == 5


def test_the_order_is_kept_where_tfds_sorts_on_disk(tmp_path, pair_dir, monkeypatch):
    from tensorflow_datasets.core import shuffle

    monkeypatch.setattr(shuffle, "MAX_MEM_BUFFER_SIZE", 0)  # as of a large data set
    arguments = ["--input_dir", pair_dir, "--name", "mine", "--data_dir", tmp_path]
    assert _run(*arguments) == 0
    names = _names(datasets.load("mine", tmp_path), "train")
    assert names == [example.name for example in data.find_examples(pair_dir)]


def test_any_record_of_an_array_record_can_be_read(tmp_path, pair_dir):
    arguments = ["--input_dir", pair_dir, "--name", "mine", "--data_dir", tmp_path]
    assert _run(*arguments, "--num_shards", 3) == 0
    builder = datasets.load("mine:1.0.0", tmp_path)
    assert records.has_random_access(builder)
    count, read = records.reader(builder, "train")
    order = [3, 0, 4, 4, 1]
    picked = tf.data.Dataset.from_tensor_slices(np.int64(order)).map(read)
    names = [record["name"].numpy().decode() for record in picked]
    in_order = _names(builder, "train")
    assert count == 5 and names == [in_order[index] for index in order]


def test_two_folders_are_paired_by_name_and_keep_their_splits(tmp_path):
    for side, suffix in (("a", ".jpg"), ("b", ".png")):
        for number, stem in enumerate(["train/x/2", "train/x/10", "val/y"]):
            path = (tmp_path / side / stem).with_suffix(suffix)
            path.parent.mkdir(parents=True, exist_ok=True)
            write_image(path, 8, 8, seed=number)
    arguments = ["--input_dir", tmp_path / "a", "--target_dir", tmp_path / "b"]
    assert _run(*arguments, "--name", "pairs", "--data_dir", tmp_path / "out") == 0
    builder = datasets.load("pix2pix_folder:pairs", tmp_path / "out")
    assert set(builder.info.splits) == {"train", "val"}
    assert records.image_names(builder) == ["input", "target"]
    assert _names(builder, "train") == ["x/2", "x/10"]
    [record] = records.records(builder, "val")
    assert record["input"] == (tmp_path / "a" / "val" / "y.jpg").read_bytes()
    assert record["target"] == (tmp_path / "b" / "val" / "y.png").read_bytes()


def test_what_cannot_be_stored_is_named(capsys, tmp_path, photo_dir):
    pictures = shutil.copytree(photo_dir, tmp_path / "photos")
    arguments = ["--input_dir", pictures, "--name", "x", "--data_dir", tmp_path / "out"]
    (pictures / "c.png").write_bytes(b"hello")
    line = _error(capsys, *arguments)
    assert "1 of 3 examples cannot be used" in line and "c.png is not an image" in line
    (pictures / "c.png").rename(pictures / "c.WEBP")
    line = _error(capsys, *arguments)
    assert "c.WEBP" in line and "pix2pix-tf process" in line
    assert not list((tmp_path / "out").rglob("1.0.0*"))


@pytest.mark.parametrize(
    "arguments, words",
    [
        ([], ["--input_dir", "--paper"]),
        (["--paper", "facades", "--input_dir", "x"], ["either", "--paper"]),
        (["--paper", "facades", "--name", "x"], ["--name cannot be used with --paper"]),
        (["--input_dir", "x"], ["--input_dir needs --name"]),
        (["--input_dir", "x", "--name", "1.0"], ["letters", "got 1.0"]),
        (["--input_dir", "x", "--name", "a", "--manual_dir", "b"], ["--manual_dir"]),
        (["--input_dir", "nowhere", "--name", "a"], ["nowhere is not a folder"]),
        (["--input_dir", "x", "--name", "mnist"], ["mnist", "catalog"]),
        (["--paper", "facades", "--num_shards", "0"], ["--num_shards", "at least 1"]),
        (["--input_list", "x", "--name", "a"], ["--input_list needs --beam_runner"]),
        (["--input_dir", "gs://x", "--name", "a"], ["a URL needs --beam_runner"]),
        (
            ["--input_dir", "x", "--name", "a", "--operations", "edges"],
            ["--operations needs --beam_runner"],
        ),
        (
            ["--input_dir", "x", "--name", "a", "--operations", "canny", *BEAM],
            ["--operations must be some of", "got canny"],
        ),
        (
            ["--input_dir", "x", "--name", "a", "--size", "8", *BEAM],
            ["--size cannot be used with --operations without resize"],
        ),
        (
            ["--input_dir", "gs://x", "--name", "a", "--target_dir", "b", *BEAM],
            ["--target_dir cannot be used with a URL", "--input_list"],
        ),
        (["--paper", "maps", *BEAM], ["--beam_runner cannot be used with --paper"]),
    ],
)
def test_wrong_usage_is_told_in_one_line(capsys, tmp_path, arguments, words):
    line = _error(capsys, *arguments, "--data_dir", tmp_path)
    assert line.startswith("pix2pix-tf datasets: error: ")
    assert all(word in line for word in words)
    assert not any(tmp_path.iterdir())


def test_beam_is_asked_for_where_it_is_not_installed(
    capsys, tmp_path, pair_dir, monkeypatch
):
    monkeypatch.setitem(sys.modules, "apache_beam", None)
    monkeypatch.delitem(sys.modules, "pix2pix_tf.datasets.pipeline", raising=False)
    monkeypatch.delattr(datasets, "pipeline", raising=False)
    flags = ["--input_dir", pair_dir, "--name", "x", "--data_dir", tmp_path]
    assert "pip install '.[beam]'" in _error(capsys, *flags, *BEAM)


def test_more_shards_than_examples_and_a_name_that_is_taken_are_refused(
    capsys, tmp_path, photo_dir
):
    arguments = ["--input_dir", photo_dir, "--name", "x", "--data_dir", tmp_path]
    line = _error(capsys, *arguments, "--num_shards", 3)
    assert "--num_shards 3 is more than the 2 examples" in line
    assert _run(*arguments) == 0
    line = _error(capsys, *arguments)
    assert "--name x exists already: give another, or rem" in line


def test_a_folder_that_is_not_utf8_is_refused(capsys, tmp_path, pair_dir, monkeypatch):
    folder = f"{tmp_path}/a\udcff"
    flags = ["--input_dir", pair_dir, "--name", "x"]
    assert _run(*flags, "--data_dir", folder) == 2
    monkeypatch.setenv("TFDS_DATA_DIR", folder)
    assert _run(*flags) == 2
    train_flags = ["--mode", "train", "--dataset", "x", "--output_dir"]
    assert train.main([*train_flags, str(tmp_path / "run")]) == 2
    flags = ["--data_dir", "TFDS_DATA_DIR", "TFDS_DATA_DIR"]
    lines = capsys.readouterr().err.splitlines()
    for flag, line in zip(flags, lines, strict=True):
        assert f"{flag} {tmp_path}/a\ufffd is not valid UTF-8" in line
    assert not any(tmp_path.iterdir())


def test_a_list_of_paths_is_read_line_by_line(tmp_path):
    path = tmp_path / "list.txt"
    path.write_text("gs://b/s/ab/1.jpg\tc/2.jpg\n\ngs://b/s/a/3.jpg\td.jpg\n")
    found = listing.from_file(str(path))
    assert (found.count, found.num_files) == (2, 2)
    for _ in range(2):  # it can be listed again
        assert list(found.entries()) == [
            ("ab/1.jpg", ("gs://b/s/ab/1.jpg", "c/2.jpg")),
            ("a/3.jpg", ("gs://b/s/a/3.jpg", "d.jpg")),
        ]
    path.write_text("one.jpg\n")
    assert list(listing.from_file(str(path)).entries()) == [("one.jpg", ("one.jpg",))]


def test_a_folder_that_is_a_url_is_listed_like_one_on_the_disk():
    for name in ("val/10.jpg", "val/9.PNG", "val/x.txt", "notes/1.jpg"):
        url = f"ram://listed/{name}"
        tf.io.gfile.makedirs(url.rpartition("/")[0])
        with tf.io.gfile.GFile(url, "w") as file:
            file.write(name)
    [(split, found)] = listing.from_url("ram://listed/", SPLITS).items()
    want = [("9", ("ram://listed/val/9.PNG",)), ("10", ("ram://listed/val/10.jpg",))]
    assert split == "val" and list(found.entries()) == want
    assert listing.read_bytes("ram://listed/val/9.PNG") == b"val/9.PNG"
    with pytest.raises(FileNotFoundError):
        listing.read_bytes("ram://listed/none.jpg")
    with pytest.raises(UsageError, match="ram://listed has no images"):
        listing.from_url("ram://listed", ("test",))


def test_a_data_set_is_written_to_a_folder_not_to_a_url(capsys, tmp_path, pair_dir):
    flags = ["--input_dir", pair_dir, "--name", "x", "--data_dir", "gs://bucket/sets"]
    assert "gs://bucket/sets is a URL: wanted a folder" in _error(capsys, *flags)


def test_files_that_are_not_read_are_named(capsys, tmp_path, pair_dir):
    shutil.copytree(pair_dir, tmp_path / "in/val")
    (tmp_path / "in/val/x.heic").touch()
    assert (
        _run("--input_dir", tmp_path / "in", "--name", "x", "--data_dir", tmp_path) == 0
    )
    assert "not read (x.heic): convert" in capsys.readouterr().err


def test_the_printed_command_works_for_photographs_too(
    capsys, tmp_path, photo_dir, pair_dir, monkeypatch
):
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    for name, place in (("photos", photo_dir), ("pairs", pair_dir)):
        assert _run("--input_dir", place, "--name", name) == 0
        printed = shlex.split(capsys.readouterr().out.splitlines()[-1])
        assert printed[:3] == ["python", "-m", "pix2pix_tf.train"]
        flags = [*printed[3:], *TINY, "--max_steps", "1", "--summary_freq", "0"]
        assert train.main([*flags, "--output_dir", str(tmp_path / f"run {name}")]) == 0


def test_a_run_that_is_killed_leaves_no_half_data_set(tmp_path, pair_dir):
    code = (
        "import os, sys\n"
        "from pix2pix_tf.datasets import __main__, folder\n"
        "to_record = folder.to_record\n"
        "def die_at_two(example):\n"
        "    if example.name == '2': os.kill(os.getpid(), 9)\n"
        "    return to_record(example)\n"
        "folder.to_record = die_at_two\n"
        "__main__.main(sys.argv[1:])\n"
    )
    arguments = ["--input_dir", pair_dir, "--name", "x", "--data_dir", tmp_path]
    line = [sys.executable, "-c", code, *map(str, arguments)]
    killed = subprocess.run(line, capture_output=True, text=True)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    with pytest.raises(UsageError, match="is not known"):
        datasets.load("x", tmp_path)
    assert _run(*arguments) == 0
    assert len(_names(datasets.load("x", tmp_path), "train")) == 5


def test_a_run_that_is_told_to_stop_leaves_nothing(tmp_path, pair_dir, monkeypatch):
    to_record = folder.to_record

    def stop_at_two(example):
        if example.name == "2":
            signal.raise_signal(signal.SIGTERM)
        return to_record(example)

    monkeypatch.setattr(folder, "to_record", stop_at_two)
    arguments = ["--input_dir", pair_dir, "--name", "x", "--data_dir", tmp_path]
    before = signal.getsignal(signal.SIGTERM)
    assert _run(*arguments) == 128 + signal.SIGTERM
    assert signal.getsignal(signal.SIGTERM) == before
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


@pytest.mark.parametrize(
    "name, wanted",
    [
        ("mnist", "mnist"),
        ("mnist:3.0.1", "mnist:3.0.1"),
        ("mnist:3.*.*", "mnist:3.*.*"),
        ("pix2pix:facades", "pix2pix/facades"),
        ("pix2pix/facades", "pix2pix/facades"),
        ("pix2pix:facades:1.0.0", "pix2pix/facades:1.0.0"),
        ("cycle_gan/maps:2.0.0", "cycle_gan/maps:2.0.0"),
        ("robotics:mt_opt", "robotics:mt_opt"),
    ],
)
def test_a_configuration_may_follow_a_colon(name, wanted):
    assert find.to_tfds_name(name) == wanted


def test_what_others_prepared_is_found_where_tfds_data_dir_says(tmp_path, monkeypatch):
    tfds.testing.DummyDataset(data_dir=tmp_path).download_and_prepare()
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    builder = datasets.load("dummy_dataset:1.0.0")
    ids = [int(record["id"]) for record in records.records(builder, "train")]
    assert sorted(ids) == [0, 1, 2] and records.image_names(builder) == []


@pytest.mark.parametrize(
    "name, words",
    [
        ("no_such_set", "is not known"),
        ("pix2pix:no_such", "no_such"),
        ("mnist:9.9.9", "9.9.9"),
        ("two words", "cannot be used"),
    ],
)
def test_a_name_that_cannot_be_used_is_told_in_one_line(tmp_path, name, words):
    with pytest.raises(UsageError, match=words) as error:
        datasets.load(name, tmp_path)
    assert "\n" not in str(error.value)


def test_help_and_the_table_answer_without_tensorflow():
    code = (
        "import sys; from pix2pix_tf.datasets import __main__, addresses\n"
        "try: __main__.main(['--help'])\n"
        "except SystemExit as error: assert error.code == 0\n"
        "assert not {'tensorflow', 'tensorflow_datasets'} & set(sys.modules)"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert shown.returncode == 0, shown.stderr
    assert "--paper" in shown.stdout and "--no_flip" not in shown.stdout
