"""The plots of a report, each the bytes of a PNG file."""

import math
import textwrap

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import EngFormatter, MaxNLocator

from pix2pix_tf.commands.image_files import naming
from pix2pix_tf.commands.plot import curves, grid, runs
from pix2pix_tf.images import codecs
from pix2pix_tf.runtime.files import printable

MAX_COLUMNS = 3  # of panels
PANEL_SIZE = 4.6, 3.2  # inches
MAX_STRIP_STEPS = 6  # of which validation images are shown
LOG_RATIO = 30  # of the largest value to the smallest: above, the axis is logarithmic
MAX_MARKED = 30  # points of a curve that are marked each
MAX_POINTS = 200  # of longer curves, all values are pale, and means are drawn
AS_LOGGED = {"linestyle": "--", "linewidth": 1, "alpha": 0.6}
# {what is drawn together: (how its tags begin, what their values are)}, the first that
# fits a tag; without a text, the tag says what its values are.
GROUPS = {
    "Losses": (curves.AVERAGE_PREFIXES, "loss, without its weight"),
    "Validation": ("validation/", ""),
    "Learning rates": ("learning_rate/", "learning rate"),
    "Gradient norms": ("gradient_norm/", "L2 norm"),
    "Discriminator accuracy": ("discriminator_accuracy/", "share classified correctly"),
    "Others": ("", ""),
}


def group_tags(all_runs: list[runs.Run]) -> dict[str, list[str]]:
    """Returns {name in GROUPS: [tag of any run]}, without empty groups."""
    groups = {name: [] for name in GROUPS}
    for tag in sorted({tag for run in all_runs for tag in run.curves}):
        fits = [name for name, (start, _) in GROUPS.items() if tag.startswith(start)]
        groups[fits[0]].append(tag)
    return {name: tags for name, tags in groups.items() if tags}


def draw_curves(all_runs: list[runs.Run], group: str, tags: list[str]) -> bytes:
    """Draws a panel for each tag of a group, with the curves of all runs in it."""
    figure, panels = _make_panels(len(tags), group)
    for axis, tag in zip(panels, tags, strict=True):
        for run, color in zip(all_runs, run_colors(all_runs), strict=True):
            if tag in run.curves:
                draw_curve(axis, tag, run.curves[tag], color)
        axis.set_ylabel(GROUPS[group][1] or tag.rpartition("/")[2], parse_math=False)
        finish_panel(axis, tag)
    texts = [textwrap.fill(text, 110) for text in runs.describe_runs(all_runs)]
    lines = zip(run_colors(all_runs), texts, strict=True)
    handles = [Line2D([], [], color=color, label=text) for color, text in lines]
    if group == "Losses":
        handles.append(Line2D([], [], color="0.3", label="average without zero start"))
        handles.append(Line2D([], [], color="0.3", label="as logged", **AS_LOGGED))
    elif any(line.get_alpha() for axis in panels for line in axis.lines):
        handles.append(Line2D([], [], color="0.3", label="mean of neighbours"))
        handles.append(Line2D([], [], color="0.8", label="as logged"))
    place = {"loc": "upper center", "bbox_to_anchor": (0.5, 0)}
    legend = figure.legend(handles=handles, frameon=False, **place)
    for text in legend.get_texts():
        text.set_parse_math(False)
    return grid.to_png(figure, bbox_inches="tight")  # with the legend below


