"""Options inherited from a checkpoint or from a resumed run.

Also whether an output folder may be written. Files are only read.
"""

import os
from pathlib import Path

from pix2pix_tf.options.data import PairConfig
from pix2pix_tf.options.flag import value_text
from pix2pix_tf.options.model import ModelConfig
from pix2pix_tf.options.options import FLAGS, make_part
from pix2pix_tf.options.stored import OPTIONS_NAME, read_options
from pix2pix_tf.runtime.errors import UsageError

CHECKPOINT_PREFIX = "model-"  # then the global step
CHECKPOINTS_NAME = "checkpoint"  # the file that names them, oldest first
# A checkpoint decides these: the shapes of the networks and of the examples.
RESTORED_NAMES = tuple(
    sorted(name for name, one in FLAGS.items() if one.from_checkpoint)
)
# Those that every options.json has; where another is absent, its default holds.
ORIGINAL_NAMES = tuple(name for name in RESTORED_NAMES if FLAGS[name].in_original)


def stored_run(values):
    """Returns the {flag name: value} of the run that `--resume auto` goes on with.

    None where there is none, or none that has a checkpoint yet.

    Args:
        values: {flag name: value} with all defaults.

    Raises:
        UsageError: no folder is named, or its options cannot be read.
    """
    if values["resume"] == "auto" and values["output_dir"] is None:
        raise UsageError("--resume auto needs --output_dir, the folder of the run")
    stored = stored_options(values)
    return stored if stored and holds_checkpoint(values["output_dir"]) else None


def stored_options(values):
    """Returns what `--resume auto` finds in the output folder; {} for nothing."""
    if values["resume"] != "auto":
        return {}
    path = Path(values["output_dir"], OPTIONS_NAME)
    stored = read_options(path) if path.exists() else {}
    # `check_output_dir` refuses the run of another mode.
    return stored if stored.get("mode") == values["mode"] else {}


def resume(values, given, stored):
    """Returns a run's {flag name: value}: as stored, but for what may change.

    Args:
        values: {flag name: value} with all defaults.
        given: {flag name: value} of the command line.
        stored: as `stored_run` gives it.

    Raises:
        UsageError: a given flag would make it another run.
    """
    stored = {name: stored[name] for name in values if name in stored}
    for name, value in given.items():
        was = stored.get(name, value)
        is_same = value == was
        if FLAGS[name].is_path and None not in (value, was):
            is_same = os.path.abspath(value) == os.path.abspath(was)
        if not is_same and not FLAGS[name].may_change:
            raise UsageError(
                f"--{name} {value_text(value)} contradicts the run in "
                f"{values['output_dir']}, which has {value_text(was)}: leave the flag "
                "out, or name another --output_dir"
            )
    return values | stored | given


def is_resumed(run):
    """Returns True if a RunConfig continues the run in its output folder."""
    return run.resume == "auto" and holds_checkpoint(run.output_dir)


def holds_checkpoint(folder):
    """Returns True if the folder holds a checkpoint, complete or partial."""
    names = (CHECKPOINTS_NAME, f"{CHECKPOINT_PREFIX}*.index")
    return any(any(Path(folder).glob(name)) for name in names)


def restored_values(checkpoint, given):
    """Returns what the checkpoint's options decide; refuses flags that contradict."""
    if not checkpoint.is_dir():
        raise UsageError(f"--checkpoint {checkpoint} is not a folder")
    stored = {
        name: FLAGS[name].default
        for name in RESTORED_NAMES
        if name not in ORIGINAL_NAMES
    }
    stored |= read_options(checkpoint / OPTIONS_NAME)
    missing = [name for name in ORIGINAL_NAMES if name not in stored]
    if missing:
        raise UsageError(f"{checkpoint / OPTIONS_NAME} lacks {', '.join(missing)}")
    restored = {name: stored[name] for name in RESTORED_NAMES}
    _check_stored(restored, checkpoint / OPTIONS_NAME)
    for name, value in restored.items():
        if name in given and given[name] != value:
            raise UsageError(
                f"--{name} {given[name]} contradicts the checkpoint, which was trained "
                f"with {value}: leave the flag out, or train anew"
            )
    if given["mode"] == "train":  # the data goes on in the order that it had
        restored["seed"] = given.get("seed", stored.get("seed"))
    return restored


def _check_stored(values, path):
    """Refuses stored values that do not go together, and names their file."""
    try:
        for part_class in (PairConfig, ModelConfig):
            make_part(part_class, values)
    except UsageError as error:
        raise UsageError(f"{path}: {str(error).removeprefix('--')}") from None


def check_output_dir(run):
    """Refuses an output folder that cannot be written or that holds other work.

    Writes nothing itself.

    Raises:
        UsageError: it says what is there, and what to do.
    """
    output_dir = Path(run.output_dir).absolute()
    nearest = next(path for path in (output_dir, *output_dir.parents) if path.exists())
    if not nearest.is_dir():
        raise UsageError(f"--output_dir {output_dir} cannot be: {nearest} is a file")
    if not os.access(nearest, os.W_OK | os.X_OK):
        raise UsageError(f"--output_dir {output_dir} cannot be written: no permission")
    options_path = output_dir / OPTIONS_NAME
    mode = read_options(options_path).get("mode") if options_path.exists() else run.mode
    if mode != run.mode:
        raise UsageError(
            f"--output_dir {output_dir} holds a {mode} run: name another folder for "
            f"--mode {run.mode}"
        )
    goes_on = run.resume == "auto" or (
        run.checkpoint is not None and nearest.samefile(run.checkpoint)
    )
    is_read_only = mode in ("test", "export")
    if (output_dir / CHECKPOINTS_NAME).exists() and (is_read_only or not goes_on):
        raise UsageError(
            f"--output_dir {output_dir} holds a trained model: name another folder, go "
            "on with it to its end by --resume auto, or train it further by --mode "
            f"train --checkpoint {run.output_dir}"
        )
