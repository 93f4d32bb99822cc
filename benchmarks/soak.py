"""Kills, starves and damages a run; in the end it must equal a run left alone.

    python benchmarks/soak.py

The same command trains one tiny network twice, with `--resume auto --deterministic`,
and with validation, summaries and images on: once in one go, and once while it is

- killed by SIGKILL, --kills times: a fifth of them while it starts, the others evenly
  in training steps, in summaries, while images are displayed, in saves and the
  validation that follows every second save, and just after a validation;
- sometimes left without space on its disk (a small tmpfs, if one can be mounted);
- sometimes given a damaged image in the middle of an epoch, or a truncated newest
  checkpoint.

After each fault everything on disk must be readable: options, checkpoints, validation
results, event files, the page and the images. At the end both runs are compared bit by
bit: weights, Adam slots and moving averages, also of the best model, what TensorBoard
shows but for speed and memory, validation results and images.

--memory measures instead the memory of one run of 3,000 steps with everything on. The
exit status is 1 if anything differs. 50 kills take some 15 minutes on two cores, most
of them for the starts of as many processes.
"""

import argparse
import contextlib
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil
from PIL import Image

from pix2pix_tf.runtime import command
from pix2pix_tf.runtime.errors import RunError
from pix2pix_tf.runtime.start import start_tensorflow

STEPS_PER_KILL = 20  # of the whole run
MAX_KILL_STEPS = 25  # steps that a process does before the moment of its death
SAVE_FREQ = 5  # steps
NUM_PAIRS, NUM_HELD_OUT = 7, 3
BATCH_SIZE = 2
START_S = 5.0  # a process killed while it starts is killed within this time
# {the line after which a process is killed: within which time, about as long as the
# work takes that the line announces}
MOMENTS_S = {
    "progress": 0.1,
    "recording summary": 0.15,
    "saving display images": 0.03,
    "saving model": 0.3,
    "validation": 0.03,
}
FAULT_EVERY = 8  # kills, between two other faults
DISK_SIZE = "512m"
MAX_LISTED = 20  # problems that are printed
MEMORY_STEPS = (500, 3000)
MEMORY_GROWTH = 1.1  # at most, between these steps


def main(argv: list[str] | None = None) -> int:
    """Runs one command line; returns the exit status."""
    return command.run("soak", lambda: _run(parse(argv)))


def parse(argv: list[str] | None = None) -> argparse.Namespace:
    """Returns the namespace of a command line; raises UsageError for a wrong one."""
    parser = command.Parser("soak", __doc__)
    add = parser.add_argument
    add("--kills", type=int, default=50, help="how many (default: 50)")
    add("--seed", type=int, default=0, help="the seed of the faults (default: 0)")
    add("--memory", action="store_true", help="check the memory only")
    return parser.parse_args(argv)


def _run(given):
    start_tensorflow()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_pairs(folder / "pairs", NUM_PAIRS)
        write_pairs(folder / "held_out", NUM_HELD_OUT)
        if given.memory:
            return check_memory(folder)
        with small_disk(folder / "disk") as is_small:
            return Soak(folder, is_small, given).run()


