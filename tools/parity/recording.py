"""Recordings of the original's numbers: what one holds, and reading it.

A recording is an `.npz` that the original made with its dropout off: `meta` (JSON: its
options), a batch (`inputs`, `targets`), its variables (`var/NAME`), what one forward
pass gave (`outputs`, `predict_real`, `predict_fake`, `loss/*`, `grad/NAME`), what one
step gave (`after1/NAME`) and what ten gave (`ema_losses`, `outputs10`, `norm10/NAME`).
"""

import json
from pathlib import Path
from typing import NamedTuple

import numpy as np

from pix2pix_tf.checkpoints import EMA_NAMES
from pix2pix_tf.options import CROP_SIZE, Options, from_dict
from pix2pix_tf.runtime.errors import UsageError

NUM_STEPS = 10
FORWARD_KEYS = ("outputs", "predict_real", "predict_fake")
# {what the original calls a loss: its name here}
LOSSES = dict(
    zip(("discrim_loss", "gen_loss_GAN", "gen_loss_L1"), EMA_NAMES, strict=True)
)
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


class Recording(NamedTuple):
    """One file: the options that it was recorded with, and its arrays by key."""

    path: Path
    options: Options
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


class Numbers(NamedTuple):
    """What one forward pass and ten steps gave: recorded, or by our code."""

    forward: dict  # {"outputs": array, ..., "loss/gen_loss_L1": array}
    gradients: dict  # {variable name: array}
    steps: dict  # {variable name: array}, what the first step added
    ema: np.ndarray  # [10, 3], after each step
    outputs10: np.ndarray
    norms10: dict  # {variable name: L2 norm}; {} where not recorded


def read_recording(path: Path) -> Recording:
    """Returns the `Recording` in a file; runs no code of it.

    Raises:
        UsageError: it is damaged, or lacks what every such file has.
        OSError: it cannot be opened.
    """
    with open(path, "rb") as file:
        try:
            archive = np.load(file, allow_pickle=False)
            arrays = {key: np.asarray(archive[key]) for key in archive.files}
        except Exception as error:  # a damaged file can raise nearly anything
            raise UsageError(
                f"{path}: got a damaged file, or one with code or other objects in it, "
                "wanted an .npz of arrays alone"
            ) from error
    meta = _read_meta(path, arrays)
    known = {name: meta[name] for name in OPTION_NAMES}
    try:
        options = from_dict(known | {"no_dropout": True})
    except UsageError as error:
        raise UsageError(f"{path}: meta: {str(error).removeprefix('--')}") from None
    return Recording(path, options, meta, arrays)


def describe(recording: Recording) -> str:
    """Returns what a recording was made with, in one line."""
    return ", ".join(f"{name} {recording.meta[name]}" for name in OPTION_NAMES)


def check_arrays(recording: Recording, variable_shapes: dict) -> None:
    """Refuses arrays that are missing, unknown, of another shape, or not finite floats.

    Args:
        variable_shapes: {variable name: shape} of the networks of its options.

    Raises:
        UsageError: it names some of them.
    """
    arrays, pair = recording.arrays, recording.options.pair
    image = [recording.options.data.batch_size, CROP_SIZE, CROP_SIZE]
    patches = [image[0], 30, 30, 1]
    wanted = {
        "inputs": [*image, pair.channels[0]],
        "targets": [*image, pair.channels[1]],
        "outputs": [*image, pair.channels[1]],
        "outputs10": [*image, pair.channels[1]],
        "predict_real": patches,
        "predict_fake": patches,
        "ema_losses": [NUM_STEPS, len(LOSSES)],
    }
    wanted |= {f"loss/{key}": [] for key in LOSSES}
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


def recorded_numbers(recording: Recording) -> Numbers:
    """Returns the `Numbers` that a recording holds."""
    arrays = recording.arrays
    starts = recording.named("var")
    return Numbers(
        {k: arrays[k] for k in (*FORWARD_KEYS, *(f"loss/{key}" for key in LOSSES))},
        recording.named("grad"),
        {name: end - starts[name] for name, end in recording.named("after1").items()},
        arrays["ema_losses"],
        arrays["outputs10"],
        recording.named("norm10"),
    )


def _read_meta(path, arrays):
    """Returns the dict in `meta`, which has everything that is needed."""
    if "meta" not in arrays:
        raise UsageError(f"{path}: meta is missing, so it is not a recording")
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
