"""Trains and tests one run for each combination of flags, and compares them.

    python tools/ablate.py --input_dir facades/train --test_dir facades/test \\
        --vary gan_weight=0,1 --vary n_layers=1,3,5 --max_steps 20000

Each run is a process of `python -m pix2pix_tf.train`, with a folder of its own:
`train/`, `test/`, `train.log`, `test.log`, `result.json`. Beside them come `table.md`,
`table.csv` and `grid.png` (Isola et al. 2017, figures 4 and 6). What is done already is
not done again. All flags but those below go to pix2pix_tf.train, for every run.
"""

import contextlib
import csv
import dataclasses
import hashlib
import io
import itertools
import json
import math
import os
import re
import shutil
import signal
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import NamedTuple

from pix2pix_tf.options import (
    OPTIONS_NAME,
    Options,
    check_output_dir,
    from_dict,
    read_options,
    to_dict,
)
from pix2pix_tf.options import (
    parse as parse_options,
)
from pix2pix_tf.runtime import command, files
from pix2pix_tf.runtime.errors import UsageError
from pix2pix_tf.runtime.start import start_tensorflow

DEFAULTS = "defaults"  # the name of the run that varies nothing
MAX_NAME = 150  # characters of a folder's name; file systems take 255
# Set by this tool for each run, or the same for all, so that the runs compare.
OWN_NAMES = ("checkpoint", "input_dir", "max_epochs", "max_steps", "mode", "output_dir")
SHARED_NAMES = ("aspect_ratio", "lab_colorization", "which_direction")
# Flags that may change between a run and its continuation.
FREE_NAMES = (
    *OWN_NAMES,
    "aspect_ratio",
    "display_freq",
    "keep_checkpoints",
    "output_filetype",
    "progress_freq",
    "save_freq",
    "summary_freq",
    "trace_freq",
)
KINDS = ("inputs", "outputs", "targets")
MEASURED = {"l1": 5, "psnr": 3, "ssim": 5}  # of test mode's figures, and decimals shown


class Request(NamedTuple):
    """What one command line asks for."""

    input_dir: str | None  # None: the embedded sample data
    test_dir: str | None
    output_dir: Path
    max_steps: int
    num_pictures: int  # rows of the grid
    passed: list  # of str, the train command's flags that all runs share
    combinations: list  # of {flag name: value as given}, one for each run


class Run(NamedTuple):
    """One combination, ready to be trained."""

    name: str  # such as gan_weight=0,n_layers=1
    values: dict  # {flag name: value as given}
    flags: list  # of str, of the train command: the shared ones and these
    options: Options
    folder: Path


class Outcome(NamedTuple):
    """What became of one run."""

    run: Run
    result: dict | None  # as result.json holds it; None: failed
    problem: str | None


class StoppedError(Exception):
    """A signal, its first argument, stopped the run that was at work."""


def main(argv=None):
    """Runs one command line.

    Args:
        argv: list of str, or None for the process's own.

    Returns:
        int, the exit status: 0 done, 2 wrong usage or a run that failed (one line on
        stderr), 128 + n stopped by signal n; the same command then goes on.
    """

    def run():
        request = parse(argv)
        return compare(request, plan(request))

    try:
        return command.run("ablate", run, "goes on from here")
    except StoppedError as stop:
        print("stopped: the same command goes on from here", file=sys.stderr)
        return 128 + stop.args[0]


# ---------------------------------------------------------------------------
# Which runs
# ---------------------------------------------------------------------------


