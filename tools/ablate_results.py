"""The results of the runs of tools/ablate.py: read from their folders, and compared."""

import csv
import io
import itertools
import math
import statistics
from collections import Counter
from pathlib import Path

import checkerboard
import text_table
from pix2pix_tf.runtime import files

COUNTS = ("steps", "generator_parameters", "discriminator_parameters")
# {metric: decimals in the table, of a single run and of a mean over seeds}
METRICS = {
    "l1": (5, 3),
    "psnr": (3, 2),
    "ssim": (5, 3),
    "lpips": (5, 3),
    "histogram_l": (5, 3),
    "histogram_a": (5, 3),
    "histogram_b": (5, 3),
    **dict.fromkeys(checkerboard.NAMES, (3, 2)),
}
TARGETS = "targets"  # their checkerboards in a result, and their row in the table
BETTER = " *"  # after what is better than in the first row
NOTE = """\
Lower is better: l1, with images in [-1, 1], and lpips. Higher is better: psnr, in dB,
ssim, and the intersections of the histograms of L, a and b. Closer to the targets is
better: amplitude, in levels of 255, and the periods, as tools/measure_checkerboard.py
measures them. All are of the images as written.
"""
NOTE_ON_SEEDS = """
Each cell is the mean ± the sample standard deviation over the seeds. `*`: better than
in the first row, and |difference of the means| > sum of the two standard deviations; of
the amplitude and the periods, the distances from the targets are compared in this way.
"""
GRID = "![Input, the output of each run, target](grid.png)\n"


def count(train_dir: Path) -> dict[str, int]:
    """Returns {each of COUNTS: int} of a folder's newest checkpoint."""
    from pix2pix_tf import checkpoints

    reader, shapes = checkpoints.open_reader(checkpoints.find_latest(train_dir))
    found = Counter(steps=int(reader.get_tensor("global_step")))
    for name, shape in shapes.items():
        if name.endswith("/Adam"):  # each trained variable has such a slot
            found[f"{name.partition('/')[0]}_parameters"] += math.prod(shape)
    return {name: found[name] for name in COUNTS}


def measure(test_dir: Path, names: list[str]) -> dict:
    """Returns the metrics of a test, and its checkerboards.

    Args:
        test_dir: a folder that test mode wrote.
        names: of its images.

    Returns:
        {each of METRICS: float, or None where the test does not have it,
        TARGETS: {each of checkerboard.NAMES: float or None}}

    Raises:
        UsageError: a file is damaged or missing.
    """
    from pix2pix_tf import metrics
    from pix2pix_tf.commands.plot import grid
    from pix2pix_tf.inference.gallery import Row

    outputs, targets = (
        checkerboard.measure_means(
            grid.read_image(test_dir, Row(name), kind) for name in names
        )
        for kind in ("outputs", "targets")
    )
    found = metrics.read_report(test_dir) | outputs
    return {name: found.get(name) for name in METRICS} | {TARGETS: targets}


def is_complete(result: dict) -> bool:
    """Returns False if an earlier version wrote the result, with fewer numbers."""
    return result.keys() >= {*COUNTS, *METRICS, TARGETS}


def write_tables(output_dir: Path, done: list, tested: str) -> None:
    """Writes `table.csv` of all runs and `table.md`, and prints the latter's table.

    Args:
        output_dir: folder path.
        done: list of (ablate.Run, its result), those of a combination in succession.
        tested: what the test images are.
    """
    results = [result for _, result in done]
    has_lpips = any(result["lpips"] is not None for result in results)
    shown = [name for name in METRICS if name != "lpips" or has_lpips]
    rows = _rows_of_runs(done, shown)
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    files.write_whole(Path(output_dir, "table.csv"), text.getvalue())
    has_seeds = any(run.combination != run.name for run, _ in done)
    if has_seeds:
        rows = _rows_of_combinations(done, shown)
    dots = {
        name: _number(value, METRICS[name][has_seeds])
        for name, value in results[0][TARGETS].items()
    }
    rows.append([TARGETS, *(dots.get(name, "") for name in rows[0][1:])])
    table = text_table.markdown(rows)
    notes = f"Means over {tested}.\n{NOTE}{NOTE_ON_SEEDS if has_seeds else ''}"
    files.write_whole(Path(output_dir, "table.md"), f"{table}\n{notes}\n{GRID}")
    print(f"\n{table}")


def _rows_of_runs(done, shown):
    """Returns the rows of a table that has one for each run, and the head."""
    varied = dict.fromkeys(name for run, _ in done for name in run.values)
    rows = [["run", *varied, *COUNTS, *shown]]
    for run, result in done:
        row = [files.printable(run.name)]
        row += [run.values.get(name, _as_given(run.options[name])) for name in varied]
        row += [str(result[name]) for name in COUNTS]
        row += [_number(result[name], METRICS[name][0]) for name in shown]
        rows.append(row)
    return rows


def _as_given(value):
    """Returns a flag's value as it is given on a command line: true, 100, batch."""
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:.12g}" if isinstance(value, float) else str(value)


def _number(value, decimals):
    return "" if value is None else f"{value:.{decimals}f}"


def _rows_of_combinations(done, shown):
    """Returns the rows of a table of means over seeds, and the head."""
    groups = itertools.groupby(done, lambda pair: pair[0].combination)
    groups = {name: [result for _, result in group] for name, group in groups}
    first = next(iter(groups.values()))
    rows = [["run", "seeds", *COUNTS, *shown]]
    for combination, results in groups.items():
        row = [files.printable(combination), str(len(results))]
        for name in COUNTS:  # runs that end early differ in their steps
            row.append(", ".join(dict.fromkeys(str(one[name]) for one in results)))
        for name in shown:
            cell = _mean_and_spread([one[name] for one in results], METRICS[name][1])
            better = _is_better(_costs(results, name), _costs(first, name))
            row.append(cell + BETTER if better else cell)
        rows.append(row)
    return rows


def _mean_and_spread(values, decimals):
    """Returns the text of a mean, and of the spread if there are several values."""
    values = [value for value in values if value is not None]
    if len(values) < 2:
        return _number(values[0] if values else None, decimals)
    spread = statistics.stdev(values)
    return f"{statistics.mean(values):.{decimals}f} ± {spread:.{decimals}f}"


def _costs(results, name):
    """Returns what is compared of a metric: numbers of which lower is better."""
    from pix2pix_tf import metrics

    results = [one for one in results if one[name] is not None]
    if name in checkerboard.NAMES:
        return [abs(one[name] - one[TARGETS][name]) for one in results]
    sign = -1 if metrics.METRICS[name].is_higher_better else 1
    return [sign * one[name] for one in results]


def _is_better(costs, first):
    """Returns True if costs are lower than others by more than the spread of both."""
    if min(len(costs), len(first)) < 2:
        return False
    gain = statistics.mean(first) - statistics.mean(costs)
    return gain > statistics.stdev(costs) + statistics.stdev(first)
