"""Checkpoints: save, find the latest, restore, and say what does not fit.

They are written under the original's variable names in TensorFlow 1's format, so that
the original's `Saver` reads ours and we read the original's. Deciding when is not here.
"""

import re
from pathlib import Path, PurePath

import tensorflow as tf

from pix2pix_tf import networks
from pix2pix_tf.options import CHECKPOINT_PREFIX as PREFIX
from pix2pix_tf.options import CHECKPOINTS_NAME as STATE_NAME
from pix2pix_tf.runtime import files
from pix2pix_tf.runtime.errors import UsageError

SUFFIXES = (".data-00000-of-00001", ".index")
EMA_NAMES = {  # of the losses that the original has
    "discriminator_loss": "discriminator_loss/Mean/ExponentialMovingAverage",
    "generator_loss_GAN": "generator_loss/Mean/ExponentialMovingAverage",
    "generator_loss_L1": "generator_loss/Mean_1/ExponentialMovingAverage",
}
# Entries that the original's checkpoints lack; the last kind only float16 has.
POSITION_NAME = "position"
FIRST_STEP_NAME = "first_step"
UPDATES_PREFIX = "updates"  # fewer than steps, where some were left out
SCALE_PREFIX = "loss_scale"
OWN_NAMES = (POSITION_NAME, FIRST_STEP_NAME, UPDATES_PREFIX, SCALE_PREFIX)
MAX_LISTED = 3  # variables, in a message
# What TensorFlow raises for files that are cut or overwritten.
_READ_ERRORS = (tf.errors.OpError, ValueError, RuntimeError, IndexError)


def find_latest(checkpoint_dir):
    """Returns the path prefix of a folder's newest checkpoint that can be read.

    The newest is what its `checkpoint` file names last; or, where that file is lost or
    names another folder (the original writes absolute paths, and folders are moved),
    the `model-<step>` of the highest step. Which are passed over is printed. A lone one
    is not read here: `restore` will.

    Raises:
        UsageError: the folder has none, or none that can be read.
    """
    checkpoint_dir = Path(checkpoint_dir)
    steps = sorted(
        int(path.stem.removeprefix(PREFIX))
        for path in checkpoint_dir.glob(f"{PREFIX}*")
        if re.fullmatch(rf"{PREFIX}\d+\.index", path.name)
    )
    names = [
        *(f"{PREFIX}{step}" for step in steps),
        *_named_checkpoints(checkpoint_dir),
    ]
    names = list(dict.fromkeys(reversed(names)))  # each once, the newest first
    found = [name for name in names if (checkpoint_dir / f"{name}.index").is_file()]
    if not found:
        raise UsageError(
            f"--checkpoint {checkpoint_dir} has no checkpoint: wanted the files "
            f"`checkpoint` and {PREFIX}<step>.index that training writes"
        )
    problems = [f"{name}.index is missing" for name in names[: names.index(found[0])]]
    for name in found:
        prefix = str(checkpoint_dir / name)
        try:
            if len(found) > 1:
                verify(prefix)
        except UsageError as error:
            problems.append(str(error))
            continue
        for problem in problems:
            print(f"warning: {problem}: taking {name}", flush=True)
        return prefix
    raise UsageError("; ".join(problems))


def verify(prefix, wanted=None):
    """Reads a whole checkpoint, which compares its checksums.

    Args:
        prefix: path prefix.
        wanted: {name: shape as a list} that it must have, or None.

    Raises:
        UsageError: it is damaged.
    """
    reader, shapes = open_reader(prefix)
    if wanted is not None and shapes != wanted:
        raise UsageError(f"{prefix} is damaged: it lacks what was written")
    for name in shapes:
        read(reader, [name], prefix)


def save(state, output_dir, keep):
    """Writes `model-<step>` and deletes all but the newest `keep` checkpoints.

    Args:
        state: TrainState.
        output_dir: folder path.
        keep: int, at least 1.
    """
    write(tensors(state), output_dir, int(state.global_step), keep)


