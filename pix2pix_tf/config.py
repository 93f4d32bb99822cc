"""Flags and options: the command line, `options.json`, and the checks between them.

Each field below is one flag: its name, default, bounds and help stand in one place
(`flags` has what they are made of).
No TensorFlow here, so that `--help` and wrong usage answer at once.
"""

import dataclasses
import json
import os
import random
import reprlib
import stat
import time
from pathlib import Path

from pix2pix_tf import files
from pix2pix_tf.flags import (
    Checked,
    Size,
    UsageError,
    check,
    make_flag,
    make_size,
    parse_flags,
    refuse,
    sides,
    size_text,
)

CROP_SIZE = 256  # pixels; the original's, eight stride-2 layers take it to 1
SCALE_SIZE = 286  # pixels; the original's
MIN_DOWNS, MAX_DOWNS = 5, 10  # halvings of a U-Net
DEFAULT_DOWNS = 8
RESNET_MULTIPLE = 4  # pixels: two halvings
MIN_SIDE = 8  # pixels; a ResNet cannot mirror less by 1 after two halvings
MS_SSIM_SIDE = 161  # pixels; halved four times, rounded up, they fill MS-SSIM's window
OPTIONS_NAME = "options.json"
CHECKPOINT_PREFIX = "model-"  # then the global step
CHECKPOINTS_NAME = "checkpoint"  # the file that names them, oldest first
MAX_LISTED = 5  # unknown keys, in a message
MAX_OPTIONS_BYTES = 2**20  # of an options.json; ours have 2 KB
# What a checkpoint decides: the shapes of the networks and of the examples.
RESTORED_NAMES = (
    "crop_size",
    "discriminator",
    "dropout",
    "gan_mode",
    "generator",
    "init",
    "innermost_norm",
    "input_channels",
    "lab_colorization",
    "n_layers",
    "ndf",
    "ngf",
    "norm",
    "num_blocks",
    "num_discriminators",
    "num_downs",
    "separable_conv",
    "target_channels",
    "unconditional",
    "upsample",
    "which_direction",
)
# What may change when a run goes on by --resume; all else would make it another run.
CHANGEABLE_NAMES = (
    "aspect_ratio",
    "deterministic",
    "display_freq",
    "dry_run",
    "full_size",
    "keep_checkpoints",
    "max_epochs",
    "max_steps",
    "on_bad_image",
    "on_nan",
    "output_dir",
    "output_filetype",
    "patience",
    "progress_freq",
    "resume",
    "save_freq",
    "save_minutes",
    "summary_freq",
    "summary_histograms",
    "trace_freq",
    "val_freq",
)
PATH_NAMES = ("checkpoint", "input_dir", "target_dir", "val_dir", "val_target_dir")
# Those that the original has too; where another is absent, its default holds.
ORIGINAL_NAMES = (
    "lab_colorization",
    "ndf",
    "ngf",
    "separable_conv",
    "which_direction",
)


@dataclasses.dataclass(frozen=True)
class PairConfig(Checked):
    """How image files become inputs and targets."""

    lab_colorization: bool = make_flag(
        bool, False, "split each image into lightness (A) and colour (B)"
    )
    which_direction: str = make_flag(
        str,
        "AtoB",
        "which side is the input: A is left, or the lightness",
        choices=("AtoB", "BtoA"),
    )
    input_channels: int = make_flag(
        int, 3, "channels of the inputs (more than 4: from .npy or TIFF)", minimum=1
    )
    target_channels: int = make_flag(int, 3, "channels of the targets", minimum=1)

    def __post_init__(self):
        super().__post_init__()
        if self.lab_colorization:
            for name in ("input_channels", "target_channels"):
                refuse(getattr(self, name) != 3, f"--{name}", "--lab_colorization")

    @property
    def channels(self):
        """(input channels, target channels): 3 and 3, or for Lab 1 and 2."""
        if self.lab_colorization:
            return (1, 2) if self.which_direction == "AtoB" else (2, 1)
        return self.input_channels, self.target_channels

    @property
    def file_channels(self):
        """(channels of A, channels of B), as files are read; Lab reads RGB."""
        pair = self.input_channels, self.target_channels
        return pair if self.which_direction == "AtoB" else pair[::-1]


