"""The command line: parsing it, and filling in the options that it leaves out."""

import contextlib
import itertools
import random
import time
from pathlib import Path

from pix2pix_tf.options.data import (
    OF_OWN_RESOLUTION,
    RESIZE_AND_CROP,
    SCALE_SIZE,
    WITHOUT_WINDOW,
)
from pix2pix_tf.options.flag import make_size, sides
from pix2pix_tf.options.inherited import (
    restored_values,
    resume,
    stored_options,
    stored_run,
)
from pix2pix_tf.options.model import CROP_SIZE, MIN_DOWNS, deepest
from pix2pix_tf.options.options import FLAGS, Options, check_validation, from_dict
from pix2pix_tf.options.parser import parse_flags
from pix2pix_tf.runtime.errors import UsageError


def command_name(mode: str | None = None) -> str:
    """Returns the command's name, for messages."""
    return f"pix2pix-tf {mode}" if mode else "pix2pix-tf"


def parse(argv: list[str] | None = None, mode: str | None = None) -> Options:
    """Returns the Options of a command line, completed from its checkpoint.

    Args:
        argv: the arguments, or None for those of the process.
        mode: the mode, if the command's name gives it; then there is no `--mode`.

    Raises:
        UsageError: a flag, its value, or the file it names cannot be used.
        SystemExit: after `--help`.
    """
    decided = {"mode": mode} if mode else {}
    description = (
        "pix2pix on image pairs or for colorization: train, test, export.\n"
        "A flag marked [train] can be used in --mode train only, and so on."
    )
    return decide(parse_flags(FLAGS, argv, command_name(mode), description, decided))


def decide(given: dict, has_val_data: bool = False) -> Options:
    """Returns the Options of given flags, completed from the checkpoint and defaults.

    Args:
        given: {flag name: value}, with `mode`.
        has_val_data: True if the data of validation do not come from `--val_dir`.

    Raises:
        UsageError: a flag, its value, or the file it names cannot be used.
    """
    mode = given["mode"]
    _refuse_other_modes(given, mode)
    if mode != "train" and given.get("checkpoint") is None:
        raise UsageError(
            f"--mode {mode} needs --checkpoint, a folder with a trained model"
        )
    values = {name: flag.default for name, flag in FLAGS.items()} | given
    stored = stored_run(values)
    if stored is not None:
        values = resume(values, given, stored)
    else:
        if values["checkpoint"] is not None:
            values |= restored_values(Path(values["checkpoint"]), given)
        values |= _following_crop(values, given)
    options = from_dict(values)
    if has_val_data:
        check_validation(options)
    elif options.validation.val_dir is None:
        needing = ["val_target_dir", "patience"]
        needing += ["lpips_weights"] if mode == "train" else []
        for name in needing:
            if values[name]:
                raise UsageError(f"--{name} needs --val_dir")
    if options.execution.strategy == "multi_worker":
        for name in ("output_dir", "seed"):
            if values[name] is None:
                raise UsageError(
                    f"--strategy multi_worker needs --{name}, the same in each process"
                )
    if options.loss.perceptual_weight or "vgg_weights" in given:
        options.loss.check_files()
    return options if stored is not None else from_dict(complete(values))


def _refuse_other_modes(given, mode):
    """Raises UsageError if a flag of another mode is given."""
    foreign = [name for name in given if mode not in FLAGS[name].modes]
    if foreign:
        modes = " and ".join(f"--mode {one}" for one in FLAGS[foreign[0]].modes)
        raise UsageError(
            f"{', '.join(f'--{name}' for name in foreign)} cannot be used in "
            f"--mode {mode}, only in {modes}: leave it out"
        )


def _following_crop(values, given):
    """Returns the values of flags whose defaults depend on --crop_size."""
    crop_size, follows = values["crop_size"], {}
    FLAGS["crop_size"].check(crop_size)
    is_new = values["checkpoint"] is None
    preprocess = values["preprocess"]
    is_scaled = preprocess not in OF_OWN_RESOLUTION and (
        is_new or preprocess == RESIZE_AND_CROP
    )
    has_window = preprocess not in WITHOUT_WINDOW
    is_default = crop_size == CROP_SIZE and has_window
    if is_scaled and "scale_size" not in given and not is_default:
        ratio = SCALE_SIZE / CROP_SIZE if has_window else 1
        height, width = (round(side * ratio) for side in sides(crop_size))
        is_squashed = preprocess == RESIZE_AND_CROP
        follows["scale_size"] = make_size(height, width) if is_squashed else width
    if is_new and "num_downs" not in given and values["generator"] != "resnet":
        follows["num_downs"] = deepest(crop_size) or MIN_DOWNS
    return follows


def complete(values: dict) -> dict:
    """Returns {flag name: value} with a seed and an output folder chosen if missing.

    That folder is created here, so that no other command can choose it too.
    """
    values = dict(values)
    if values["seed"] is None:  # a run stopped before its first save has one already
        values["seed"] = stored_options(values).get("seed")
    if values["seed"] is None:
        values["seed"] = random.SystemRandom().randrange(FLAGS["seed"].below)
    if values["output_dir"] is None:
        values["output_dir"] = _fresh_dir(values["mode"])
    if values.get("shard") is not None:  # DCGAN has no such flag
        folder = "part-{}-of-{}".format(*values["shard"].split("/"))
        values["output_dir"] = str(Path(values["output_dir"], folder))
    return values


def _fresh_dir(mode):
    """Creates and returns runs/<mode>-<time>, with a number if that folder exists."""
    first = Path("runs", f"{mode}-{time.strftime('%Y%m%d-%H%M%S')}")
    for number in itertools.count(1):
        path = first if number == 1 else Path(f"{first}-{number}")
        with contextlib.suppress(FileExistsError):
            path.mkdir(parents=True)
            return str(path)