def write(tensors, output_dir, step, keep=1):
    """Writes tensors as a folder's newest checkpoint, and keeps `keep` of them.

    The files get their names only when they are on the disk and were read back, the
    `checkpoint` file names them only then, and older ones go last.

    Args:
        tensors: {name: tensor or array}.
        output_dir, step, keep: as in `save`.

    Raises:
        OSError: they cannot be written. The older ones are as they were.
    """
    output_dir = Path(output_dir)
    new = output_dir / f"{PREFIX}{step}"
    _write_files(tensors, new)
    old = [name for name in _named_checkpoints(output_dir) if name != new.name]
    kept = [*old, new.name][-keep:]
    _write_state(output_dir / STATE_NAME, kept)
    for name in set(old) - set(kept):
        for suffix in SUFFIXES:
            (output_dir / f"{name}{suffix}").unlink(missing_ok=True)


def restore(state, prefix, batch_size=1):
    """Sets all of a TrainState from a checkpoint, ours or the original's.

    Args:
        state: TrainState.
        prefix: path prefix, as `find_latest` gives it.
        batch_size: int; the original does not say how many examples it has seen.

    Raises:
        UsageError: a variable is missing, unknown or of another shape, or the files are
            damaged. Nothing has been set then.
    """
    wanted = _variables(state)
    reader, shapes = open_reader(prefix)
    if is_generator_only(shapes):
        raise UsageError(
            f"{prefix} holds a generator only, for --mode test and export: training on "
            "wants the discriminator, the Adam slots and global_step too"
        )
    for name in list(wanted):
        if name.startswith(OWN_NAMES) and name not in shapes:
            del wanted[name]
    _assign(wanted, reader, shapes, prefix)
    for network, optimizer in state.trained:
        if f"{UPDATES_PREFIX}/{network.name}" not in shapes:
            optimizer.iterations.assign(state.global_step)
    if POSITION_NAME not in shapes:
        state.position.assign(state.global_step * batch_size)


def restore_generator(generator, prefix):
    """Sets the generator only; Args, Raises: as `restore`."""
    reader, shapes = open_reader(prefix)
    _assign(networks.variables_by_name(generator), reader, shapes, prefix)


def check_widths(prefix, model):
    """Compares the networks' first layers with `ngf` and `ndf` before any is built.

    test and export build no discriminator, so nothing else would notice a wrong `ndf`.

    Args:
        prefix: path prefix, as `find_latest` gives it.
        model: ModelConfig.

    Raises:
        UsageError: one differs, or the files are damaged.
    """
    _, shapes = open_reader(prefix)
    layers = {"ngf": "generator/encoder_1/", "ndf": "discriminator/layer_1/"}
    for name, layer in layers.items():
        wanted = getattr(model, name)
        for variable, shape in shapes.items():
            if variable.startswith(layer) and variable.endswith("/bias"):
                if shape != [wanted]:
                    raise UsageError(
                        f"{prefix} does not fit its options.json: {variable} is "
                        f"{shape}, and {name} is {wanted}"
                    )


def is_generator_only(names):
    """Says whether a checkpoint with these names serves test and export only."""
    return not any(name.endswith("/Adam") for name in names)


def tensors(state):
    """Returns {name: tensor} of all that is saved: Adam's powers too, for TF 1."""
    saved = {
        name: tf.convert_to_tensor(variable)
        for name, variable in _variables(state).items()
    }
    for network, optimizer in state.trained:
        scope = f"{network.name}_train"
        # TensorFlow 1 keeps the powers for the next update.
        updates = tf.cast(optimizer.iterations + 1, tf.float32)
        saved[f"{scope}/beta1_power"] = tf.pow(optimizer.beta_1, updates)
        saved[f"{scope}/beta2_power"] = tf.pow(optimizer.beta_2, updates)
    return saved


def open_reader(prefix):
    """Returns a checkpoint's reader and {name: shape}.

    Raises:
        UsageError: the files are missing or damaged.
    """
    for path in (Path(f"{prefix}{suffix}") for suffix in SUFFIXES):
        if path.exists() and not path.is_file():  # a pipe would be read for ever
            raise UsageError(f"{prefix} is damaged: {path} is no file")
    try:
        reader = tf.train.load_checkpoint(str(prefix))
        return reader, reader.get_variable_to_shape_map()
    except _READ_ERRORS as error:
        raise UsageError(f"{prefix} is damaged: {_first_line(error)}") from None


def read(reader, names, prefix):
    """Returns {name: array} of these names.

    Raises:
        UsageError: the files are damaged.
    """
    try:
        return {name: reader.get_tensor(name) for name in names}
    except _READ_ERRORS as error:
        raise UsageError(f"{prefix} is damaged: {_first_line(error)}") from None


