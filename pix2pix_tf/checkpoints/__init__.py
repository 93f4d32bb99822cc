"""Checkpoints: everything that training changes, saved to disk and restored.

`state` and `optimizers` hold it in memory, `contents` names its parts in a checkpoint,
and `store` reads and writes the files. Callers create a TrainState by `start_state`,
`save` it, and `restore` the checkpoint that `find` returns.
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
    generator_entries,
    is_generator_only,
    loss_names,
    restore,
    restore_generator,
    save,
    tensors,
)
from pix2pix_tf.checkpoints.optimizers import Adam
from pix2pix_tf.checkpoints.state import TrainState, start_state
from pix2pix_tf.checkpoints.store import (
    PATTERN_CHARACTERS,
    find,
    find_latest,
    open_reader,
    read,
    verify,
    write,
)