class Soak:
    """A run that is broken again and again, and the problems that were found."""

    def __init__(self, folder, is_small, given):
        self.folder, self.is_small, self.kills = folder, is_small, given.kills
        self.run_dir = folder / "disk" / "run"
        self.random = random.Random(given.seed)
        self.steps = max(STEPS_PER_KILL * given.kills, 4 * SAVE_FREQ)
        self.faults = Counter()
        self.lost_steps = 0
        self.problems = []

    def run(self):
        """Returns the exit status."""
        import run_files

        whole_dir = self.folder / "whole"
        started = time.monotonic()
        finish(self.command(whole_dir))
        print(f"unbroken: {self.steps} steps in {time.monotonic() - started:.0f} s")
        for number in range(1, self.kills + 1):
            self.kill()
            if number % FAULT_EVERY == 0:
                kinds = (self.fill_disk, self.damage_image, self.cut_checkpoint)
                kinds[number // FAULT_EVERY % len(kinds)]()
            step = run_files.newest_step(self.run_dir)
            print(f"kill {number}: the newest checkpoint is of step {step}", flush=True)
        try:
            finish(self.command(self.run_dir))
            self.problems += run_files.compare(whole_dir, self.run_dir)
        except RunError as error:
            self.problems.append(f"the last command failed: {error}")
        print("faults: " + ", ".join(f"{n} {name}" for name, n in self.faults.items()))
        if not self.is_small:
            print("skipped: full disks, as nothing can be mounted here")
        print(f"steps lost and repeated: {self.lost_steps}")
        listed = self.problems[:MAX_LISTED]
        print(f"problems: {len(self.problems)}", *listed, sep="\n  ")
        return 1 if self.problems else 0

    def command(self, output_dir):
        """Returns the command that both runs use."""
        return make_command(
            self.folder,
            output_dir,
            *("--max_steps", self.steps, "--save_freq", SAVE_FREQ),
            *("--summary_freq", 5, "--display_freq", 10, "--val_freq", 2 * SAVE_FREQ),
        )

    def kill(self):
        """Starts the command and kills it at a random moment."""
        if self.random.random() < 0.2:
            moment, limit_s = "the start", START_S
        else:
            moment, limit_s = self.random.choice(list(MOMENTS_S.items()))
        self.faults[f"killed after {moment}"] += 1
        step = None
        with start(self.command(self.run_dir)) as process:
            if moment in MOMENTS_S:
                step = read_steps(process, self.random.randint(1, MAX_KILL_STEPS))
                step = read_steps(process, until=moment) or step
            time.sleep(self.random.random() * limit_s)
            process.kill()
        self.check(step)

    def fill_disk(self):
        """Takes all space of the disk: the run must say so and end."""
        if not self.is_small:
            return
        self.faults["disk full"] += 1
        ballast = self.folder / "disk" / "ballast"
        with start(self.command(self.run_dir)) as process:
            step = read_steps(process, SAVE_FREQ + 1)
            with contextlib.suppress(OSError), ballast.open("wb", 0) as file:
                while True:
                    file.write(bytes(1 << 16))
            self.expect_error(process, "No space left")
        ballast.unlink()
        self.check(step)

    def damage_image(self):
        """Damages an image in the middle of an epoch: the run must name it and end."""
        self.faults["image damaged"] += 1
        path = self.folder / "pairs" / "1.png"
        contents = path.read_bytes()
        with start(self.command(self.run_dir)) as process:
            step = read_steps(process, 3)
            path.write_bytes(contents[:50])
            self.expect_error(process, "1.png")
        path.write_bytes(contents)
        self.check(step)

    def cut_checkpoint(self):
        """Truncates the newest checkpoint: the run must go on from the one before."""
        import run_files

        step = run_files.newest_step(self.run_dir)
        if step <= SAVE_FREQ:
            return
        self.faults["checkpoint truncated"] += 1
        path = self.run_dir / f"model-{step}.data-00000-of-00001"
        path.write_bytes(path.read_bytes()[:-100])
        self.check(step)

    def expect_error(self, process, words):
        """Waits for the command to end with status 2 and one line with these words."""
        _, errors = process.communicate()
        lines = [line for line in errors.splitlines() if line.startswith("pix2pix-tf")]
        if process.returncode != 2 or len(lines) != 1 or words not in lines[0]:
            self.problems.append(
                f"wanted status 2 and {words!r}, got {process.returncode}: {errors}"
            )

    def check(self, step):
        """Reads what a fault left; `step` is the last step that was seen, or None."""
        import run_files

        try:
            run_files.check(self.run_dir)
            saved = run_files.newest_step(self.run_dir)
            self.lost_steps += max((step or saved) - saved, 0)
        except ValueError as error:
            self.problems.append(f"not readable after a fault: {error}")


def make_command(folder: Path, output_dir: Path, *flags) -> list[str]:
    """Returns the command that trains a tiny network, with `flags` at its end."""
    command_line = [
        *(sys.executable, "-u", "-m", "pix2pix_tf.train", "--mode", "train"),
        *("--input_dir", folder / "pairs", "--val_dir", folder / "held_out"),
        *("--output_dir", output_dir, "--resume", "auto", "--keep_checkpoints", 2),
        *("--deterministic", "--seed", 1, "--batch_size", BATCH_SIZE),
        *("--ngf", 1, "--ndf", 1, "--crop_size", 32, "--n_layers", 1),
        *("--progress_freq", 1, *flags),
    ]
    return [str(word) for word in command_line]


def write_pairs(folder: Path, count: int) -> None:
    """Writes some small pairs of noise."""
    folder.mkdir()
    for number in range(1, count + 1):
        pair = np.random.default_rng(number).integers(0, 256, [40, 80, 3], np.uint8)
        Image.fromarray(pair).save(folder / f"{number}.png")


@contextlib.contextmanager
def small_disk(folder: Path) -> Iterator[bool]:
    """Mounts a small tmpfs at a folder; yields True if that was possible."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK_SIZE}", "tmpfs", str(folder)]
    try:
        is_small = subprocess.run(mount, stderr=subprocess.DEVNULL).returncode == 0
    except OSError:
        is_small = False
    try:
        yield is_small
    finally:
        if is_small:
            subprocess.run(["umount", "--lazy", str(folder)], check=True)


def start(command_line: list[str]) -> subprocess.Popen:
    """Returns the process of a command; its output is read line by line."""
    pipe = subprocess.PIPE
    return subprocess.Popen(command_line, stdout=pipe, stderr=pipe, text=True)


def finish(command_line: list[str]) -> None:
    """Runs a command to its end.

    Raises:
        RunError: it failed. The message has its status and last line.
    """
    done = subprocess.run(command_line, capture_output=True, text=True)
    if done.returncode:
        last = (done.stderr or done.stdout).strip().rpartition("\n")[2]
        raise RunError(f"status {done.returncode}: {last}")


def read_steps(
    process: subprocess.Popen, count: int = 1, until: str = "progress"
) -> int | None:
    """Reads a command's lines up to so many of a kind, or to its end.

    Args:
        until: how the lines begin that are counted.

    Returns:
        The last step that it has reported, or None.
    """
    step, steps_per_epoch = None, -(-NUM_PAIRS // BATCH_SIZE)
    for line in process.stdout:
        if line.startswith("progress "):
            words = line.split()
            step = (int(words[2]) - 1) * steps_per_epoch + int(words[4])
        count -= line.replace("\n", " ").startswith(f"{until} ")
        if count == 0:
            break
    return step


def check_memory(folder: Path) -> int:
    """Compares a run's memory early and late; returns the exit status."""
    first, last = MEMORY_STEPS
    command_line = make_command(
        folder,
        folder / "run",
        *("--max_steps", last + 100, "--save_freq", 100, "--val_freq", 100),
        *("--summary_freq", 10, "--display_freq", 50),
    )
    sizes_mb = {}
    with start(command_line) as process:
        for step, count in ((first, first), (last, last - first)):
            if read_steps(process, count) != step:
                raise RunError(f"the run ended before step {step}")
            sizes_mb[step] = psutil.Process(process.pid).memory_info().rss / 1e6
            print(f"step {step}: {sizes_mb[step]:.0f} MB", flush=True)
        process.communicate()
    growth = sizes_mb[last] / sizes_mb[first]
    print(f"growth: {growth:.3f}, at most {MEMORY_GROWTH}")
    return 0 if process.returncode == 0 and growth <= MEMORY_GROWTH else 1


if __name__ == "__main__":
    sys.exit(main())
