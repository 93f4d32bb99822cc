"""Files and their names: writing whole, and showing any name."""

import os
from pathlib import Path


def write_whole(path, text):
    """Writes a text file under another name, then renames it: never half of it."""
    path = Path(path)
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(text, encoding="utf-8")
    os.replace(partial, path)


def printable(name):
    """Returns a file's name as text that every terminal and page takes.

    Names need not be UTF-8 on disk; what is not is shown as a question mark in a box.
    """
    return os.fsencode(name).decode(errors="replace")
