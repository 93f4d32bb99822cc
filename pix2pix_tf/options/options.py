"""All options of the command pix2pix-tf, and the checks across their parts."""

import dataclasses

from pix2pix_tf.options.data import RESIZE_AND_CROP, DataConfig, PairConfig
from pix2pix_tf.options.flag import flags_of, refuse, sides, value_text
from pix2pix_tf.options.loss import LossConfig, OptimizerConfig
from pix2pix_tf.options.model import ModelConfig
from pix2pix_tf.options.run import (
    ExecutionConfig,
    MonitorConfig,
    OutputConfig,
    RunConfig,
    ValidationConfig,
)
from pix2pix_tf.options.tiling import check_tiling
from pix2pix_tf.runtime.errors import UsageError

LPIPS_SIDE = 32  # pixels; with fewer than 31 AlexNet has no last layer
MS_SSIM_SIDE = 161  # pixels; four halvings leave 11, the side of MS-SSIM's window


@dataclasses.dataclass(frozen=True)
class Options:
    """All options of one command; each stage takes only its part."""

    run: RunConfig
    data: DataConfig
    pair: PairConfig
    model: ModelConfig
    loss: LossConfig
    optimizer: OptimizerConfig
    monitor: MonitorConfig
    validation: ValidationConfig
    output: OutputConfig
    execution: ExecutionConfig

    def __post_init__(self):
        """Raises UsageError if options of different parts contradict each other."""
        self._check_data()
        self._check_sizes()
        if self.run.mode == "train":
            self._check_training()
        if self.validation.val_dir is not None:
            check_validation(self)

    def _check_data(self):
        self.pair.refuse_targets("--target_dir", self.data.target_dir)
        if self.data.inputs_only:
            for name in ("fid_weights", "lpips_weights", "palette"):
                value = getattr(self.output, name)
                refuse(value is not None, f"--{name}", "--inputs_only")
        if self.data.part is not None:
            self._check_part()

    def _check_part(self):
        """Raises UsageError if parts would not give what one test of all gives."""
        refuse(bool(self.run.max_steps), "--max_steps", "--shard")
        refuse(self.data.inputs_only, "--inputs_only", "--shard")
        if not self.pair.has_rgb_outputs:
            raise UsageError(
                f"--shard needs RGB or gray outputs, and these have "
                f"{self.pair.channels[1]} channels, which have no metrics to merge"
            )
        has_dropout = self.model.dropout > 0 and not self.model.no_dropout
        if has_dropout and self.data.on_bad_image == "skip":
            raise UsageError(
                "--shard and --on_bad_image skip need --no_dropout: the masks depend "
                "on how many images come before"
            )
        if has_dropout and self.run.seed is None:
            raise UsageError(
                "--shard needs --seed, one for all parts, or --no_dropout: give either"
            )

    @property
    def image_size(self) -> tuple[int | None, int | None]:
        """The (height, width) that images are scaled to outside of training.

        A height of None follows from the width; (None, None) leaves images unscaled.
        """
        if self.output.full_size:
            return None, None
        # A LiteRT file has one size.
        is_fixed = self.output.export_format == "litert"
        if is_fixed or self.data.preprocess == RESIZE_AND_CROP:
            return sides(self.model.crop_size)
        return self.data.scaled_size

    @property
    def is_any_size(self) -> bool:
        """True if outputs differ in size outside of training."""
        return None in self.image_size

    def _check_sizes(self):
        if self.run.mode == "test" and self.is_any_size:
            other = "--full_size"
            if not self.output.full_size:
                other = f"a model of --preprocess {self.data.preprocess}"
            refuse(self.output.aspect_ratio != 1, "--aspect_ratio", other)
            refuse(self.data.batch_size != 1, "--batch_size", other)
        if self.output.tile is not None:
            if not self.is_any_size:
                raise UsageError("--tile needs --full_size: give it, too")
            tiling = self.output.tile, self.output.overlap
            check_tiling(*tiling, self.model.multiple)
        if self.output.lpips_weights is not None:
            self._check_lpips()
        height, _ = sides(self.model.crop_size)
        if round(height * self.output.aspect_ratio) < 1:
            raise UsageError(
                f"--aspect_ratio {self.output.aspect_ratio} makes images {height} "
                "pixels high and less than one pixel wide: give a larger ratio"
            )

    def _check_lpips(self):
        """Raises UsageError if LPIPS cannot measure the outputs."""
        if not self.pair.has_rgb_outputs:
            raise UsageError(
                "--lpips_weights needs targets of 1 or 3 channels, got "
                f"--target_channels {self.pair.target_channels}"
            )
        smallest = [side for side in self.image_size if side is not None]
        if smallest and min(smallest) < LPIPS_SIDE:
            raise UsageError(
                f"--lpips_weights needs sides of {LPIPS_SIDE} pixels or more, got "
                f"{min(smallest)}: leave it out"
            )

    def _check_training(self):
        check_schedule(self.optimizer, self.run)
        refuse(
            self.loss.gan_weight == 0 and self.optimizer.d_lr is not None,
            "--d_lr",
            "--gan_weight 0",
        )
        if self.loss.perceptual_weight and self.pair.channels[1] != 3:
            raise UsageError("--perceptual_weight needs RGB targets: leave it out")
        is_recolored = "color" in self.loss.diffaug_policy
        refuse(
            is_recolored and self.pair.lab_colorization,
            "color of --diffaug",
            "--lab_colorization, whose values are not colours of RGB",
        )
        if self.loss.gan_mode == "wgangp" and self.model.norm == "batch":
            raise UsageError(
                "--gan_mode wgangp cannot be used with batch norm, which mixes the "
                "images of a batch: give --norm none, or --norm instance "
                "--innermost_norm none"
            )
        if not self.data.has_window:
            self._check_whole_images()
        if self.execution.strategy == "multi_worker":
            # The chief alone validates, and cannot end the other processes' training.
            has_patience = self.validation.patience > 0
            refuse(has_patience, "--patience", "--strategy multi_worker")
        crop = sides(self.model.crop_size)
        if self.data.rotate90 and crop[0] != crop[1]:
            raise UsageError(
                "--rotate90 needs a square --crop_size, got "
                f"{value_text(self.model.crop_size)}"
            )
        scale = self.data.scaled_size
        if any(a and a < b for a, b in zip(scale, crop, strict=True)):
            raise UsageError(
                f"--scale_size must be at least the --crop_size, "
                f"{value_text(self.model.crop_size)}, got "
                f"{value_text(self.data.scale_size)}"
            )

    def _check_whole_images(self):
        """Raises UsageError if training needs one size, which whole images lack."""
        other = f"--preprocess {self.data.preprocess}"
        is_image = self.model.discriminator == "image"
        refuse(is_image, "--discriminator image", other)
        refuse(self.execution.xla, "--xla", other)
        strategy = self.execution.strategy
        refuse(strategy != "one", f"--strategy {strategy}", other)
        refuse(self.output.aspect_ratio != 1, "--aspect_ratio", other)
        if self.data.batch_size > 1:  # a turn swaps height and width
            refuse(
                self.data.rotate90, "--rotate90", f"{other} and --batch_size above 1"
            )


