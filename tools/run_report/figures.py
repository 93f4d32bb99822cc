"""The figures of a report, each the bytes of a PNG file."""

import io
import math
import textwrap
import warnings

import numpy as np
from matplotlib import colormaps
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import EngFormatter, MaxNLocator
from run_report import curves, records, strips

from pix2pix_tf.runtime.files import printable

DPI = 100
MAX_COLUMNS = 3  # of panels
PANEL_SIZE = 4.6, 3.2  # inches
PICTURE_SIDE = 2.56  # inches: pictures of 256 pixels are shown as they are
MAX_ROWS = 8  # of pictures of one run; of several runs half as many
LOG_RATIO = 30  # between the largest value and the smallest: logarithmic from here on
MAX_MARKED = 30  # points of a curve that are marked each
MAX_POINTS = 200  # of a curve; of longer ones means are drawn, and all values pale
NUM_MEANS = 100  # of those
MAX_LABEL = 70  # characters of a line of a legend
CHARACTER_WIDTH = 0.072  # inches, in a legend
AS_LOGGED = {"linestyle": "--", "linewidth": 1, "alpha": 0.6}
PALE = {"linewidth": 0.6, "alpha": 0.2}
# What is drawn together: (title, does a tag belong there?), the first that fits.
GROUPS = (
    ("Losses", curves.is_average),
    ("Validation", lambda tag: tag.startswith("validation/")),
    ("Learning rates", lambda tag: "learning_rate" in tag),
    ("Gradient norms", lambda tag: "gradient" in tag),
    ("Discriminator accuracy", lambda tag: "accuracy" in tag),
    ("Others", lambda tag: True),
)
# A word in a tag, and what its values are; the first that fits.
UNITS = (
    ("loss_L1", "mean |difference| of values in [-1, 1]"),
    ("loss", "loss, without its weight"),
    ("histogram", "share"),
    ("_gb", "GB"),
    ("psnr", "PSNR, dB"),
    ("ssim", "SSIM, 1 is equal"),
    ("l1", "L1"),
    ("accuracy", "share judged rightly"),
    ("learning_rate", "learning rate"),
    ("gradient", "L2 norm"),
    ("images_per", "images / s"),
    ("share", "share"),
)


def group_tags(runs):
    """Returns {title of a group: [tag of any run]}, without empty ones."""
    groups = {title: [] for title, _ in GROUPS}
    for tag in sorted({tag for run in runs for tag in run.curves}):
        title = next(title for title, belongs in GROUPS if belongs(tag))
        groups[title].append(tag)
    return {title: tags for title, tags in groups.items() if tags}


def draw_curves(runs, tags, title):
    """Draws a panel for each tag, with all runs in it.

    Args:
        runs: list of Run.
        tags: list of str.
        title: str.
    """
    figure, panels = _make_panels(len(tags), title)
    colors = run_colors(runs)
    for axis, tag in zip(panels, tags, strict=True):
        for run, color in zip(runs, colors, strict=True):
            if tag in run.curves:
                _draw_curve(axis, tag, run.curves[tag], color)
        _finish_panel(axis, tag)
    entries = [
        (Line2D([], [], color=color), label)
        for color, label in zip(colors, records.describe_runs(runs), strict=True)
    ]
    _add_legend(figure, entries + _explain_lines(runs, tags))
    return _to_png(figure)


def _explain_lines(runs, tags):
    """Returns the legend's entries that say what kinds of lines there are."""
    if any(map(curves.is_average, tags)):
        return [
            (Line2D([], [], color="0.3"), "average without its zero start"),
            (Line2D([], [], color="0.3", **AS_LOGGED), "average as logged"),
        ]
    sizes = [
        run.curves[tag].steps.size for run in runs for tag in tags if tag in run.curves
    ]
    if max(sizes) > MAX_POINTS:
        return [
            (Line2D([], [], color="0.3"), "mean of neighbouring values"),
            (Line2D([], [], color="0.8"), "values as logged"),
        ]
    return []


