"""Opens Keras' pretrained networks: from a file, or from Keras' server."""

import contextlib
import socket

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
