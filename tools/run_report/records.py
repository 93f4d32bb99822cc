"""What a run left behind: its options, curves, test figures and pictures.

A run is a folder that training or test mode wrote. Nothing is drawn here.
"""

import collections
import json
from pathlib import Path
from typing import NamedTuple

from run_report import curves, strips

from pix2pix_tf import metrics
from pix2pix_tf.images import codecs
from pix2pix_tf.inference import gallery
from pix2pix_tf.options import OPTIONS_NAME, Options, flags_of, read_options
from pix2pix_tf.runtime.errors import UsageError
from pix2pix_tf.runtime.files import printable
from pix2pix_tf.training import validation

# The columns of training pictures: pix2pix's, then DCGAN's.
ALL_KINDS = (gallery.KINDS, ("samples",))
# Options that say where and when a run writes, not what it learns.
IGNORED_OPTIONS = ("keep_checkpoints", "output_dir")
IGNORED_ENDING = "_freq"


class Run(NamedTuple):
    """One run, as far as it has come."""

    name: str  # unlike that of any other run in the report
    folder: Path
    options: dict  # {flag name: value}, as options.json holds them
    curves: dict  # {tag: curves.Curve}, as logged
    tests: dict  # {"test", or of which model: {name: figure of its pictures}}
    rows: list  # of gallery.Row, the training pictures that are whole
    kinds: tuple  # of str, the columns of those
    strips: dict  # {name: {step: PNG of input, output, target}}, of validations


def read_runs(folders):
    """Returns the Run of each folder; tests of another one of them are part of that.

    Args:
        folders: list of Path.

    Raises:
        UsageError: one is no run, has nothing to show, or is damaged or given twice, or
            two are tests of the same checkpoint of another.
    """
    places = [folder.resolve() for folder in folders]
    for number, place in enumerate(places):
        if place in places[:number]:
            raise UsageError(f"{printable(folders[number])} is given twice")
    names = unique_names(places)
    runs = [read_run(*pair) for pair in zip(folders, names, strict=True)]
    trained = {run.folder.resolve(): run for run in runs if run.curves}
    kept, tested = [], {}
    for run in runs:
        source, title = _find_tested(run, trained)
        if source is None:
            kept.append(run)
            continue
        other = tested.setdefault((source.folder, title), run)
        if other is not run:
            raise UsageError(
                f"{printable(other.folder)} and {printable(run.folder)} both test "
                f"{printable(run.options['checkpoint'])}: give one of them, or both "
                f"without {printable(source.folder)}"
            )
        source.tests[title] = run.tests["test"]
    return kept


def _find_tested(run, trained):
    """Returns (the Run whose checkpoint a run tests, what the test is called there).

    A run keeps its best checkpoint in a folder of its own. The Run is None where this
    one is no test, or one of a run that is not in the report.

    Args:
        run: Run.
        trained: {absolute Path: Run}.
    """
    checkpoint = run.options.get("checkpoint")
    if run.options.get("mode") != "test" or run.curves or checkpoint is None:
        return None, None
    place = Path(checkpoint).resolve()
    if place not in trained and place.name == validation.BEST_DIR:
        return trained.get(place.parent), f"test of {validation.BEST_DIR}"
    return trained.get(place), "test"


def read_run(folder, name):
    """Returns the Run of one folder; Raises: as `read_runs`."""
    shown = printable(folder)
    if not folder.is_dir():
        raise UsageError(f"{shown} is not a folder")
    options_path = folder / OPTIONS_NAME
    if not options_path.is_file():
        raise UsageError(
            f"{shown} is no run: it has no {OPTIONS_NAME}, which training and "
            "test mode write"
        )
    scalars = curves.read(folder)
    metrics_path = folder / metrics.JSON_NAME
    tests = {"test": read_metrics(metrics_path)} if metrics_path.exists() else {}
    if not scalars and not tests:
        raise UsageError(
            f"{shown} has neither scalars in event files, which training writes with "
            f"--summary_freq above 0, nor a {metrics.JSON_NAME}, which test mode writes"
        )
    rows, kinds = find_pictures(folder)
    options = read_options(options_path)
    shown_strips = strips.read(folder)
    return Run(name, folder, options, scalars, tests, rows, kinds, shown_strips)


def unique_names(places):
    """Returns a short name for each of some different folders: the end of its path."""
    depth = 1
    while True:
        names = ["/".join(place.parts[-depth:]) for place in places]
        if len(set(names)) == len(names):
            return [printable(name) for name in names]
        depth += 1


# ---------------------------------------------------------------------------
# Figures
# ---------------------------------------------------------------------------