def _draw_curve(axis, tag, curve, color):
    marker = "." if curve.steps.size <= MAX_MARKED else None
    if curves.is_average(tag):
        axis.plot(*curve, color=color, **AS_LOGGED)
        curve = curves.debias(curve)
    elif curve.steps.size > MAX_POINTS:
        axis.plot(*curve, color=color, **PALE)
        curve = curves.average_neighbours(curve, NUM_MEANS)
    axis.plot(*curve, color=color, marker=marker, linewidth=1.5)


def _finish_panel(axis, tag):
    """Labels a panel's axes, and makes the upright one logarithmic where that helps."""
    values = np.concatenate([line.get_ydata() for line in axis.lines])
    values = values[np.isfinite(values)]
    if values.size and values.min() > 0 and values.max() > LOG_RATIO * values.min():
        axis.set_yscale("log")
    elif values.size and values.min() >= 0:
        is_flat = values.min() == values.max()
        is_wide = values.min() < values.max() / 2
        axis.set_ylim(bottom=0 if is_flat or is_wide else None)
    if axis.get_yscale() == "linear":
        axis.ticklabel_format(axis="y", scilimits=(-3, 5))
    axis.set_title(printable(tag), fontsize=10, parse_math=False)
    axis.set_ylabel(unit_of(tag))
    axis.set_xlabel("step")
    axis.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    axis.xaxis.set_major_formatter(EngFormatter(sep=""))
    axis.grid(alpha=0.3)


def unit_of(tag):
    """Returns what a tag's values are, for the axis."""
    return next((unit for word, unit in UNITS if word in tag), "value")


def draw_finals(runs, columns, title):
    """Draws the runs' last values beside each other, a panel for each figure.

    Args:
        runs: list of Run.
        columns: {label: [value of each run, or None]}.
        title: str.
    """
    height = 0.9 + 0.3 * len(runs)
    figure, panels = _make_panels(len(columns), title, height)
    colors = run_colors(runs)
    for number, (axis, (label, values)) in enumerate(
        zip(panels, columns.items(), strict=True)
    ):
        widths = [_finite(value) for value in values]
        bars = axis.barh(range(len(runs)), widths, color=colors)
        texts = ["-" if value is None else f"{value:.4g}" for value in values]
        axis.bar_label(bars, texts, padding=3, fontsize=8)
        axis.margins(x=0.2)
        axis.axvline(0, color="0.3", linewidth=0.8)
        axis.set_title(printable(label), fontsize=10, parse_math=False)
        is_first = number % MAX_COLUMNS == 0
        names = [_short(run.name, 30) if is_first else "" for run in runs]
        axis.set_yticks(range(len(runs)), names, parse_math=False)
        axis.invert_yaxis()
        axis.xaxis.set_major_locator(MaxNLocator(5))
    return _to_png(figure)


def _finite(value):
    return value if value is not None and math.isfinite(value) else 0


def draw_pictures(run, max_rows):
    """Draws training pictures: a row a step, so many at most, evenly chosen."""
    by_step = {row.step: row for row in reversed(run.rows)}
    steps = sorted(by_step)
    rows = [by_step[step] for step in strips.choose_evenly(steps, max_rows)]
    cells = [
        [(kind, records.read_picture(run.folder, row, kind)) for kind in run.kinds]
        for row in rows
    ]
    labels = [f"step {row.step}\n{_short(row.name, 22)}" for row in rows]
    return _draw_grid(cells, labels, f"Pictures of {run.name} while it trained")


def draw_validation(run):
    """Draws validation pictures: a row a picture, its outputs in a column a step."""
    cells = []
    for name, by_step in run.strips.items():
        parts = {step: strips.split(run, name, step) for step in by_step}
        outputs = [(f"step {step}", output) for step, (_, output, _) in parts.items()]
        inputs, _, targets = parts[max(parts)]
        cells.append([("inputs", inputs), *outputs, ("targets", targets)])
    labels = [_short(name, 22) for name in run.strips]
    return _draw_grid(cells, labels, f"Validation pictures of {run.name}")


