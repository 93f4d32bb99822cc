"""One run in a folder at a time."""

import contextlib
import os
from pathlib import Path

import filelock

from pix2pix_tf.runtime.errors import UsageError

LOCK_NAME = ".lock"


@contextlib.contextmanager
def hold(folder):
    """Makes a folder if it does not exist, and locks it for this process.

    The kernel releases the lock however the process ends. A folder that was made here
    and in which nothing was written is removed again. Where the file system has no
    locks, a warning is printed instead.

    Args:
        folder: str or Path.

    Raises:
        UsageError: another process holds the lock, or the folder cannot be made.
    """
    folder = Path(folder)
    path = folder / LOCK_NAME
    # No fallback: a lock that is a mere file would outlive a killed process.
    lock = filelock.FileLock(path, on_acquired=_write_pid, fallback_to_soft=False)
    is_new = not folder.exists()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(
            f"--output_dir {folder} cannot be made: {error.strerror}"
        ) from None
    try:
        lock.acquire(blocking=False)
    except filelock.Timeout:
        raise UsageError(
            f"--output_dir {folder} is in use by process {_read_pid(path)}: wait for "
            "its end, or name another folder"
        ) from None
    except FileNotFoundError:  # the process that held it has just removed the folder
        raise
    except OSError as error:
        print(
            f"warning: {folder} cannot be locked ({error.strerror}): do not run two "
            "commands in it",
            flush=True,
        )
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            if lock.is_locked:  # once released, the file may be another's lock
                path.unlink()
        lock.release()
        with contextlib.suppress(OSError):
            if is_new:  # fails if anything was written
                folder.rmdir()


def _write_pid(descriptor):
    os.ftruncate(descriptor, 0)
    os.write(descriptor, str(os.getpid()).encode())


def _read_pid(path):
    with contextlib.suppress(OSError):  # it ended just now, or this is Windows
        return path.read_text(errors="replace")
    return "(unknown)"
