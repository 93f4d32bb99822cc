"""Runs whole commands of the package, and notes when they print each line."""

import subprocess
import sys
import threading
import time
from typing import NamedTuple

from pix2pix_tf.runtime.errors import RunError
from timing import read_peak_mb

SAMPLE_INTERVAL_S = 0.05  # between two readings of the peak memory


class Run(NamedTuple):
    """What one command did."""

    lines: list  # of (seconds since its start, str)
    seconds: float  # from its start to its end
    peak_mb: float  # 0 if the system is not Linux


def run_command(flags):
    """Runs `python -m pix2pix_tf.train` with a list of flags.

    Returns:
        Run.

    Raises:
        RunError: the command failed. The message is its last line.
    """
    started = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-u", "-m", "pix2pix_tf.train", *flags],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    peaks = [0.0]
    watcher = threading.Thread(target=_watch, args=(process, peaks))
    watcher.start()
    try:
        with process.stdout:
            lines = [
                (time.perf_counter() - started, line.rstrip())
                for line in process.stdout
            ]
        if process.wait():
            raise RunError(lines[-1][1] if lines else "the command printed nothing")
    finally:
        process.kill()  # does nothing to a process that has ended
        watcher.join()
    return Run(lines, time.perf_counter() - started, max(peaks))


def _watch(process, peaks):
    """Appends the process's peak memory to a list until it ends."""
    while process.poll() is None:
        peaks.append(read_peak_mb(process.pid) or 0.0)
        time.sleep(SAMPLE_INTERVAL_S)