def draw_curve(axis: Axes, tag: str, curve: curves.Curve, color) -> None:
    """Draws one Curve: of an average, and of many values, in two ways."""
    marker = "." if curve.steps.size <= MAX_MARKED else None
    if curves.is_average(tag):
        axis.plot(*curve, color=color, **AS_LOGGED)
        curve = curves.debias(curve)
    elif curve.steps.size > MAX_POINTS:
        axis.plot(*curve, color=color, linewidth=0.6, alpha=0.2)
        groups = (np.array_split(array, MAX_POINTS // 2) for array in curve)
        curve = ([values.mean() for values in group] for group in groups)
    axis.plot(*curve, color=color, marker=marker, linewidth=1.5)


def finish_panel(axis: Axes, tag: str) -> None:
    """Labels a panel's axes, and makes the upright one logarithmic where that helps."""
    values = np.concatenate([line.get_ydata() for line in axis.lines])
    values = values[np.isfinite(values)]
    low, high = (values.min(), values.max()) if values.size else (0, 0)
    if low > 0 and high > LOG_RATIO * low:
        axis.set_yscale("log")
    else:
        axis.ticklabel_format(axis="y", scilimits=(-3, 5))
        if values.size and low >= 0 and (low == high or low < high / 2):
            axis.set_ylim(bottom=0)
    axis.set_title(printable(tag), fontsize=10, parse_math=False)
    axis.set_xlabel("step")
    axis.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    axis.xaxis.set_major_formatter(EngFormatter(sep=""))
    axis.grid(alpha=0.3)


def draw_last(all_runs: list[runs.Run], columns: dict[str, list], title: str) -> bytes:
    """Draws a panel for each of {label: [value of each run, or None]}."""
    figure, panels = _make_panels(len(columns), title, 0.9 + 0.3 * len(all_runs))
    places, names = range(len(all_runs)), [grid.shorten(r.name, 30) for r in all_runs]
    for number, (label, values) in enumerate(columns.items()):
        axis = panels[number]
        widths = [v if v is not None and math.isfinite(v) else 0 for v in values]
        bars = axis.barh(places, widths, color=run_colors(all_runs))
        texts = ["-" if value is None else f"{value:.4g}" for value in values]
        axis.bar_label(bars, texts, padding=3, fontsize=8)
        axis.margins(x=0.2)
        axis.set_title(printable(label), fontsize=10, parse_math=False)
        axis.set_yticks(places, names, parse_math=False)
        axis.tick_params(labelleft=number % MAX_COLUMNS == 0)
        axis.invert_yaxis()
    return grid.to_png(figure)


def draw_images(run: runs.Run, max_rows: int, title: str) -> bytes:
    """Draws training images: a row for each of at most `max_rows` steps."""
    by_step = {row.step: row for row in reversed(run.rows)}
    rows = [by_step[step] for step in choose_evenly(sorted(by_step), max_rows)]
    read, kinds = grid.read_image, run.kinds
    cells = [[(kind, read(run.folder, row, kind)) for kind in kinds] for row in rows]
    return grid.draw_grid(cells, map(grid.describe, rows), title)


def draw_validation(run: runs.Run, title: str) -> bytes:
    """Draws validation images: a row for each image, with a column for each step."""
    common = set.intersection(*map(set, run.strips.values()))
    steps = choose_evenly(sorted(common), MAX_STRIP_STEPS)
    cells = []
    for name in run.strips:
        parts = [_split_strip(run, name, step) for step in steps]
        outputs = [(f"step {s}", part[1]) for s, part in zip(steps, parts, strict=True)]
        cells.append([("input", parts[-1][0]), *outputs, ("target", parts[-1][2])])
    labels = [grid.shorten(name, grid.MAX_LABEL) for name in run.strips]
    return grid.draw_grid(cells, labels, title)


def _split_strip(run, name, step):
    """Returns the input, output and target of one validation image at one step."""
    place = f"{run.folder}: {curves.STRIP_TAG}{name} of step {step} in its event files"
    with naming(place):
        return np.array_split(codecs.from_bytes(run.strips[name][step]), 3, axis=1)


def choose_evenly(items: list, count: int) -> list:
    """Returns at most `count` items of a list, the first and the last among them."""
    chosen = np.linspace(0, len(items) - 1, min(count, len(items))).round()
    return [items[int(number)] for number in chosen]


def run_colors(all_runs: list[runs.Run]) -> list:
    """Returns a colour for each run, the same in every plot."""
    if len(all_runs) <= 10:
        return colormaps["tab10"].colors[: len(all_runs)]
    return list(colormaps["turbo"](np.linspace(0.05, 0.95, len(all_runs))))


def _make_panels(count, title, height=PANEL_SIZE[1]):
    """Returns (Figure, [Axes]) of so many panels."""
    num_columns = min(count, MAX_COLUMNS)
    num_rows = math.ceil(count / num_columns)
    size = max(PANEL_SIZE[0] * num_columns, 6), height * num_rows + 0.6
    figure = Figure(size, dpi=grid.DPI, layout="constrained")
    figure.suptitle(title, parse_math=False)
    axes = figure.subplots(num_rows, num_columns, squeeze=False).ravel()
    for axis in axes[count:]:
        axis.set_axis_off()
    return figure, axes[:count]
