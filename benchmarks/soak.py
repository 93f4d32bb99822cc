"""Does a run survive: killed, starved and damaged, it must end as the unbroken one.

    python benchmarks/soak.py

One tiny network is trained twice by the same command, with `--resume auto
--deterministic`: once in one go, and once while it is

- killed by SIGKILL (`--kills 50`), a fifth of the times while it starts, else at a
  random moment of its steps, saves, summaries and pictures;
- now and then left without room on its disk (a small tmpfs, where one may be mounted);
- now and then given a damaged image in mid-epoch, or a newest checkpoint cut short.

After each fault all that is on disk must be readable: options, the newest checkpoint,
event files, the page and the pictures. At the end weights, Adam slots, moving averages,
what TensorBoard shows but for speed and memory, and pictures of both runs are compared
bit by bit. `--memory` looks instead at the memory of one run of 3,000 steps with
everything on. The status is 1 if anything differs. It takes some ten minutes on two
cores, most of it the start of 50 processes.
"""

import argparse
import contextlib
import json
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # without an installation too

import psutil

from pix2pix_tf.runtime.start import start_tensorflow

start_tensorflow()
import numpy as np
from tensorboard.backend.event_processing.plugin_event_accumulator import (
    EventAccumulator,
)

from pix2pix_tf import checkpoints
from pix2pix_tf.images import codecs, pixels
from tools.run_report import curves

STEPS_PER_KILL = 20  # of the whole run
MAX_KILL_STEPS = 32  # steps that a process does before it is killed
SAVE_FREQ = 5  # steps
DISK_SIZE = "512m"
NUM_PAIRS = 7
START_S = 5.0  # within which a process is killed while it starts
STEP_S = 0.1  # a step and what is due after it take about so long
FAULT_EVERY = 8  # kills, between two faults of another kind
UNLIKE = ("speed/", "memory/")  # tags, of what the machine was doing
MEMORY_STEPS = (500, 3000)
MEMORY_GROWTH = 1.1  # between these steps, at most


