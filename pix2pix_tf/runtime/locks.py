"""One run in a folder at a time."""

import contextlib
import os
from pathlib import Path

from pix2pix_tf.runtime.errors import UsageError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

LOCK_NAME = ".lock"


@contextlib.contextmanager
def hold(folder):
    """Makes a folder, where it is new, and keeps it for this process while it works.

    The kernel lets go of the lock however the process ends. A folder that was made here
    and in which nothing was written is removed again.

    Args:
        folder: str or Path.

    Raises:
        UsageError: another process holds it; it is named. Or it cannot be made.
    """
    folder = Path(folder)
    is_new = not folder.exists()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(
            f"--output_dir {folder} cannot be made: {error.strerror}"
        ) from None
    try:
        with _lock(folder):
            yield
    finally:
        if is_new:
            with contextlib.suppress(OSError):  # it is in use now, or gone
                folder.rmdir()


@contextlib.contextmanager
def _lock(folder):
    """Locks a folder's lock file; where that is impossible it warns, no more."""
    path = folder / LOCK_NAME
    try:
        file = _open_locked(path)
    except BlockingIOError:
        pid = path.read_text(errors="replace").strip()
        raise UsageError(
            f"--output_dir {folder} is in use by process {pid or '(unknown)'}: wait "
            "for its end, or name another folder"
        ) from None
    except (OSError, AttributeError) as error:
        reason = getattr(error, "strerror", None) or "this system has no flock"
        print(
            f"warning: {folder} cannot be locked ({reason}): do not run two commands "
            "in it",
            flush=True,
        )
        yield
        return
    with file:
        try:
            yield
        finally:
            path.unlink(missing_ok=True)


def _open_locked(path):
    """Returns the lock file, open, locked, and with our process id in it.

    Raises:
        BlockingIOError: another process has locked it.
        OSError: it cannot be written or locked.
    """
    while True:
        file = open(path, "a+")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Its holder may have removed it while we opened it.
            if path.exists() and os.path.samestat(os.fstat(file.fileno()), path.stat()):
                file.truncate(0)
                file.write(str(os.getpid()))
                file.flush()
                return file
        except BaseException:
            file.close()
            raise
        file.close()
