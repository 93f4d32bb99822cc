"""Opens pretrained networks: Keras' own, and the weights of others in a file."""

import contextlib
import socket
from pathlib import Path

import h5py
import numpy as np

from pix2pix_tf.options import DOWNLOAD
from pix2pix_tf.runtime import precision
from pix2pix_tf.runtime.errors import UsageError

TIMEOUT = 30  # seconds without an answer from the server


@contextlib.contextmanager
def opening(flag: str, weights: str, wanted: str = ""):
    """Context manager in which a network is built in float32, and its weights loaded.

    Args:
        flag: the flag that names the weights, for the message.
        weights: path of a file, or "imagenet" if the block downloads the weights.
        wanted: the files that can be used, for the message.

    Raises:
        UsageError: the block raised an exception, of whatever kind.
    """
    timeout = socket.getdefaulttimeout()
    socket.setdefaulttimeout(TIMEOUT)
    try:
        with precision.in_float32():
            yield
    except Exception as error:  # layers, files and downloads may raise any exception
        reason = (str(error) or type(error).__name__).splitlines()[0]
        if weights == DOWNLOAD:
            reason = reason.rpartition(" -- ")[2]  # without the address
            raise UsageError(
                f"{flag} {weights}: the weights could not be downloaded ({reason}): "
                "connect to the network, or give a file of weights"
            ) from None
        message = f"{flag} {weights} cannot be used ({reason}){wanted}"
        raise UsageError(message) from None
    finally:
        socket.setdefaulttimeout(timeout)


def read_arrays(path: str | Path, what: str) -> dict[str, np.ndarray]:
    """Returns {name: array} of an `.npz` or `.h5` file; no code from it is run.

    Args:
        path: of the file.
        what: the file should hold, for messages.

    Raises:
        UsageError: the file does not exist, or cannot be read.
    """
    path = Path(path)
    if path.suffix not in (".npz", ".h5"):
        raise UsageError(f"{path} must be an .npz or .h5 file of {what}")
    arrays = {}

    def keep(name, item):
        if hasattr(item, "shape"):
            arrays[name] = item[()]

    try:
        with path.open("rb") as file:
            if path.suffix == ".npz":
                return dict(np.load(file, allow_pickle=False))
            with h5py.File(file) as groups:
                groups.visititems(keep)
            return arrays
    except FileNotFoundError:
        raise UsageError(f"{path} does not exist") from None
    except Exception as error:  # each library has many, for a damaged file
        raise UsageError(f"{path} cannot be read: {error}") from None
