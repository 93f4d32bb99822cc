"""Files and their names: finding, writing whole, and showing any name."""

import contextlib
import glob
import os
import secrets
import shutil
import unicodedata
from pathlib import Path

_PARTIAL = ".partial"
_NUM_KEPT = 16  # characters of a name that its partial name begins with


@contextlib.contextmanager
def writing(path, endings=("",)):
    """Yields a path to write a file or a folder to, which is then renamed to `path`.

    Readers of `path` see the old contents or the new ones, never half of them, also
    after a power cut: a file is on the disk before it gets its name. (What a folder
    holds is on the disk if its files were written in this way, too.) If the block
    raises, all that was written is removed. `remove_partials` removes what a killed
    process left.

    Args:
        path: str or Path.
        endings: tuple of str. A writer that makes several files, each with an ending of
            its own, names them all; they are renamed in this order.

    Raises:
        OSError: it cannot be written. `path` is as it was.
    """
    path = Path(path)
    # A name may be as long as the file system takes, so its partial name is short.
    short = f".{path.name[:_NUM_KEPT]}.{secrets.token_hex(4)}{_PARTIAL}"
    partial = path.with_name(short)
    try:
        yield partial
        for ending in endings:
            if not os.path.isdir(f"{partial}{ending}"):
                _sync(f"{partial}{ending}", os.O_RDWR)
        for ending in endings:
            os.replace(f"{partial}{ending}", f"{path}{ending}")
    except BaseException as error:
        for left in path.parent.glob(f"{glob.escape(short)}*"):
            _remove(left)
        if isinstance(error, OSError) and error.errno:
            if str(error.filename or partial).startswith(str(partial)):
                raise OSError(error.errno, error.strerror, str(path)) from None
        raise
    # Some file systems, and Windows, cannot sync a folder; its names come later there.
    with contextlib.suppress(OSError):
        _sync(path.parent, os.O_RDONLY)


def write_whole(path, contents):
    """Writes a file as `writing` does.

    Args:
        path: str or Path.
        contents: str, written as UTF-8, or bytes.
    """
    if isinstance(contents, str):
        contents = contents.encode()
    with writing(path) as partial:
        partial.write_bytes(contents)


def remove_partials(folder, name="", recursive=False):
    """Removes what was being written in a folder when the writer was killed.

    Args:
        folder: str or Path.
        name: str, the one file or folder whose partial names to remove, or "" for all.
        recursive: bool, look in subfolders too.
    """
    beginning = f"{glob.escape(name[:_NUM_KEPT])}." if name else ""
    pattern = f".{beginning}*{_PARTIAL}*"
    folder = Path(folder)
    for path in list(folder.rglob(pattern) if recursive else folder.glob(pattern)):
        _remove(path)


def _sync(path, flags):
    """Waits until a file's contents, or a folder's names, are on the disk."""
    descriptor = os.open(path, flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remove(path):
    """Removes a file or a folder, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


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
