"""Starts TensorFlow and Keras, and seeds the random number generators."""

import contextlib
import gc
import os
import sys
from collections.abc import Callable

from pix2pix_tf.runtime.errors import UsageError

QUIET = "3"  # TensorFlow's log level; its errors are also raised as exceptions


def start_tensorflow(find_devices: Callable | None = None, has_galleries: bool = False):
    """Imports TensorFlow and Keras without log output, and configures them.

    Keras 3 on TensorFlow, channels last and float32 are set, overriding the environment
    and the user's keras.json.

    Args:
        find_devices: function to call before TensorFlow starts its devices (default:
            find the GPUs).
        has_galleries: True in a process that is not a command's: Keras can draw its
            galleries of images (it imports matplotlib for them, which takes 0.3 s), and
            Python's garbage collection is left alone.

    Returns:
        What `find_devices` returned.

    Raises:
        UsageError: the process has already started Keras on another backend.
    """
    os.environ["KERAS_BACKEND"] = "tensorflow"
    os.environ["TF_USE_LEGACY_KERAS"] = "0"
    with contextlib.ExitStack() as held:
        held.enter_context(_quiet_stderr())
        if not has_galleries:  # in a process of a command
            held.enter_context(_without_collection())
            held.enter_context(_without_matplotlib())
        import keras
        import tensorflow as tf

        # Now, while stderr is hidden.
        found = (find_devices or tf.config.list_logical_devices)()
    if keras.config.backend() != "tensorflow":
        raise UsageError(
            f"Keras already runs on {keras.config.backend()}, wanted tensorflow: "
            "import pix2pix_tf before keras, or set KERAS_BACKEND=tensorflow"
        )
    keras.config.set_image_data_format("channels_last")
    keras.config.set_floatx("float32")
    return found


def seed_everything(seed: int, is_deterministic: bool):
    """Seeds Python, NumPy and TensorFlow.

    Args:
        seed: in [0, 2**31).
        is_deterministic: if True, use deterministic operations, which are slower.
    """
    import keras
    import tensorflow as tf

    keras.utils.set_random_seed(seed)
    if is_deterministic:
        tf.config.experimental.enable_op_determinism()


@contextlib.contextmanager
def _without_collection():
    """Context manager of imports: modules are not searched for garbage, then or later.

    Python would search their million objects again and again, for a fifth of the time.
    """
    if "tensorflow" in sys.modules or not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
        gc.freeze()
    finally:
        gc.enable()


@contextlib.contextmanager
def _without_matplotlib():
    """Hides matplotlib from Keras; it can be imported afterwards."""
    if "matplotlib" in sys.modules or "keras" in sys.modules:
        yield
        return
    sys.modules["matplotlib"] = None  # an import of it raises ImportError now
    try:
        yield
    finally:
        del sys.modules["matplotlib"]


@contextlib.contextmanager
def _quiet_stderr():
    """Hides the messages of TensorFlow's native code while it is imported.

    It writes to the process's stderr before it obeys a log level. Set
    TF_CPP_MIN_LOG_LEVEL to see the messages.
    """
    if os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", QUIET) != QUIET:
        yield
        return
    sys.stderr.flush()
    saved = os.dup(2)
    with open(os.devnull, "w") as null:
        os.dup2(null.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
