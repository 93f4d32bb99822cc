"""Whole commands of the package in processes of their own, their lines with times."""

import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import NamedTuple

from benchmarks.variants import read_peak_mb

SAMPLE_INTERVAL_S = 0.05  # of memory


class Run(NamedTuple):
    """What one command did."""

    lines: list  # of (seconds since its start, str)
    seconds: float  # until its end
    peak_mb: float


def run_command(flags):
    """Runs `python -m pix2pix_tf.train` with these flags.

    Returns:
        Run.

    Raises:
        SystemExit: the command failed; the message is its own last line.
    """
    root = str(Path(__file__).parents[1])
    path = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))
    started = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-u", "-m", "pix2pix_tf.train", *flags],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=os.environ | {"PYTHONPATH": path},
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
            sys.exit(lines[-1][1] if lines else f"{flags}: failed without a word")
    finally:
        process.kill()  # does nothing to what has ended
        watcher.join()
    return Run(lines, time.perf_counter() - started, max(peaks))


def _watch(process, peaks):
    """Reads the process's peak memory until it ends."""
    while process.poll() is None:
        peaks.append(read_peak_mb(process.pid) or 0.0)
        time.sleep(SAMPLE_INTERVAL_S)
