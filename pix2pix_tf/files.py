"""Files and their names: finding, writing whole, and showing any name."""

import os
from pathlib import Path

_PARTIAL = ".partial"


def write_whole(path, contents):
    """Writes a file under another name, then renames it: never half of it.

    Args:
        path: str or Path.
        contents: str, written as UTF-8, or bytes.
    """
    path = Path(path)
    if isinstance(contents, str):
        contents = contents.encode()
    partial = partial_path(path)
    partial.write_bytes(contents)
    os.replace(partial, path)


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


def printable(name):
    """Returns a file's name as text that every terminal and page takes.

    Names need not be UTF-8 on disk; what is not is shown as a question mark in a box.
    """
    return os.fsencode(name).decode(errors="replace")
