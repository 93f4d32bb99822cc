"""Standard streams that cannot end a run: a message that fails to print is dropped.

A reader that went away (`| head`), a closed terminal, a full disk under a log, a stream
closed at the start (`2>&-`) or an encoding without a name's letters must not come
between a run and its saved work.
"""

import contextlib
import os
import sys


class Tolerant:
    """A text stream that writes what it can, and drops the rest without an error.

    After the first failed write the process's own stream leads nowhere, so that
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
                _lead_nowhere(self._stream.fileno())


@contextlib.contextmanager
def tolerant():
    """Makes sys.stdout and sys.stderr Tolerant inside."""
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:  # closed: the next file that is opened would become it
            _lead_nowhere(number)
    before = sys.stdout, sys.stderr
    with open(os.devnull, "w") as nowhere:  # in place of a stream that is None
        sys.stdout, sys.stderr = (Tolerant(stream or nowhere) for stream in before)
        try:
            yield
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            sys.stdout, sys.stderr = before


def _lead_nowhere(number):
    """Connects a file descriptor to the null device."""
    null = os.open(os.devnull, os.O_RDWR)
    if null != number:
        os.dup2(null, number)
        os.close(null)
