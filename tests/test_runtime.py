"""How commands start and end: exit statuses, signals, streams that fail."""

import os
import signal
import subprocess
import sys
import threading

import pytest

from pix2pix_tf.runtime import command
from pix2pix_tf.runtime.errors import RunError, UsageError


def _raise(error):
    raise error


@pytest.mark.parametrize(
    "error, status",
    [
        (UsageError("--x is\x1b wrong"), 2),
        (FileNotFoundError(2, "No such file", "a.png"), 2),
        (RunError("not finite"), 1),
    ],
)
def test_an_error_is_one_line_and_a_status(error, status, capsys):
    assert command.run("prog", lambda: _raise(error)) == status
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith("prog: error: ") and "\x1b" not in line


def test_a_signal_ends_with_its_status_after_finally_blocks(capsys):
    ended = []

    def work():
        try:
            os.kill(os.getpid(), signal.SIGTERM)
        finally:
            ended.append(True)

    assert command.run("prog", work, "goes on") == 143 and ended == [True]
    assert "the same command goes on" in capsys.readouterr().err
    assert command.run("prog", lambda: _raise(KeyboardInterrupt())) == 130
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


def test_a_command_runs_in_a_thread():
    statuses = []
    work = threading.Thread(target=lambda: statuses.append(command.run("p", int)))
    work.start()
    work.join()
    assert statuses == [0]


class _Broken:
    """A stream whose other end is gone."""

    encoding = "utf-8"

    def write(self, text):
        raise BrokenPipeError

    def flush(self):
        raise BrokenPipeError


def test_messages_that_cannot_be_written_do_not_end_the_work(monkeypatch):
    done = []

    def work():
        print("hello", flush=True)
        print("hello", file=sys.stderr)
        done.append(True)

    for stream in (_Broken(), None):
        monkeypatch.setattr(sys, "stdout", stream)
        monkeypatch.setattr(sys, "stderr", stream)
        assert command.run("prog", work) == 0
    assert done == [True, True]


CODE = """
import sys
from pix2pix_tf.runtime import command
def work():
    for _ in range(100_000): print("写真.jpg", flush=False)
    open(sys.argv[1], "w").write("done")
    return 3
sys.exit(command.run("prog", work))
"""


@pytest.mark.parametrize(
    "redirection", ["| head -1", ">&-", "2>&-", "> /dev/full", "<&- >&- 2>&-"]
)
def test_a_stream_that_fails_changes_neither_work_nor_status(tmp_path, redirection):
    if redirection == "> /dev/full" and not os.path.exists("/dev/full"):
        pytest.skip("there is no /dev/full here")
    command_line = f'"$1" -c "$2" "$3" {redirection}; exit ${{PIPESTATUS[0]}}'
    path = tmp_path / "work"
    shell = ["bash", "-c", command_line, "bash", sys.executable, CODE, str(path)]
    environment = os.environ | {"PYTHONIOENCODING": "cp1252"}
    ended = subprocess.run(shell, env=environment, stdout=subprocess.DEVNULL)
    assert path.read_text() == "done" and ended.returncode == 3
