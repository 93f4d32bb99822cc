"""Reads the files of a training run: all are whole, and equal to those of another."""

import contextlib
import json
import logging

import numpy as np
from tensorboard.backend.event_processing.plugin_event_accumulator import (
    EventAccumulator,
)

from pix2pix_tf import checkpoints
from pix2pix_tf.images import codecs

BEST_DIR = "model-best"
COMPARED_FILES = ("index.html", "validation.json", f"{BEST_DIR}/metrics.json")
# Tags of values that depend on the machine, not on the training.
MACHINE_TAGS = ("speed/", "memory/")


def newest_step(folder):
    """Returns the step of a folder's newest readable checkpoint; 0 without one."""
    if not list(folder.glob("model-*.index")):
        return 0
    with contextlib.redirect_stdout(None):  # without warnings of damaged ones
        prefix = checkpoints.find_latest(folder)
    return int(prefix.rpartition("-")[2])


def check(run_dir):
    """Reads everything that a run has on disk at any moment.

    Raises:
        ValueError: something cannot be read. UsageError is one.
    """
    for folder in (run_dir, run_dir / BEST_DIR):
        if step := newest_step(folder):
            checkpoints.verify(folder / f"model-{step}")
    for path in (*run_dir.glob("*.json"), *(run_dir / BEST_DIR).glob("*.json")):
        found = json.loads(path.read_text())
        if path.name == "metrics.json" and found["step"] != step:
            raise ValueError(f"{path} is of step {found['step']}, not of {step}")
    index = run_dir / "index.html"
    if index.exists() and not index.read_text().endswith("</html>\n"):
        raise ValueError(f"{index} is incomplete")
    if run_dir.exists():
        _read_events(run_dir)
        check_images(run_dir)


def check_images(run_dir):
    """Reads a run's images but the newest, which is written again with its step.

    Raises:
        ValueError: one is damaged.
    """
    paths = (run_dir / "images").rglob("*.png")
    for path in sorted(paths, key=lambda path: path.stat().st_mtime_ns)[:-1]:
        try:
            codecs.read(path)
        except codecs.ImageError as error:
            raise ValueError(f"{path} {error}") from None


def compare(wanted_dir, got_dir):
    """Returns the differences between two runs, a list of lines.

    It compares the newest checkpoint and the best model's, bit by bit; what TensorBoard
    shows of steps, but for speed and memory; the results of validations; and images.
    """
    problems = []
    for name in ("", BEST_DIR):
        if (wanted_dir / name / "checkpoint").exists():
            wanted, got = (_read_tensors(path / name) for path in (wanted_dir, got_dir))
            problems += [
                f"{name}: {key} differs".removeprefix(": ")
                for key in sorted(set(wanted) | set(got))
                if wanted.get(key) != got.get(key)
            ]
    images = sorted(path.name for path in (wanted_dir / "images").iterdir())
    problems += [
        f"{name} differs"
        for name in (*COMPARED_FILES, *(f"images/{name}" for name in images))
        if _contents(wanted_dir / name) != _contents(got_dir / name)
    ]
    wanted, got = _read_values(wanted_dir), _read_values(got_dir)
    problems += [
        f"TensorBoard: {tag} at step {step} differs"
        for tag, step in sorted({key[:2] for key in set(wanted) ^ set(got)})
    ]
    # A validation that is killed before it is recorded is repeated, with equal values.
    counts = [
        sum(not tag.startswith("validation/") for tag, *_ in values)
        for values in (got, wanted)
    ]
    if counts[0] != counts[1]:
        problems.append(f"TensorBoard: {counts[0]} values, wanted {counts[1]}")
    print(
        f"compared: {len(wanted)} values of TensorBoard, {len(images)} images, all "
        f"tensors: {len(problems)} differences"
    )
    return problems


def _contents(path):
    """Returns a file's bytes, or None if it does not exist."""
    return path.read_bytes() if path.exists() else None


def _read_tensors(folder):
    """Returns {name: contents as bytes} of a folder's newest checkpoint."""
    reader, shapes = checkpoints.open_reader(checkpoints.find_latest(folder))
    return {name: np.asarray(reader.get_tensor(name)).tobytes() for name in shapes}


def _read_events(run_dir):
    """Returns the EventAccumulator of a run, with all its values."""
    logging.getLogger("tensorboard").setLevel(logging.ERROR)  # a graph of each start
    return EventAccumulator(str(run_dir), size_guidance={"tensors": 0}).Reload()


def _read_values(run_dir):
    """Returns [(tag, step, value as bytes), ...] of what TensorBoard shows of steps.

    Values of step 0, which each start writes, are left out.
    """
    events = _read_events(run_dir)
    return [
        (tag, event.step, event.tensor_proto.SerializeToString(deterministic=True))
        for tag in events.Tags()["tensors"]
        if not tag.startswith(MACHINE_TAGS)
        for event in events.Tensors(tag)
        if event.step > 0
    ]
