"""Flags and options: the command line, `options.json`, and the checks between them.

Each field below is one flag: its name, default, bounds and help stand in one place.
No TensorFlow here, so that `--help` and wrong usage answer at once.
"""

import argparse
import dataclasses
import json
import math
import os
import random
import time
from pathlib import Path

CROP_SIZE = 256  # pixels; eight stride-2 layers take 256 to 1
OPTIONS_NAME = "options.json"
# What a checkpoint decides: the shapes of the networks and of the examples.
RESTORED_NAMES = (
    "discriminator",
    "dropout",
    "gan_mode",
    "generator",
    "init",
    "innermost_norm",
    "lab_colorization",
    "n_layers",
    "ndf",
    "ngf",
    "norm",
    "num_blocks",
    "num_discriminators",
    "num_downs",
    "separable_conv",
    "unconditional",
    "upsample",
    "which_direction",
)
# Those that the original has too; where another is absent, its default holds.
ORIGINAL_NAMES = (
    "lab_colorization",
    "ndf",
    "ngf",
    "separable_conv",
    "which_direction",
)


class UsageError(ValueError):
    """A wrong flag or an unusable input: the command prints it and exits with 2."""


def make_flag(
    kind, default, help, *, minimum=None, above=None, below=None, choices=None
):
    """A dataclass field that is also a flag: `kind` is its type, then its bounds."""
    bounds = {"minimum": minimum, "above": above, "below": below, "choices": choices}
    return dataclasses.field(
        default=default, metadata={"kind": kind, "help": help, **bounds}
    )


def _refuse(is_used, flag, other):
    if is_used:
        raise UsageError(f"{flag} does not go with {other}: leave one of them out")


class Checked:
    """Checks every field's type and bounds when a config is made."""

    def __post_init__(self):
        for field in dataclasses.fields(self):
            _check(field, getattr(self, field.name))


@dataclasses.dataclass(frozen=True)
class PairConfig(Checked):
    """How one RGB image becomes inputs and targets."""

    lab_colorization: bool = make_flag(
        bool, False, "split each image into lightness (A) and colour (B)"
    )
    which_direction: str = make_flag(
        str,
        "AtoB",
        "which side is the input: A is left, or the lightness",
        choices=("AtoB", "BtoA"),
    )

    @property
    def channels(self):
        """(input channels, target channels): 3 and 3, or for Lab 1 and 2."""
        sides = (1, 2) if self.lab_colorization else (3, 3)
        return sides if self.which_direction == "AtoB" else sides[::-1]


@dataclasses.dataclass(frozen=True)
class DataConfig(Checked):
    """How image files become batches."""

    input_dir: str | None = make_flag(
        str, None, "folder of images (default: the embedded sample data)"
    )
    batch_size: int = make_flag(int, 1, "examples in a batch", minimum=1)
    scale_size: int = make_flag(
        int,
        286,
        f"train: scale images to this many pixels before the {CROP_SIZE} pixel crop",
        minimum=CROP_SIZE,
    )
    flip: bool = make_flag(bool, True, "train: flip images at random (default)")


