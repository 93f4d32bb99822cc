"""How close our numbers are to figures that the original recorded.

A recording is an `.npz` that the original made with its dropout off: `meta` (JSON: its
options), a batch (`inputs`, `targets`), its variables (`var/NAME`), what one forward
pass gave (`outputs`, `predict_real`, `predict_fake`, `loss/*`, `grad/NAME`), what one
step gave (`after1/NAME`) and what ten gave (`ema_losses`, `outputs10`, `norm10/NAME`).
"""

import json
import math
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

from pix2pix_tf import config, losses, networks, step
from pix2pix_tf.config import UsageError

NUM_STEPS = 10
LOSS_KEYS = ("discrim_loss", "gen_loss_GAN", "gen_loss_L1")  # as step.LOSS_NAMES
OPTION_NAMES = (
    "ngf",
    "ndf",
    "batch_size",
    "lab_colorization",
    "separable_conv",
    "which_direction",
    "lr",
    "beta1",
    "l1_weight",
    "gan_weight",
)

# float32 on a CPU, summed in another order; the variables are about 0.02 to 1.
FORWARD_BOUND = 1e-5
# A correct port mostly shows 1e-5; one activation, or one |target - output|, on the
# other side of its kink moves every gradient above it by 2e-3.
GRADIENT_BOUND = 1e-2  # relative, in the L2 norm of a variable
# Below this part of its network's largest gradient, a variable's is rounding noise.
NO_GRADIENT = 1e-5
# Adam's first step is the gradient's sign where the gradient is far above epsilon, so
# an entry near zero may go the other way: 2 lr, and a little for rounding.
STEP_BOUND = 2.1  # lr, of one entry
MEAN_STEP_BOUND = 0.05  # lr, of a variable's entries: 1e-5 at the lr of 0.0002
# Entries whose gradient is so near epsilon that it takes 3% or more off their step.
NEAR_EPSILON = 30
SMALL_STEP_BOUND = 0.01  # lr, mean; twice the right epsilon gives 0.1
EMA_BOUND = 1e-3  # relative
OUTPUTS10_BOUND = 0.02  # mean; ten steps let the differences grow
CERTAIN_BOUND = 1e-4  # of losses of 28 and 55


class Recording(NamedTuple):
    """One file's figures: what they were recorded with, and the arrays by key."""

    path: str
    options: config.Options
    meta: dict
    arrays: dict

    def named(self, kind):
        """Returns {variable name: array} of the keys `kind`/NAME."""
        prefix = f"{kind}/"
        return {
            key.removeprefix(prefix): array
            for key, array in self.arrays.items()
            if key.startswith(prefix)
        }


class Check(NamedTuple):
    """One line of the table; passes if `got` is at most `bound`, where there is one."""

    name: str
    got: float
    bound: float | None
    where: str = ""

    @property
    def passes(self):
        return self.bound is None or self.got <= self.bound  # a NaN does not pass


def read_recording(path):
    """Returns the `Recording` in a file; runs no code of it.

    Raises:
        UsageError: it is damaged, or lacks what every such file has.
        OSError: it cannot be opened.
    """
    with open(path, "rb"):
        pass  # a path that cannot be opened fails here, as such
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {key: np.asarray(archive[key]) for key in archive.files}
    except Exception as error:  # a damaged file can raise nearly anything
        raise UsageError(
            f"{path}: got a damaged file, or one with code or other objects in it, "
            "wanted an .npz of arrays alone"
        ) from error
    meta = _read_meta(path, arrays)
    known = {name: meta[name] for name in OPTION_NAMES}
    try:
        options = config.from_dict(known | {"no_dropout": True})
    except UsageError as error:
        raise UsageError(f"{path}: meta: {str(error).removeprefix('--')}") from None
    return Recording(path, options, meta, arrays)


