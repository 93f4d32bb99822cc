"""How close our numbers are to those that the original recorded: checks and bounds."""

import itertools
import math
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

from parity.recording import (
    FORWARD_KEYS,
    LOSSES,
    NUM_STEPS,
    Numbers,
    Recording,
    check_arrays,
    recorded_numbers,
)
from pix2pix_tf import checkpoints, networks
from pix2pix_tf.training import losses, step

# float32 on a CPU, summed in another order; the variables are about 0.02 to 1.
FORWARD_BOUND = 1e-5
# A correct port mostly shows 1e-5; one activation, or one |target - output|, on the
# other side of its kink moves every gradient above it by 2e-3.
GRADIENT_BOUND = 1e-2  # relative, in the L2 norm of a variable
# Below this part of its network's largest gradient, a variable's is rounding noise.
NO_GRADIENT = 1e-5
# Adam's first step is the gradient's sign where the gradient is far above epsilon, so
# an entry near zero may go the other way: 2 lr, and a little for rounding.
ENTRY_BOUND = 2.1  # lr, of one entry
STEP_BOUND = 0.05  # lr, mean of a variable: 1e-5 at the lr of 0.0002
# Entries whose gradient is so near epsilon that it takes 3% or more off their step.
NEAR_EPSILON = 30
SMALL_STEP_BOUND = 0.01  # lr, mean; twice the right epsilon gives 0.1
EMA_BOUND = 1e-3  # relative
OUTPUTS10_BOUND = 0.02  # mean; ten steps let the differences grow
CERTAIN_BOUND = 1e-4  # of losses of 28 and 55
# What rounding alone may do to a number of training is measured where a bound is
# missed: by runs from variables that differ by their last bits.
NUM_ROUNDED = 5  # runs
ROUNDING = 3e-7  # relative, standard deviation
SPREADS = 2  # so much of the largest difference between these runs is let through,
MOST_BOUNDS = 10  # but never more than so much of the bound


class Check(NamedTuple):
    """One line of the table; passes if `got` is at most `bound`, where there is one."""

    name: str
    got: float
    bound: float | None
    where: str = ""

    @property
    def passes(self):
        return self.bound is None or self.got <= self.bound  # a NaN does not pass


def compare(recording: Recording) -> list[Check]:
    """Returns the list of `Check` of one recording, in the order of the table.

    Raises:
        UsageError: an array is missing, unknown or of another shape or type.
    """
    run = _make_run(recording)
    recorded, ours = recorded_numbers(recording), run()
    names = _with_gradient(recording)
    fixed = [
        *_check_forward(ours, recorded),
        *_check_adam(recording, names),
        *_check_certain_losses(),
    ]
    lr = recording.options.optimizer.lr
    differences = _training_differences(ours, recorded, names)
    checks = _check_training(differences, {}, lr)
    # Rounding excuses nothing where the forward pass itself, or the rule, differs.
    if all(c.passes for c in fixed) and not all(c.passes for c in checks):
        spreads = {kind: dict.fromkeys(of, 0.0) for kind, of in differences.items()}
        for seed in range(NUM_ROUNDED):
            spread = _training_differences(run(seed), ours, names)
            for kind, of in spread.items():
                for where, value in of.items():
                    spreads[kind][where] = max(spreads[kind][where], value)
        checks = _check_training(differences, spreads, lr)
    return [*fixed, *checks, *_inform_of_norms(ours, recorded, names)]


def format_table(checks: list[Check]) -> str:
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


