"""Signals that end a command: as an exception, or as a request to save first."""

import contextlib
import signal
import threading

# Windows has no SIGHUP.
NUMBERS = tuple(
    getattr(signal, name)
    for name in ("SIGINT", "SIGTERM", "SIGHUP")
    if hasattr(signal, name)
)


class Stopped(BaseException):
    """A signal, its `number`, stops the command."""

    def __init__(self, number):
        super().__init__(number)
        self.number = number


@contextlib.contextmanager
def as_exceptions():
    """Raises Stopped for SIGTERM and SIGHUP, as Python raises KeyboardInterrupt.

    So `finally` blocks remove what is half done. A signal that somebody else handles
    or ignores, as nohup does SIGHUP, stays as it is.
    """

    def stop(number, _):
        raise Stopped(number)

    with _handling(stop, [n for n in NUMBERS if n != signal.SIGINT], signal.SIG_DFL):
        yield


@contextlib.contextmanager
def catch_signals():
    """Yields a list that receives the number of the first signal of NUMBERS.

    The second one ends the process at once. A SIGHUP that is ignored, as under nohup,
    stays so. The handler prints nothing: the signal may come in the middle of a print.
    """
    caught = []
    handled = [n for n in NUMBERS if signal.getsignal(n) != signal.SIG_IGN]

    def catch(number, _):
        caught.append(number)
        for one in handled:
            signal.signal(one, signal.SIG_DFL)

    with _handling(catch, handled):
        yield caught


@contextlib.contextmanager
def _handling(handler, numbers, only_over=None):
    """Handles signals inside; Python allows it in the main thread only.

    Args:
        handler: function (number, frame).
        numbers: the signals.
        only_over: replace only this handler, or None for any.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    previous = {number: signal.getsignal(number) for number in numbers}
    if only_over is not None:
        previous = {n: old for n, old in previous.items() if old == only_over}
    for number in previous:
        signal.signal(number, handler)
    try:
        yield
    finally:
        for number, old in previous.items():
            signal.signal(number, old)