def draw_side_by_side(runs, rows):
    """Draws the outputs of several runs for the same examples at the same steps.

    Args:
        runs: list of Run, with pix2pix's kinds of pictures.
        rows: list of gallery.Row, of all of these runs.
    """
    rows = rows[-(MAX_ROWS // 2) :]
    cells = []
    for row in rows:
        first = runs[0].folder
        outputs = [
            (run.name, records.read_picture(run.folder, row, "outputs")) for run in runs
        ]
        inputs, targets = (
            (kind, records.read_picture(first, row, kind))
            for kind in ("inputs", "targets")
        )
        cells.append([inputs, *outputs, targets])
    labels = [f"step {row.step}\n{_short(row.name, 22)}" for row in rows]
    return _draw_grid(cells, labels, "The same examples at the same steps")


def _draw_grid(cells, labels, title):
    """Draws rows of (title, picture); the titles of the first row head the columns."""
    width = max(row[0][1].shape[1] / row[0][1].shape[0] for row in cells)
    size = (
        PICTURE_SIDE * width * len(cells[0]) + 0.6,
        PICTURE_SIDE * len(cells) + 0.8,
    )
    figure = Figure(size, dpi=DPI, layout="constrained")
    figure.get_layout_engine().set(w_pad=0.02, h_pad=0.02, wspace=0.01, hspace=0.01)
    figure.suptitle(_short(title, 60), parse_math=False)
    axes = figure.subplots(len(cells), len(cells[0]), squeeze=False)
    for axis, (kind, _) in zip(axes[0], cells[0], strict=True):
        axis.set_title(_short(kind, 24), fontsize=10, parse_math=False)
    for axis, label in zip(axes[:, 0], labels, strict=True):
        axis.set_ylabel(label, fontsize=9, parse_math=False)
    for axis, (_, picture) in zip(axes.ravel(), sum(cells, []), strict=True):
        axis.imshow(picture)
        axis.set(xticks=[], yticks=[])
    return _to_png(figure)


# ---------------------------------------------------------------------------
# What all figures share
# ---------------------------------------------------------------------------


def run_colors(runs):
    """Returns a colour for each run, the same in every figure."""
    if len(runs) <= 10:
        return [colormaps["tab10"](number) for number in range(len(runs))]
    return list(colormaps["turbo"](np.linspace(0.05, 0.95, len(runs))))


def _make_panels(count, title, height=PANEL_SIZE[1]):
    """Returns (Figure, [Axes]) of so many panels."""
    num_columns = min(count, MAX_COLUMNS)
    num_rows = math.ceil(count / num_columns)
    size = max(PANEL_SIZE[0] * num_columns, 6), height * num_rows + 0.6
    figure = Figure(size, dpi=DPI, layout="constrained")
    figure.suptitle(title, parse_math=False)
    axes = list(figure.subplots(num_rows, num_columns, squeeze=False).ravel())
    for axis in axes[count:]:
        axis.set_axis_off()
    return figure, axes[:count]


def _add_legend(figure, entries):
    """Adds a legend below the panels, for which the figure grows.

    Args:
        figure: Figure.
        entries: list of (handle, label).
    """
    handles = [handle for handle, _ in entries]
    labels = [textwrap.fill(label, MAX_LABEL) for _, label in entries]
    width, height = figure.get_size_inches()
    longest = max(len(line) for label in labels for line in label.split("\n"))
    num_fitting = int(width / (CHARACTER_WIDTH * longest + 0.8))
    num_columns = min(len(labels), max(num_fitting, 1))
    num_lines = math.ceil(len(labels) / num_columns)
    num_lines *= max(label.count("\n") + 1 for label in labels)
    figure.set_size_inches(width, height + 0.2 * num_lines)
    legend = figure.legend(
        handles,
        [str(number) for number in range(len(labels))],  # any text: set below
        loc="outside lower center",
        ncols=num_columns,
        fontsize=9,
        frameon=False,
    )
    for text, label in zip(legend.get_texts(), labels, strict=True):
        text.set(text=label, parse_math=False)


def _short(text, limit):
    """Returns the end of a long text, which names of runs and files differ in."""
    text = printable(text)
    return text if len(text) <= limit else "..." + text[3 - limit :]


def _to_png(figure):
    contents = io.BytesIO()
    with warnings.catch_warnings():
        # Names may be in any script; the page shows what the font here cannot.
        warnings.filterwarnings("ignore", "Glyph")
        figure.savefig(contents, format="png")
    return contents.getvalue()
