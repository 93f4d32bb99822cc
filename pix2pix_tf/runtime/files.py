"""Files: writing them atomically, deriving and printing their names."""

import contextlib
import glob
import hashlib
import os
import secrets
import shutil
import unicodedata
from pathlib import Path

MAX_NAME_BYTES = 255  # of a file or a folder, on Linux and macOS
_PARTIAL = ".partial"
_NUM_KEPT = 16  # the first characters of a name, which its partial name keeps


@contextlib.contextmanager
def writing(path: str | Path, endings: tuple[str, ...] = ("",)):
    """Yields a path to write a file or a folder to, which is then renamed to `path`.

    Readers of `path` see either the old or the new contents, never a part of them, even
    after a power failure: a file is synced to the disk before it is renamed. (The files
    of a folder are not synced here; write each of them in the same way.) If the block
    raises an exception, the partial file is removed. If the process is killed, the
    partial file stays, and `remove_partials` removes it.

    Args:
        path: the file or folder.
        endings: of the files, if the block writes several: each is the yielded path and
            one of these endings. They are renamed in this order.

    Raises:
        OSError: it cannot be written. `path` is unchanged.
    """
    path = Path(path)
    # `path` may have the longest name that the file system allows: shorten it here.
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
    # Some file systems, such as SMB, cannot sync a folder.
    with contextlib.suppress(OSError):
        _sync(path.parent, os.O_RDONLY)


def derive_name(name: str, before: str = "", after: str = "", room: int = 0) -> str:
    """Returns a file name made from another one: `before`, `name`, and `after`.

    If no file system can hold it, `name` is shortened: it ends before a whole letter,
    and then has a hash of all of it, so that two names stay different.

    Args:
        room: bytes that can still be added to what is returned.
    """

    def num_free(middle):
        num_bytes = len(os.fsencode(f"{before}{middle}{after}"))
        return MAX_NAME_BYTES - room - num_bytes

    if num_free(name) >= 0:
        return f"{before}{name}{after}"
    mark = f"~{hashlib.sha256(os.fsencode(name)).hexdigest()[:12]}"
    end = len(name)
    # An accent may be a character of its own: it stays with its letter.
    while end and (num_free(name[:end] + mark) < 0 or unicodedata.combining(name[end])):
        end -= 1
    return f"{before}{name[:end]}{mark}{after}"


def write_whole(path: str | Path, contents: str | bytes):
    """Writes a file atomically; see `writing`. Text is written as UTF-8."""
    if isinstance(contents, str):
        contents = contents.encode()
    with writing(path) as partial:
        partial.write_bytes(contents)


def remove_partials(folder: str | Path, name: str = "", recursive: bool = False):
    """Removes the partial files that killed processes left in a folder.

    Args:
        folder: the folder.
        name: remove the partial files of this file or folder only (default: of all).
        recursive: if True, also look in subfolders.
    """
    beginning = f"{glob.escape(name[:_NUM_KEPT])}." if name else ""
    pattern = f".{beginning}*{_PARTIAL}*"
    folder = Path(folder)
    for path in list(folder.rglob(pattern) if recursive else folder.glob(pattern)):
        _remove(path)


def _sync(path, flags):
    """Waits until a file's contents, or a folder's entries, are on the disk."""
    descriptor = os.open(path, flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remove(path):
    """Removes a file or a folder, if it exists."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def is_utf8(path: str | Path) -> bool:
    """Returns True if a path is valid UTF-8; TensorFlow writes to no other path."""
    return "\N{REPLACEMENT CHARACTER}" not in os.fsencode(path).decode(errors="replace")


def printable(text: str | Path) -> str:
    """Replaces the characters of a text, such as a file name, that cannot be printed.

    A file name need not be valid UTF-8, and may contain characters that move the cursor
    or change the writing direction. Each becomes U+FFFD, the replacement character.
    HTML must still be escaped.
    """
    return "".join(
        "\N{REPLACEMENT CHARACTER}" if _is_control(char) else char for char in str(text)
    )


def _is_control(char):
    """Returns True for control, format and surrogate characters and line separators."""
    category = unicodedata.category(char)
    return category[0] == "C" or category in ("Zl", "Zp")