def compare(recording):
    """Returns the list of `Check` of one recording, in the order of the table.

    Raises:
        UsageError: an array is missing, unknown or of another shape or type.
    """
    options, arrays = recording.options, recording.arrays
    state = step.make_state(options.pair.channels, options.model, options.loss)
    variables = {
        name: variable
        for network in (state.generator, state.discriminator)
        for name, variable in networks.variables_by_name(network).items()
        if variable.trainable
    }
    _check_arrays(recording, {name: v.shape for name, v in variables.items()})
    for name, variable in variables.items():
        variable.assign(arrays[f"var/{name}"])
    inputs, targets = (
        tf.constant(arrays[k], tf.float32) for k in ("inputs", "targets")
    )

    train_step = step.make_train_step(state, options.loss, seed=0)
    ema = []
    for number in range(NUM_STEPS):
        forward = train_step(inputs, targets)
        ema.append([float(state.ema[name]) for name in step.LOSS_NAMES])
        if number == 0:  # the later passes are of other weights
            first = forward
            after1 = {name: variable.numpy() for name, variable in variables.items()}
    by_id = {
        id(variable): gradient.numpy()
        for network, gradients in (
            (state.generator, first.g_gradients),
            (state.discriminator, first.d_gradients),
        )
        for variable, gradient in zip(
            network.trainable_variables, gradients, strict=True
        )
    }
    gradients = {name: by_id[id(variable)] for name, variable in variables.items()}
    norms = {name: np.linalg.norm(v.numpy()) for name, v in variables.items()}

    return [
        *_compare_forward(recording, first),
        *_compare_gradients(recording, gradients),
        *_compare_step(recording, after1),
        *_compare_adam(recording),
        *_compare_ema(recording, np.array(ema)),
        *_compare_end(recording, state.generator(inputs).numpy(), norms),
        *_check_certain_losses(),
    ]


def describe(recording):
    """Returns what a recording was made with, in one line."""
    return ", ".join(f"{name} {recording.meta[name]}" for name in OPTION_NAMES)


def format_table(checks):
    """Returns the table's text: check, got, bound, pass or FAIL, where."""
    rows = [("check", "got", "bound", "", "where")]
    for check in checks:
        if check.bound is None:
            bound, verdict = "-", "info"
        else:
            bound, verdict = f"{check.bound:.1e}", "pass" if check.passes else "FAIL"
        rows.append((check.name, f"{check.got:.1e}", bound, verdict, check.where))
    width = max(len(row[0]) for row in rows)
    return "\n".join(
        f"{name:{width}}  {got:>7}  {bound:>7}  {verdict:4}  {where}".rstrip()
        for name, got, bound, verdict, where in rows
    )


def _read_meta(path, arrays):
    """Returns the dict in `meta`, with all that is needed in it."""
    if "meta" not in arrays:
        raise UsageError(f"{path}: meta is missing, so it is no recording")
    try:
        meta = json.loads(arrays["meta"].item())
    except (ValueError, TypeError, RecursionError):
        raise UsageError(f"{path}: meta is not JSON") from None
    if not isinstance(meta, dict):
        got = type(meta).__name__
        raise UsageError(f"{path}: meta must hold a JSON object, got {got}")
    missing = [k for k in (*OPTION_NAMES, "beta2", "epsilon") if k not in meta]
    if missing:
        raise UsageError(f"{path}: meta lacks {', '.join(missing)}")
    for name in ("beta2", "epsilon"):
        if type(meta[name]) is not float or not 0 < meta[name] < 1:
            raise UsageError(
                f"{path}: meta: {name} must be between 0 and 1, got {meta[name]!r}"
            )
    if meta.get("dropout"):
        raise UsageError(f"{path}: recorded with dropout, which cannot be repeated")
    return meta