def _make_run(recording):
    """Returns a function that gives the `Numbers` of our code.

    It takes None, for the recorded variables, or a seed, for variables that differ from
    them by their last bits.
    """
    options, arrays = recording.options, recording.arrays
    state = step.make_state(
        options.pair.channels, options.model, options.loss, options.optimizer
    )
    variables = networks.trainable_by_name(state.generator)
    variables |= networks.trainable_by_name(state.discriminator)
    check_arrays(recording, {name: v.shape for name, v in variables.items()})
    inputs, targets = (
        tf.constant(arrays[k], tf.float32) for k in ("inputs", "targets")
    )
    train_step = step.make_train_step(state, options.loss, seed=0)
    optimizers = (state.g_optimizer, state.d_optimizer)
    counts = [*state.ema.values(), state.global_step, state.position]
    zeroed = [v for optimizer in optimizers for pair in optimizer.slots for v in pair]
    zeroed += [optimizer.iterations for optimizer in optimizers] + counts

    def run(seed=None):
        rng = np.random.default_rng(seed)
        for variable in zeroed:
            variable.assign(tf.zeros(variable.shape, variable.dtype))
        for name, variable in variables.items():
            start = arrays[f"var/{name}"].astype(np.float32)
            if seed is not None:
                start = start * (1 + ROUNDING * rng.standard_normal(start.shape))
            variable.assign(start)
        starts = {name: variable.numpy() for name, variable in variables.items()}
        first = train_step(inputs, targets)
        steps = {name: v.numpy() - starts[name] for name, v in variables.items()}
        ema = [[float(state.ema[name]) for name in LOSSES.values()]]
        for _ in range(NUM_STEPS - 1):
            train_step(inputs, targets)
            ema.append([float(state.ema[name]) for name in LOSSES.values()])
        forward = {k: np.asarray(getattr(first, k)) for k in FORWARD_KEYS}
        for key, name in LOSSES.items():
            forward[f"loss/{key}"] = np.asarray(first.losses[name])
        gradients = itertools.chain(*first.gradients)
        return Numbers(
            forward,
            {
                name: np.asarray(gradient)
                for name, gradient in zip(variables, gradients, strict=True)
            },
            steps,
            np.array(ema),
            np.asarray(state.generator(inputs)),
            {name: np.linalg.norm(v.numpy()) for name, v in variables.items()},
        )

    return run


def _with_gradient(recording):
    """Returns the names of the variables whose gradient is more than rounding noise.

    A bias that a batch norm follows has a gradient of zero, and so has all of encoder_8
    but beta at batch 1, where its batch norm sees one value a channel. What is recorded
    for them is noise, and Adam turns noise into steps of size lr.
    """
    norms = {name: np.linalg.norm(g) for name, g in recording.named("grad").items()}
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


def _check_forward(ours, recorded):
    for key, theirs in recorded.forward.items():
        got = ours.forward[key]
        if got.shape == theirs.shape:
            yield Check(key, float(np.abs(got - theirs).max()), FORWARD_BOUND)
        else:
            where = f"shape {list(got.shape)}, wanted {list(theirs.shape)}"
            yield Check(key, math.inf, FORWARD_BOUND, where)


def _check_adam(recording, names):
    """Applies our optimizer to the recorded gradients, at the recorded variables.

    So only the rule of the update is compared. Its epsilon shows where the gradient is
    small: Adam's first step is lr * gradient / (|gradient| + epsilon / sqrt(1 - beta2))
    (Kingma and Ba 2015, algorithm 1, with the epsilon of section 2's last paragraph).
    """
    rates, meta, arrays = recording.options.optimizer, recording.meta, recording.arrays
    optimizer = checkpoints.Adam(rates.lr, rates.beta1)
    for constant, ours in (("beta2", optimizer.beta_2), ("epsilon", optimizer.epsilon)):
        difference = abs(ours / meta[constant] - 1)
        yield Check(f"Adam's {constant}, relative", difference, 1e-6, f"{ours:g}")
    starts = [arrays[f"var/{name}"] for name in names]
    variables = [keras.Variable(start, dtype="float32") for start in starts]
    gradients = [tf.constant(arrays[f"grad/{name}"], tf.float32) for name in names]
    optimizer.build(variables)
    optimizer.update(gradients)
    limit = NEAR_EPSILON * meta["epsilon"] / math.sqrt(1 - meta["beta2"])
    small = [np.zeros(0)]
    for name, variable in zip(names, variables, strict=True):
        gradient, recorded = np.abs(arrays[f"grad/{name}"]), arrays[f"after1/{name}"]
        # A float32 near 1, such as a gamma, cannot hold a step of lr more exactly.
        rounding = np.spacing(np.abs(recorded).astype(np.float32))
        difference = np.maximum(np.abs(variable.numpy() - recorded) - rounding, 0)
        small.append(difference[(gradient > 0) & (gradient < limit)])
    small = np.concatenate(small)
    yield Check(
        "Adam's step where the gradient is small, mean",
        float(small.mean()) if small.size else 0.0,
        SMALL_STEP_BOUND * rates.lr,
        f"{small.size} entries",
    )