@dataclasses.dataclass(frozen=True)
class DataConfig(Checked):
    """How image files become batches."""

    input_dir: str | None = make_flag(
        str,
        None,
        "folder of images; in test mode also one image or a pattern such as 'a/*.png' "
        "(default: the embedded sample data)",
    )
    target_dir: str | None = make_flag(
        str,
        None,
        "folder of picture B, --input_dir then of picture A: paired by name, without "
        "the suffix",
    )
    dataset: str | None = make_flag(
        str,
        None,
        "instead of --input_dir, a tensorflow_datasets data set: NAME or NAME:CONFIG",
    )
    split: str | None = make_flag(
        str,
        None,
        "of --dataset, such as train[:90%%] (default: train, or in test test)",
    )
    input_feature: str | None = make_flag(
        str, None, "of --dataset, picture A (default: input; or image, side by side)"
    )
    target_feature: str | None = make_flag(
        str, None, "of --dataset, picture B (default: target)"
    )
    inputs_only: bool = make_flag(
        bool, False, "test: the images are inputs alone, without targets"
    )
    on_bad_image: str = make_flag(
        str,
        "error",
        "what to do about images that cannot be used",
        choices=("error", "skip"),
    )
    batch_size: int = make_flag(int, 1, "examples in a batch", minimum=1)
    scale_size: int | tuple = make_flag(
        Size,
        SCALE_SIZE,
        "train: scale images to these pixels, one number or height and width, before "
        "the crop",
        minimum=1,
    )
    flip: bool = make_flag(bool, True, "train: flip images at random (default)")

    def __post_init__(self):
        super().__post_init__()
        if self.dataset is None:
            for name in ("split", "input_feature", "target_feature"):
                if getattr(self, name) is not None:
                    raise UsageError(f"--{name} needs --dataset")
        else:
            for name in ("input_dir", "target_dir"):
                refuse(getattr(self, name) is not None, f"--{name}", "--dataset")
            refuse(self.on_bad_image != "error", "--on_bad_image", "--dataset")
        is_alone = self.target_dir is not None and self.input_dir is None
        if is_alone:
            raise UsageError("--target_dir needs --input_dir, the folder of picture A")
        refuse(
            self.inputs_only and self.target_dir is not None,
            "--target_dir",
            "--inputs_only",
        )


