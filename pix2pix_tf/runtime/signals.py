"""Signals that end a run: it is told, saves, and ends by itself."""

import contextlib
import signal

# Windows has no SIGHUP.
NUMBERS = tuple(
    getattr(signal, name)
    for name in ("SIGINT", "SIGTERM", "SIGHUP")
    if hasattr(signal, name)
)


@contextlib.contextmanager
def catch_signals():
    """Yields a list that receives the number of the first SIGINT, SIGTERM or SIGHUP.

    The second one ends the process at once, wherever it is. A SIGHUP that is ignored,
    as under nohup, stays so. The handler prints nothing: the signal may have come in
    the middle of a print.
    """
    caught = []
    previous = {number: signal.getsignal(number) for number in NUMBERS}
    if hasattr(signal, "SIGHUP") and previous[signal.SIGHUP] == signal.SIG_IGN:
        del previous[signal.SIGHUP]

    def catch(number, _):
        caught.append(number)
        for number in previous:
            signal.signal(number, signal.SIG_DFL)

    for number in previous:
        signal.signal(number, catch)
    try:
        yield caught
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