def _check_certain_losses():
    """Compares the losses of certain predictions, which no recording holds.

    Only there the 1e-12 that the original adds inside its logarithms shows.
    """
    zero, one = tf.zeros([1, 30, 30, 1]), tf.ones([1, 30, 30, 1])
    log = -math.log(1e-12)
    for name, got, wanted in (
        ("discrim_loss", losses.discriminator_loss(zero, one), 2 * log),
        ("gen_loss_GAN", losses.gan_loss(zero), log),
    ):
        difference = abs(float(got) - wanted)
        yield Check(f"{name} of predictions sure and wrong", difference, CERTAIN_BOUND)


def _training_differences(numbers, reference, names):
    """Returns {check: {where: difference}} of what follows from the gradients."""
    gradients, steps, entries = {}, {}, {}
    for name in names:
        wanted = reference.gradients[name]
        gradients[name] = np.linalg.norm(numbers.gradients[name] - wanted)
        gradients[name] /= max(np.linalg.norm(wanted), np.finfo(np.float32).tiny)
        difference = np.abs(numbers.steps[name] - reference.steps[name])
        steps[name], entries[name] = difference.mean(), difference.max()
    ema = np.abs(numbers.ema - reference.ema) / np.abs(reference.ema)
    outputs10 = np.abs(numbers.outputs10 - reference.outputs10).mean()
    return {
        "worst gradient, relative": gradients,
        "worst variable after 1 step, mean": steps,
        "worst entry after 1 step": entries,
        **{
            f"EMA after step {number}, relative": dict(zip(LOSSES, row, strict=True))
            for number, row in enumerate(ema, start=1)
        },
        f"outputs after {NUM_STEPS} steps, mean": {"": outputs10},
    }


def _check_training(differences, spreads, lr):
    """Returns the worst of each kind; `spreads` are what rounding alone does, or {}."""
    bounds = {
        "worst gradient, relative": GRADIENT_BOUND,
        "worst variable after 1 step, mean": STEP_BOUND * lr,
        "worst entry after 1 step": ENTRY_BOUND * lr,
        f"outputs after {NUM_STEPS} steps, mean": OUTPUTS10_BOUND,
    }
    checks = []
    for kind, of in differences.items():
        least = bounds.get(kind, EMA_BOUND)
        candidates = []
        for where, got in of.items():
            spread = SPREADS * spreads.get(kind, {}).get(where, 0.0)
            bound = min(max(least, spread), MOST_BOUNDS * least)
            if bound > least:
                where = f"{where} (rounding alone: {spread / SPREADS:.1e})".lstrip()
            candidates.append(Check(kind, float(got), bound, where))
        # The one that fails by most, or comes nearest to it; a NaN is worst.
        checks.append(max(candidates, key=_badness))
    return checks


def _badness(check):
    return math.inf if math.isnan(check.got) else check.got / check.bound


def _inform_of_norms(ours, recorded, names):
    if recorded.norms10:
        worst = max(
            (abs(ours.norms10[name] / recorded.norms10[name] - 1), name)
            for name in names
        )
        yield Check(
            f"worst norm after {NUM_STEPS} steps, relative", worst[0], None, worst[1]
        )
