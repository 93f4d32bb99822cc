"""Images in rows and columns, and the same examples of several runs side by side."""

import io
import warnings
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from pix2pix_tf.commands.image_files import naming
from pix2pix_tf.images import codecs
from pix2pix_tf.inference import gallery
from pix2pix_tf.runtime.files import printable

DPI = 100
IMAGE_SIDE = 2.56  # inches: images of 256 pixels keep their size
MAX_TITLE, MAX_LABEL = 34, 22  # characters of a line above a column, beside a row


def draw_side_by_side(folders: list, rows: list, title: str = "") -> bytes:
    """Draws the input, the output of each run, and the target of the same examples.

    Args:
        folders: list of (column title, folder of a run or of a test).
        rows: list of gallery.Row; all the folders have their images.

    Returns:
        A PNG file.
    """
    columns = [(text, folder, "outputs") for text, folder in folders]
    columns.insert(0, ("input", folders[0][1], "inputs"))
    columns.append(("target", folders[0][1], "targets"))
    cells = [
        [(text, read_image(folder, row, kind)) for text, folder, kind in columns]
        for row in rows
    ]
    return draw_grid(cells, map(describe, rows), title)


def draw_grid(cells: list, labels: Iterable[str], title: str = "") -> bytes:
    """Draws rows of images; returns the bytes of a PNG file.

    Args:
        cells: list of rows of (column title, float32 [height, width, 3], in [0, 1]);
            the titles of the first row are shown.
        labels: of each row.
    """
    ratio = max(row[0][1].shape[1] / row[0][1].shape[0] for row in cells)
    num_lines = max(text.count("\n") for text, _ in cells[0])
    width = IMAGE_SIDE * ratio * len(cells[0]) + 0.6
    height = IMAGE_SIDE * len(cells) + 0.8 + 0.17 * num_lines
    figure = Figure((width, height), dpi=DPI, layout="constrained")
    figure.get_layout_engine().set(w_pad=0.02, h_pad=0.02, wspace=0.01, hspace=0.01)
    figure.suptitle(shorten(title, 60), parse_math=False)
    axes = figure.subplots(len(cells), len(cells[0]), squeeze=False)
    for axis, (text, _) in zip(axes[0], cells[0], strict=True):
        lines = (shorten(line, MAX_TITLE) for line in text.split("\n"))
        axis.set_title("\n".join(lines), fontsize=10, parse_math=False)
    for row, images, label in zip(axes, cells, labels, strict=True):
        row[0].set_ylabel(label, fontsize=9, parse_math=False)
        for axis, (_, image) in zip(row, images, strict=True):
            axis.imshow(image)
            axis.set(xticks=[], yticks=[])
    return to_png(figure)


def read_image(folder: Path, row: gallery.Row, kind: str) -> np.ndarray:
    """Returns an image of a gallery.Row, float32 [height, width, 3] in [0, 1]."""
    path = gallery.image_path(folder, row, kind)
    with naming(path):
        return codecs.read(path)


def describe(row: gallery.Row) -> str:
    """Returns the label of a gallery.Row: its step, if it has one, and its name."""
    name = shorten(row.name, MAX_LABEL)
    return name if row.step is None else f"step {row.step}\n{name}"


def shorten(text: str, limit: int) -> str:
    """Returns the end of a long text, where the names of runs and files differ."""
    text = printable(text)
    return text if len(text) <= limit else "..." + text[3 - limit :]


def to_png(figure: Figure, **options) -> bytes:
    """Returns the bytes of a PNG file; the options are those of `Figure.savefig`."""
    contents = io.BytesIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph")  # letters that the font lacks
        figure.savefig(contents, format="png", **options)
    return contents.getvalue()
