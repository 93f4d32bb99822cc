"""One run in a folder at a time, however processes end."""

import os
import subprocess
import sys

import pytest

from pix2pix_tf import train
from pix2pix_tf.runtime import locks

HOLD = """
import sys
from pix2pix_tf.runtime import locks
with locks.hold(sys.argv[1]):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def holder(tmp_path):
    """Another process, which holds tmp_path / "run"."""
    command = [sys.executable, "-c", HOLD, str(tmp_path / "run")]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, text=True, **pipes) as process:
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_a_second_run_in_a_folder_is_refused_by_the_process_that_is_there(
    holder, tmp_path, capsys
):
    folder = tmp_path / "run"
    assert train.main(["--mode", "train", "--output_dir", str(folder)]) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert f"--output_dir {folder} is in use by process {holder.pid}: wait" in line


def test_a_killed_process_holds_nothing(holder, tmp_path):
    holder.kill()
    holder.wait()
    path = tmp_path / "run" / locks.LOCK_NAME
    assert path.read_text() == str(holder.pid)
    with locks.hold(tmp_path / "run"):
        assert path.read_text() == str(os.getpid())
    assert not path.exists() and path.parent.exists()


def test_a_folder_that_cannot_be_locked_is_used_with_a_warning(tmp_path, capsys):
    (tmp_path / locks.LOCK_NAME).mkdir()
    with locks.hold(tmp_path):
        (tmp_path / "a.txt").touch()
    out = capsys.readouterr().err
    assert out.startswith(f"warning: {tmp_path} cannot be locked (")


@pytest.mark.parametrize("is_used", [False, True])
def test_a_new_folder_is_removed_if_nothing_was_written(tmp_path, is_used):
    with locks.hold(tmp_path / "new"):
        if is_used:
            (tmp_path / "new" / "a.txt").touch()
    assert (tmp_path / "new").exists() == is_used


RACE = """
import os, sys
from pathlib import Path
from pix2pix_tf.runtime import locks
from pix2pix_tf.runtime.errors import UsageError
done = 0
while done < 50:
    try:
        with locks.hold(Path(sys.argv[1], "run")):
            os.mkdir(Path(sys.argv[1], "held"))  # fails if another process is inside
            os.rmdir(Path(sys.argv[1], "held"))
            done += 1
    except UsageError:
        pass
"""


def test_processes_that_race_never_hold_together(tmp_path):
    command = [sys.executable, "-c", RACE, str(tmp_path)]
    processes = [
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        for _ in range(2)
    ]
    outputs = [process.communicate()[0] for process in processes]
    assert outputs == [b"", b""]
