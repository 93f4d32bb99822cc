"""How TensorFlow and Keras are started."""

import contextlib
import os
import sys


def make_repeatable(run):
    """Seeds a LoopConfig's run; with `--deterministic` its sums have one order too."""
    import keras
    import tensorflow as tf

    keras.utils.set_random_seed(run.seed)  # Python's, NumPy's and TensorFlow's
    if run.deterministic:
        tf.config.experimental.enable_op_determinism()


@contextlib.contextmanager
def quiet_stderr():
    """Hides what TensorFlow's native code says while it loads (no GPU found ...).

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
        import tensorflow as tf

        tf.config.list_logical_devices()  # looks for GPUs, and says so, here
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
