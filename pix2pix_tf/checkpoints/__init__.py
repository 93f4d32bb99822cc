"""Checkpoints: everything that training changes, to disk and back.

`optimizers` and `state` hold it, `contents` gives each part its name in a checkpoint,
and `store` reads and writes the files. Not in: when to save. Callers start a TrainState
by `start_state`, `save` it, and `restore` what `find_latest` finds.
"""

from pix2pix_tf.checkpoints.contents import (
    DISCRIMINATOR_LOSS,
    EMA_NAMES,
    GAN_LOSS,
    L1_LOSS,
    OWN_NAMES,
    POSITION_NAME,
    check_fit,
    check_widths,
    is_generator_only,
    loss_names,
    restore,
    restore_generator,
    save,
    tensors,
)
from pix2pix_tf.checkpoints.optimizers import Adam
from pix2pix_tf.checkpoints.state import TrainState, start_state
from pix2pix_tf.checkpoints.store import find_latest, open_reader, read, verify, write
