"""All options of a command: their parts together, and the checks between these."""

import dataclasses

from pix2pix_tf.options.data import DataConfig, PairConfig
from pix2pix_tf.options.flag import make_flag, refuse, sides, size_text
from pix2pix_tf.options.loss import LossConfig
from pix2pix_tf.options.model import ModelConfig
from pix2pix_tf.options.run import RunConfig
from pix2pix_tf.runtime.errors import UsageError

MS_SSIM_SIDE = 161  # pixels; halved four times, rounded up, they fill MS-SSIM's window
# Flags that mean something in these modes only, where they are not off.
MODES_OF = {
    "inputs_only": ("test",),
    "full_size": ("test", "export"),
    "dry_run": ("train",),
    "xla": ("train",),
    "fid_weights": ("test",),
    "palette": ("test",),
    "val_dir": ("train",),
}


@dataclasses.dataclass(frozen=True)
class Options:
    """Everything one command was told, in the parts that its stages take."""

    run: RunConfig
    data: DataConfig
    pair: PairConfig
    model: ModelConfig
    loss: LossConfig

    def __post_init__(self):
        """Refuses what does not go together across the parts."""
        mode = self.run.mode
        if mode == "train":
            check_schedule(self.loss, self.run)
        if self.loss.perceptual_weight and self.pair.channels[1] != 3:
            raise UsageError("--perceptual_weight needs RGB targets: leave it out")
        if self.loss.gan_mode == "wgangp" and self.model.norm == "batch":
            raise UsageError(
                "--gan_mode wgangp needs each image judged by itself, and batch norm "
                "mixes them: give --norm instance or none"
            )
        self.pair.refuse_targets("--target_dir", self.data.target_dir)
        for name, modes in MODES_OF.items():
            part = self.run if hasattr(self.run, name) else self.data
            refuse(
                getattr(part, name) and mode not in modes, f"--{name}", f"--mode {mode}"
            )
        if self.data.inputs_only:
            for name in ("fid_weights", "palette"):
                value = getattr(self.run, name)
                refuse(value is not None, f"--{name}", "--inputs_only")
        if self.run.val_dir is not None:
            self._check_validation()
        if self.run.full_size:
            refuse(self.run.aspect_ratio != 1, "--aspect_ratio", "--full_size")
            refuse(self.data.batch_size != 1, "--batch_size", "--full_size")
        scale, crop = sides(self.data.scale_size), sides(self.model.crop_size)
        if round(crop[0] * self.run.aspect_ratio) < 1:
            raise UsageError(
                f"--aspect_ratio {self.run.aspect_ratio} leaves pictures of {crop[0]} "
                "pixels' height no width: give a larger one"
            )
        if mode == "train" and (scale[0] < crop[0] or scale[1] < crop[1]):
            raise UsageError(
                f"--scale_size must be at least the --crop_size, "
                f"{size_text(self.model.crop_size)}, got "
                f"{size_text(self.data.scale_size)}"
            )

    def _check_validation(self):
        """Refuses pictures that the figures are not made for."""
        crop = self.model.crop_size
        self.pair.refuse_targets("--val_target_dir", self.run.val_target_dir)
        if not self.pair.has_rgb_outputs:
            raise UsageError(
                f"--val_dir needs targets that are pictures, of 1 or 3 channels, got "
                f"--target_channels {self.pair.target_channels}"
            )
        if self.run.best_metric == "ms_ssim" and min(sides(crop)) < MS_SSIM_SIDE:
            raise UsageError(
                f"--best_metric ms_ssim needs sides of {MS_SSIM_SIDE} pixels or more, "
                f"got --crop_size {size_text(crop)}"
            )


def check_schedule(optimizer, run):
    """Refuses rates that fall towards an end that the run does not have.

    Args:
        optimizer: OptimizerConfig.
        run: LoopConfig.
    """
    if optimizer.lr_policy == "constant":
        return
    if not (run.max_steps or run.max_epochs):
        raise UsageError(
            f"--lr_policy {optimizer.lr_policy} needs the run's end: give --max_epochs "
            "or --max_steps"
        )
    decay_from = optimizer.decay_from or 0
    if not run.max_steps and decay_from >= run.max_epochs:
        raise UsageError(
            f"--decay_from must be below --max_epochs {run.max_epochs}, got "
            f"{decay_from}"
        )


def flags_of(options_class):
    """Returns {flag name: field} of an options class: all fields of all its parts."""
    return {
        flag.name: flag
        for part in dataclasses.fields(options_class)
        for flag in dataclasses.fields(part.type)
    }


FLAGS = flags_of(Options)  # of pix2pix's own command


def reuse_flag(name, **changes):
    """Returns the field of a flag of pix2pix, for another command's config.

    Args:
        name: str.
        changes: what is another there: `default`, `help` or a bound of `make_flag`.
    """
    flag = FLAGS[name]
    return make_flag(**{"default": flag.default} | dict(flag.metadata) | changes)


def from_dict(values, options_class=Options):
    """Returns the options of {flag name: value}; what is absent has its default.

    Args:
        values: {flag name: value}.
        options_class: Options, or another dataclass of such parts.

    Raises:
        UsageError: a value does not fit its flag.
    """
    parts = dataclasses.fields(options_class)
    return options_class(**{part.name: make_part(part.type, values) for part in parts})


def make_part(part_class, values):
    """Returns one part of the options, of those of {flag name: value} that it has."""
    names = [field.name for field in dataclasses.fields(part_class)]
    return part_class(**{name: values[name] for name in names if name in values})


def to_dict(options):
    """Returns {flag name: value} of all options, as `options.json` holds them."""
    parts = (getattr(options, part.name) for part in dataclasses.fields(options))
    return {name: value for part in parts for name, value in vars(part).items()}
