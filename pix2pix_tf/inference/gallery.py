"""Images on disk: PNG files under `images/` and the `index.html` that shows them."""

import html
import os
import urllib.parse
from pathlib import Path
from string import Template
from typing import NamedTuple

import numpy as np

from pix2pix_tf.images import pixels
from pix2pix_tf.runtime import files

KINDS = ("inputs", "outputs", "targets")  # pix2pix's columns, in order
INDEX_NAME = "index.html"
IMAGES_NAME = "images"
_ENDING_BYTES = max(len(f"-{kind}.png") for kind in KINDS)
TEMPLATE_PATH = Path(__file__).with_suffix(".html")


class Row(NamedTuple):
    """One line of the index: the images of one example."""

    name: str  # empty where there is one row a step
    step: int | None = None  # in training: the global step

    @property
    def stem(self):
        """The beginning of the images' paths under `images/`.

        The step comes before the file's own name; a sub-folder stays one. A long name
        is shortened, in the same way for all kinds.
        """
        folder, slash, name = self.name.rpartition("/")
        step = "" if self.step is None else f"{self.step:08d}"
        before = f"{step}-" if step and name else step
        return folder + slash + files.derive_name(name, before, room=_ENDING_BYTES)


class Column(NamedTuple):
    """Numbers beside the images, to sort the rows by."""

    title: str
    values: list  # of float or None, one for each row
    decimals: int
    is_better_high: bool

    def header(self):
        worst_first = "up" if self.is_better_high else "down"
        return f'<th class="number" data-sort="{worst_first}">{self.title}</th>'

    def cells(self):
        texts = (
            "" if value is None else f"{value:.{self.decimals}f}"
            for value in self.values
        )
        return [f'<td class="number">{text}</td>' for text in texts]


def write_images(output_dir: str | Path, row: Row, images: dict) -> None:
    """Writes `images/<stem>-<kind>.png`, each whole or not at all.

    Args:
        output_dir: folder path.
        row: Row.
        images: {kind, such as those of KINDS: uint8 [height, width, 3]}.
    """
    for kind, image in images.items():
        path = image_path(output_dir, row, kind)
        path.parent.mkdir(parents=True, exist_ok=True)
        files.write_whole(path, pixels.encode(image, "png").numpy())


def write_array(output_dir: str | Path, row: Row, output: np.ndarray) -> None:
    """Writes `images/<stem>-outputs.npy`, float32 in [0, 1], of any channels."""
    path = image_path(output_dir, row, "outputs").with_suffix(".npy")
    with files.writing(path) as partial, partial.open("wb") as file:
        np.save(file, output)


def read_image(output_dir: str | Path, row: Row, kind: str) -> np.ndarray:
    """Returns uint8 [height, width, 3], an image that was written."""
    return pixels.decode(image_path(output_dir, row, kind).read_bytes()).numpy()


def image_path(output_dir: str | Path, row: Row, kind: str) -> Path:
    """Returns `images/<stem>-<kind>.png`."""
    return Path(output_dir, IMAGES_NAME, f"{row.stem}-{kind}.png")


def training_rows(output_dir: str | Path, kinds: tuple = KINDS) -> list[Row]:
    """Returns the rows of all training images in a folder, from their file names."""
    rows = []
    ending = f"-{kinds[0]}.png"
    folder = Path(output_dir, IMAGES_NAME)
    for path in sorted(folder.rglob(f"*{ending}"), key=lambda path: path.name):
        step, _, name = path.name.removesuffix(ending).partition("-")
        if step.isdecimal():
            parent = path.relative_to(folder).parent
            row = Row((parent / name).as_posix() if name else "", int(step))
            # Test mode writes 1-inputs.png, of an example named 1.
            if image_path(output_dir, row, kinds[0]) == path:
                rows.append(row)
    return rows


def write_index(output_dir, rows, kinds=KINDS, title="pix2pix", about="", columns=()):
    """Writes `index.html`, whole or not at all; returns its path.

    The columns of steps and names are left out where no row has any.

    Args:
        output_dir: folder path.
        rows: list of Row.
        kinds: tuple of str, the images that each row has.
        title: str, the page's.
        about: str, a line under the title.
        columns: list of Column, shown before the images.
    """
    texts = {"step": [row.step for row in rows], "name": [row.name for row in rows]}
    texts = {
        name: cells
        for name, cells in texts.items()
        if any(cell not in (None, "") for cell in cells)
    }
    head = [f'<th class="text" data-sort="up">{name}</th>' for name in texts]
    head += [column.header() for column in columns]
    head += [f"<th>{kind.removesuffix('s')}</th>" for kind in kinds]
    cells = [[_cell(value) for value in values] for values in texts.values()]
    cells += [column.cells() for column in columns]
    cells += [[_image(row, kind) for row in rows] for kind in kinds]
    body = "\n".join(f"<tr>{''.join(line)}</tr>" for line in zip(*cells, strict=True))
    page = Template(TEMPLATE_PATH.read_text(encoding="utf-8"))
    path = Path(output_dir, INDEX_NAME)
    title, about = (html.escape(files.printable(text)) for text in (title, about))
    page = page.substitute(title=title, about=about, head="".join(head), body=body)
    files.write_whole(path, page)
    return path


def _cell(value):
    return f"<td>{html.escape(files.printable(str(value)))}</td>"


def _image(row, kind):
    source = urllib.parse.quote(os.fsencode(f"{IMAGES_NAME}/{row.stem}-{kind}.png"))
    of = files.printable(row.name or f"step {row.step}")
    label = html.escape(f"{kind} of {of}")
    return f'<td><img src="{source}" alt="{label}" loading="lazy"></td>'
