"""The flags of a run: what it does, when it reports, and how it computes."""

import dataclasses

from pix2pix_tf.options.flag import MODES, Config, flag, refuse
from pix2pix_tf.options.model import CROP_SIZE
from pix2pix_tf.runtime.errors import UsageError

TRAIN = ("train",)


@dataclasses.dataclass(frozen=True)
class RunConfig(Config):
    """The run."""

    mode: str = flag(
        "train", "what to do", is_required=True, choices=MODES, in_original=True
    )
    output_dir: str | None = flag(
        None,
        "where to write (default: a new folder runs/MODE-TIME)",
        unit="folder",
        is_path=True,
        may_change=True,
        in_original=True,
    )
    checkpoint: str | None = flag(
        None,
        "a folder with a checkpoint, to test, to export or to train further",
        unit="folder",
        is_path=True,
        in_original=True,
    )
    resume: str = flag(
        "never",
        "auto continues the run in --output_dir up to its planned end, or starts it "
        "if there is none",
        choices=("never", "auto"),
        modes=TRAIN,
        may_change=True,
    )
    max_steps: int | None = flag(
        None,
        "stop after this many steps; in test mode, batches (default: no limit; 0 too)",
        unit="steps",
        minimum=0,
        modes=("train", "test"),
        may_change=True,
        is_hyperparameter=True,
        in_original=True,
    )
    max_epochs: int | None = flag(
        None,
        "stop after this many epochs (default: no limit; 0 too)",
        unit="epochs",
        minimum=0,
        modes=TRAIN,
        may_change=True,
        is_hyperparameter=True,
        in_original=True,
    )
    seed: int | None = flag(
        None,
        "the seed of all random draws (default: a random one)",
        unit="number",
        minimum=0,
        below=2**31,
        is_hyperparameter=True,
        in_original=True,
    )
    deterministic: bool = flag(
        False, "the same command gives the same bits; slower", may_change=True
    )

    def __post_init__(self):
        super().__post_init__()
        if self.resume == "auto":
            refuse(self.mode in ("test", "export"), "--resume", f"--mode {self.mode}")


@dataclasses.dataclass(frozen=True)
class MonitorConfig(Config):
    """What training reports and saves, and how often."""

    progress_freq: int = flag(
        50,
        "print the losses every so many steps (0: never)",
        unit="steps",
        minimum=0,
        modes=TRAIN,
        may_change=True,
        in_original=True,
    )
    summary_freq: int = flag(
        100,
        "write TensorBoard summaries every so many steps (0: never)",
        unit="steps",
        minimum=0,
        modes=TRAIN,
        may_change=True,
        in_original=True,
    )
    summary_histograms: str = flag(
        "all",
        "TensorBoard histograms of all variables and gradients, or none",
        choices=("all", "none"),
        modes=TRAIN,
        may_change=True,
    )
    display_freq: int = flag(
        0,
        "write the images of the current batch every so many steps (0: never)",
        unit="steps",
        minimum=0,
        modes=TRAIN,
        may_change=True,
        in_original=True,
    )
    trace_freq: int = flag(
        0,
        "profile one step every so many steps (0: never)",
        unit="steps",
        minimum=0,
        modes=TRAIN,
        may_change=True,
        in_original=True,
    )
    save_freq: int = flag(
        5000,
        "write a checkpoint every so many steps (0: never)",
        unit="steps",
        minimum=0,
        modes=TRAIN,
        may_change=True,
        in_original=True,
    )
    save_minutes: float = flag(
        0.0,
        "write a checkpoint every so many minutes, too (0: never)",
        unit="minutes",
        minimum=0,
        modes=TRAIN,
        may_change=True,
    )
    keep_checkpoints: int = flag(
        1,
        "keep this many of the newest checkpoints",
        unit="checkpoints",
        minimum=1,
        modes=TRAIN,
        may_change=True,
    )
    on_nan: str = flag(
        "stop",
        "what to do if a loss or gradient is not finite; its update is left out in "
        "both cases",
        choices=("stop", "skip"),
        modes=TRAIN,
        may_change=True,
    )


@dataclasses.dataclass(frozen=True)
class ExecutionConfig(Config):
    """How the work is computed."""

    precision: str = flag(
        "float32",
        "the number format in which the networks compute; variables stay float32",
        choices=("float32", "mixed_bfloat16", "mixed_float16"),
        is_hyperparameter=True,
    )
    xla: bool = flag(
        False, "compile the step with XLA (see docs/performance.md)", modes=TRAIN
    )
    dry_run: bool = flag(
        False,
        "show what would be trained on what, then stop",
        modes=TRAIN,
        may_change=True,
    )


@dataclasses.dataclass(frozen=True)
class ValidationConfig(Config):
    """Validation while training."""

    val_dir: str | None = flag(
        None,
        "a folder of held-out examples; the best model is kept in "
        "OUTPUT_DIR/model-best (default: no validation)",
        unit="folder",
        modes=TRAIN,
        is_path=True,
    )
    val_target_dir: str | None = flag(
        None,
        "the folder of images B, if --val_dir has images A only (default: none)",
        unit="folder",
        modes=TRAIN,
        is_path=True,
    )
    val_freq: int = flag(
        1000,
        "validate every so many steps",
        unit="steps",
        minimum=1,
        modes=TRAIN,
        may_change=True,
    )
    best_metric: str = flag(
        "ssim",
        "the metric by which a model is the best",
        choices=("l1", "psnr", "ssim", "ms_ssim"),
        modes=TRAIN,
    )
    patience: int = flag(
        0,
        "stop after this many validations without a better one (0: never)",
        unit="validations",
        minimum=0,
        modes=TRAIN,
        may_change=True,
    )

    def __post_init__(self):
        super().__post_init__()
        for name in ("val_target_dir", "patience"):
            if getattr(self, name) and self.val_dir is None:
                raise UsageError(f"--{name} needs --val_dir")


@dataclasses.dataclass(frozen=True)
class OutputConfig(Config):
    """The images that are written, and how they are measured."""

    aspect_ratio: float = flag(
        1.0,
        "width / height of the images that are written",
        unit="ratio",
        above=0,
        below=CROP_SIZE,
        modes=("train", "test"),
        may_change=True,
        in_original=True,
    )
    full_size: bool = flag(
        False,
        "generate at the size of each image, not at --crop_size",
        modes=("test", "export"),
        may_change=True,
    )
    output_filetype: str = flag(
        "png",
        "the format that the exported model returns",
        choices=("png", "jpeg"),
        modes=("export",),
        may_change=True,
        in_original=True,
    )
    fid_weights: str | None = flag(
        None,
        "measure FID and KID, too, by InceptionV3 with these weights: a file, or "
        "imagenet to download them (default: do not)",
        unit="file",
        modes=("test",),
    )
    palette: str | None = flag(
        None,
        "the outputs are label maps; measure accuracy and IoU, too: a file of lines "
        "NAME,R,G,B, or targets for the colours in the targets (default: do not)",
        unit="file",
        modes=("test",),
    )
