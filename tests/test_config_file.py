"""The file of --config, and the files in configs/."""

import re
import shlex
from pathlib import Path

import pytest

import pix2pix_tf.dcgan.options as dcgan
from pix2pix_tf.datasets import addresses
from pix2pix_tf.options import FLAGS, parse, read_config, to_dict
from pix2pix_tf.runtime.errors import UsageError
from pix2pix_tf.train import main

RECIPES = sorted(Path(__file__).parents[1].glob("configs/*.toml"))
# What the paper says of every data set, even where it is the default.
OF_THE_PAPER = {"max_epochs", "batch_size", "which_direction", "scale_size", "flip"}


@pytest.fixture(autouse=True)
def in_empty_folder(tmp_path, monkeypatch):
    """Without --output_dir, a folder is created in the current one."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def write(tmp_path):
    """Returns a function that writes a config file and returns its path."""

    def write_file(text):
        path = tmp_path / "my.toml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return str(path)

    return write_file


def parse_config(path, *argv):
    return to_dict(parse(["--mode", "train", "--config", path, *argv]))


def test_a_file_sets_flags_of_every_type(write, monkeypatch):
    monkeypatch.setenv("HOME", "/home/me")
    path = write(
        "ngf = 8\nlr = 1\nflip = false\nnorm = 'none'\ninput_dir = '~/a'\n"
        "crop_size = [128, 256]\nscale_size = [256, 256]\n"
    )
    found = parse_config(path)
    assert found["ngf"] == 8 and found["norm"] == "none" and found["flip"] is False
    assert found["lr"] == 1.0 and isinstance(found["lr"], float)
    assert found["input_dir"] == "/home/me/a"
    assert found["crop_size"] == (128, 256) and found["scale_size"] == 256
    assert "config" not in found


def test_the_command_line_overrules_the_file(write):
    path = write("ngf = 8\nndf = 8\nflip = false\ndeterministic = true\n")
    found = parse_config(path, "--ngf", "16", "--flip", "--no_deterministic")
    assert (found["ngf"], found["ndf"]) == (16, 8)
    assert found["flip"] and not found["deterministic"]


def test_the_mode_may_stand_in_the_file(write):
    assert parse(["--config", write("mode = 'train'")]).run.mode == "train"
    with pytest.raises(UsageError, match="--mode is missing"):
        parse(["--config", write("ngf = 8")])


def test_a_flag_of_the_file_is_refused_in_another_mode(write):
    with pytest.raises(UsageError, match="--lr cannot be used in --mode test"):
        parse(["--mode", "test", "--checkpoint", "x", "--config", write("lr = 0.1")])


def test_a_run_is_continued_by_the_same_file_but_not_by_a_contradicting_one(
    write, tmp_path
):
    run = tmp_path / "run"
    run.mkdir()
    (run / "options.json").write_text('{"mode": "train", "ngf": 8, "lr": 0.1}')
    (run / "checkpoint").touch()
    text = f"resume = 'auto'\noutput_dir = '{run}'\n"
    assert parse_config(write(text + "ngf = 8"))["lr"] == 0.1
    with pytest.raises(UsageError, match="--ngf 9 contradicts the run"):
        parse_config(write(text + "ngf = 9"))


@pytest.mark.parametrize(
    "text, words",
    [
        ("max_epoch = 3", ["'max_epoch' is not a flag", "max_epochs"]),
        ("no_flip = true", ["'no_flip' is not a flag", "flip"]),
        ("config = 'other.toml'", ["'config' is not a flag"]),
        ("[training]\nngf = 8", ["'training' is a table"]),
        ("[mode]\nngf = 8", ["mode must be text"]),
        ("ngf = '8'", ["ngf must be a whole number", "'8'"]),
        ("ngf = 8.0", ["ngf must be a whole number", "8.0"]),
        ("ngf = 0", ["ngf must be at least 1, got 0"]),
        ("lr = nan", ["lr must be a finite number"]),
        ("flip = 1", ["flip must be true or false, got 1"]),
        ("norm = 'x'", ["norm must be one of batch"]),
        ("crop_size = [256]", ["crop_size must be a whole number, or a height"]),
        ("crop_size = [256, 256.0]", ["crop_size must be a whole number"]),
        ('input_dir = "a\\u0000"', ["input_dir must be text without a null"]),
        ("ngf = 8\nngf = 8", ["each flag once: Cannot overwrite"]),
        ("ngf 8", ["is not a TOML file", "line 1"]),
        (b"ngf = 8 # \xff", ["is not a TOML file", "0xff"]),
        ("a = " + "[" * 9999, ["is not a TOML file"]),
    ],
)
def test_a_bad_file_is_refused_with_its_name_and_the_key(write, text, words):
    path = write(text)
    with pytest.raises(UsageError) as error:
        parse_config(path)
    assert all(word in str(error.value) for word in [path, *words]), str(error.value)


@pytest.mark.parametrize("path", ["nowhere.toml", "."])
def test_a_file_that_cannot_be_read_ends_with_one_line(path, capsys):
    assert main(["--mode", "train", "--config", path]) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert f"--config {path} cannot be read: " in line


def test_a_byte_order_mark_is_no_error(write):
    assert parse_config(write(b"\xef\xbb\xbfngf = 8"))["ngf"] == 8


def test_dcgan_takes_a_file_of_its_own_flags(write):
    path = write("batch_size = 4\noutput_dir = 'x'\n")
    assert dcgan.parse(["--config", path, "--batch_size", "2"]).data.batch_size == 2
    with pytest.raises(UsageError, match="'ngf' is not a flag"):
        dcgan.parse(["--config", write("ngf = 8")])


def test_there_is_a_recipe_for_each_experiment_of_the_paper():
    names = {path.stem for path in RECIPES}
    assert names >= {*addresses.ARCHIVES, "colorization"}


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_the_command_in_a_recipe_trains_with_what_the_paper_says(path, monkeypatch):
    text = path.read_text()
    [argv] = re.findall(r"^# *pix2pix-tf (--mode .*)$", text, re.MULTILINE)
    monkeypatch.chdir(path.parents[1])
    options = to_dict(parse(shlex.split(argv)))
    given = read_config(path, FLAGS)
    assert {name: options[name] for name in given} == given
    usual = {name for name, value in given.items() if value == FLAGS[name].default}
    assert usual <= OF_THE_PAPER <= given.keys()
    archive = addresses.ARCHIVES.get(path.stem)
    if archive:
        assert f"pix2pix-tf download {path.stem} --output_dir data" in text
        assert given["input_dir"] == f"data/{path.stem}/train"
        assert ("val_dir" in given) == ("val" in archive.splits)
