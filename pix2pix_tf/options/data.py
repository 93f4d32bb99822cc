"""The flags of the data: from files to pairs, and from pairs to batches."""

import dataclasses

from pix2pix_tf.options.flag import Checked, Size, make_flag, refuse
from pix2pix_tf.runtime.errors import UsageError

SCALE_SIZE = 286  # pixels; the original's


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

    def refuse_targets(self, flag, folder):
        """Refuses a flag's folder of targets where each file has its own target."""
        is_used = self.lab_colorization and folder is not None
        refuse(is_used, flag, "--lab_colorization")

    @property
    def has_rgb_outputs(self):
        """True if outputs can be shown as RGB or gray images without any loss."""
        return self.target_channels in (1, 3)  # for Lab they are joined to RGB


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
