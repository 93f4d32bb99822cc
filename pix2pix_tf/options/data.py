"""The flags of the data: which examples are read, and how they are batched."""

import dataclasses
import re

from pix2pix_tf.options.flag import (
    Config,
    Size,
    flag,
    refuse,
    sides,
    train_flag,
    value_text,
)
from pix2pix_tf.runtime.errors import UsageError

SCALE_SIZE = 286  # pixels; the original's
MAX_SIDE = 16384  # pixels, of an image that is held in memory
MAX_CHANNELS = 4096  # more than any hyperspectral camera has
IN_MEMORY = "memory"  # the value of --cache that is not a folder
READ = ("train", "test")  # the modes that read examples
RESIZE_AND_CROP = "resize_and_crop"
# Values of --preprocess that do not scale, and those that show whole images.
OF_OWN_RESOLUTION = ("crop", "none")
WITHOUT_WINDOW = ("scale_width", "none")


@dataclasses.dataclass(frozen=True)
class PairConfig(Config):
    """What the inputs and targets are."""

    are_hyperparameters = True

    lab_colorization: bool = flag(
        False,
        "split each image into lightness (A) and colour (B)",
        from_checkpoint=True,
        in_original=True,
    )
    which_direction: str = flag(
        "AtoB",
        "the direction of the translation; A is the left image, or the lightness",
        choices=("AtoB", "BtoA"),
        from_checkpoint=True,
        in_original=True,
    )
    input_channels: int = flag(
        3,
        "channels of the inputs (more than 4: from .npy or TIFF files)",
        unit="channels",
        minimum=1,
        maximum=MAX_CHANNELS,
        from_checkpoint=True,
    )
    target_channels: int = flag(
        3,
        "channels of the targets",
        unit="channels",
        minimum=1,
        maximum=MAX_CHANNELS,
        from_checkpoint=True,
    )

    def __post_init__(self):
        super().__post_init__()
        if self.lab_colorization:
            self.refuse_changed(
                "--lab_colorization", "input_channels", "target_channels"
            )

    @property
    def channels(self) -> tuple[int, int]:
        """The channels of the network's inputs and targets; 1 and 2 for Lab AtoB."""
        if self.lab_colorization:
            return (1, 2) if self.which_direction == "AtoB" else (2, 1)
        return self.input_channels, self.target_channels

    def refuse_targets(self, flag: str, folder: str | None):
        """Raises UsageError if a folder of targets is given for --lab_colorization.

        There, each image is split into its own input and target.
        """
        is_used = self.lab_colorization and folder is not None
        refuse(is_used, flag, "--lab_colorization")

    @property
    def has_rgb_outputs(self) -> bool:
        """True if outputs can be shown as RGB or gray images without loss."""
        return self.target_channels in (1, 3)  # with Lab it is 3, and so are outputs


