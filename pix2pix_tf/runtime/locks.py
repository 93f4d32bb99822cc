"""Locks a folder, so that two runs cannot write to it at the same time."""

import contextlib
import os
from pathlib import Path

from pix2pix_tf.runtime import messages
from pix2pix_tf.runtime.errors import UsageError

LOCK_NAME = ".lock"
MAX_ATTEMPTS = 1000  # to lock a folder that other processes create and remove


@contextlib.contextmanager
def hold(folder: str | Path):
    """Creates a folder if it does not exist, and locks it for this process.

    The kernel releases the lock in any case when the process ends. A folder that was
    empty, or did not exist, is removed if it is empty at the end. If the file system
    does not support locks, a warning is printed instead.

    Raises:
        UsageError: another process holds the lock, or the folder cannot be created.
    """
    import filelock  # here, because --help needs no lock

    folder = Path(folder)
    path = folder / LOCK_NAME
    # No soft lock as a fallback: its file would stay after a killed process.
    lock = filelock.FileLock(path, on_acquired=_write_pid, fallback_to_soft=False)
    was_empty = _is_empty(folder)
    try:
        _create_and_acquire(folder, lock)
    except filelock.Timeout:
        raise UsageError(
            f"--output_dir {folder} is in use by process {_read_pid(path)}: wait for "
            "its end, or give another folder"
        ) from None
    except OSError as error:
        messages.warn(
            f"{folder} cannot be locked ({error.strerror}): do not run two commands in "
            "it"
        )
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            if lock.is_locked:  # after release, the file may be another process's
                path.unlink()
        lock.release()
        with contextlib.suppress(OSError):
            if was_empty:  # fails if anything was written
                folder.rmdir()


def _is_empty(folder):
    """Returns True if a folder holds nothing, or does not exist."""
    with contextlib.suppress(OSError):
        return not any(folder.iterdir())
    return True


def _create_and_acquire(folder, lock):
    """Tries again if another process creates or removes the folder or the lock file."""
    for number in range(1, MAX_ATTEMPTS + 1):
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UsageError(
                f"--output_dir {folder} cannot be made: {error.strerror}"
            ) from None
        try:
            lock.acquire(blocking=False)
            return
        except (FileNotFoundError, FileExistsError):
            if number == MAX_ATTEMPTS:
                raise


def _write_pid(descriptor):
    os.ftruncate(descriptor, 0)
    os.write(descriptor, str(os.getpid()).encode())


def _read_pid(path):
    with contextlib.suppress(OSError):  # it has just ended
        return path.read_text(errors="replace")
    return "(unknown)"
