"""Options inherited from a checkpoint or from a resumed run.

Also checks that the output folder may be written. Nothing here writes a file.
"""

import os
import re
from pathlib import Path

from pix2pix_tf.options.data import RESIZE_AND_CROP, DataConfig, PairConfig
from pix2pix_tf.options.flag import value_text
from pix2pix_tf.options.model import ModelConfig
from pix2pix_tf.options.options import FLAGS, make_part
from pix2pix_tf.options.run import RunConfig
from pix2pix_tf.options.stored import OPTIONS_NAME, read_options
from pix2pix_tf.runtime import files
from pix2pix_tf.runtime.errors import UsageError

CHECKPOINT_PREFIX = "model-"  # then the global step
CHECKPOINTS_NAME = "checkpoint"  # the file that names them, oldest first
# The checkpoint decides these: they shape the networks and the examples.
RESTORED_NAMES = tuple(
    sorted(name for name, one in FLAGS.items() if one.from_checkpoint)
)
# Every options.json must have these; the others are their defaults if missing.
ORIGINAL_NAMES = tuple(name for name in RESTORED_NAMES if FLAGS[name].in_original)


def split_checkpoint(path: str | Path) -> tuple[Path, str | None]:
    """Splits the value of --checkpoint, which may name one checkpoint of a folder.

    Args:
        path: a folder, or in it `model-STEP`, or one of the files of that name.

    Returns:
        (folder, name): the name is "model-STEP", or None for the newest checkpoint.
    """
    path = Path(path)
    found = re.fullmatch(
        rf"({CHECKPOINT_PREFIX}\d+)(\.index|\.meta|\.data-.*)?", path.name
    )
    return (path, None) if not found or path.is_dir() else (path.parent, found[1])


def stored_run(values: dict) -> dict | None:
    """Returns the {flag name: value} of the run that `--resume auto` continues.

    Args:
        values: {flag name: value} of the command line, completed with all defaults.

    Returns:
        None if there is no such run, or if it has no checkpoint yet.

    Raises:
        UsageError: --output_dir is missing, or its options cannot be read.
    """
    if values["resume"] == "auto" and values["output_dir"] is None:
        raise UsageError("--resume auto needs --output_dir, the folder of the run")
    stored = stored_options(values)
    return stored if stored and holds_checkpoint(values["output_dir"]) else None


def stored_options(values: dict) -> dict:
    """Returns the options that `--resume auto` finds in --output_dir; {} if none."""
    if values["resume"] != "auto":
        return {}
    path = Path(values["output_dir"], OPTIONS_NAME)
    stored = read_options(path) if path.exists() else {}
    # A run of another mode is an error: `check_output_dir` reports it.
    return stored if stored.get("mode") == values["mode"] else {}


def resume(values: dict, given: dict, stored: dict) -> dict:
    """Returns the {flag name: value} of a resumed run.

    Stored values replace the defaults, and given flags replace stored values.

    Args:
        values: {flag name: value} of the command line, completed with all defaults.
        given: {flag name: value} of the command line.
        stored: {flag name: value} of the run's options.json.

    Raises:
        UsageError: a given flag contradicts the run, and may not change.
    """
    stored = {
        name: value
        for name, value in stored.items()
        if name in values and FLAGS[name].is_inherited
    }
    # A run that has decided about such a flag keeps what it has.
    given = {
        name: value
        for name, value in given.items()
        if not (value == FLAGS[name].default == "auto" and name in stored)
    }
    for name, value in given.items():
        was = stored.get(name, value)
        is_same = value == was
        if FLAGS[name].is_path and None not in (value, was):
            is_same = os.path.abspath(value) == os.path.abspath(was)
        if not is_same and not FLAGS[name].may_change:
            raise UsageError(
                f"--{name} {value_text(value)} contradicts the run in "
                f"{values['output_dir']}, which has {value_text(was)}: leave the flag "
                "out, or give another --output_dir"
            )
    return values | stored | given


def is_resumed(run: RunConfig) -> bool:
    """Returns True if the run in --output_dir is resumed."""
    return run.resume == "auto" and holds_checkpoint(run.output_dir)


def holds_checkpoint(folder: str | Path) -> bool:
    """Returns True if the folder holds a checkpoint, complete or partial."""
    names = (CHECKPOINTS_NAME, f"{CHECKPOINT_PREFIX}*.index")
    return any(any(Path(folder).glob(name)) for name in names)


def restored_values(checkpoint: Path, given: dict) -> dict:
    """Returns the {flag name: value} that a checkpoint decides.

    Raises:
        UsageError: its options cannot be read, or a given flag contradicts them.
    """
    folder, _ = split_checkpoint(checkpoint)
    if not folder.is_dir():
        raise UsageError(f"--checkpoint {folder} is not a folder")
    path = folder / OPTIONS_NAME
    stored = read_options(path)
    missing = [name for name in ORIGINAL_NAMES if name not in stored]
    if missing:
        raise UsageError(f"{path} lacks {', '.join(missing)}")
    names = RESTORED_NAMES
    if stored.get("preprocess", RESIZE_AND_CROP) != RESIZE_AND_CROP:
        names += ("scale_size",)  # for test mode too
    restored = {name: stored.get(name, FLAGS[name].default) for name in names}
    try:
        for part_class in (PairConfig, ModelConfig, DataConfig):
            make_part(part_class, restored)
    except UsageError as error:  # it names a flag, which here is a key of the file
        raise UsageError(f"{path}: {str(error).removeprefix('--')}") from None
    for name, value in restored.items():
        if name in given and given[name] != value:
            raise UsageError(
                f"--{name} {given[name]} contradicts the checkpoint, which was trained "
                f"with {value}: leave the flag out, or train anew"
            )
    if given["mode"] == "train":  # so that the order of the examples continues
        restored["seed"] = given.get("seed", stored.get("seed"))
    return restored


def check_output_dir(run: RunConfig):
    """Checks the output folder, without writing to it.

    Raises:
        UsageError: it cannot be written, or holds a run that would be overwritten.
    """
    output_dir = Path(run.output_dir).absolute()
    if not files.is_utf8(run.output_dir):
        raise UsageError(
            f"--output_dir {run.output_dir} is not valid UTF-8, so TensorFlow cannot "
            "write to it: give another folder"
        )
    nearest = next(path for path in (output_dir, *output_dir.parents) if path.exists())
    if not nearest.is_dir():
        raise UsageError(
            f"--output_dir {output_dir} cannot be made: {nearest} is a file"
        )
    if not os.access(nearest, os.W_OK | os.X_OK):
        raise UsageError(f"--output_dir {output_dir} cannot be written: no permission")
    options_path = output_dir / OPTIONS_NAME
    mode = read_options(options_path).get("mode") if options_path.exists() else run.mode
    if mode != run.mode:
        raise UsageError(
            f"--output_dir {output_dir} holds a {mode} run: give another folder for "
            f"--mode {run.mode}"
        )
    continues = run.resume == "auto" or (
        run.checkpoint is not None
        and nearest.samefile(split_checkpoint(run.checkpoint)[0])
    )
    is_read_only = mode in ("test", "export")
    if (output_dir / CHECKPOINTS_NAME).exists() and (is_read_only or not continues):
        raise UsageError(
            f"--output_dir {output_dir} holds a trained model: give another folder, "
            "continue that run to its planned end with --resume auto, or train its "
            f"model further with --mode train --checkpoint {run.output_dir}"
        )
