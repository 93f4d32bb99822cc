"""The contents of a checkpoint: the variables of a TrainState and their names.

The names are those of the original's variables, so that the original's `Saver` can read
our checkpoints and we can read the original's.
"""

import dataclasses
import functools
import math
from collections.abc import Iterable
from pathlib import Path

import keras
import tensorflow as tf

from pix2pix_tf import networks
from pix2pix_tf.checkpoints import store
from pix2pix_tf.checkpoints.state import TrainState
from pix2pix_tf.options import ModelConfig
from pix2pix_tf.runtime.errors import UsageError

Shapes = dict[str, list[int]]
DISCRIMINATOR_LOSS = "discriminator_loss"
GAN_LOSS = "generator_loss_GAN"
L1_LOSS = "generator_loss_L1"
# The losses of the original and the names of their moving averages, in its order.
EMA_NAMES = {
    DISCRIMINATOR_LOSS: "discriminator_loss/Mean/ExponentialMovingAverage",
    GAN_LOSS: "generator_loss/Mean/ExponentialMovingAverage",
    L1_LOSS: "generator_loss/Mean_1/ExponentialMovingAverage",
}
ADAM_ENDINGS = ("/Adam", "/Adam_1")  # momentum and velocity of a variable
EMA_ENDING = "/ExponentialMovingAverage"
# Entries that the original's checkpoints do not have.
POSITION_NAME = "position"
FIRST_STEP_NAME = "first_step"
UPDATES_PREFIX = "updates"  # less than the number of steps if updates were skipped
SCALE_PREFIX = "loss_scale"  # in float16 only
AVERAGE_PREFIX = "generator_average"  # with --ema_generator only
# Those that checkpoints of earlier versions lack.
_LATER_NAMES = (POSITION_NAME, FIRST_STEP_NAME, UPDATES_PREFIX, SCALE_PREFIX)
OWN_NAMES = (*_LATER_NAMES, AVERAGE_PREFIX)
MAX_LISTED = 3  # variables, in a message


def save(state: TrainState, output_dir: Path, keep: int) -> None:
    """Writes `model-<step>` and deletes all but the newest `keep` checkpoints.

    Raises:
        OSError: it cannot be written. The older checkpoints are unchanged then.
    """
    store.write(tensors(state), output_dir, int(state.global_step), keep)


def tensors(state: TrainState) -> dict[str, tf.Tensor]:
    """Returns everything that a checkpoint of the state holds, by name.

    The powers of Adam's betas are for TensorFlow 1 only; `restore` does not read them.
    """
    saved = {
        name: tf.convert_to_tensor(variable)
        for name, variable in _variables(state).items()
    }
    for network, optimizer in state.trained:
        scope = f"{network.name}_train"
        # TensorFlow 1 stores the powers that the next update uses.
        updates = tf.cast(optimizer.iterations + 1, tf.float32)
        saved[f"{scope}/beta1_power"] = tf.pow(optimizer.beta_1, updates)
        saved[f"{scope}/beta2_power"] = tf.pow(optimizer.beta_2, updates)
    return saved


def restore(
    state: TrainState, prefix: str, batch_size: int = 1, is_new_run: bool = False
) -> list[str]:
    """Sets all variables of a TrainState from a checkpoint, ours or the original's.

    A moving average of the generator that the checkpoint lacks begins at its weights.

    Args:
        state: TrainState.
        prefix: path prefix of the checkpoint.
        batch_size: examples per step, to compute the number of examples seen for the
            original's checkpoints, which do not hold it.
        is_new_run: if True, the checkpoint may lack the whole discriminator, and the
            moving averages of losses: those keep their values.

    Returns:
        What the checkpoint lacked, as text: [] if it held everything.

    Raises:
        UsageError: a variable is missing, unknown or of another shape, or the files are
            damaged. The state is unchanged then.
    """
    reader, shapes = store.open_reader(prefix)
    if is_generator_only(shapes):
        raise UsageError(
            f"{prefix} holds a generator only, for --mode test and export: training "
            "needs the discriminator, the Adam slots and global_step too"
        )
    restored, lacked = _split_off_new(state, shapes) if is_new_run else (state, [])
    has_average = any(name.startswith(AVERAGE_PREFIX) for name in shapes)
    if not has_average:
        restored = dataclasses.replace(restored, average=None)
    wanted = {
        name: variable
        for name, variable in _variables(restored).items()
        if name in shapes or not name.startswith(_LATER_NAMES)
    }
    _check_shapes(wanted, shapes, prefix, {})
    values = store.read(reader, wanted, prefix)  # all, before the first is set
    for name, variable in wanted.items():
        variable.assign(values[name])
    if state.average is not None and not has_average:
        state.average.restart()
        lacked.append("the moving average of the generator (it begins at its weights)")
    for network, optimizer in restored.trained:
        if f"{UPDATES_PREFIX}/{network.name}" not in shapes:
            optimizer.iterations.assign(state.global_step)
    if POSITION_NAME not in shapes:
        state.position.assign(state.global_step * batch_size)
    return lacked


def _split_off_new(state, names):
    """Returns the part of a state that a checkpoint holds, and the rest as text."""
    lacked, known = [], set(loss_names(names))
    if state.discriminator and not any(
        name.startswith("discriminator/") for name in names
    ):
        state = dataclasses.replace(state, discriminator=None, d_optimizer=None)
        lacked.append("the discriminator")
    lacked += [
        f"the moving average of {name}" for name in state.ema if name not in known
    ]
    ema = {name: average for name, average in state.ema.items() if name in known}
    return dataclasses.replace(state, ema=ema), lacked


