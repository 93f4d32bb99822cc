"""What a checkpoint holds of a TrainState, under which names, and what does not fit.

The names are those of the original's variables, so that its `Saver` reads our
checkpoints and we read its.
"""

import tensorflow as tf

from pix2pix_tf import networks
from pix2pix_tf.checkpoints import store
from pix2pix_tf.runtime.errors import UsageError

DISCRIMINATOR_LOSS = "discriminator_loss"
GAN_LOSS = "generator_loss_GAN"
L1_LOSS = "generator_loss_L1"
# The moving averages of the losses that the original has, in its order.
EMA_NAMES = {
    DISCRIMINATOR_LOSS: "discriminator_loss/Mean/ExponentialMovingAverage",
    GAN_LOSS: "generator_loss/Mean/ExponentialMovingAverage",
    L1_LOSS: "generator_loss/Mean_1/ExponentialMovingAverage",
}
EMA_ENDING = "/ExponentialMovingAverage"
# Entries that the original's checkpoints lack; the last one only float16 has.
POSITION_NAME = "position"
FIRST_STEP_NAME = "first_step"
UPDATES_PREFIX = "updates"  # fewer than steps, where some were left out
SCALE_PREFIX = "loss_scale"
OWN_NAMES = (POSITION_NAME, FIRST_STEP_NAME, UPDATES_PREFIX, SCALE_PREFIX)
MAX_LISTED = 3  # variables, in a message


def save(state, output_dir, keep):
    """Writes `model-<step>` and deletes all but the newest `keep` checkpoints.

    Args:
        state: TrainState.
        output_dir: folder path.
        keep: int, at least 1.

    Raises:
        OSError: it cannot be written. The older checkpoints are as they were.
    """
    store.write(tensors(state), output_dir, int(state.global_step), keep)


def tensors(state):
    """Returns {name: tensor} of everything that is saved.

    That is more than is restored: TensorFlow 1 wants the powers of Adam's betas too.
    """
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


def restore(state, prefix, batch_size=1):
    """Sets all of a TrainState from a checkpoint, ours or the original's.

    Args:
        state: TrainState.
        prefix: path prefix, as `find_latest` returns it.
        batch_size: int, from which the number of examples seen is computed where the
            checkpoint does not hold it, as the original's do not.

    Raises:
        UsageError: a variable is missing, unknown or of another shape, or the files are
            damaged. Nothing has been set then.
    """
    wanted = _variables(state)
    reader, shapes = store.open_reader(prefix)
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
    """Sets a generator from a checkpoint of any kind.

    Args:
        generator: keras.Model.
        prefix: path prefix, as `find_latest` returns it.

    Raises:
        UsageError: a variable of the generator is missing, unknown or of another shape,
            or the files are damaged. Nothing has been set then.
    """
    reader, shapes = store.open_reader(prefix)
    _assign(networks.variables_by_name(generator), reader, shapes, prefix)


def check_widths(prefix, model):
    """Compares the networks' first layers with `ngf` and `ndf` before any is built.

    test and export build no discriminator, so nothing else would notice a wrong `ndf`.

    Args:
        prefix: path prefix, as `find_latest` returns it.
        model: ModelConfig.

    Raises:
        UsageError: one differs, or the files are damaged.
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


def is_generator_only(names):
    """Returns True if a checkpoint with these names can be tested and exported only."""
    return not any(name.endswith("/Adam") for name in names)


def loss_names(names):
    """Returns the names of the losses whose averages are among a checkpoint's names."""
    originals = {entry: name for name, entry in EMA_NAMES.items()}
    return [
        originals.get(name, name.removesuffix(EMA_ENDING))
        for name in names
        if name.endswith(EMA_ENDING)
    ]


def check_fit(wanted, got, message):
    """Refuses variables that are missing, of another shape, or unknown.

    Unknown ones are refused in the networks of `wanted` only.

    Args:
        wanted, got: {variable name: shape as a list}.
        message: str, what the error starts with.

    Raises:
        UsageError: one line that names them.
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
    """Returns {name in the checkpoint: variable} of everything that is restored."""
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
        variables[EMA_NAMES.get(name, f"{name}{EMA_ENDING}")] = average
    return variables | {
        "global_step": state.global_step,
        POSITION_NAME: state.position,
        FIRST_STEP_NAME: state.first_step,
    }


def _assign(variables, reader, shapes, prefix):
    """Reads all of `variables` from the checkpoint, and only then sets them."""
    wanted = {name: list(variable.shape) for name, variable in variables.items()}
    check_fit(wanted, shapes, f"{prefix} does not fit the networks of its options.json")
    values = store.read(reader, variables, prefix)
    for name, variable in variables.items():
        variable.assign(values[name])