def parse(argv=None):
    """Returns the Request of a command line.

    Raises:
        UsageError: for flags that cannot be used.
        SystemExit: after `--help`.
    """
    parser = command.Parser("ablate", __doc__)
    add = parser.add_argument
    add("--input_dir", help="images to train on (default: the embedded sample data)")
    add("--test_dir", help="images to test on (default: --input_dir)")
    add("--output_dir", default="runs/ablate", help="where to write; %(default)s")
    add("--max_steps", type=int, required=True, help="steps of each run")
    add(
        "--vary",
        action="append",
        default=[],
        metavar="FLAG=VALUE,...",
        help="a flag of the train command and its values, true and false for those "
        "without; given more than once: all combinations",
    )
    add(
        "--run",
        action="append",
        default=[],
        metavar="FLAG=VALUE,...",
        help=f"one more run, with these flags; {DEFAULTS}: with none",
    )
    add("--pictures", type=int, default=4, help="rows of the grid; %(default)s")
    add("--seed", type=int, help="of every run; 0")
    given, passed = parser.parse_known_args(argv)
    for name in ("max_steps", "pictures"):
        if getattr(given, name) < 1:
            raise UsageError(f"--{name} must be at least 1, got {getattr(given, name)}")
    combinations = _combinations(given.vary, given.run)
    varied = {name for values in combinations for name in values}
    if given.seed is not None or "seed" not in varied:
        passed = [f"--seed={given.seed or 0}", *passed]
    _check_passed(passed, varied)
    return Request(
        given.input_dir,
        given.test_dir or given.input_dir,
        Path(given.output_dir),
        given.max_steps,
        given.pictures,
        passed,
        combinations,
    )


def _combinations(vary, run):
    """Returns [{flag name: value}, ...]: the product of `vary`, then each of `run`."""
    if not vary and not run:
        raise UsageError("nothing to compare: give --vary FLAG=VALUE,... or --run")
    choices = {}
    for text in vary:
        name, equals, values = text.partition("=")
        _check_varied(name, f"--vary {text}")
        if not equals or not all(values.split(",")):
            raise UsageError(f"--vary must be FLAG=VALUE,VALUE,..., got {text!r}")
        if name in choices:
            raise UsageError(f"--vary {name} is given twice: list all its values once")
        choices[name] = values.split(",")
    found = []
    if vary:
        for values in itertools.product(*choices.values()):
            found.append(dict(zip(choices, values, strict=True)))
    for text in run:
        found.append({} if text == DEFAULTS else _one_combination(text))
    return list({_name(values): values for values in found}.values())


def _one_combination(text):
    """Returns the {flag name: value} of one `--run`."""
    values = {}
    for part in text.split(","):
        name, equals, value = part.partition("=")
        _check_varied(name, f"--run {text}")
        if not equals or not value:
            raise UsageError(
                f"--run must be FLAG=VALUE,... or {DEFAULTS}, got {text!r}"
            )
        if name in values:
            raise UsageError(f"--run {text} names {name} twice")
        values[name] = value
    return values


def _check_varied(name, where):
    """Refuses what is no flag, and what must be the same for all runs."""
    if name in OWN_NAMES:
        raise UsageError(f"{where}: {name} is the same for all runs, and set by itself")
    if name in SHARED_NAMES:
        raise UsageError(
            f"{where}: {name} changes the pictures that the runs are compared on: give "
            f"--{name} once, for all runs"
        )
    if name not in _defaults():
        raise UsageError(f"{where}: pix2pix_tf.train has no flag --{name} to vary")


def _check_passed(passed, varied):
    """Refuses flags that this tool sets, or that are varied too."""
    for text in passed:
        name = text.removeprefix("--").partition("=")[0]
        if not text.startswith("--"):
            continue
        if name in OWN_NAMES:
            raise UsageError(f"--{name} does not go with ablate: leave it out")
        if name in varied or name.removeprefix("no_") in varied:
            raise UsageError(f"--{name} is varied too: leave it out, or do not vary it")


def _defaults():
    """Returns {flag name: default} of the train command."""
    return to_dict(from_dict({}))


def _name(values):
    return ",".join(f"{name}={value}" for name, value in values.items()) or DEFAULTS