def check_fit(wanted, got, message):
    """Names what is missing, unknown (within the wanted networks) or misshapen.

    Args:
        wanted, got: {variable name: shape as a list}.
        message: str, what the error starts with.

    Raises:
        UsageError: in one line.
    """
    scopes = {name.split("/")[0] for name in wanted} & {"generator", "discriminator"}
    missing = sorted(set(wanted) - set(got))
    unknown = sorted(
        name
        for name in set(got) - set(wanted)
        if name.split("/")[0] in scopes and not name.endswith(("/Adam", "/Adam_1"))
    )
    misshapen = [
        f"{name} is {got[name]}, wanted {shape}"
        for name, shape in wanted.items()
        if name in got and got[name] != shape
    ]
    problems = [
        f"{len(names)} {what} ({', '.join(names[:MAX_LISTED])}"
        f"{', ...' if len(names) > MAX_LISTED else ''})"
        for what, names in (
            ("missing", missing),
            ("unknown", unknown),
            ("of another shape", misshapen),
        )
        if names
    ]
    if problems:
        raise UsageError(f"{message}: variables {'; '.join(problems)}")


def _variables(state):
    """Returns {name in the checkpoint: variable} of all that is restored."""
    variables = {}
    for network, optimizer in state.trained:
        variables |= networks.variables_by_name(network)
        trained = zip(networks.trainable_by_name(network), optimizer.slots, strict=True)
        for name, (momentum, velocity) in trained:
            variables[f"{name}/Adam"] = momentum
            variables[f"{name}/Adam_1"] = velocity
        variables[f"{UPDATES_PREFIX}/{network.name}"] = optimizer.iterations
        for name, variable in optimizer.scale_state.items():
            variables[f"{SCALE_PREFIX}/{network.name}/{name}"] = variable
    for name, average in state.ema.items():
        variables[EMA_NAMES.get(name, f"{name}/ExponentialMovingAverage")] = average
    return variables | {
        "global_step": state.global_step,
        POSITION_NAME: state.position,
        FIRST_STEP_NAME: state.first_step,
    }


def _write_files(tensors, path):
    """Writes `path`.index and .data: under another name, read back, then renamed."""
    shapes = {name: list(tensor.shape) for name, tensor in tensors.items()}
    try:
        with files.writing(path, SUFFIXES) as partial:
            tf.raw_ops.SaveV2(
                prefix=str(partial),
                tensor_names=list(tensors),
                shape_and_slices=[""] * len(tensors),
                tensors=list(tensors.values()),
            )
            verify(partial, shapes)
    except (tf.errors.OpError, UsageError, OSError) as error:
        reason = getattr(error, "strerror", None) or _first_line(error)
        raise OSError(f"{path} cannot be written: {reason}") from None


def _named_checkpoints(folder):
    """Returns the names in a folder's `checkpoint` file, oldest first; [] without one.

    Names only: the original may have written the path of another machine.
    """
    path = folder / STATE_NAME
    text = path.read_text(errors="replace") if path.is_file() else ""
    paths = re.findall(r'^all_model_checkpoint_paths: "(.*)"', text, re.MULTILINE)
    newest = re.findall(r'^model_checkpoint_path: "(.*)"', text, re.MULTILINE)
    names = [PurePath(path).name for path in paths]
    names += [PurePath(path).name for path in newest]
    return list(dict.fromkeys(reversed(names)))[::-1]  # each once, the newest last


def _write_state(path, names):
    """Writes the text proto CheckpointState as TensorFlow 1 does, oldest first."""
    lines = [f'model_checkpoint_path: "{names[-1]}"']
    lines += [f'all_model_checkpoint_paths: "{name}"' for name in names]
    files.write_whole(path, "\n".join(lines) + "\n")


def _assign(variables, reader, shapes, prefix):
    """Reads all of `variables` from the checkpoint, and only then sets them."""
    wanted = {name: list(variable.shape) for name, variable in variables.items()}
    check_fit(wanted, shapes, f"{prefix} does not fit the networks of its options.json")
    values = read(reader, variables, prefix)
    for name, variable in variables.items():
        variable.assign(values[name])


def _first_line(error):
    """Returns what happened, without the name of TensorFlow's operation."""
    text = getattr(error, "message", None) or str(error)
    return re.sub(r"^{{.*?}} ", "", text.splitlines()[0])