FLAGS = flags_of(Options)


def check_validation(options: Options):
    """Raises UsageError if the metrics of validation cannot measure the outputs."""
    pair, validation = options.pair, options.validation
    pair.refuse_targets("--val_target_dir", validation.val_target_dir)
    if not pair.has_rgb_outputs:
        raise UsageError(
            "--val_dir needs targets of 1 or 3 channels, got "
            f"--target_channels {pair.target_channels}"
        )
    if validation.best_metric == "lpips" and options.output.lpips_weights is None:
        raise UsageError("--best_metric lpips needs --lpips_weights: give it, too")
    is_small = min(sides(options.model.crop_size)) < MS_SSIM_SIDE
    if validation.best_metric == "ms_ssim" and is_small:
        raise UsageError(
            f"--best_metric ms_ssim needs sides of {MS_SSIM_SIDE} pixels or more, "
            f"got --crop_size {value_text(options.model.crop_size)}"
        )


def check_schedule(optimizer: OptimizerConfig, run: RunConfig):
    """Raises UsageError if the learning rates cannot decay before the run ends."""
    if optimizer.lr_policy == "constant":
        return
    if not (run.max_steps or run.max_epochs):
        raise UsageError(
            f"--lr_policy {optimizer.lr_policy} needs a planned end: give --max_epochs "
            "or --max_steps"
        )
    decay_from = optimizer.decay_from or 0
    if not run.max_steps and decay_from >= run.max_epochs:
        raise UsageError(
            f"--decay_from must be below --max_epochs {run.max_epochs}, got "
            f"{decay_from}"
        )


def from_dict(values: dict, options_class: type = Options):
    """Returns the options of {flag name: value}; missing ones have their defaults.

    Args:
        values: {flag name: value}.
        options_class: Options, or another dataclass whose fields are Configs.

    Raises:
        UsageError: a value does not fit its flag.
    """
    parts = dataclasses.fields(options_class)
    return options_class(**{part.name: make_part(part.type, values) for part in parts})


def make_part(part_class: type, values: dict):
    """Returns a Config of the values in {flag name: value} that are its fields."""
    names = [field.name for field in dataclasses.fields(part_class)]
    return part_class(**{name: values[name] for name in names if name in values})


def to_dict(options) -> dict:
    """Returns {flag name: value} of all options, as `options.json` holds them."""
    parts = (getattr(options, part.name) for part in dataclasses.fields(options))
    return {name: value for part in parts for name, value in vars(part).items()}