@dataclasses.dataclass(frozen=True)
class ModelConfig(Checked):
    """The kinds, sizes and layers of the two networks."""

    generator: str = make_flag(
        str,
        "unet",
        "kind of generator",
        choices=("unet", "encoder_decoder", "resnet"),
    )
    ngf: int = make_flag(int, 64, "filters in the generator's first layer", minimum=1)
    num_downs: int = make_flag(
        int, 8, "unet, encoder_decoder: halvings of the image", minimum=5, below=11
    )
    num_blocks: int = make_flag(int, 9, "resnet: residual blocks", choices=(6, 9))
    separable_conv: bool = make_flag(
        bool, False, "separable convolutions in the generator"
    )
    upsample: str = make_flag(
        str,
        "deconv",
        "how the generator doubles the size",
        choices=("deconv", "resize", "subpixel"),
    )
    dropout: float = make_flag(
        float, 0.5, "share that the generator's dropout drops", minimum=0, below=1
    )
    no_dropout: bool = make_flag(
        bool,
        False,
        "test, export: leave dropout out, so that one input has always one output",
    )
    norm: str = make_flag(
        str,
        "batch",
        "normalise over the batch, or over each image by itself, or not",
        choices=("batch", "instance", "none"),
    )
    innermost_norm: str = make_flag(
        str,
        "batch",
        "batch: the innermost encoder has a norm like the other layers, as in the "
        "original; none: it has none (the paper's erratum)",
        choices=("batch", "none"),
    )
    init: str = make_flag(
        str,
        "normal",
        "what kernels start from",
        choices=("normal", "xavier", "kaiming", "orthogonal"),
    )
    discriminator: str = make_flag(
        str,
        "patch",
        "what the discriminator judges: patches, single pixels, or the image",
        choices=("patch", "pixel", "image"),
    )
    ndf: int = make_flag(
        int, 64, "filters in the discriminator's first layer", minimum=1
    )
    n_layers: int = make_flag(
        int, 3, "patch: halvings; 3 sees 70x70 pixels", minimum=1, below=7
    )
    unconditional: bool = make_flag(
        bool, False, "the discriminator sees no inputs, only targets or outputs"
    )
    num_discriminators: int = make_flag(
        int,
        1,
        "patch, pixel: discriminators, each at half the size",
        minimum=1,
        below=5,
    )

    def __post_init__(self):
        super().__post_init__()
        self._check_generator()
        self._check_discriminator()

    def _check_generator(self):
        """Refuses kinds and flags that do not go together."""
        if self.generator == "resnet":
            _refuse(self.separable_conv, "--separable_conv", "--generator resnet")
            _refuse(self.num_downs != 8, "--num_downs", "--generator resnet")
            _refuse(self.innermost_norm != "batch", "--innermost_norm", "resnet")
        else:
            _refuse(
                self.num_blocks != 9, "--num_blocks", f"--generator {self.generator}"
            )
        _refuse(
            self.separable_conv and self.upsample != "deconv",
            f"--upsample {self.upsample}",
            "--separable_conv, which resizes",
        )
        if self.generator != "resnet" and CROP_SIZE % 2**self.num_downs:
            raise UsageError(
                f"--num_downs {self.num_downs} needs images of {2**self.num_downs} "
                f"pixels, and they are {CROP_SIZE}: give 5 to 8"
            )

    def _check_discriminator(self):
        """Refuses kinds, flags and sizes that do not go together."""
        kind = f"--discriminator {self.discriminator}"
        _refuse(
            self.discriminator != "patch" and self.n_layers != 3, "--n_layers", kind
        )
        _refuse(
            self.discriminator == "image" and self.num_discriminators > 1,
            "--num_discriminators",
            kind,
        )
        # n halvings and two layers that take one pixel each leave size / 2**n - 2.
        smallest = CROP_SIZE // 2 ** (self.num_discriminators - 1)
        if self.discriminator == "patch" and smallest < 3 * 2**self.n_layers:
            raise UsageError(
                f"--n_layers {self.n_layers} leaves nothing of the {smallest} pixels "
                f"that --num_discriminators {self.num_discriminators} ends with: give "
                "fewer of either"
            )


