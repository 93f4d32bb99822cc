"""Pictures on disk: PNG files under `images/` and the `index.html` that shows them."""

import html
import os
import urllib.parse
from collections import Counter
from pathlib import Path
from typing import NamedTuple

from pix2pix_tf import files, images

KINDS = ("inputs", "outputs", "targets")  # pix2pix's columns, in order
INDEX_NAME = "index.html"


class Row(NamedTuple):
    """One line of the index: the pictures of one example."""

    name: str  # empty where there is one row a step
    step: int | None = None  # in training: the global step

    @property
    def stem(self):
        """The beginning of the pictures' file names."""
        step = "" if self.step is None else f"{self.step:08d}"
        return "-".join(part for part in (step, self.name) if part)


def unique_names(paths):
    """Returns one name a file: its stem, or its whole name where stems are shared."""
    counts = Counter(path.stem.lower() for path in paths)
    names = [
        path.stem if counts[path.stem.lower()] == 1 else path.name for path in paths
    ]
    if len(set(names)) < len(names):  # a.png and a.jpg beside a.png.jpg
        return [path.name for path in paths]
    return names


def write_pictures(output_dir, row, pictures):
    """Writes `images/<stem>-<kind>.png`.

    Args:
        output_dir: folder path.
        row: Row.
        pictures: {kind, such as those of KINDS: uint8 [height, width, 3]}.
    """
    folder = Path(output_dir, "images")
    folder.mkdir(exist_ok=True)
    for kind, picture in pictures.items():
        contents = images.encode(picture, "png").numpy()
        (folder / f"{row.stem}-{kind}.png").write_bytes(contents)


def training_rows(output_dir, kinds=KINDS):
    """Returns the rows of all training pictures in a folder, from their file names."""
    rows = []
    ending = f"-{kinds[0]}.png"
    for path in sorted(Path(output_dir, "images").glob(f"*{ending}")):
        step, _, name = path.name.removesuffix(ending).partition("-")
        if step.isdecimal():
            rows.append(Row(name, int(step)))
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
