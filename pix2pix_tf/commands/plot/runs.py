"""What a run left behind: its options, curves, test metrics and images.

A run is a folder that training or test mode wrote. Nothing is drawn here.
"""

import os
from collections import Counter
from pathlib import Path
from typing import NamedTuple

from pix2pix_tf import metrics, options
from pix2pix_tf.commands.plot import curves
from pix2pix_tf.inference import gallery
from pix2pix_tf.runtime.errors import UsageError
from pix2pix_tf.runtime.files import is_utf8, printable
from pix2pix_tf.training.validation import BEST_DIR

# Metrics that tell how good a run is begin with these; they come first, in this order.
JUDGES = ("test: ", "test of ", "validation/", *curves.AVERAGE_PREFIXES)
# Options that say where and when a run writes, not what it learns, end with these.
IGNORED_ENDINGS = ("keep_checkpoints", "output_dir", "_freq")


class Run(NamedTuple):
    """One run, as far as it has come."""

    name: str  # different from that of any other run in the report
    folder: Path
    options: dict  # {flag name: value}, as options.json holds them
    curves: dict  # {tag: curves.Curve}, as logged
    strips: dict  # {image name: {step: PNG of input, output, target}}, of validations
    tests: dict  # {"test", or "test of model-best": {metric: value}}
    rows: list  # of gallery.Row, the training images, by increasing step
    kinds: tuple  # of str, the columns of these images


def read_runs(folders: list[Path]) -> list[Run]:
    """Returns the Run of each folder; a test of another one of them is part of that.

    Raises:
        UsageError: a folder has no run or nothing to show, is damaged or given twice,
            or is a second test of the same checkpoint.
    """
    places = [folder.resolve() for folder in folders]
    if len(set(places)) < len(places):
        raise UsageError("a RUN is given twice")
    common = os.path.commonpath([place.parent for place in places])
    names = [printable(place.relative_to(common)) for place in places]
    runs = dict(zip(places, map(read_run, folders, names), strict=True))
    for place, run in list(runs.items()):
        if run.options.get("mode") != "test":
            continue
        tested, step_name = options.split_checkpoint(run.options["checkpoint"])
        checkpoint = tested.resolve()
        title = f"test of {step_name}" if step_name else "test"
        if checkpoint not in runs and checkpoint.name == BEST_DIR:
            checkpoint, title = checkpoint.parent, f"test of {BEST_DIR}"
        if checkpoint in runs and runs[checkpoint].curves:
            tests = runs[checkpoint].tests
            if title in tests:
                text = f"{printable(run.folder)} is a second {title} of"
                raise UsageError(f"{text} {runs[checkpoint].name}: give one of them")
            tests[title] = runs.pop(place).tests["test"]
    return list(runs.values())


def read_run(folder: Path, name: str) -> Run:
    """Returns the Run of one folder; raises UsageError as `read_runs`."""
    if not is_utf8(folder):
        text = "is not valid UTF-8, so TensorFlow cannot read it: rename it"
        raise UsageError(f"{printable(folder)} {text}")
    options_path = folder / options.OPTIONS_NAME
    if not options_path.is_file():
        wanted = f"the folder of a run, with its {options.OPTIONS_NAME}"
        raise UsageError(f"{printable(folder)} is not {wanted}")
    scalars, strips = curves.read(folder)
    has_metrics = (folder / metrics.JSON_NAME).exists()
    tests = {"test": metrics.read_report(folder)} if has_metrics else {}
    if not scalars and not tests:
        raise UsageError(
            f"{printable(folder)} has neither scalars in event files, which training "
            f"writes with --summary_freq above 0, nor the {metrics.JSON_NAME} of a test"
        )
    own = options.read_options(options_path)
    kinds = ("samples",) if own.get("mode") == "dcgan" else gallery.KINDS
    rows = gallery.training_rows(folder, kinds[::-1])  # the last kind is written last
    rows.sort(key=lambda row: row.step)
    return Run(name, folder, own, scalars, strips, tests, rows, kinds)


def common_images(runs: list[Run]) -> tuple[list[Run], list[gallery.Row]]:
    """Returns ([Run], [gallery.Row]): those that show the same examples at one step.

    A name is not enough: another seed crops and flips otherwise.
    """
    runs = [run for run in runs if run.rows and run.kinds == gallery.KINDS]

    def is_same(row, kind):
        paths = [gallery.image_path(run.folder, row, kind) for run in runs]
        return len({path.read_bytes() for path in paths}) == 1

    common = set.intersection(*(set(run.rows) for run in runs)) if len(runs) > 1 else ()
    rows = [row for row in common if is_same(row, "inputs") and is_same(row, "targets")]
    return runs, sorted(rows, key=lambda row: (row.step, row.name))


def last_metrics(runs: list[Run]) -> dict[str, list]:
    """Returns {label: [value of each run, or None]}, those of JUDGES first.

    They are the metrics of the tests, then the last values of all tags; of losses,
    without the zero that they started from.
    """
    found = {}
    for number, run in enumerate(runs):
        last = {}
        for title, test in run.tests.items():
            last |= {f"{title}: {name}": value for name, value in test.items()}
        for tag, curve in run.curves.items():
            curve = curves.debias(curve) if curves.is_average(tag) else curve
            last[tag] = float(curve.values[-1])
        for label, value in last.items():
            if value is not None:
                found.setdefault(label, [None] * len(runs))[number] = value

    def rank(label):
        return [not label.startswith(judge) for judge in JUDGES], label

    return {label: found[label] for label in sorted(found, key=rank)}


def differing_options(runs: list[Run]) -> dict[str, list[str]]:
    """Returns {flag name: [value of each run, as text]} of the flags that differ.

    Those that say where and when a run writes are left out.
    """
    flags = options.flags_of(options.Options)  # an older run's options lack some
    defaults = {name: flag.default for name, flag in flags.items()}
    columns = [
        run.options if run.options.get("mode") == "dcgan" else defaults | run.options
        for run in runs
    ]
    found = {}
    for name in sorted({name for column in columns for name in column}):
        texts = [option_text(column.get(name)) for column in columns]
        if len(set(texts)) > 1 and not name.endswith(IGNORED_ENDINGS):
            found[name] = texts
    return found


def describe_runs(runs: list[Run]) -> list[str]:
    """Returns for each run its name, and the options that set it apart, as text.

    What more than half of the runs have in common does not set them apart.
    """
    described = [[] for _ in runs]
    for name, texts in differing_options(runs).items():
        [(usual, count)] = Counter(texts).most_common(1)
        for own, text in zip(described, texts, strict=True):
            own += [f"{name}={text}"] if text != usual or count <= len(runs) / 2 else []
    named = zip(runs, map(", ".join, described), strict=True)
    return [f"{run.name}: {own}" if own else run.name for run, own in named]


def option_text(value) -> str:
    """Returns an option's value as it is given to its flag."""
    return "none" if value is None else printable(options.value_text(value))
