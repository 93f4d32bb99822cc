"""Standard streams that never raise: a message that cannot be printed is dropped.

A run must not fail because of a closed pipe (`| head`) or terminal, a full disk, a
stream that was closed at the start (`2>&-`), or an encoding that lacks a character.
"""

import contextlib
import os
import sys


class Tolerant:
    """A text stream that ignores failed writes.

    After the first failure the file descriptor is connected to the null device, so that
    Python's last flush at exit does not fail either.
    """

    def __init__(self, stream):
        self._stream = stream

    def __getattr__(self, name):
        return getattr(self._stream, name)

    def write(self, text):
        with self._dropping_errors():
            try:
                self._stream.write(text)
            except UnicodeEncodeError:
                encoding = self._stream.encoding
                known = text.encode(encoding, "backslashreplace").decode(encoding)
                self._stream.write(known)
        return len(text)

    def flush(self):
        with self._dropping_errors():
            self._stream.flush()

    @contextlib.contextmanager
    def _dropping_errors(self):
        try:
            yield
        except (OSError, ValueError):  # ValueError: the stream is closed
            with contextlib.suppress(OSError, ValueError, AttributeError):
                _connect_to_null(self._stream.fileno())


@contextlib.contextmanager
def tolerant():
    """Context manager that makes sys.stdout and sys.stderr Tolerant."""
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:  # closed: the next opened file would get this number
            _connect_to_null(number)
    before = sys.stdout, sys.stderr
    with open(os.devnull, "w") as nowhere:  # in place of a stream that is None
        sys.stdout, sys.stderr = (Tolerant(stream or nowhere) for stream in before)
        try:
            yield
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            sys.stdout, sys.stderr = before


@contextlib.contextmanager
def without_stdout():
    """Context manager that drops what is printed to stdout."""
    with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
        yield


def _connect_to_null(number):
    """Connects a file descriptor to the null device."""
    null = os.open(os.devnull, os.O_RDWR)
    if null != number:
        os.dup2(null, number)
        os.close(null)