@dataclasses.dataclass(frozen=True)
class LossConfig(Checked):
    """The losses, their weights, and the optimizers' settings."""

    gan_mode: str = make_flag(
        str,
        "vanilla",
        "the adversarial loss",
        choices=("vanilla", "lsgan", "hinge", "wgangp"),
    )
    label_smoothing: float = make_flag(
        float,
        0.0,
        "vanilla, lsgan: take this off real pairs' label",
        minimum=0,
        below=1,
    )
    gan_weight: float = make_flag(
        float,
        1.0,
        "weight on the generator's GAN term (0: no discriminator is built)",
        minimum=0,
    )
    l1_weight: float = make_flag(
        float, 100.0, "weight on the generator's L1 term", minimum=0
    )
    l2_weight: float = make_flag(
        float, 0.0, "weight on the generator's squared difference", minimum=0
    )
    tv_weight: float = make_flag(
        float, 0.0, "weight on the generator's total variation", minimum=0
    )
    feature_weight: float = make_flag(
        float, 0.0, "weight on matching the discriminator's activations", minimum=0
    )
    perceptual_weight: float = make_flag(
        float, 0.0, "weight on the VGG19 distance (image pairs only)", minimum=0
    )
    vgg_weights: str = make_flag(
        str, "imagenet", "VGG19's weights: a file, or imagenet to download them"
    )
    lr: float = make_flag(float, 0.0002, "Adam's initial learning rate", above=0)
    beta1: float = make_flag(float, 0.5, "Adam's momentum term", minimum=0, below=1)

    def __post_init__(self):
        super().__post_init__()
        mode = f"--gan_mode {self.gan_mode}"
        _refuse(
            self.label_smoothing > 0 and self.gan_mode in ("hinge", "wgangp"),
            "--label_smoothing",
            mode,
        )
        is_alone, without = self.gan_weight == 0, "--gan_weight 0"
        _refuse(is_alone and self.feature_weight > 0, "--feature_weight", without)
        _refuse(is_alone and self.label_smoothing > 0, "--label_smoothing", without)
        if self.vgg_weights != "imagenet" and not Path(self.vgg_weights).is_file():
            raise UsageError(f"--vgg_weights {self.vgg_weights} is not a file")
        weights = (self.gan_weight, self.l1_weight, self.l2_weight)
        if not any((*weights, self.feature_weight, self.perceptual_weight)):
            raise UsageError(
                "--gan_weight, --l1_weight, --l2_weight, --feature_weight and "
                "--perceptual_weight are all 0: the generator has nothing to learn from"
            )


@dataclasses.dataclass(frozen=True)
class LoopConfig(Checked):
    """What a run does and where it writes; in training also when."""

    mode: str = make_flag(str, "train", "required", choices=("train", "test", "export"))
    output_dir: str | None = make_flag(
        str, None, "where to write (default: a fresh runs/<mode>-<time>)"
    )
    checkpoint: str | None = make_flag(
        str, None, "folder with a checkpoint to test, to export or to train further"
    )
    seed: int | None = make_flag(
        int,
        None,
        "of all random draws (default: a random one)",
        minimum=0,
        below=2**31,
    )
    max_steps: int | None = make_flag(
        int,
        None,
        "stop after so many steps, or test batches (0: no bound)",
        minimum=0,
    )
    max_epochs: int | None = make_flag(
        int, None, "stop after this many epochs (0: no bound)", minimum=0
    )
    summary_freq: int = make_flag(
        int, 100, "steps between TensorBoard summaries (0: none)", minimum=0
    )
    progress_freq: int = make_flag(
        int, 50, "steps between lines of progress (0: none)", minimum=0
    )
    trace_freq: int = make_flag(
        int, 0, "steps between profiles of one step (0: none)", minimum=0
    )
    display_freq: int = make_flag(
        int, 0, "steps between pictures of the current batch (0: none)", minimum=0
    )
    save_freq: int = make_flag(
        int, 5000, "steps between checkpoints (0: none)", minimum=0
    )
    keep_checkpoints: int = make_flag(
        int, 1, "how many of the newest checkpoints to keep", minimum=1
    )


@dataclasses.dataclass(frozen=True)
class RunConfig(LoopConfig):
    """LoopConfig, and the pictures that pix2pix writes."""

    aspect_ratio: float = make_flag(
        float, 1.0, "width / height of the pictures written", above=0, below=CROP_SIZE
    )
    output_filetype: str = make_flag(
        str, "png", "what the exported model returns", choices=("png", "jpeg")
    )


@dataclasses.dataclass(frozen=True)
class Options:
    """Everything one command was told, in the parts that its stages take."""

    run: RunConfig
    data: DataConfig
    pair: PairConfig
    model: ModelConfig
    loss: LossConfig


def flags_of(options_class):
    """Returns {flag name: field} of an options class: all fields of all its parts."""
    return {
        flag.name: flag
        for part in dataclasses.fields(options_class)
        for flag in dataclasses.fields(part.type)
    }