def folder_name(name):
    """Returns a run's name as every file system takes it.

    The name itself, if it is short and has no characters that some refuse; otherwise
    these replaced, and a hash of the name at the end.
    """
    safe = re.sub(r"[^A-Za-z0-9._+=,-]", "_", name)
    if safe == name and len(name) <= MAX_NAME and not name.endswith("."):
        return name
    return f"{safe[:MAX_NAME]}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def plan(request):
    """Returns the list of Run of a Request; nothing has been written then.

    Raises:
        UsageError: it names each combination that the train command refuses, and why.
    """
    runs, refused = [], []
    for values in request.combinations:
        name = _name(values)
        folder = request.output_dir / folder_name(name)
        try:
            flags = [*request.passed, *_flags(values)]
            options = _options(request, flags, folder / "train")
        except UsageError as error:
            refused.append(f"{name}: {error}")
            continue
        runs.append(Run(name, values, flags, options, folder))
    if refused:
        raise UsageError("; ".join(refused))
    names = {}
    for run in runs:  # Aa and aa are one folder on some file systems
        other = names.setdefault(run.folder.name.lower(), run.name)
        if other != run.name:
            raise UsageError(f"{other} and {run.name} need the same folder")
    return runs


def _flags(values):
    """Returns the train command's flags for {flag name: value}."""
    flags, defaults = [], _defaults()
    for name, value in values.items():
        if not isinstance(defaults[name], bool):
            flags.append(f"--{name}={value}")
        elif value not in ("true", "false"):
            raise UsageError(f"--{name} must be true or false, got {value!r}")
        elif value == "true":
            flags.append(f"--{name}")
        elif defaults[name]:
            flags.append(f"--no_{name}")
    return flags


def _options(request, flags, train_dir):
    """Returns the Options of one run, as the train command will have them."""
    argv = ["--mode=train", *flags, f"--max_steps={request.max_steps}"]
    argv.append(f"--output_dir={train_dir}")
    if request.input_dir is not None:
        argv.append(f"--input_dir={request.input_dir}")
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said), contextlib.redirect_stdout(said):
            options = parse_options(argv)
    except SystemExit:  # argparse has printed the usage, then "<program>: error: ..."
        message = said.getvalue().strip().splitlines()[-1]
        raise UsageError(message.partition("error: ")[2] or message) from None
    if options.run.save_freq == 0:
        raise UsageError("--save_freq 0 leaves nothing to test: leave it out")
    return options


# ---------------------------------------------------------------------------
# Doing them
# ---------------------------------------------------------------------------


def compare(request, runs):
    """Does what is missing of each run, and writes the table and the grid.

    Returns:
        int, the exit status: 0.

    Raises:
        UsageError: an image cannot be used, a folder holds other work, or runs failed;
            what is done by then is in the table.
        StoppedError: by a signal.
    """
    start_tensorflow()
    input_dir, test_dir, names = _find_images(request, runs[0].options.pair)
    for run in runs:
        _check_folder(run, input_dir)
    outcomes = []
    for number, run in enumerate(runs, start=1):
        label = f"[{number}/{len(runs)}] {run.name}"
        outcomes.append(_do(run, label, input_dir, test_dir, names))
    done = [outcome for outcome in outcomes if outcome.result]
    if done:
        _write_results(request.output_dir, done, test_dir, names, request.num_pictures)
    failed = [outcome.problem for outcome in outcomes if outcome.problem]
    if failed:
        raise UsageError(
            f"{len(failed)} of {len(runs)} runs failed: {'; '.join(failed)}"
        )
    return 0


def _find_images(request, pair):
    """Returns (input folder, test folder, names of the test images), all checked."""
    from pix2pix_tf import data
    from pix2pix_tf.data import samples
    from pix2pix_tf.images import kinds

    kind = kinds.kind_of(pair)
    found = []
    for flag, folder, split in (
        ("--input_dir", request.input_dir, "train"),
        ("--test_dir", request.test_dir, "test"),
    ):
        if folder is None:
            folder = samples.sample_dir(kind.is_photograph, split)
        try:
            examples = data.find_examples(folder)
            data.Source(data.Files(examples), kind.image_channels).check()
        except UsageError as error:
            raise UsageError(str(error).replace("--input_dir", flag)) from None
        found.append((Path(folder).absolute(), examples))
    (input_dir, _), (test_dir, examples) = found
    return input_dir, test_dir, [example.name for example in examples]


