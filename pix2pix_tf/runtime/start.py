"""How a command starts TensorFlow and Keras, and seeds the random draws."""

import contextlib
import os
import sys


def start_tensorflow():
    """Imports TensorFlow and Keras quietly, set up as this project needs them.

    Whatever the environment and the user's keras.json say: Keras 3 on TensorFlow,
    channels last, float32.
    """
    os.environ["KERAS_BACKEND"] = "tensorflow"
    os.environ["TF_USE_LEGACY_KERAS"] = "0"
    with _quiet_stderr():
        import keras
        import tensorflow as tf

        tf.config.list_logical_devices()  # looks for GPUs now, while it is quiet
    keras.config.set_image_data_format("channels_last")
    keras.config.set_floatx("float32")


def seed_everything(seed: int, is_deterministic: bool):
    """Seeds Python, NumPy and TensorFlow.

    Args:
        seed: int, in [0, 2**31).
        is_deterministic: bool, sum in a fixed order too, so that all bits repeat.
    """
    import keras
    import tensorflow as tf

    keras.utils.set_random_seed(seed)
    if is_deterministic:
        tf.config.experimental.enable_op_determinism()


@contextlib.contextmanager
def _quiet_stderr():
    """Hides what TensorFlow's native code prints while it loads (no GPU found ...).

    It writes to the process's stderr before any log level is in force. Set
    TF_CPP_MIN_LOG_LEVEL to see it.
    """
    if "TF_CPP_MIN_LOG_LEVEL" in os.environ:
        yield
        return
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"  # errors come as exceptions too
    sys.stderr.flush()
    saved = os.dup(2)
    with open(os.devnull, "w") as null:
        os.dup2(null.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