_FLAGS = flags_of(Options)


def reuse_flag(name, **changes):
    """Returns the field of a flag of pix2pix, for another command's config.

    Args:
        name: str.
        changes: what is another there: `default`, `help` or a bound of `make_flag`.
    """
    flag = _FLAGS[name]
    return make_flag(**{"default": flag.default} | dict(flag.metadata) | changes)


def parse(argv=None):
    """Returns the Options of a command line, completed from its checkpoint.

    Args:
        argv: list of str, or None for the process's own.

    Raises:
        SystemExit: status 2 for a wrong flag (argparse), 0 after `--help`.
        UsageError: for values or files that cannot be used.
    """
    description = "pix2pix on image pairs or for colorization: train, test, export"
    given = parse_flags(_FLAGS, argv, "pix2pix-tf", description)
    mode = given["mode"]
    if mode != "train" and given.get("checkpoint") is None:
        raise UsageError(
            f"--mode {mode} needs --checkpoint, a folder with a trained model"
        )
    values = {name: flag.default for name, flag in _FLAGS.items()} | given
    if values["checkpoint"] is not None:
        values |= _restored(Path(values["checkpoint"]), given)
    if values["perceptual_weight"] and values["lab_colorization"]:
        raise UsageError("--perceptual_weight needs RGB targets: leave it out for Lab")
    if values["gan_mode"] == "wgangp" and values["norm"] == "batch":
        raise UsageError(
            "--gan_mode wgangp needs each image judged by itself, and batch norm mixes "
            "them: give --norm instance or none"
        )
    return from_dict(complete(values))


def complete(values):
    """Returns {flag name: value} with a seed and an output folder in any case."""
    values = dict(values)
    if values["seed"] is None:
        values["seed"] = random.SystemRandom().randrange(2**31)
    if values["output_dir"] is None:
        values["output_dir"] = _fresh_dir(values["mode"])
    return values


def from_dict(values, options_class=Options):
    """Returns the options of {flag name: value}; what is absent has its default.

    Args:
        values: {flag name: value}.
        options_class: Options, or another dataclass of such parts.

    Raises:
        UsageError: a value does not fit its flag.
    """
    parts = {}
    for part in dataclasses.fields(options_class):
        names = [field.name for field in dataclasses.fields(part.type)]
        parts[part.name] = part.type(
            **{name: values[name] for name in names if name in values}
        )
    return options_class(**parts)


def to_dict(options):
    """Returns {flag name: value} of all options, as `options.json` holds them."""
    parts = (getattr(options, part.name) for part in dataclasses.fields(options))
    return {name: value for part in parts for name, value in vars(part).items()}


def to_json(options):
    """Returns the text of an `options.json`: all options, sorted."""
    return json.dumps(to_dict(options), sort_keys=True, indent=4) + "\n"


def write_options(options):
    """Makes the output folder and writes all options to its `options.json`.

    Raises:
        UsageError: the folder cannot be made or written.
    """
    output_dir = Path(options.run.output_dir)
    try:
        output_dir.mkdir(parents=True, exist_ok=True)
        (output_dir / OPTIONS_NAME).write_text(to_json(options), encoding="utf-8")
    except OSError as error:
        raise UsageError(
            f"--output_dir {output_dir} cannot be written: {error.strerror}"
        ) from None


