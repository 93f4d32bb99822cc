"""Reads a model of any kind with its options, and writes it as another kind.

The kinds are "checkpoint" (a folder that this project wrote), "tf1" (a folder that the
original wrote), "pict" (a file, see `pict`) and "pytorch" (one or two files, see
`pytorch`; read only).
"""

import dataclasses
from pathlib import Path
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from pix2pix_tf import checkpoints, networks
from pix2pix_tf.images.kinds import RGB_PAIRS
from pix2pix_tf.interop import pict, pytorch
from pix2pix_tf.options import (
    OPTIONS_NAME,
    ORIGINAL_NAMES,
    RESTORED_NAMES,
    ModelConfig,
    Options,
    from_dict,
    read_options,
    split_checkpoint,
    to_dict,
    to_json,
)
from pix2pix_tf.runtime import files
from pix2pix_tf.runtime.errors import UsageError

PYTORCH_SUFFIXES = (".pth", ".pt", ".safetensors")
FILE_SUFFIXES = (".pict", *PYTORCH_SUFFIXES)
# The options that each kind can hold; all others must have their default values.
HELD_NAMES = {
    "checkpoint": RESTORED_NAMES,
    "tf1": ORIGINAL_NAMES,
    "pict": ("ndf", "ngf", "which_direction"),
}


class Model(NamedTuple):
    """A generator alone, or everything that training needs to continue."""

    kind: str
    options: Options
    tensors: dict[str, np.ndarray]  # by the names in a checkpoint

    @property
    def is_generator_only(self) -> bool:
        return checkpoints.is_generator_only(self.tensors)


def read(
    source: Path | str,
    which_direction: str | None = None,
    generator_only: bool = False,
) -> Model:
    """Reads the model in a folder or file of any kind.

    Args:
        source: folder with a checkpoint or with `latest_net_G.pth`, one checkpoint in a
            folder, or a `.pict`, `.pth`, `.pt` or `.safetensors` file.
        which_direction: "AtoB" or "BtoA", for the kinds that do not store it (default:
            "AtoB").
        generator_only: if True, no more than the generator's variables is read from a
            checkpoint; they are not compared with its options.

    Raises:
        UsageError: the source is of no known kind, is damaged, contains code, does not
            fit, or stores another direction.
    """
    source = Path(source)
    path = _find_file(source)
    try:
        if path.is_dir() or path.suffix not in FILE_SUFFIXES:
            model = _read_checkpoint(path, generator_only)
        elif path.suffix == ".pict":
            model = _read_pict(path, which_direction or "AtoB")
        else:
            model = _read_pytorch(path, which_direction)
    except (ValueError, OSError, ImportError) as error:
        raise UsageError(str(error)) from None
    except (MemoryError, tf.errors.ResourceExhaustedError) as error:
        reason = str(error).partition("\n")[0]
        raise UsageError(f"{source}: out of memory: {reason}") from None
    direction = model.options.pair.which_direction
    if which_direction not in (None, direction):
        raise UsageError(
            f"--which_direction {which_direction} contradicts {source}, which is of "
            f"{direction}"
        )
    return model


def write(model: Model, destination: Path | str, kind: str) -> None:
    """Writes a model as another kind; if that fails, no file is left.

    Args:
        model: Model.
        destination: path of a new folder, or of a new `.pict` file.
        kind: "checkpoint", "tf1" or "pict".

    Raises:
        UsageError: the destination exists or cannot be written, or this kind cannot
            hold the model.
    """
    destination = Path(destination)
    if destination.exists() or destination.is_symlink():
        raise UsageError(f"{destination} exists: name another destination")
    if not files.is_utf8(destination):
        raise UsageError(f"{destination} is not valid UTF-8: name another destination")
    _refuse_unfit(model, kind)
    try:
        destination.parent.mkdir(parents=True, exist_ok=True)
        if kind == "pict":
            pict.write(destination, _averaged(model.tensors))
        else:
            with files.writing(destination) as partial:
                partial.mkdir()
                _write_folder(model, partial, kind)
    except OSError as error:
        message = f"{destination} cannot be written: {error.strerror or error}"
        raise UsageError(message) from None
    except ValueError as error:
        raise UsageError(str(error)) from None


def _find_file(source):
    """Returns the path of the generator's file, or of a checkpoint or its folder."""
    if split_checkpoint(source)[1]:
        return source
    if not source.exists():
        raise UsageError(f"{source} does not exist")
    if source.is_dir():
        paths = (source / f"latest_net_G{suffix}" for suffix in PYTORCH_SUFFIXES)
        return next((path for path in paths if path.exists()), source)
    if source.suffix not in FILE_SUFFIXES:
        raise UsageError(
            f"{source} is of no known kind: wanted a folder with a checkpoint, or a "
            f"{', '.join(FILE_SUFFIXES)} file"
        )
    return source


