"""Flags: the command line, the file of `--config`, `options.json`, and their checks.

Each field of a `Config` declares one flag: its name, type, default, bounds and help.
This package does not import TensorFlow, so `--help` and usage errors are shown at once.
The flags of DCGAN and of the tools are elsewhere. A command calls `parse`; each stage
takes only its own Config.
"""

from pix2pix_tf.options.command import command_name, complete, decide, parse
from pix2pix_tf.options.config_file import read_config
from pix2pix_tf.options.data import (
    IN_MEMORY,
    RESIZE_AND_CROP,
    DataConfig,
    PairConfig,
)
from pix2pix_tf.options.flag import (
    MODES,
    Config,
    Flag,
    Size,
    flag,
    flags_in,
    flags_of,
    make_size,
    refuse,
    reuse,
    sides,
    value_text,
)
from pix2pix_tf.options.inherited import (
    CHECKPOINT_PREFIX,
    CHECKPOINTS_NAME,
    ORIGINAL_NAMES,
    RESTORED_NAMES,
    check_output_dir,
    is_resumed,
    resume,
    split_checkpoint,
    stored_run,
)
from pix2pix_tf.options.loss import DOWNLOAD, LossConfig, OptimizerConfig
from pix2pix_tf.options.model import CROP_SIZE, MIN_SIDE, ModelConfig
from pix2pix_tf.options.options import (
    FLAGS,
    LPIPS_SIDE,
    MS_SSIM_SIDE,
    Options,
    check_schedule,
    from_dict,
    to_dict,
)
from pix2pix_tf.options.parser import parse_flags
from pix2pix_tf.options.run import (
    ExecutionConfig,
    MonitorConfig,
    OutputConfig,
    RunConfig,
    ValidationConfig,
)
from pix2pix_tf.options.stored import (
    MAX_OPTIONS_BYTES,
    OPTIONS_NAME,
    STORED_FLAGS,
    describe_changed,
    read_options,
    to_json,
    write_options,
)
from pix2pix_tf.options.tiling import add_tiling_flags, check_tiling, given_tiling