def final_figures(runs):
    """Returns {label: [value of each run, or None]}, the best known judges first.

    They are the means of the tests, then the last values of all tags; of losses,
    without the zero that they started from.
    """
    finals = []
    for run in runs:
        final = {
            f"{title}: {name}": value
            for title, figures in run.tests.items()
            for name, value in figures.items()
        }
        for tag, curve in run.curves.items():
            curve = curves.debias(curve) if curves.is_average(tag) else curve
            final[tag] = float(curve.values[-1])
        finals.append(final)
    labels = {label for final in finals for label in final}
    return {
        label: [final.get(label) for final in finals]
        for label in sorted(labels, key=lambda label: (_rank(label), label))
    }


def _rank(label):
    judges = ("test: ", "test of ", "validation/", *curves.AVERAGE_PREFIXES)
    return next((n for n, start in enumerate(judges) if label.startswith(start)), 9)


def is_judge(label):
    """Says whether a figure tells how good a run is, rather than how it went."""
    return _rank(label) < 9


def last_step(run):
    """Returns the number of updates after which the last value was logged, or None."""
    return max((int(curve.steps[-1]) for curve in run.curves.values()), default=None)


def read_metrics(path):
    """Returns {name: figure} of a `metrics.json`: the means, and those of whole sets.

    Raises:
        UsageError: it is damaged.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        figures = found["mean"] | found["set"]
        return {
            str(name): float(value)
            for name, value in figures.items()
            if isinstance(value, (int, float))
        }
    except (ValueError, RecursionError, LookupError, TypeError, AttributeError):
        raise UsageError(
            f'{printable(path)} is damaged: wanted JSON with {{"mean": {{name: number, '
            '...}}, "set": {{name: number, ...}}: test again'
        ) from None


# ---------------------------------------------------------------------------
# Options
# ---------------------------------------------------------------------------


def differing_options(runs):
    """Returns {flag name: [value of each run]} of the options in which runs differ."""
    columns = [_with_defaults(run.options) for run in runs]
    names = sorted({name for column in columns for name in column})
    found = {}
    for name in names:
        values = [column.get(name) for column in columns]
        is_ignored = name in IGNORED_OPTIONS or name.endswith(IGNORED_ENDING)
        if not is_ignored and any(value != values[0] for value in values):
            found[name] = values
    return found


def _with_defaults(options):
    """Returns options as they are now: what came later has its default."""
    if options.get("mode") == "dcgan":
        return options
    flags = flags_of(Options)
    return {name: flag.default for name, flag in flags.items()} | options


def describe_runs(runs):
    """Returns for each run its name, and the options that set it apart, as text.

    What more than half of the runs have in common does not set them apart.
    """
    described = [[] for _ in runs]
    for name, values in differing_options(runs).items():
        texts = [option_text(value) for value in values]
        [(usual, count)] = collections.Counter(texts).most_common(1)
        for number, text in enumerate(texts):
            if text != usual or count <= len(runs) / 2:
                described[number].append(f"{name}={text}")
    return [
        f"{run.name}: {', '.join(parts)}" if parts else run.name
        for run, parts in zip(runs, described, strict=True)
    ]


def option_text(value):
    """Returns an option's value as it is given to its flag."""
    if isinstance(value, tuple):
        return " ".join(map(str, value))
    return "none" if value is None else printable(str(value))


# ---------------------------------------------------------------------------
# Pictures
# ---------------------------------------------------------------------------


def find_pictures(folder):
    """Returns ([gallery.Row] by rising step, kinds) of the training pictures there.

    Rows that a run in progress has only begun to write are left out.
    """
    for kinds in ALL_KINDS:
        rows = [
            row
            for row in gallery.training_rows(folder, kinds)
            if all(gallery.picture_path(folder, row, kind).is_file() for kind in kinds)
        ]
        if rows:
            return sorted(rows, key=lambda row: row.step), kinds
    return [], ()


def common_pictures(runs):
    """Returns (runs, rows): those that show the same examples at the same steps.

    A name is not enough: other seeds crop and flip otherwise.

    Args:
        runs: list of Run.

    Returns:
        ([Run], [gallery.Row by rising step]), both empty where fewer than two do.
    """
    chosen = [run for run in runs if run.rows and run.kinds == gallery.KINDS]
    if len(chosen) < 2:
        return [], []
    common = set.intersection(*(set(run.rows) for run in chosen))
    rows = [
        row
        for row in sorted(common, key=lambda row: (row.step, row.name))
        if all(_has_one_picture(chosen, row, kind) for kind in ("inputs", "targets"))
    ]
    return (chosen, rows) if rows else ([], [])


def _has_one_picture(runs, row, kind):
    """Says whether runs have the same picture."""
    paths = [gallery.picture_path(run.folder, row, kind) for run in runs]
    return len({path.read_bytes() for path in paths}) == 1


def read_picture(folder, row, kind):
    """Returns one picture, float32 [height, width, 3] in [0, 1].

    Raises:
        UsageError: it is damaged.
    """
    path = gallery.picture_path(folder, row, kind)
    try:
        return codecs.read(path)
    except codecs.ImageError as error:
        raise UsageError(f"{printable(path)} {error}: remove it") from None