def _check_folder(run, input_dir):
    """Refuses a folder that cannot be written, or holds a run of other flags."""
    # Only the nearest folder's permissions: options.json is one level down.
    check_output_dir(dataclasses.replace(run.options.run, output_dir=str(run.folder)))
    train_dir, max_steps = run.folder / "train", run.options.run.max_steps
    steps = steps_done(train_dir)
    if steps == 0:
        return
    if steps > max_steps:
        raise UsageError(
            f"{train_dir} has {steps} steps, more than --max_steps {max_steps}: give "
            "at least as many, or another --output_dir"
        )
    stored = read_options(train_dir / OPTIONS_NAME)
    wanted = to_dict(run.options)
    pairs = {
        name: (stored.get(name, value), value)
        for name, value in wanted.items()
        if name not in FREE_NAMES
    }
    if stored.get("input_dir") is not None:
        pairs["input_dir"] = (str(Path(stored["input_dir"]).absolute()), str(input_dir))
    for name, (old, new) in pairs.items():
        if old != new:
            raise UsageError(
                f"{train_dir} was trained with {name} {old}, and not {new}: give "
                "another --output_dir"
            )


def steps_done(train_dir):
    """Returns the step of a folder's checkpoint; 0 where it has no whole one."""
    from pix2pix_tf import checkpoints

    try:
        prefix = checkpoints.find_latest(train_dir)
        reader, _ = checkpoints.open_reader(prefix)
        return int(checkpoints.read(reader, ["global_step"], prefix)["global_step"])
    except UsageError:
        return 0


def _do(run, label, input_dir, test_dir, names):
    """Trains, tests and measures one run, as far as that is not done; its Outcome."""
    train_dir, output_dir = run.folder / "train", run.folder / "test"
    max_steps = run.options.run.max_steps
    steps = steps_done(train_dir)
    asked = {
        name: value
        for name, value in to_dict(run.options).items()
        if name not in FREE_NAMES
    }
    asked |= {
        "aspect_ratio": run.options.run.aspect_ratio,
        "input_dir": str(input_dir),
        "max_steps": max_steps,
        "test_dir": str(test_dir),
        "test_names": names,
    }
    result = _read_result(run.folder)
    if steps == max_steps and result and result["asked"] == asked:
        if _is_whole(output_dir, names):
            print(f"{label}: done before", flush=True)
            return Outcome(run, result, None)
    if steps < max_steps:
        flags = ["--mode=train", *run.flags, f"--input_dir={input_dir}"]
        flags += [f"--output_dir={train_dir}", f"--max_steps={max_steps - steps}"]
        if steps:
            flags.append(f"--checkpoint={train_dir}")
        else:
            _clear(train_dir)
        said = f" (has {steps})" if steps else ""
        print(f"{label}: training to step {max_steps}{said}", flush=True)
        problem = _train_command(run, flags, run.folder / "train.log")
        if problem:
            return Outcome(run, None, problem)
    print(f"{label}: testing", flush=True)
    _clear(output_dir)
    flags = ["--mode=test", *run.flags, f"--checkpoint={train_dir}"]
    flags += [f"--input_dir={test_dir}", f"--output_dir={output_dir}"]
    problem = _train_command(run, flags, run.folder / "test.log")
    if problem:
        return Outcome(run, None, problem)
    result = {
        "asked": asked,
        "steps": max_steps,
        **count_parameters(train_dir),
        **read_means(output_dir),
    }
    _write(run.folder / "result.json", json.dumps(result, indent=4) + "\n")
    return Outcome(run, result, None)