def read_options(path):
    """Returns the {flag name: value} of an `options.json`.

    Raises:
        UsageError: the file is missing, damaged, or a value does not fit its flag.
    """
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UsageError(
            f"{path} is missing: give --checkpoint a folder that training wrote"
        ) from None
    except (OSError, ValueError, RecursionError) as error:
        raise UsageError(f"{path} is damaged and cannot be read: {error}") from None
    if not isinstance(values, dict):
        raise UsageError(f"{path} must hold a JSON object, got {type(values).__name__}")
    for name in (*RESTORED_NAMES, "seed"):
        if name in values:
            _check(_FLAGS[name], values[name], where=f"{path}: {name}")
    return values


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
    is_resumed = run.checkpoint is not None and nearest.samefile(run.checkpoint)
    is_read_only = mode in ("test", "export")
    if (output_dir / "checkpoint").exists() and (is_read_only or not is_resumed):
        raise UsageError(
            f"--output_dir {output_dir} holds a trained model: name another folder, or "
            f"train it further by --mode train --checkpoint {run.output_dir}"
        )


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line, without the list of flags."""

    def error(self, message):
        self.exit(2, f"{self.prog}: error: {message} (--help lists the flags)\n")


def parse_flags(flags, argv, prog, description):
    """Returns {flag name: value} of the flags that a command line gives.

    Args:
        flags: {flag name: field}, as `flags_of` gives them.
        argv: list of str, or None for the process's own.
        prog, description: str, for usage and help.

    Raises:
        SystemExit: status 2 for a wrong flag, 0 after `--help`.
    """
    parser = _Parser(
        prog=prog,
        description=description,
        argument_default=argparse.SUPPRESS,
        allow_abbrev=False,
    )
    for name, flag in flags.items():
        kind, text = flag.metadata["kind"], flag.metadata["help"]
        if kind is bool:
            parser.add_argument(f"--{name}", action="store_true", help=text)
        else:
            parser.add_argument(
                f"--{name}",
                type=kind,
                choices=flag.metadata["choices"],
                metavar=None if flag.metadata["choices"] else kind.__name__.upper(),
                required=name == "mode",
                help=text if flag.default is None else f"{text}; {flag.default}",
            )
    if "flip" in flags:
        parser.add_argument(
            "--no_flip", dest="flip", action="store_false", help="train: do not flip"
        )
    return vars(parser.parse_args(argv))


def _check(flag, value, where=None):
    """Raises UsageError unless `value` has the flag's type and lies in its bounds."""
    where = where or f"--{flag.name}"
    kind, rules = flag.metadata["kind"], flag.metadata
    if value is None and flag.default is None:
        return
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    fits = number and math.isfinite(value) if kind is float else type(value) is kind
    wanted = (
        []
        if fits
        else [
            {int: "a whole number", float: "a finite number"}.get(
                kind, f"a {kind.__name__}"
            )
        ]
    )
    if fits and rules["choices"] is not None and value not in rules["choices"]:
        wanted.append("one of " + ", ".join(rules["choices"]))
    if fits and rules["minimum"] is not None and value < rules["minimum"]:
        wanted.append(f"at least {rules['minimum']}")
    if fits and rules["above"] is not None and value <= rules["above"]:
        wanted.append(f"above {rules['above']}")
    if fits and rules["below"] is not None and value >= rules["below"]:
        wanted.append(f"below {rules['below']}")
    if wanted:
        raise UsageError(f"{where} must be {' and '.join(wanted)}, got {value!r}")


def _restored(checkpoint, given):
    """Returns what the checkpoint's options decide; refuses flags that contradict."""
    if not checkpoint.is_dir():
        raise UsageError(f"--checkpoint {checkpoint} is not a folder")
    stored = {
        name: _FLAGS[name].default
        for name in RESTORED_NAMES
        if name not in ORIGINAL_NAMES
    }
    stored |= read_options(checkpoint / OPTIONS_NAME)
    missing = [name for name in ORIGINAL_NAMES if name not in stored]
    if missing:
        raise UsageError(f"{checkpoint / OPTIONS_NAME} lacks {', '.join(missing)}")
    restored = {name: stored[name] for name in RESTORED_NAMES}
    for name, value in restored.items():
        if name in given and given[name] != value:
            raise UsageError(
                f"--{name} {given[name]} contradicts the checkpoint, which was trained "
                f"with {value}: leave the flag out, or train anew"
            )
    if given["mode"] == "train":  # the data goes on in the order that it had
        restored["seed"] = given.get("seed", stored.get("seed"))
    return restored


def _fresh_dir(mode):
    """Returns runs/<mode>-<time>, numbered where one of that second exists."""
    first = Path("runs", f"{mode}-{time.strftime('%Y%m%d-%H%M%S')}")
    path, number = first, 1
    while path.exists():
        number += 1
        path = Path(f"{first}-{number}")
    return str(path)
