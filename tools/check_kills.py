"""Kills one of two processes that train together, at random moments, and starts again.

    python tools/check_kills.py --kills 20 --folder /tmp/kills

trains a tiny network without a break, and again with breaks: SIGKILL of either process,
and the same command. Each time the other process must end by itself with one line that
names the lost one. Both runs must end with the same bits.
"""

import argparse
import os
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

from launch_local import environments
from pix2pix_tf.runtime import command
from pix2pix_tf.runtime.errors import RunError, UsageError

FLAGS = "--mode train --strategy multi_worker --deterministic --resume auto --seed 5"
FLAGS += " --ngf 1 --ndf 1 --crop_size 32 --n_layers 1 --batch_size 2 --save_freq 5"
FLAGS += " --progress_freq 1 --summary_freq 50"
QUIET = {"TF_CPP_MIN_LOG_LEVEL": "3"}  # as the command itself sets it
MAX_SECONDS = 60  # until the other process must have ended
LOST = r"pix2pix-tf: error: lost worker {} \(127\.0\.0\.1:\d+\): start all .*\n"


class Pair:
    """Two processes that train together, with what they print in files.

    Args:
        folder: of the run and the files.
        flags: more flags of the training.
    """

    def __init__(self, folder: Path, *flags: str):
        folder.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "pix2pix_tf.train", *FLAGS.split(), *flags]
        command += ["--output_dir", str(folder / "run")]
        self._logs = [folder / f"{number}.log" for number in range(2)]
        self.processes = []
        for log, one in zip(self._logs, environments(2), strict=True):
            with log.open("w") as out, log.with_suffix(".err").open("w") as err:
                self.processes.append(
                    subprocess.Popen(
                        command, env=os.environ | QUIET | one, stdout=out, stderr=err
                    )
                )

    def wait_for_step(self):
        """Waits until the first step of this start is done."""
        while "progress  epoch" not in self._logs[0].read_text():
            if any(self.statuses()):
                self.wait()
            time.sleep(0.05)

    def kill(self, victim: int) -> tuple[int, float]:
        """Kills one; returns the other's exit status, and the seconds until its end."""
        self.processes[victim].send_signal(signal.SIGKILL)
        started, other = time.monotonic(), self.processes[1 - victim]
        try:
            return other.wait(MAX_SECONDS), time.monotonic() - started
        finally:
            other.kill()
            self.processes[victim].wait()

    def statuses(self) -> list:
        return [process.poll() for process in self.processes]

    def wait(self):
        """Waits for the end of both; raises RunError if one has failed."""
        for process in self.processes:
            process.wait()
        if any(self.statuses()):
            raise RunError(self.errors(0) + self.errors(1))

    def errors(self, number: int) -> str:
        """Returns what a process printed to stderr, but for TensorFlow's own lines."""
        text = self._logs[number].with_suffix(".err").read_text()
        return "".join(
            line
            for line in text.splitlines(keepends=True)
            if not re.match(r"[IWE]\d{4} |WARNING: All log messages", line)
        )


def bits_of(folder: Path) -> bytes:
    """Returns the newest checkpoint's bytes of a run."""
    [path] = (folder / "run").glob("model-*.data-*")
    return path.read_bytes()


def main(argv: list[str] | None = None) -> int:
    """Runs one command line; returns the exit status."""
    return command.run("check_kills", lambda: _run(parse(argv)))


def parse(argv: list[str] | None = None) -> argparse.Namespace:
    """Returns the namespace of a command line; raises UsageError for a wrong one."""
    parser = command.Parser("check_kills", __doc__)
    parser.add_argument("--kills", type=int, default=20, help="default: 20")
    parser.add_argument(
        "--steps", type=int, default=1500, help="of the run (default: 1500)"
    )
    parser.add_argument("--seed", type=int, default=1, help="of the moments")
    parser.add_argument("--folder", type=Path, required=True, help="where to write")
    return parser.parse_args(argv)


def _run(args):
    draw, flags = random.Random(args.seed), ["--max_steps", str(args.steps)]
    Pair(args.folder / "unbroken", *flags).wait()
    broken, waits = args.folder / "broken", []
    for number in range(1, args.kills + 1):
        pair, victim = Pair(broken, *flags), draw.randrange(2)
        pair.wait_for_step()
        time.sleep(draw.uniform(0, 3))
        if pair.statuses() != [None, None]:
            raise UsageError(f"the run ended before kill {number}: give more --steps")
        status, seconds = pair.kill(victim)
        print(f"{number}: worker {victim}, {seconds:.1f} s, {status}", flush=True)
        check_told(pair, victim, status)
        waits.append(seconds)
    Pair(broken, *flags).wait()
    print(f"{args.kills} kills: the others ended after at most {max(waits):.1f} s")
    if bits_of(args.folder / "unbroken") != bits_of(broken):
        raise RunError("the two runs have other bits")
    print("the same bits")


def check_told(pair: Pair, victim: int, status: int):
    """Raises RunError unless a process named the lost one in one line."""
    text = pair.errors(1 - victim)
    if status != 1 or not re.fullmatch(LOST.format(victim), text):
        raise RunError(f"the other process ended with {status} and: {text}")


if __name__ == "__main__":
    sys.exit(main())