def _read_result(folder):
    """Returns what result.json holds, or None where it is missing or cut."""
    try:
        result = json.loads((folder / "result.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return result if isinstance(result, dict) and "asked" in result else None


def _is_whole(test_dir, names):
    """Says whether a test's pictures and its index are all there."""
    from pix2pix_tf.inference import gallery

    paths = [_picture_path(test_dir, name, kind) for name in names for kind in KINDS]
    paths.append(test_dir / gallery.INDEX_NAME)
    return all(path.is_file() for path in paths)


def _picture_path(test_dir, name, kind):
    return test_dir / "images" / f"{name}-{kind}.png"


def _clear(folder):
    """Deletes what a run that was cut short has left."""
    if (folder / OPTIONS_NAME).exists():
        shutil.rmtree(folder)


def _train_command(run, flags, log_path):
    """Does one train command; returns None, or in one line how it failed."""
    status = run_logged([sys.executable, "-m", "pix2pix_tf.train", *flags], log_path)
    if status == 0:
        return None
    lines = log_path.read_text(encoding="utf-8", errors="replace").splitlines()
    last = lines[-1].strip() if lines else "it said nothing"
    return f"{run.name}: exit status {status} ({last}), see {log_path}"


def run_logged(arguments, log_path):
    """Runs a command, its output to a log and its lines of progress to stdout.

    Args:
        arguments: list of str.
        log_path: Path; what it holds is kept.

    Returns:
        int, the exit status.

    Raises:
        StoppedError: a signal came; the command has had it too, and has ended.
    """
    log_path.parent.mkdir(parents=True, exist_ok=True)
    root = str(Path(__file__).parents[1])
    paths = [root, *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(paths)}
    with open(log_path, "ab") as log, _signals_to() as (children, caught):
        # In a group of its own, Ctrl-C reaches it once: from here.
        process = subprocess.Popen(
            arguments,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=environment,
            process_group=0,
        )
        children.append(process)
        if caught:  # before it was in the list
            process.send_signal(caught[0])
        for line in process.stdout:
            log.write(line)
            log.flush()
            if line.startswith((b"progress ", b"stopping")):
                print("   ", line.decode(errors="replace").rstrip(), flush=True)
        process.stdout.close()
        status = process.wait()
    if caught:
        raise StoppedError(caught[0])
    return status


@contextlib.contextmanager
def _signals_to():
    """Yields (processes that get each SIGINT and SIGTERM, the numbers that came)."""
    children, caught = [], []

    def forward(number, _):
        caught.append(number)
        for child in children:
            child.send_signal(number)

    numbers = (signal.SIGINT, signal.SIGTERM)
    previous = {number: signal.signal(number, forward) for number in numbers}
    try:
        yield children, caught
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


# ---------------------------------------------------------------------------
# What came of them
# ---------------------------------------------------------------------------


def count_parameters(train_dir):
    """Returns {"generator_parameters", "discriminator_parameters": int}.

    From the shapes in the checkpoint; a variable is trained if it has Adam's slots. A
    run without a discriminator has 0.
    """
    from pix2pix_tf import checkpoints

    _, shapes = checkpoints.open_reader(checkpoints.find_latest(train_dir))
    return {
        f"{network}_parameters": sum(
            math.prod(shape)
            for name, shape in shapes.items()
            if name.startswith(f"{network}/") and f"{name}/Adam" in shapes
        )
        for network in ("generator", "discriminator")
    }


def read_means(test_dir):
    """Returns {each of MEASURED: float or None}, means over a test's pictures."""
    found = json.loads((test_dir / "metrics.json").read_text(encoding="utf-8"))
    return {name: found["mean"][name] for name in MEASURED}


def _read_picture(test_dir, name, kind):
    """Returns uint8 [height, width, 3]."""
    from pix2pix_tf.images import pixels

    return pixels.decode(_picture_path(test_dir, name, kind).read_bytes()).numpy()


def _write_results(output_dir, outcomes, test_dir, names, num_pictures):
    """Writes the table twice and the grid, and prints the table."""
    header, rows = _table(outcomes)
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([header, *rows])
    _write(output_dir / "table.csv", text.getvalue())
    count = f"{len(names)} test picture" + ("s" if len(names) > 1 else "")
    lines = [
        *_markdown(header, rows),
        "",
        f"Means over the {count} of {test_dir}: l1 with pictures in [-1, 1] (lower is "
        "better), psnr in dB and ssim on the pictures as written (higher is better).",
        "",
        "![Input, the output of each run, target](grid.png)",
    ]
    _write(output_dir / "table.md", "\n".join(lines) + "\n")
    grid = draw_grid(outcomes, names[:num_pictures])
    _write(output_dir / "grid.png", grid)
    print("\n".join(["", *lines[: len(rows) + 2], ""]))
    print(f"wrote table.md, table.csv and grid.png in {output_dir}", flush=True)


def _table(outcomes):
    """Returns (names of the columns, rows of str): what varies, then the results."""
    varied = {name: None for outcome in outcomes for name in outcome.run.values}
    counts = ("steps", "generator_parameters", "discriminator_parameters")
    header = ["run", *varied, *counts, *MEASURED]
    rows = []
    for run, result, _ in outcomes:
        used = to_dict(run.options)
        row = [run.name]
        row += [run.values.get(name, _as_given(used[name])) for name in varied]
        row += [str(result[name]) for name in counts]
        for name, decimals in MEASURED.items():
            is_measured = result[name] is not None
            row.append(f"{result[name]:.{decimals}f}" if is_measured else "")
        rows.append(row)
    return header, rows


def _as_given(value):
    """Returns a flag's value as one gives it: true, 100, batch."""
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:.12g}" if isinstance(value, float) else str(value)


def _markdown(header, rows):
    """Returns the lines of a table, its columns aligned."""
    cells = [[cell.replace("|", "\\|") for cell in row] for row in (header, *rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = [
        "| " + " | ".join(map(str.ljust, row, widths)) + " |"  # each to its width
        for row in cells
    ]
    lines.insert(1, "| " + " | ".join("-" * width for width in widths) + " |")
    return lines


def draw_grid(outcomes, names):
    """Returns a PNG's bytes: a row a picture; input, each run's output, target."""
    from matplotlib.figure import Figure

    first = outcomes[0].run.folder / "test"
    columns = [("input", first, "inputs")]
    for outcome in outcomes:
        title = outcome.run.name.replace(",", "\n")
        columns.append((title, outcome.run.folder / "test", "outputs"))
    columns.append(("target", first, "targets"))
    titles = [
        "\n".join(part for line in title.splitlines() for part in _wrap(line))
        for title, _, _ in columns
    ]
    height, width, _ = _read_picture(first, names[0], "inputs").shape
    side = 1.7  # inches, of a picture's height
    top = 0.1 + 0.15 * max(title.count("\n") + 1 for title in titles)  # inches
    size = (side * width / height * len(columns), side * len(names) + top)
    figure = Figure(size, dpi=150)
    axes = figure.subplots(len(names), len(columns), squeeze=False)
    figure.subplots_adjust(0.005, 0.005, 0.995, 1 - top / size[1], 0.03, 0.03)
    for row, name in zip(axes, names, strict=True):
        for axis, (_, test_dir, kind) in zip(row, columns, strict=True):
            axis.imshow(_read_picture(test_dir, name, kind))
            axis.set_axis_off()
    for axis, title in zip(axes[0], titles, strict=True):
        axis.set_title(title, fontsize=8, pad=3, parse_math=False)
    contents = io.BytesIO()
    figure.savefig(contents, format="png")
    return contents.getvalue()


def _wrap(line):
    return textwrap.wrap(line, 22) or [""]


def _write(path, contents):
    """Writes a file whole or not at all, and leaves one alone that is the same."""
    if isinstance(contents, str):
        contents = contents.encode()
    if not path.is_file() or path.read_bytes() != contents:
        files.write_whole(path, contents)


if __name__ == "__main__":
    sys.exit(main())
