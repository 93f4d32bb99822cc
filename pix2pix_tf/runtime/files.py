"""Files and their names: finding, writing whole, and showing any name."""

import os
import unicodedata
from pathlib import Path

_PARTIAL = ".partial"


def write_whole(path, contents):
    """Writes a file under another name, then renames it: never half of it.

    It is on the disk before it has its name, so that a power cut leaves the old file or
    the new one.

    Args:
        path: str or Path.
        contents: str, written as UTF-8, or bytes.
    """
    path = Path(path)
    if isinstance(contents, str):
        contents = contents.encode()
    partial = partial_path(path)
    with partial.open("wb") as file:
        file.write(contents)
        file.flush()
        os.fsync(file.fileno())
    os.replace(partial, path)
    if os.name == "posix":  # elsewhere a folder cannot be opened
        flush(path.parent)


def partial_path(path):
    """Returns the path that a file has until it is whole."""
    return path.with_name(f".{path.name}{_PARTIAL}")


def remove_partials(folder):
    """Removes what was being written in a folder when the writer was killed."""
    for path in Path(folder).glob(f".*{_PARTIAL}*"):
        path.unlink(missing_ok=True)


def flush(path):
    """Waits until a file's contents, or a folder's names, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def find(folder, suffixes):
    """Returns the files of a folder, without its subfolders and hidden ones, sorted.

    Args:
        folder: str or Path.
        suffixes: tuple of lower-case suffixes; files may have them in any case.

    Returns:
        list of Path.
    """
    return sorted(
        path
        for path in Path(folder).iterdir()
        if path.suffix.lower() in suffixes
        and not path.name.startswith(".")
        and not path.is_dir()
    )


def printable(text):
    """Returns text, such as a file's name, as every terminal and page takes it.

    Names need not be UTF-8 on disk, and may hold what moves a terminal's cursor or
    turns the direction of writing: such are shown as a question mark in a box.

    Args:
        text: str or Path.
    """
    return "".join(
        "\N{REPLACEMENT CHARACTER}" if _is_control(char) else char for char in str(text)
    )


def _is_control(char):
    """Says so of all that is no letter, mark or space: surrogates of names, too."""
    category = unicodedata.category(char)
    return category[0] == "C" or category in ("Zl", "Zp")