@dataclasses.dataclass(frozen=True)
class DataConfig(Config):
    """The data."""

    are_hyperparameters = True

    input_dir: str | None = flag(
        None,
        "a folder of images; in test mode also one image or a pattern such as "
        "'a/*.png' (default: the sample data)",
        unit="folder",
        modes=READ,
        is_path=True,
        in_original=True,
    )
    target_dir: str | None = flag(
        None,
        "the folder of images B, if --input_dir has images A only; they are paired by "
        "file name without suffix (default: none)",
        unit="folder",
        modes=READ,
        is_path=True,
    )
    dataset: str | None = flag(
        None,
        "a tensorflow_datasets data set instead of --input_dir: NAME or NAME:CONFIG "
        "(default: none)",
        unit="name",
        modes=READ,
    )
    split: str | None = flag(
        None,
        "a split of --dataset, such as train[:90%] (default: train, or test in test "
        "mode)",
        unit="split",
        modes=READ,
    )
    input_feature: str | None = flag(
        None,
        "the feature of --dataset that holds image A (default: input; or image, if it "
        "holds A and B side by side)",
        unit="name",
        modes=READ,
    )
    target_feature: str | None = flag(
        None,
        "the feature of --dataset that holds image B (default: target)",
        unit="name",
        modes=READ,
    )
    inputs_only: bool = flag(
        False, "the images are inputs only, without targets", modes=("test",)
    )
    shard: str | None = flag(
        None,
        "only the I-th of N parts of the images, I from 0, into "
        "OUTPUT_DIR/part-I-of-N; pix2pix-tf score --parts merges all parts (default: "
        "all images)",
        unit="i/n",
        modes=("test",),
        is_hyperparameter=False,
    )
    on_bad_image: str = flag(
        "error",
        "what to do if an image cannot be used",
        choices=("error", "skip"),
        modes=READ,
        may_change=True,
    )
    allow_changed_data: bool = train_flag(
        False,
        "with --resume auto, continue a run although files were added, removed or "
        "renamed",
        may_change=True,
        is_inherited=False,
        is_hyperparameter=False,
    )
    cache: str | None = train_flag(
        None,
        "decode each example once, and keep it: memory, or a folder on a fast disk, "
        "where later runs find it, too (default: decode it in each epoch)",
        unit="place",
        is_path=True,
        may_change=True,
        is_inherited=False,
        is_hyperparameter=False,
    )
    batch_size: int = flag(
        1,
        "examples in a batch",
        unit="examples",
        minimum=1,
        maximum=4096,
        modes=READ,
        in_original=True,
        needs_memory=True,
    )
    preprocess: str = flag(
        RESIZE_AND_CROP,
        "what training shows of an image: a window of --crop_size after scaling it to "
        "--scale_size (resize_and_crop), or at its own resolution (crop), or after "
        "scaling its width to --scale_size and its height alike "
        "(scale_width_and_crop); or all of it, scaled in that way (scale_width) or not "
        "(none)",
        choices=(
            RESIZE_AND_CROP,
            "crop",
            "scale_width",
            "scale_width_and_crop",
            "none",
        ),
        unit="way",
        from_checkpoint=True,
    )
    small_images: str = train_flag(
        "pad",
        "what to do with images smaller than --crop_size: pad them by reflection, or "
        "refuse them",
        choices=("pad", "refuse"),
    )
    scale_size: Size = flag(
        SCALE_SIZE,
        "scale images to this size before the crop: one number, or height and width",
        unit="pixels",
        minimum=1,
        maximum=2 * MAX_SIDE,  # the largest crop is cut from a larger image
        modes=("train",),
        in_original=True,
    )
    flip: bool = flag(True, "flip images at random", modes=("train",), in_original=True)
    flip_vertical: bool = train_flag(False, "also flip images upside down at random")
    rotate90: bool = train_flag(
        False, "also turn images by 0, 90, 180 or 270 degrees at random"
    )

    def __post_init__(self):
        super().__post_init__()
        if self.dataset is None:
            for name in ("split", "input_feature", "target_feature"):
                if getattr(self, name) is not None:
                    raise UsageError(f"--{name} needs --dataset")
        else:
            self.refuse_changed("--dataset", "input_dir", "target_dir", "on_bad_image")
        if self.target_dir is not None:
            if self.input_dir is None:
                raise UsageError("--target_dir needs --input_dir, with images A")
            refuse(self.inputs_only, "--target_dir", "--inputs_only")
        if self.shard is not None:
            self._check_shard()
        self._check_preprocess()

    def _check_shard(self):
        """Raises UsageError if --shard is not a part, or cannot be cut."""
        numbers = re.fullmatch(r"(\d{1,9})/(\d{1,9})", self.shard)
        if numbers is None or int(numbers[1]) >= int(numbers[2]):
            raise UsageError(
                "--shard must be I/N, with I from 0 to N - 1, such as 0/4 and 3/4, got "
                f"{self.shard}"
            )
        if self.dataset is not None:
            raise UsageError(
                "--shard cannot be used with --dataset: give --split test[:25%] and so "
                "on, each with an --output_dir"
            )
        if self.on_bad_image == "skip":
            refuse(
                self.batch_size > 1, "--batch_size", "--shard and --on_bad_image skip"
            )

    @property
    def part(self) -> tuple[int, int] | None:
        """The part of --shard and the number of parts, or None for all images."""
        if self.shard is None:
            return None
        number, count = self.shard.split("/")
        return int(number), int(count)

    def _check_preprocess(self):
        """Raises UsageError if a flag means nothing with --preprocess."""
        other = f"--preprocess {self.preprocess}"
        if self.preprocess == RESIZE_AND_CROP:
            self.refuse_changed(other, "small_images")
        elif self.preprocess in OF_OWN_RESOLUTION:
            self.refuse_changed(other, "scale_size")
        elif isinstance(self.scale_size, tuple):
            raise UsageError(
                f"--scale_size must be one number, the width, with {other}, got "
                f"{value_text(self.scale_size)}"
            )

    @property
    def has_window(self) -> bool:
        """True if training shows windows of --crop_size, False if whole images."""
        return self.preprocess not in WITHOUT_WINDOW

    @property
    def scaled_size(self) -> tuple[int | None, int | None]:
        """The (height, width) that training scales images to, before any crop.

        A height of None follows from the width; (None, None) leaves images unscaled.
        """
        if self.preprocess in OF_OWN_RESOLUTION:
            return None, None
        height, width = sides(self.scale_size)
        return (height if self.preprocess == RESIZE_AND_CROP else None), width
