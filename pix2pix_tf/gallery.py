"""Pictures on disk: PNG files under `images/` and the `index.html` that shows them."""

import html
import os
import urllib.parse
from pathlib import Path
from typing import NamedTuple

import numpy as np

from pix2pix_tf import files, images

KINDS = ("inputs", "outputs", "targets")  # pix2pix's columns, in order
INDEX_NAME = "index.html"


class Row(NamedTuple):
    """One line of the index: the pictures of one example."""

    name: str  # empty where there is one row a step
    step: int | None = None  # in training: the global step

    @property
    def stem(self):
        """The beginning of the pictures' paths under `images/`.

        The step comes before the file's own name; a sub-folder stays one.
        """
        folder, slash, name = self.name.rpartition("/")
        step = "" if self.step is None else f"{self.step:08d}"
        return folder + slash + "-".join(part for part in (step, name) if part)


def write_pictures(output_dir, row, pictures):
    """Writes `images/<stem>-<kind>.png`.

    Args:
        output_dir: folder path.
        row: Row.
        pictures: {kind, such as those of KINDS: uint8 [height, width, 3]}.
    """
    for kind, picture in pictures.items():
        path = _path(output_dir, row, f"{kind}.png")
        path.write_bytes(images.encode(picture, "png").numpy())


def write_array(output_dir, row, output):
    """Writes `images/<stem>-outputs.npy`, float32 in [0, 1], of any channels."""
    np.save(_path(output_dir, row, "outputs.npy"), output)


def _path(output_dir, row, ending):
    path = Path(output_dir, "images", f"{row.stem}-{ending}")
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def training_rows(output_dir, kinds=KINDS):
    """Returns the rows of all training pictures in a folder, from their file names."""
    rows = []
    ending = f"-{kinds[0]}.png"
    folder = Path(output_dir, "images")
    for path in sorted(folder.rglob(f"*{ending}"), key=lambda path: path.name):
        step, _, name = path.name.removesuffix(ending).partition("-")
        if step.isdecimal():
            parent = path.relative_to(folder).parent
            rows.append(Row((parent / name).as_posix() if name else "", int(step)))
    return rows


def write_index(output_dir, rows, kinds=KINDS, title="pix2pix"):
    """Writes `index.html`, whole or not at all; returns its path.

    Columns that no row has something in, steps or names, are left out.
    """
    columns = {"step": [row.step for row in rows], "name": [row.name for row in rows]}
    columns = {
        name: cells
        for name, cells in columns.items()
        if any(cell not in (None, "") for cell in cells)
    }
    titles = [*columns, *(kind.removesuffix("s") for kind in kinds)]
    head = "".join(f"<th>{title}</th>" for title in titles)
    body = "\n".join(
        _table_row(row, cells, kinds)
        for row, *cells in zip(rows, *columns.values(), strict=True)
    )
    path = Path(output_dir, INDEX_NAME)
    files.write_whole(path, _PAGE.format(title=title, head=head, body=body))
    return path


def _table_row(row, cells, kinds):
    cells = [html.escape(files.printable(str(cell))) for cell in cells]
    for kind in kinds:
        source = urllib.parse.quote(os.fsencode(f"images/{row.stem}-{kind}.png"))
        of = files.printable(row.name or f"step {row.step}")
        label = html.escape(f"{kind} of {of}")
        cells.append(f'<img src="{source}" alt="{label}" loading="lazy">')
    return "<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>"


_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>{title}</title>
<style>
body {{ font-family: sans-serif; margin: 1em; }}
th, td {{ padding: 0.3em; text-align: left; vertical-align: top; }}
img {{ max-width: 100%; }}
</style>
</head>
<body>
<table>
<thead><tr>{head}</tr></thead>
<tbody>
{body}
</tbody>
</table>
</body>
</html>
"""
