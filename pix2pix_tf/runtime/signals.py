"""Signals that stop a command: raised as an exception, or caught to save first."""

import contextlib
import signal
import threading

NUMBERS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Stopped(BaseException):
    """The command is stopped by the signal `number`."""

    def __init__(self, number):
        super().__init__(number)
        self.number = number


@contextlib.contextmanager
def as_exceptions():
    """Raises Stopped for SIGTERM and SIGHUP, as Python raises KeyboardInterrupt.

    This lets `finally` blocks remove partial files. A signal that is already handled or
    ignored is left alone (nohup ignores SIGHUP).
    """

    def stop(number, _):
        raise Stopped(number)

    with _handling(stop, [n for n in NUMBERS if n != signal.SIGINT], signal.SIG_DFL):
        yield


@contextlib.contextmanager
def catch_signals():
    """Yields a list that receives the number of the first signal of NUMBERS.

    A second signal ends the process at once. An ignored signal stays ignored (nohup
    ignores SIGHUP). The handler does not print, as it may interrupt another print.

    Only the main thread receives signals. In another one the list holds SIGINT as soon
    as the main thread has ended, because the process then waits for this thread.
    """
    if threading.current_thread() is not threading.main_thread():
        yield _EndOfMainThread()
        return
    caught = []
    handled = [n for n in NUMBERS if signal.getsignal(n) != signal.SIG_IGN]

    def catch(number, _):
        caught.append(number)
        for one in handled:
            signal.signal(one, signal.SIG_DFL)

    with _handling(catch, handled):
        yield caught


class _EndOfMainThread:
    """Is like [SIGINT] when the main thread has ended, and like [] before."""

    def __bool__(self):
        return not threading.main_thread().is_alive()

    def __getitem__(self, place):
        return signal.SIGINT


@contextlib.contextmanager
def _handling(handler, numbers, only_over=None):
    """Installs a signal handler, then restores the previous ones.

    Does nothing outside of the main thread, where Python does not allow it.

    Args:
        handler: function (number, frame).
        numbers: the signals.
        only_over: replace only this previous handler (default: any).
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