def _check_arrays(recording, variable_shapes):
    """Refuses arrays that are missing, unknown, misshapen, or no finite floats."""
    arrays, pair = recording.arrays, recording.options.pair
    image = [recording.options.data.batch_size, config.CROP_SIZE, config.CROP_SIZE]
    patches = [image[0], 30, 30, 1]
    wanted = {
        "inputs": [*image, pair.channels[0]],
        "targets": [*image, pair.channels[1]],
        "outputs": [*image, pair.channels[1]],
        "outputs10": [*image, pair.channels[1]],
        "predict_real": patches,
        "predict_fake": patches,
        "ema_losses": [NUM_STEPS, len(LOSS_KEYS)],
    }
    wanted |= {f"loss/{key}": [] for key in LOSS_KEYS}
    for kind in ("var", "grad", "after1"):
        wanted |= {f"{kind}/{name}": shape for name, shape in variable_shapes.items()}
    optional = {f"norm10/{name}": [] for name in variable_shapes}
    unknown = [
        key for key in arrays if "/" in key and key not in {**wanted, **optional}
    ]
    problems = [f"{key} is missing" for key in wanted if key not in arrays]
    problems += [f"{key} is unknown" for key in unknown]
    for key, shape in (wanted | optional).items():
        if key not in arrays:
            continue
        array = arrays[key]
        if list(array.shape) != list(shape):
            problems.append(
                f"{key} has shape {list(array.shape)}, wanted {list(shape)}"
            )
        elif array.dtype not in (np.float32, np.float64):
            problems.append(f"{key} is {array.dtype}, wanted float32")
        elif not np.isfinite(array).all():
            problems.append(f"{key} has a NaN or an infinity")
    if problems:
        more = f" and {len(problems) - 3} more" if len(problems) > 3 else ""
        raise UsageError(
            f"{recording.path} does not fit the networks of its meta: "
            f"{'; '.join(problems[:3])}{more}"
        )


def _largest(name, got, recorded, bound):
    """Returns the `Check` of the largest difference of any entry."""
    got = np.asarray(got)
    if got.shape != recorded.shape:
        return Check(name, math.inf, bound, f"shape {got.shape}, not {recorded.shape}")
    return Check(name, float(np.abs(got - recorded).max()), bound)


def _worst(name, values, bound):
    """Returns the `Check` of the largest of {where: value}; a NaN is the largest."""
    where = max(values, key=lambda key: (math.isnan(values[key]), values[key]))
    return Check(name, float(values[where]), bound, where)


def _compare_forward(recording, forward):
    arrays = recording.arrays
    for key in ("outputs", "predict_real", "predict_fake"):
        yield _largest(key, getattr(forward, key), arrays[key], FORWARD_BOUND)
    for name, key in zip(step.LOSS_NAMES, LOSS_KEYS, strict=True):
        yield _largest(key, forward.losses[name], arrays[f"loss/{key}"], FORWARD_BOUND)


def _with_gradient(recording):
    """Returns the names of the variables whose gradient is more than rounding noise.

    A bias that a batch norm follows has a gradient of zero, and so has all of encoder_8
    but beta at batch 1, where its batch norm sees one value a channel. What is recorded
    for them is noise, and Adam turns noise into steps of size lr.
    """
    gradients = recording.named("grad")
    norms = {name: np.linalg.norm(array) for name, array in gradients.items()}
    names = []
    for name, norm in norms.items():
        network, layer, _, part = name.split("/")
        normed = f"{network}/{layer}/batch_normalization/gamma" in norms
        of_one_value = layer == "encoder_8" and recording.meta["batch_size"] == 1
        largest = max(n for other, n in norms.items() if other.startswith(network))
        if (
            not (part == "bias" and normed)
            and not (of_one_value and part != "beta")
            and norm > NO_GRADIENT * largest
        ):
            names.append(name)
    return names


def _compare_gradients(recording, gradients):
    recorded = recording.named("grad")
    differences = {
        name: np.linalg.norm(gradients[name] - recorded[name])
        / np.linalg.norm(recorded[name])
        for name in _with_gradient(recording)
    }
    yield _worst("worst gradient, relative", differences, GRADIENT_BOUND)


