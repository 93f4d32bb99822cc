"""Flags and options: the command line, `options.json`, and the checks between them.

Each field of a config here is one flag: its name, default, bounds and help stand in one
place. `data`, `model`, `loss` and `run` have the flags by what they are of, `options`
puts them together, `stored` writes and reads `options.json`, `earlier` says what
earlier runs decide, `command` parses. Not in: what flags are made of (`flags`), DCGAN's
(`dcgan`), and TensorFlow, so that `--help` and wrong usage answer at once.
"""

from pix2pix_tf.options.command import complete, parse
from pix2pix_tf.options.data import DataConfig, PairConfig
from pix2pix_tf.options.earlier import (
    CHECKPOINT_PREFIX,
    CHECKPOINTS_NAME,
    ORIGINAL_NAMES,
    RESTORED_NAMES,
    check_output_dir,
    is_resumed,
    resume,
    stored_run,
)
from pix2pix_tf.options.flag import Checked, make_flag, parse_flags, size_text
from pix2pix_tf.options.loss import LossConfig, OptimizerConfig
from pix2pix_tf.options.model import CROP_SIZE, MIN_SIDE, ModelConfig
from pix2pix_tf.options.options import (
    MS_SSIM_SIDE,
    Options,
    check_schedule,
    flags_of,
    from_dict,
    reuse_flag,
    to_dict,
)
from pix2pix_tf.options.run import LoopConfig, RunConfig
from pix2pix_tf.options.stored import (
    MAX_OPTIONS_BYTES,
    OPTIONS_NAME,
    read_options,
    to_json,
    write_options,
)
from pix2pix_tf.runtime.errors import UsageError

__all__ = [
    "CHECKPOINTS_NAME",
    "CHECKPOINT_PREFIX",
    "CROP_SIZE",
    "MAX_OPTIONS_BYTES",
    "MIN_SIDE",
    "MS_SSIM_SIDE",
    "OPTIONS_NAME",
    "ORIGINAL_NAMES",
    "RESTORED_NAMES",
    "Checked",
    "DataConfig",
    "LoopConfig",
    "LossConfig",
    "ModelConfig",
    "OptimizerConfig",
    "Options",
    "PairConfig",
    "RunConfig",
    "UsageError",
    "check_output_dir",
    "check_schedule",
    "complete",
    "flags_of",
    "from_dict",
    "is_resumed",
    "make_flag",
    "parse",
    "parse_flags",
    "read_options",
    "resume",
    "reuse_flag",
    "size_text",
    "stored_run",
    "to_dict",
    "to_json",
    "write_options",
]