def restore_generator(
    generator: keras.Model, prefix: str, weights: str = "average"
) -> None:
    """Sets a generator's variables from a checkpoint of any kind.

    Args:
        generator: keras.Model.
        prefix: path prefix of the checkpoint.
        weights: "average" for the moving average, where the checkpoint has one, or
            "latest".

    Raises:
        UsageError: a variable of the generator is missing, unknown or of another shape,
            and the generator is unchanged; or the files are damaged, and it cannot be
            used.
    """
    _, shapes = store.open_reader(prefix)
    entries = generator_entries(shapes, weights)
    variables = networks.variables_by_name(generator)
    _check_shapes(variables, shapes, prefix, entries)
    # The largest first, whose memory is used again for the others.
    sizes = {name: math.prod(variable.shape) for name, variable in variables.items()}
    names = sorted(sizes, key=sizes.get, reverse=True)
    wanted = [(entries[name], variables[name].dtype) for name in names]
    values = store.read_each(prefix, wanted)
    for name in names:
        networks.replace_value(variables[name], functools.partial(next, values))


def check_widths(prefix: str, model: ModelConfig) -> None:
    """Compares the widths of the first layers in a checkpoint with `ngf` and `ndf`.

    Test and export build no discriminator, so no other check finds a wrong `ndf`.

    Raises:
        UsageError: a width differs, or the files are damaged.
    """
    _, shapes = store.open_reader(prefix)
    for layer, name, width in (
        ("generator/encoder_1/", "ngf", model.ngf),
        ("discriminator/layer_1/", "ndf", model.ndf),
    ):
        for variable, shape in shapes.items():
            is_bias = variable.startswith(layer) and variable.endswith("/bias")
            if is_bias and shape != [width]:
                raise UsageError(
                    f"{prefix} does not fit its options.json: {variable} is {shape}, "
                    f"and {name} is {width}"
                )


def is_generator_only(names: Iterable[str]) -> bool:
    """Returns True if a checkpoint with these names cannot be used for training."""
    return not any(name.endswith(ADAM_ENDINGS) for name in names)


def generator_entries(names: Iterable[str], weights: str = "average") -> dict[str, str]:
    """Returns {name of a variable of the generator: name of its entry}.

    Args:
        names: of a checkpoint.
        weights: as for `restore_generator`.
    """
    names, entries = set(names), {}
    for name in names:
        if name.startswith("generator/") and not name.endswith(ADAM_ENDINGS):
            average = _average_name(name)
            is_averaged = weights == "average" and average in names
            entries[name] = average if is_averaged else name
    return entries


def _average_name(name):
    """Returns the name in a checkpoint of the average of a generator's variable."""
    return f"{AVERAGE_PREFIX}/{name.removeprefix('generator/')}"


def loss_names(names: Iterable[str]) -> list[str]:
    """Returns the losses whose moving averages are among the names of a checkpoint."""
    originals = {entry: name for name, entry in EMA_NAMES.items()}
    return [
        originals.get(name, name.removesuffix(EMA_ENDING))
        for name in names
        if name.endswith(EMA_ENDING)
    ]


def check_fit(wanted: Shapes, got: Shapes, message: str) -> None:
    """Raises an error if variables are missing, unknown, or of another shape.

    Variables of a network that `wanted` does not have are not unknown.

    Args:
        wanted, got: {variable name: shape as a list}.
        message: the start of the error message.

    Raises:
        UsageError: one line that names the variables.
    """
    scopes = {name.split("/")[0] for name in wanted} & {"generator", "discriminator"}
    missing = sorted(set(wanted) - set(got))
    unknown = sorted(
        name
        for name in set(got) - set(wanted)
        if name.split("/")[0] in scopes and not name.endswith(ADAM_ENDINGS)
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
    """Returns {name in the checkpoint: variable} of everything that is restored."""
    variables = {}
    for network, optimizer in state.trained:
        variables |= networks.variables_by_name(network)
        trained = zip(networks.trainable_by_name(network), optimizer.slots, strict=True)
        for name, (momentum, velocity) in trained:
            slots = zip(ADAM_ENDINGS, (momentum, velocity), strict=True)
            variables |= {f"{name}{ending}": slot for ending, slot in slots}
        variables[f"{UPDATES_PREFIX}/{network.name}"] = optimizer.iterations
        for name, variable in optimizer.scale_state.items():
            variables[f"{SCALE_PREFIX}/{network.name}/{name}"] = variable
    for name, average in state.ema.items():
        variables[EMA_NAMES.get(name, f"{name}{EMA_ENDING}")] = average
    if state.average is not None:
        for name, average in state.average.variables.items():
            variables[_average_name(name)] = average
    return variables | {
        "global_step": state.global_step,
        POSITION_NAME: state.position,
        FIRST_STEP_NAME: state.first_step,
    }


def _check_shapes(variables, shapes, prefix, entries):
    """Compares variables with a checkpoint that has these shapes.

    Args:
        entries: {name of a variable: name of its entry}, where these differ.
    """
    shapes = shapes | {name: shapes[entry] for name, entry in entries.items()}
    wanted = {name: list(variable.shape) for name, variable in variables.items()}
    check_fit(wanted, shapes, f"{prefix} does not fit the networks of its options.json")