def _compare_step(recording, after1):
    lr, recorded = recording.options.loss.lr, recording.named("after1")
    differences = {
        name: np.abs(after1[name] - recorded[name]) / lr
        for name in _with_gradient(recording)
    }
    means = {name: array.mean() for name, array in differences.items()}
    entries = {name: array.max() for name, array in differences.items()}
    yield _worst("worst variable after 1 step, mean / lr", means, MEAN_STEP_BOUND)
    yield _worst("worst entry after 1 step / lr", entries, STEP_BOUND)


def _compare_adam(recording):
    """Applies our optimizer to the recorded gradients, at the recorded variables.

    So only the rule of the update is compared. Its epsilon shows where the gradient is
    small: Adam's first step is lr * gradient / (|gradient| + epsilon / sqrt(1 - beta2))
    (Kingma and Ba 2015, algorithm 1, with the epsilon of section 2's last paragraph).
    """
    loss, meta, arrays = recording.options.loss, recording.meta, recording.arrays
    names = _with_gradient(recording)
    optimizer = step.Adam(loss.lr, loss.beta1)
    for constant in ("beta2", "epsilon"):
        ours = {"beta2": optimizer.beta_2, "epsilon": optimizer.epsilon}[constant]
        difference = abs(ours / meta[constant] - 1)
        yield Check(f"Adam's {constant}, relative", difference, 1e-6, f"{ours:g}")
    variables = [
        keras.Variable(arrays[f"var/{name}"], dtype="float32") for name in names
    ]
    gradients = [tf.constant(arrays[f"grad/{name}"], tf.float32) for name in names]
    optimizer.build(variables)
    optimizer.apply(gradients, variables)
    limit = NEAR_EPSILON * meta["epsilon"] / math.sqrt(1 - meta["beta2"])
    near = []
    for name, variable in zip(names, variables, strict=True):
        gradient, recorded = np.abs(arrays[f"grad/{name}"]), arrays[f"after1/{name}"]
        difference = np.abs(variable.numpy() - recorded)
        # A float32 near 1, such as a gamma, cannot hold a step of lr more exactly.
        rounding = np.spacing(np.abs(recorded).astype(np.float32))
        difference = np.maximum(difference - rounding, 0) / loss.lr
        near.append(difference[(gradient > 0) & (gradient < limit)])
    near = np.concatenate(near)
    yield Check(
        "Adam's step of small gradients, mean / lr",
        float(near.mean()) if near.size else 0.0,
        SMALL_STEP_BOUND,
        f"{near.size} entries",
    )


def _compare_ema(recording, ema):
    recorded = recording.arrays["ema_losses"]
    for number, (ours, theirs) in enumerate(zip(ema, recorded, strict=True), start=1):
        differences = np.abs(ours - theirs) / np.abs(theirs)
        yield _worst(
            f"EMA after step {number}, relative",
            dict(zip(LOSS_KEYS, differences, strict=True)),
            EMA_BOUND,
        )


def _compare_end(recording, outputs, norms):
    difference = np.abs(outputs - recording.arrays["outputs10"]).mean()
    yield Check(
        f"outputs after {NUM_STEPS} steps, mean", float(difference), OUTPUTS10_BOUND
    )
    recorded = recording.named("norm10")
    if recorded:
        differences = {
            name: abs(norms[name] / recorded[name] - 1)
            for name in _with_gradient(recording)
        }
        yield _worst(f"norm after {NUM_STEPS} steps, relative", differences, None)


def _check_certain_losses():
    """Compares the losses of certain predictions, which no recording holds.

    Only there the 1e-12 that the original adds inside its logarithms shows.
    """
    zero, one = tf.zeros([1, 30, 30, 1]), tf.ones([1, 30, 30, 1])
    log = -math.log(1e-12)
    for name, got, wanted in (
        ("discrim_loss, sure and wrong", losses.discriminator_loss(zero, one), 2 * log),
        ("gen_loss_GAN, sure and wrong", losses.gan_loss(zero), log),
    ):
        yield Check(name, abs(float(got) - wanted), CERTAIN_BOUND)