def main(argv=None):
    """Runs what the flags say; returns the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0, help="of the faults")
    parser.add_argument("--memory", action="store_true", help="only the memory's check")
    given = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_pairs(folder / "pairs")
        if given.memory:
            return check_memory(folder)
        with small_disk(folder / "disk") as is_small:
            return Soak(folder, is_small, given).run()


class Soak:
    """One run that is broken over and over, and what became of it."""

    def __init__(self, folder, is_small, given):
        self.folder, self.is_small, self.kills = folder, is_small, given.kills
        self.run_dir, self.pair_dir = folder / "disk" / "run", folder / "pairs"
        self.random = random.Random(given.seed)
        self.steps = max(STEPS_PER_KILL * given.kills, 2 * SAVE_FREQ)
        self.faults = Counter()
        self.lost_steps = 0
        self.problems = []

    def run(self):
        """Returns the exit status."""
        whole_dir = self.folder / "whole"
        started = time.monotonic()
        subprocess.run(self.command(whole_dir), check=True, stdout=subprocess.DEVNULL)
        print(f"unbroken: {self.steps} steps in {time.monotonic() - started:.0f} s")
        for number in range(1, self.kills + 1):
            self.kill()
            if number % FAULT_EVERY == 0:
                kinds = (self.fill_disk, self.damage_image, self.cut_checkpoint)
                kinds[number // FAULT_EVERY % len(kinds)]()
            print(f"kill {number}: at step {self.saved_step()}", flush=True)
        status, last_line = self.go(self.command(self.run_dir))
        if status:
            self.problems.append(f"the last command: status {status}: {last_line}")
        else:
            self.problems += compare(whole_dir, self.run_dir)
        print(f"faults injected: {dict(self.faults)}")
        if not self.is_small:
            print("skipped: full disks, as nothing can be mounted here")
        print(f"steps lost, and done again: {self.lost_steps}")
        print(f"problems: {len(self.problems)}")
        for problem in self.problems:
            print(f"  {problem}")
        return 1 if self.problems else 0

    def command(self, output_dir):
        return make_command(self.pair_dir, output_dir, self.steps) + [
            *("--progress_freq", "1", "--summary_freq", "5", "--display_freq", "10"),
            *("--save_freq", str(SAVE_FREQ), "--keep_checkpoints", "2"),
        ]

    def kill(self):
        """Starts the command and kills it at some moment."""
        self.faults["SIGKILL"] += 1
        steps = self.random.randint(1, MAX_KILL_STEPS)
        if self.random.random() < 0.2:
            steps = 0
        with self.start() as process:
            step = None if steps == 0 else read_steps(process, steps)
            time.sleep(self.random.random() * (STEP_S if steps else START_S))
            process.kill()
        self.check(step)

    def fill_disk(self):
        """Leaves the run without room: it must say so and end."""
        if not self.is_small:
            return
        self.faults["disk full"] += 1
        ballast = self.folder / "disk" / "ballast"
        with self.start() as process:
            step = read_steps(process, SAVE_FREQ + 1)
            with contextlib.suppress(OSError), ballast.open("wb", 0) as file:
                while True:
                    file.write(bytes(1 << 16))
            self.expect_error(process, "No space left")
        ballast.unlink()
        self.check(step)

    def damage_image(self):
        """Damages an image in mid-epoch: the run must save, name it and end."""
        self.faults["damaged image"] += 1
        path = self.pair_dir / "1.png"
        contents = path.read_bytes()
        with self.start() as process:
            step = read_steps(process, 3)
            path.write_bytes(contents[:50])
            self.expect_error(process, "1.png")
        path.write_bytes(contents)
        self.check(step)

    def cut_checkpoint(self):
        """Cuts the newest checkpoint short: the one before must be found."""
        step = self.saved_step()
        if step <= SAVE_FREQ:
            return
        self.faults["checkpoint cut"] += 1
        path = self.run_dir / f"model-{step}.data-00000-of-00001"
        path.write_bytes(path.read_bytes()[:-100])
        self.check(step)

    def start(self):
        return subprocess.Popen(
            self.command(self.run_dir),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def expect_error(self, process, words):
        """Waits for the command's end, by status 2 and one line with these words."""
        _, errors = process.communicate()
        lines = [line for line in errors.splitlines() if line.startswith("pix2pix-tf")]
        if process.returncode != 2 or len(lines) != 1 or words not in lines[0]:
            self.problems.append(
                f"wanted status 2 and {words!r}, got {process.returncode}: {errors}"
            )

    def go(self, command):
        """Returns the status and last words of a command that nothing disturbs."""
        done = subprocess.run(command, capture_output=True, text=True)
        return done.returncode, (done.stderr or done.stdout).strip().rpartition("\n")[2]

    def saved_step(self):
        """Returns the step of the newest checkpoint; 0 without one."""
        if not list(self.run_dir.glob("model-*.index")):
            return 0
        with contextlib.redirect_stdout(None):
            prefix = checkpoints.find_latest(self.run_dir)
        return int(prefix.rpartition("-")[2])

    def check(self, step):
        """Reads all that a fault has left; `step` is the last that was seen done."""
        try:
            saved = self.saved_step()
            if saved:
                checkpoints.verify(self.run_dir / f"model-{saved}")
            if (self.run_dir / "options.json").exists():
                json.loads((self.run_dir / "options.json").read_text())
            index = self.run_dir / "index.html"
            if index.exists() and not index.read_text().endswith("</html>\n"):
                raise ValueError(f"{index} is cut")
            if self.run_dir.exists():  # killed while it starts, it makes none
                curves.read(self.run_dir)
                check_pictures(self.run_dir)
            self.lost_steps += max((step or saved) - saved, 0)
        except ValueError as error:  # UsageError too
            self.problems.append(f"unreadable: {error}")


def check_pictures(run_dir):
    """Reads a run's pictures but the last written: it is drawn again with its step.

    Raises:
        ValueError: one is damaged.
    """
    paths = (run_dir / "images").rglob("*.png")
    for path in sorted(paths, key=lambda path: path.stat().st_mtime_ns)[:-1]:
        try:
            codecs.read(path)
        except codecs.ImageError as error:
            raise ValueError(f"{path} {error}") from None


def make_command(pair_dir, output_dir, steps):
    """Returns the command that trains a tiny network."""
    return [
        *(sys.executable, "-m", "pix2pix_tf.train", "--mode", "train"),
        *("--input_dir", str(pair_dir), "--output_dir", str(output_dir)),
        *("--resume", "auto", "--deterministic", "--seed", "1", "--batch_size", "2"),
        *("--ngf", "1", "--ndf", "1", "--crop_size", "32", "--n_layers", "1"),
        *("--max_steps", str(steps)),
    ]