@dataclasses.dataclass(frozen=True)
class ModelConfig(Checked):
    """The kinds, sizes and layers of the two networks."""

    crop_size: int | tuple = make_flag(
        Size,
        CROP_SIZE,
        "pixels of the networks' images, one number or height and width",
        minimum=MIN_SIDE,
    )
    generator: str = make_flag(
        str,
        "unet",
        "kind of generator",
        choices=("unet", "encoder_decoder", "resnet"),
    )
    ngf: int = make_flag(int, 64, "filters in the generator's first layer", minimum=1)
    num_downs: int = make_flag(
        int,
        DEFAULT_DOWNS,
        "unet, encoder_decoder: halvings of the image (as many as --crop_size allows, "
        "and no more)",
        minimum=MIN_DOWNS,
        below=MAX_DOWNS + 1,
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
        self._check_crop()
        self._check_discriminator()

    @property
    def multiple(self):
        """What the height and the width of the generator's images are multiples of."""
        return RESNET_MULTIPLE if self.generator == "resnet" else 2**self.num_downs

    def _check_crop(self):
        """Refuses a size that the generator cannot halve and double again."""
        if any(side % self.multiple for side in sides(self.crop_size)):
            raise UsageError(
                f"--crop_size {size_text(self.crop_size)} must be multiples of "
                f"{self.multiple}: the nearest are {self._nearest_size()}"
                + self._fewer_downs()
            )

    def _nearest_size(self):
        """Returns the usable sizes around --crop_size, as text."""
        counts = [side // self.multiple for side in sides(self.crop_size)]
        low = make_size(*(max(count, 1) * self.multiple for count in counts))
        high = make_size(
            *(
                -(-side // self.multiple) * self.multiple
                for side in sides(self.crop_size)
            )
        )
        return " and ".join(dict.fromkeys([size_text(low), size_text(high)]))

    def _fewer_downs(self):
        """Returns what --num_downs would do instead, as text; "" where none would."""
        downs = deepest(self.crop_size)
        if self.generator == "resnet" or downs is None or downs >= self.num_downs:
            return ""
        return f"; or give --num_downs {downs}"

    def _check_generator(self):
        """Refuses kinds and flags that do not go together."""
        if self.generator == "resnet":
            refuse(self.separable_conv, "--separable_conv", "--generator resnet")
            refuse(self.num_downs != 8, "--num_downs", "--generator resnet")
            refuse(self.innermost_norm != "batch", "--innermost_norm", "resnet")
        else:
            refuse(
                self.num_blocks != 9, "--num_blocks", f"--generator {self.generator}"
            )
        refuse(
            self.separable_conv and self.upsample != "deconv",
            f"--upsample {self.upsample}",
            "--separable_conv, which resizes",
        )

    def _check_discriminator(self):
        """Refuses kinds, flags and sizes that do not go together."""
        kind = f"--discriminator {self.discriminator}"
        refuse(self.discriminator != "patch" and self.n_layers != 3, "--n_layers", kind)
        refuse(
            self.discriminator == "image" and self.num_discriminators > 1,
            "--num_discriminators",
            kind,
        )
        height, width = sides(self.crop_size)
        if self.discriminator == "image" and (height != width or height & (height - 1)):
            raise UsageError(
                f"--discriminator image halves a square down to 4 pixels: --crop_size "
                f"must be one power of 2, got {size_text(self.crop_size)}"
            )
        # n halvings and two layers that take one pixel each leave size / 2**n - 2.
        smallest = min(height, width) // 2 ** (self.num_discriminators - 1)
        if self.discriminator == "patch" and smallest < 3 * 2**self.n_layers:
            raise UsageError(
                f"--n_layers {self.n_layers} leaves nothing of the {smallest} pixels "
                f"that --num_discriminators {self.num_discriminators} ends with: give "
                "fewer of either"
            )


@dataclasses.dataclass(frozen=True)
class OptimizerConfig(Checked):
    """Adam's settings, and how its learning rates change."""

    lr: float = make_flag(float, 0.0002, "Adam's initial learning rate", above=0)
    d_lr: float | None = make_flag(
        float, None, "the discriminator's own initial rate (default: --lr)", above=0
    )
    lr_policy: str = make_flag(
        str,
        "constant",
        "how the rates change: not, or down to 0 at the end that --max_epochs or "
        "--max_steps sets",
        choices=("constant", "linear", "cosine"),
    )
    decay_from: int | None = make_flag(
        int,
        None,
        "linear, cosine: whole epochs of this run at the initial rate (default: 0)",
        minimum=0,
    )
    beta1: float = make_flag(float, 0.5, "Adam's momentum term", minimum=0, below=1)

    def __post_init__(self):
        super().__post_init__()
        if self.lr_policy == "constant" and self.decay_from is not None:
            raise UsageError("--decay_from needs --lr_policy linear or cosine")

    @property
    def rates(self):
        """(the generator's, the discriminator's) initial learning rate."""
        return self.lr, self.lr if self.d_lr is None else self.d_lr


@dataclasses.dataclass(frozen=True)
class LossConfig(OptimizerConfig):
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

    def __post_init__(self):
        super().__post_init__()
        mode = f"--gan_mode {self.gan_mode}"
        refuse(
            self.label_smoothing > 0 and self.gan_mode in ("hinge", "wgangp"),
            "--label_smoothing",
            mode,
        )
        is_alone, without = self.gan_weight == 0, "--gan_weight 0"
        refuse(is_alone and self.feature_weight > 0, "--feature_weight", without)
        refuse(is_alone and self.label_smoothing > 0, "--label_smoothing", without)
        refuse(is_alone and self.d_lr is not None, "--d_lr", without)
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
    resume: str = make_flag(
        str,
        "never",
        "train: auto goes on with the run that --output_dir holds, to the same end, or "
        "starts it",
        choices=("never", "auto"),
    )
    seed: int | None = make_flag(
        int,
        None,
        "of all random draws (default: a random one)",
        minimum=0,
        below=2**31,
    )
    deterministic: bool = make_flag(
        bool, False, "the same command gives the same bits; slower"
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
    summary_histograms: str = make_flag(
        str,
        "all",
        "TensorBoard histograms of every variable and gradient, or of none",
        choices=("all", "none"),
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
    save_minutes: float = make_flag(
        float,
        0.0,
        "minutes between checkpoints, beside --save_freq (0: none)",
        minimum=0,
    )
    keep_checkpoints: int = make_flag(
        int, 1, "how many of the newest checkpoints to keep", minimum=1
    )
    on_nan: str = make_flag(
        str,
        "stop",
        "train: what to do about a step whose losses or gradients are not finite; its "
        "update is left out in any case",
        choices=("stop", "skip"),
    )

    def __post_init__(self):
        super().__post_init__()
        if self.resume == "auto" and self.mode in ("test", "export"):
            raise UsageError(
                f"--resume auto is for training, not for --mode {self.mode}"
            )


@dataclasses.dataclass(frozen=True)
class RunConfig(LoopConfig):
    """LoopConfig, and the pictures that pix2pix writes."""

    aspect_ratio: float = make_flag(
        float, 1.0, "width / height of the pictures written", above=0, below=CROP_SIZE
    )
    full_size: bool = make_flag(
        bool,
        False,
        "test, export: generate at each image's own size, not at --crop_size",
    )
    fid_weights: str | None = make_flag(
        str,
        None,
        "test: measure FID and KID too, by InceptionV3 with these weights: a file, or "
        "imagenet to download them",
    )
    palette: str | None = make_flag(
        str,
        None,
        "test: outputs are label maps, measure their accuracy and IoU too: a file of "
        "lines NAME,R,G,B, or targets for the colours that the targets have",
    )
    val_dir: str | None = make_flag(
        str,
        None,
        "train: folder of held-out pairs to measure the generator on, whose best is "
        "kept in OUTPUT_DIR/best",
    )
    val_target_dir: str | None = make_flag(
        str, None, "folder of picture B, --val_dir then of picture A"
    )
    val_freq: int = make_flag(
        int, 1000, "steps between validations, where there is --val_dir", minimum=1
    )
    best_metric: str = make_flag(
        str,
        "ssim",
        "the figure by which a validation is the best",
        choices=("l1", "psnr", "ssim", "ms_ssim"),
    )
    patience: int = make_flag(
        int,
        0,
        "stop after so many validations without a better one (0: never)",
        minimum=0,
    )
    dry_run: bool = make_flag(
        bool, False, "train: show what would be trained on what, and stop"
    )
    precision: str = make_flag(
        str,
        "float32",
        "what the networks compute in; their variables stay float32",
        choices=("float32", "mixed_bfloat16", "mixed_float16"),
    )
    xla: bool = make_flag(
        bool, False, "train: compile the step by XLA (see docs/performance.md)"
    )
    output_filetype: str = make_flag(
        str, "png", "what the exported model returns", choices=("png", "jpeg")
    )

    def __post_init__(self):
        super().__post_init__()
        for name in ("val_target_dir", "patience"):
            if getattr(self, name) and self.val_dir is None:
                raise UsageError(f"--{name} needs --val_dir")


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
        mode, is_lab = self.run.mode, self.pair.lab_colorization
        if mode == "train":
            check_schedule(self.loss, self.run)
        if self.loss.perceptual_weight and self.pair.channels[1] != 3:
            raise UsageError("--perceptual_weight needs RGB targets: leave it out")
        if self.loss.gan_mode == "wgangp" and self.model.norm == "batch":
            raise UsageError(
                "--gan_mode wgangp needs each image judged by itself, and batch norm "
                "mixes them: give --norm instance or none"
            )
        refuse(
            is_lab and self.data.target_dir is not None,
            "--target_dir",
            "--lab_colorization",
        )
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
        is_lab, crop = self.pair.lab_colorization, self.model.crop_size
        refuse(
            is_lab and self.run.val_target_dir is not None,
            "--val_target_dir",
            "--lab_colorization",
        )
        if not is_lab and self.pair.channels[1] not in (1, 3):
            raise UsageError(
                f"--val_dir needs targets that are pictures, of 1 or 3 channels, got "
                f"--target_channels {self.pair.channels[1]}"
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


def deepest(size):
    """Returns the most halvings, up to the default, that keep a Size's pixels whole.

    Returns:
        int, or None where not even MIN_DOWNS do.
    """
    for downs in range(DEFAULT_DOWNS, MIN_DOWNS - 1, -1):
        if not any(side % 2**downs for side in sides(size)):
            return downs
    return None


def flags_of(options_class):
    """Returns {flag name: field} of an options class: all fields of all its parts."""
    return {
        flag.name: flag
        for part in dataclasses.fields(options_class)
        for flag in dataclasses.fields(part.type)
    }


_FLAGS = flags_of(Options)
_RUN_KINDS = (*_FLAGS["mode"].metadata["choices"], "dcgan")
# What an `options.json` may hold.
_STORED_FLAGS = _FLAGS | {"mode": make_flag(str, "train", "", choices=_RUN_KINDS)}


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
    stored = stored_run(values)
    if stored is not None:
        return from_dict(resume(values, given, stored))
    if values["checkpoint"] is not None:
        values |= _restored(Path(values["checkpoint"]), given)
    values |= _following_crop(values, given)
    return from_dict(complete(values))


def stored_run(values):
    """Returns the {flag name: value} of the run that `--resume auto` goes on with.

    None where there is none, or none that has a checkpoint yet.

    Args:
        values: {flag name: value} with all defaults.

    Raises:
        UsageError: no folder is named, or its options cannot be read.
    """
    if values["resume"] == "auto" and values["output_dir"] is None:
        raise UsageError("--resume auto needs --output_dir, the folder of the run")
    stored = _stored_options(values)
    return stored if stored and holds_checkpoint(values["output_dir"]) else None


def _stored_options(values):
    """Returns what `--resume auto` finds in the output folder; {} for nothing."""
    if values["resume"] != "auto":
        return {}
    path = Path(values["output_dir"], OPTIONS_NAME)
    stored = read_options(path) if path.exists() else {}
    # `check_output_dir` refuses the run of another mode.
    return stored if stored.get("mode") == values["mode"] else {}


def resume(values, given, stored):
    """Returns a run's {flag name: value}: as stored, but for what may change.

    Args:
        values: {flag name: value} with all defaults.
        given: {flag name: value} of the command line.
        stored: as `stored_run` gives it.

    Raises:
        UsageError: a given flag would make it another run.
    """
    stored = {name: stored[name] for name in values if name in stored}
    for name, value in given.items():
        was = stored.get(name, value)
        is_same = value == was
        if name in PATH_NAMES and None not in (value, was):
            is_same = os.path.abspath(value) == os.path.abspath(was)
        if not is_same and name not in CHANGEABLE_NAMES:
            raise UsageError(
                f"--{name} {size_text(value)} contradicts the run in "
                f"{values['output_dir']}, which has {size_text(was)}: leave the flag "
                "out, or name another --output_dir"
            )
    return values | stored | given


def is_resumed(run):
    """Says whether a LoopConfig goes on with what its output folder holds."""
    return run.resume == "auto" and holds_checkpoint(run.output_dir)


def holds_checkpoint(folder):
    """Says whether a folder holds a checkpoint, whole or not."""
    names = (CHECKPOINTS_NAME, f"{CHECKPOINT_PREFIX}*.index")
    return any(any(Path(folder).glob(name)) for name in names)


def _following_crop(values, given):
    """Returns the flags that follow --crop_size where they are not given."""
    crop_size, follows = values["crop_size"], {}
    check(_FLAGS["crop_size"], crop_size)
    if "scale_size" not in given and crop_size != CROP_SIZE:
        ratio = SCALE_SIZE / CROP_SIZE
        follows["scale_size"] = make_size(
            *(round(side * ratio) for side in sides(crop_size))
        )
    is_new = values["checkpoint"] is None
    if is_new and "num_downs" not in given and values["generator"] != "resnet":
        follows["num_downs"] = deepest(crop_size) or MIN_DOWNS
    return follows


def complete(values):
    """Returns {flag name: value} with a seed and an output folder in any case."""
    values = dict(values)
    if values["seed"] is None:  # also of a run that was stopped before it could save
        values["seed"] = _stored_options(values).get("seed")
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
    parts = dataclasses.fields(options_class)
    return options_class(**{part.name: _make_part(part.type, values) for part in parts})


def _make_part(part_class, values):
    names = [field.name for field in dataclasses.fields(part_class)]
    return part_class(**{name: values[name] for name in names if name in values})


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
        files.write_whole(output_dir / OPTIONS_NAME, to_json(options))
    except OSError as error:
        raise UsageError(
            f"--output_dir {output_dir} cannot be written: {error.strerror}"
        ) from None


def read_options(path):
    """Returns the {flag name: value} of an `options.json`, each checked by its flag.

    Ours, the original's and DCGAN's are read. A key that is no flag is refused: a newer
    version's may shape the networks.

    Raises:
        UsageError: the file is missing, damaged, or a value does not fit its flag.
    """
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise ValueError("it is no file")
        if path.stat().st_size > MAX_OPTIONS_BYTES:
            raise ValueError(f"it has more than {MAX_OPTIONS_BYTES} bytes")
        text = path.read_text(encoding="utf-8-sig")  # some editors write a BOM
        values = json.loads(text, object_pairs_hook=_unique)
    except FileNotFoundError:
        raise UsageError(
            f"{path} is missing: give --checkpoint a folder that training wrote"
        ) from None
    except (OSError, ValueError, RecursionError) as error:
        raise UsageError(f"{path} is damaged and cannot be read: {error}") from None
    if not isinstance(values, dict):
        raise UsageError(f"{path} must hold a JSON object, got {type(values).__name__}")
    unknown = [name for name in values if name not in _STORED_FLAGS]
    if unknown:
        raise UsageError(
            f"{path}: {', '.join(map(reprlib.repr, unknown[:MAX_LISTED]))}"
            f"{' and more' if len(unknown) > MAX_LISTED else ''} are no flags: remove "
            "what was misspelt; what a newer version wrote needs that version"
        )
    for name in ("crop_size", "scale_size"):  # JSON has no tuples
        if isinstance(values.get(name), list):
            values[name] = tuple(values[name])
    for name, value in values.items():
        check(_STORED_FLAGS[name], value, where=f"{path}: {name}")
    return values


def _unique(pairs):
    """Returns the dict of a JSON object's pairs; refuses a key met twice."""
    values = dict(pairs)
    if len(values) < len(pairs):
        raise ValueError("it has a key twice")
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
    goes_on = run.resume == "auto" or (
        run.checkpoint is not None and nearest.samefile(run.checkpoint)
    )
    is_read_only = mode in ("test", "export")
    if (output_dir / CHECKPOINTS_NAME).exists() and (is_read_only or not goes_on):
        raise UsageError(
            f"--output_dir {output_dir} holds a trained model: name another folder, go "
            "on with it to its end by --resume auto, or train it further by --mode "
            f"train --checkpoint {run.output_dir}"
        )


def _check_stored(values, path):
    """Refuses stored values that do not go together, and names their file."""
    try:
        for part_class in (PairConfig, ModelConfig):
            _make_part(part_class, values)
    except UsageError as error:
        raise UsageError(f"{path}: {str(error).removeprefix('--')}") from None


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
    _check_stored(restored, checkpoint / OPTIONS_NAME)
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
