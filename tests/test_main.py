"""The command `pix2pix-tf`: its list of commands, what it refuses, completion."""

import os
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

import pix2pix_tf
from pix2pix_tf.__main__ import COMMANDS, main

TOOLS_DIR = Path(__file__).parents[1] / "tools"
FLAGS = {
    "train": "--l1_weight",
    "test": "--checkpoint",
    "predict": "--full_size",
    "export": "--output_filetype",
    "serve": "--max_pixels",
    "dcgan": "--label_smoothing",
    "datasets": "--paper",
    "download": "--sha256",
    "process": "--operation",
    "split": "--train_frac",
    "plot": "RUN",
    "score": "--palette",
    "convert": "--to",
}


def _printed(capsys, *argv):
    """Returns what a command line prints that ends with status 0 while it is parsed."""
    with pytest.raises(SystemExit) as ended:
        main(list(argv))
    assert ended.value.code == 0
    return capsys.readouterr().out


def _error(capsys, *argv):
    """Returns the line that a wrong command line prints."""
    assert main(list(argv)) == 2
    [line] = capsys.readouterr().err.splitlines()
    return line


def test_help_lists_every_command(capsys):
    lines = _printed(capsys, "--help").splitlines()
    listed = [line.split()[0] for line in lines if line.startswith("    ")]
    assert listed == list(COMMANDS) == list(FLAGS)
    assert any("COMMAND --help" in line for line in lines)


@pytest.mark.parametrize("name", FLAGS)
def test_help_of_a_command_names_its_flags(capsys, name):
    assert FLAGS[name] in _printed(capsys, name, "--help")


def test_the_help_of_a_mode_does_not_ask_for_the_mode(capsys):
    assert "--mode {train,test,export}" in _printed(capsys, "--mode", "train", "--help")
    for mode in ("train", "test", "export"):
        assert "--mode {train,test,export}" not in _printed(capsys, mode, "--help")


@pytest.mark.parametrize("name", FLAGS)
def test_help_and_errors_begin_with_the_command_as_it_is_called(capsys, name):
    usage = _printed(capsys, name, "--help")
    assert usage.startswith(f"usage: pix2pix-tf {name} ")
    line = _error(capsys, name, "--no_such_flag")
    assert line.startswith(f"pix2pix-tf {name}: error: ")


def test_a_command_line_without_a_command_is_that_of_train(capsys):
    assert "--l1_weight" in _printed(capsys, "--mode", "train", "--help")
    assert "--checkpoint" in _error(capsys, "--mode", "test")


def test_the_version_is_printed_by_every_command(capsys):
    for argv in (["--version"], ["train", "--version"], ["split", "--version"]):
        assert _printed(capsys, *argv) == f"pix2pix_tf {pix2pix_tf.__version__}\n"


def test_a_mode_is_a_command(capsys, tmp_path, pair_dir):
    out = tmp_path / "dry"
    flags = ["--dry_run", "--input_dir", str(pair_dir), "--output_dir", str(out)]
    flags += ["--ngf", "1", "--ndf", "1", "--crop_size", "32"]
    assert main(["train", *flags]) == 0
    assert "dry_run = True" in capsys.readouterr().out
    for mode in ("test", "export"):
        assert f"--mode {mode} needs --checkpoint" in _error(capsys, mode)
    line = _error(capsys, "train", "--mode=test")
    assert line.startswith("pix2pix-tf train: error: ") and "leave --mode out" in line


def test_a_mode_overrules_that_of_a_config_file(capsys, tmp_path):
    config = tmp_path / "flags.toml"
    config.write_text('mode = "train"\n')
    assert "--mode test needs" in _error(capsys, "test", "--config", str(config))
    assert "--lr cannot" in _error(capsys, "test", "--lr", "1", "--config", str(config))


@pytest.mark.parametrize(
    "argv, words",
    [
        ([], "the command is missing"),
        (["trian"], "'trian' is not a command, did you mean train?"),
        (["q\x1b"], "is not a command (wanted one of train, test,"),
    ],
)
def test_what_is_no_command_is_refused_with_the_list(capsys, argv, words):
    line = _error(capsys, *argv)
    assert line.startswith("pix2pix-tf: error: ") and words in line
    assert "\x1b" not in line and all(name in line for name in COMMANDS)


@pytest.mark.parametrize(
    "line, completions",
    [
        ("pix2pix-tf sp", {"split"}),
        ("pix2pix-tf train --which_d", {"--which_direction"}),
        ("pix2pix-tf --mode train --which_direction ", {"AtoB", "BtoA"}),
        ("pix2pix-tf score --pal", {"--palette"}),
    ],
)
def test_a_shell_completes_commands_flags_and_choices(tmp_path, line, completions):
    path = tmp_path / "completions"
    asked = {"_ARGCOMPLETE": "1", "_ARGCOMPLETE_STDOUT_FILENAME": str(path)}
    asked |= {"COMP_LINE": line, "COMP_POINT": str(len(line))}
    command = [sys.executable, "-m", "pix2pix_tf"]
    subprocess.run(command, env=os.environ | asked, check=True, stderr=-3)
    found = path.read_text().split("\v")
    assert {text.strip() for text in found} == completions


@pytest.mark.parametrize(
    "tool, name",
    [
        ("process", "process"),
        ("split", "split"),
        ("plot_run", "plot"),
        ("score", "score"),
        ("convert_checkpoint", "convert"),
        ("download_dataset", "download"),
    ],
)
def test_a_file_in_tools_is_the_same_command(capsys, monkeypatch, tool, name):
    monkeypatch.setattr(sys, "argv", [f"{tool}.py", "--help"])
    with pytest.raises(SystemExit):
        runpy.run_path(str(TOOLS_DIR / f"{tool}.py"), run_name="__main__")
    assert capsys.readouterr().out == _printed(capsys, name, "--help")
