"""Pictures on disk: PNG files under `images/` and the `index.html` that shows them."""

import html
import os
import urllib.parse
from collections import Counter
from pathlib import Path
from typing import NamedTuple

from pix2pix_tf import files, images

KINDS = ("inputs", "outputs", "targets")  # the columns, in order
INDEX_NAME = "index.html"


class Row(NamedTuple):
    """One line of the index: the pictures of one example."""

    name: str
    step: int | None = None  # in training: the global step

    @property
    def stem(self):
        """The beginning of the pictures' file names."""
        return self.name if self.step is None else f"{self.step:08d}-{self.name}"


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
    """Writes `images/<stem>-{inputs,outputs,targets}.png`.

    Args:
        output_dir: folder path.
        row: Row.
        pictures: {kind of KINDS: uint8 [height, width, 3]}.
    """
    folder = Path(output_dir, "images")
    folder.mkdir(exist_ok=True)
    for kind, picture in pictures.items():
        contents = images.encode(picture, "png").numpy()
        (folder / f"{row.stem}-{kind}.png").write_bytes(contents)


def training_rows(output_dir):
    """Returns the rows of all training pictures in a folder, from their file names."""
    rows = []
    for path in sorted(Path(output_dir, "images").glob("*-inputs.png")):
        step, _, name = path.name.removesuffix("-inputs.png").partition("-")
        if step.isdecimal():
            rows.append(Row(name, int(step)))
    return rows


def write_index(output_dir, rows):
    """Writes `index.html`, whole or not at all; returns its path."""
    has_steps = any(row.step is not None for row in rows)
    titles = [*(["step"] if has_steps else []), "name", "input", "output", "target"]
    head = "".join(f"<th>{title}</th>" for title in titles)
    body = "\n".join(_table_row(row) for row in rows)
    path = Path(output_dir, INDEX_NAME)
    files.write_whole(path, _PAGE.format(head=head, body=body))
    return path


def _table_row(row):
    cells = [] if row.step is None else [str(row.step)]
    name = html.escape(files.printable(row.name))
    cells.append(name)
    for kind in KINDS:
        source = urllib.parse.quote(os.fsencode(f"images/{row.stem}-{kind}.png"))
        label = f"{kind} of {name}"
        cells.append(f'<img src="{source}" alt="{label}" loading="lazy">')
    return "<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>"


_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>pix2pix</title>
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
