"""What is shown while a command works: on a terminal, elsewhere, and with --quiet."""

import io
import re
import sys

import pytest

from pix2pix_tf import train
from tests.conftest import SMALL


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def run(pair_dir, tmp_path, monkeypatch, capsys):
    """A function that runs a command and returns what it writes, (stdout, stderr)."""

    def run_on(stdout, *flags):
        monkeypatch.setenv("COLUMNS", "100")
        with monkeypatch.context() as context:
            if stdout is not None:
                context.setattr(sys, "stdout", stdout)
            arguments = ["--input_dir", str(pair_dir), *map(str, flags)]
            assert train.main(arguments) == 0
        captured = capsys.readouterr()
        return (stdout.getvalue() if stdout else captured.out), captured.err

    return run_on


def _train_flags(folder):
    return ["--mode", "train", *SMALL, "--max_steps", 3, "--output_dir", folder]


def test_a_terminal_has_a_bar_in_place_of_lines(run, tmp_path):
    flags = ["--progress_freq", 1, "--summary_freq", 2, "--save_freq", 2]
    out, _ = run(Terminal(), *_train_flags(tmp_path / "run"), *flags)
    shown = re.split(r"[\r\n]+", out)
    assert any(re.match(r"step .*\| 0/3 compiling the step", text) for text in shown)
    assert any(re.match(r"step 100%\|.*\| 3/3 ", text) for text in shown)
    assert any("recording summary" in text for text in shown)
    assert not any(text.startswith(("progress", "gen_loss")) for text in shown)
    test = ["--mode", "test", "--checkpoint", tmp_path / "run"]
    out, _ = run(Terminal(), *test, "--output_dir", tmp_path / "test")
    assert "image 100%|" in out and "| 5/5" in out and "evaluated image" not in out


def test_elsewhere_there_are_lines_and_no_bar(run, tmp_path):
    out, _ = run(None, *_train_flags(tmp_path / "run"), "--progress_freq", 1)
    assert out.count("\nprogress  epoch 1  step ") == 3 and "|" not in out


def test_quiet_leaves_warnings_only_and_is_not_inherited(run, tmp_path):
    (tmp_path / "run").mkdir()
    flags = [*_train_flags(tmp_path / "run"), "--resume", "auto"]
    assert run(None, *flags, "--quiet") == ("", "")
    assert run(Terminal(), *flags, "--quiet", "--max_steps", 4) == ("", "")
    out, _ = run(None, *flags, "--max_steps", 5)
    assert "resuming after step 4" in out


def test_the_changed_options_come_after_the_checks(run, tmp_path, capsys):
    out, _ = run(None, *_train_flags(tmp_path / "run"))
    lines = out.splitlines()
    assert lines[0] == "options that are not defaults:"
    assert any(re.match("  The run: .*max_steps = 3", line) for line in lines)
    assert f"  all: {tmp_path / 'run' / 'options.json'}" in lines
    wrong = ["--mode", "train", "--input_dir", str(tmp_path / "none")]
    assert train.main([*wrong, "--output_dir", str(tmp_path / "new")]) == 2
    assert capsys.readouterr().out == ""