def _read_checkpoint(checkpoint, generator_only):
    """Reads a checkpoint of this project or of the original."""
    folder, _ = split_checkpoint(checkpoint)
    options = _read_options(folder / OPTIONS_NAME)
    prefix = checkpoints.find(checkpoint)
    reader, shapes = checkpoints.open_reader(prefix)
    kind = "checkpoint"
    if generator_only:
        entries = checkpoints.generator_entries(shapes)
        values = checkpoints.read(reader, entries.values(), prefix)
        tensors = {name: values[entry] for name, entry in entries.items()}
        return Model(kind, options, tensors)
    if checkpoints.is_generator_only(shapes):
        generator = networks.build_generator(options.pair.channels, options.model)
        checkpoints.restore_generator(generator, prefix)
        tensors = networks.variables_by_name(generator) | {"global_step": 0}
    else:
        if checkpoints.POSITION_NAME not in shapes:
            kind = "tf1"
        has_discriminator = any(name.startswith("discriminator/") for name in shapes)
        names = checkpoints.loss_names(shapes)
        state = _start_state(options, names, has_discriminator)
        checkpoints.restore(state, prefix)
        tensors = checkpoints.tensors(state)
    # Values in the file are taken unchanged, even those that `restore` does not read.
    stored = checkpoints.read(reader, set(tensors) & set(shapes), prefix)
    return Model(kind, options, _as_arrays(tensors) | stored)


def _read_options(path):
    """Returns the Options in a file; errors name the file, not a flag."""
    try:
        return from_dict(read_options(path))
    except UsageError as error:
        message = str(error).removeprefix("--")
        if not message.startswith(str(path)):
            message = f"{path}: {message}"
        raise UsageError(message) from None


def _read_pict(path, which_direction):
    """Reads a generator; its moving statistics, which are never used, are 0 and 1."""
    arrays = pict.read(path)
    name = "generator/encoder_1/conv2d/kernel"
    ngf = arrays[name].shape[-1] if name in arrays else ModelConfig().ngf
    options = from_dict({"ngf": ngf, "which_direction": which_direction})
    generator = networks.build_generator(options.pair.channels, options.model)
    variables = networks.variables_by_name(generator)
    wanted = {
        name: list(variable.shape)
        for name, variable in variables.items()
        if variable.trainable or name in arrays
    }
    got = {name: list(array.shape) for name, array in arrays.items()}
    checkpoints.check_fit(wanted, got, f"{path} does not fit a generator of ngf {ngf}")
    tensors = _as_arrays(variables) | arrays | {"global_step": np.int64(0)}
    return Model("pict", options, tensors)


def _read_pytorch(path, which_direction):
    """Reads a generator, or with its discriminator a training state at step 0."""
    weights = pytorch.read_generator(path)
    channels = weights.channels
    pairs = [pair for pair in RGB_PAIRS if pair.channels == channels]
    if not pairs:
        known = dict.fromkeys(pair.channels for pair in RGB_PAIRS)
        raise UsageError(
            f"{path}: got {channels[0]} input and {channels[1]} output channels, "
            f"wanted {', or '.join(f'{a} and {b}' for a, b in known)}"
        )
    wanted = [pair for pair in pairs if pair.which_direction == which_direction]
    values = dataclasses.asdict((wanted or pairs)[0]) | {
        "ngf": weights.width,
        "norm": weights.norm,
        "innermost_norm": "none",
    }
    arrays = weights.variables | {"global_step": np.int64(0)}
    d_path = path.with_name(path.name.replace("net_G", "net_D"))
    has_discriminator = d_path != path and d_path.exists()
    if has_discriminator:
        patches = pytorch.read_discriminator(d_path)
        if (patches.norm, patches.channels) != (weights.norm, (sum(channels),)):
            raise UsageError(
                f"{d_path}: got {patches.norm} norm and {patches.channels[0]} "
                f"channels, wanted {weights.norm} norm and {sum(channels)} channels "
                "as in the generator's file"
            )
        values["ndf"] = patches.width
        arrays |= patches.variables
    options = from_dict(values)
    if has_discriminator:
        state = _start_state(options, list(checkpoints.EMA_NAMES), has_discriminator)
        arrays = _as_arrays(checkpoints.tensors(state)) | arrays
    return Model("pytorch", options, arrays)


def _averaged(tensors):
    """Returns the tensors of a generator: the moving average, where there is one."""
    entries = checkpoints.generator_entries(tensors)
    return {name: tensors[entry] for name, entry in entries.items()}


def _start_state(options, loss_names, has_discriminator):
    """Returns the TrainState of the options' networks, at step 0."""
    channels, discriminator = options.pair.channels, None
    generator = networks.build_generator(channels, options.model)
    if has_discriminator:
        discriminator = networks.build_discriminator(channels, options.model)
    return checkpoints.start_state(
        generator, discriminator, options.optimizer, loss_names
    )


def _as_arrays(tensors):
    return {name: np.asarray(tensor) for name, tensor in tensors.items()}


def _refuse_unfit(model, kind):
    """Raises UsageError if the programs that read `kind` cannot use the model."""
    options = model.options
    values, defaults = (to_dict(each) for each in (options, from_dict({})))
    foreign = [
        f"--{name} {values[name]}".removesuffix(" True")
        for name in RESTORED_NAMES
        if name not in HELD_NAMES[kind] and values[name] != defaults[name]
    ]
    if foreign:
        readers = {"tf1": "the original", "pict": "the readers of .pict files"}[kind]
        raise UsageError(
            f"{', '.join(foreign)}: {readers} cannot build such a generator"
        )
    if kind == "tf1" and model.is_generator_only:
        raise UsageError(
            "the source holds a generator only: the original restores the "
            "discriminator, the Adam slots and global_step with it"
        )


def _write_folder(model, folder, kind):
    tensors = {
        name: tensor
        for name, tensor in model.tensors.items()
        if kind != "tf1" or not name.startswith(checkpoints.OWN_NAMES)
    }
    checkpoints.write(tensors, folder, int(tensors["global_step"]))
    files.write_whole(folder / OPTIONS_NAME, to_json(model.options))