def write_pairs(folder):
    """Writes some small pairs of noise."""
    folder.mkdir()
    for number in range(1, NUM_PAIRS + 1):
        pair = np.random.default_rng(number).integers(0, 256, [40, 80, 3], np.uint8)
        (folder / f"{number}.png").write_bytes(pixels.encode(pair, "png").numpy())


@contextlib.contextmanager
def small_disk(folder):
    """Mounts a small tmpfs; yields whether that could be done."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK_SIZE}", "tmpfs", str(folder)]
    try:
        done = subprocess.run(mount, stderr=subprocess.DEVNULL)
        is_small = done.returncode == 0
    except OSError:
        is_small = False
    try:
        yield is_small
    finally:
        if is_small:
            subprocess.run(["umount", "--lazy", str(folder)], check=True)


def read_steps(process, count):
    """Reads a command's lines until it has done `count` steps or has ended.

    Returns:
        int, the last step that it has told, or None.
    """
    step = None
    for line in process.stdout:
        if line.startswith("progress "):
            words = line.split()
            epoch, epoch_step = int(words[2]), int(words[4])
            step = (epoch - 1) * -(-NUM_PAIRS // 2) + epoch_step
            count -= 1
            if count == 0:
                break
    return step


def compare(wanted_dir, got_dir):
    """Returns what differs between two runs, as lines; [] where nothing does."""
    wanted, got = read_tensors(wanted_dir), read_tensors(got_dir)
    problems = [
        f"{name} differs"
        for name in sorted(set(wanted) | set(got))
        if name not in wanted
        or name not in got
        or wanted[name].tobytes() != got[name].tobytes()
    ]
    wanted, got = read_events(wanted_dir), read_events(got_dir)
    problems += [
        f"TensorBoard: {tag} at step {step} differs"
        for tag, step in sorted({key[:2] for key in set(wanted) ^ set(got)})
    ]
    if len(wanted) != len(got):
        problems.append(f"TensorBoard: {len(got)} values, wanted {len(wanted)}")
    pictures = sorted((wanted_dir / "images").iterdir())
    problems += [
        f"{path.name} differs"
        for path in pictures
        if _contents(got_dir / "images" / path.name) != path.read_bytes()
    ]
    if (wanted_dir / "index.html").read_text() != (got_dir / "index.html").read_text():
        problems.append("index.html differs")
    print(
        f"compared: {len(read_tensors(wanted_dir))} tensors, {len(wanted)} values of "
        f"TensorBoard, {len(pictures)} pictures: {len(problems)} differences"
    )
    return problems


def _contents(path):
    """Returns a file's bytes, or None where there is none."""
    return path.read_bytes() if path.exists() else None


def read_tensors(folder):
    """Returns {name: array} of a run's newest checkpoint."""
    reader, shapes = checkpoints.open_reader(checkpoints.find_latest(folder))
    return {name: np.asarray(reader.get_tensor(name)) for name in shapes}


def read_events(folder):
    """Returns [(tag, step, value as bytes), ...] of what TensorBoard shows of steps.

    What each start writes, at step 0, is left out, and what no two runs share.
    """
    events = EventAccumulator(str(folder), size_guidance={"tensors": 0}).Reload()
    return [
        (tag, event.step, event.tensor_proto.SerializeToString(deterministic=True))
        for tag in events.Tags()["tensors"]
        if not tag.startswith(UNLIKE)
        for event in events.Tensors(tag)
        if event.step > 0
    ]


def check_memory(folder):
    """Compares a run's memory early and late; returns the exit status."""
    first, last = MEMORY_STEPS
    command = make_command(folder / "pairs", folder / "run", last + 100) + [
        *("--progress_freq", "1", "--summary_freq", "10", "--display_freq", "50"),
        *("--save_freq", "100"),
    ]
    sizes = {}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        for step, count in ((first, first), (last, last - first)):
            read_steps(process, count)
            sizes[step] = psutil.Process(process.pid).memory_info().rss / 1e6
        process.stdout.read()
    growth = sizes[last] / sizes[first]
    for step, size in sizes.items():
        print(f"step {step}: {size:.0f} MB")
    print(f"growth: {growth:.3f}, at most {MEMORY_GROWTH}")
    shutil.rmtree(folder / "run")
    return 0 if process.returncode == 0 and growth <= MEMORY_GROWTH else 1


if __name__ == "__main__":
    sys.exit(main())
