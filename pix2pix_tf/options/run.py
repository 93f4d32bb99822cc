"""The flags of a run: its mode, its reports, its validation, how it is computed."""

import dataclasses

from pix2pix_tf.options.flag import MODES, Config, flag, refuse, train_flag
from pix2pix_tf.options.model import CROP_SIZE
from pix2pix_tf.runtime import processor
from pix2pix_tf.runtime.errors import UsageError

MAX_DEVICES = 64  # more than any machine has


def _every(default, what):
    """Returns the field of a flag of steps from one action to the next; 0 is never."""
    return train_flag(
        default,
        f"{what} every so many steps (0: never)",
        unit="steps",
        minimum=0,
        may_change=True,
        in_original=True,
    )


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
        "a folder with a checkpoint, to test, to export or to train further; "
        "FOLDER/model-STEP for one of several",
        unit="folder",
        is_path=True,
        in_original=True,
    )
    resume: str = train_flag(
        "never",
        "auto continues the run in --output_dir up to its planned end, or starts it "
        "if there is none",
        choices=("never", "auto"),
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
    max_epochs: int | None = train_flag(
        None,
        "stop after this many epochs (default: no limit; 0 too)",
        unit="epochs",
        minimum=0,
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
    quiet: bool = flag(
        False, "print warnings and errors only", may_change=True, is_inherited=False
    )
    deterministic: bool = flag(
        False, "make results repeatable bit by bit, which is slower", may_change=True
    )

    def __post_init__(self):
        super().__post_init__()
        if self.resume == "auto":
            refuse(self.mode in ("test", "export"), "--resume", f"--mode {self.mode}")


@dataclasses.dataclass(frozen=True)
class MonitorConfig(Config):
    """What training reports and saves, and how often."""

    progress_freq: int = _every(50, "print the losses")
    summary_freq: int = _every(100, "write TensorBoard summaries")
    summary_histograms: str = train_flag(
        "all",
        "TensorBoard histograms of all variables and gradients, or none",
        choices=("all", "none"),
        may_change=True,
    )
    display_freq: int = _every(0, "write the images of the current batch")
    trace_freq: int = _every(0, "profile one step")
    save_freq: int = _every(5000, "write a checkpoint")
    save_minutes: float = train_flag(
        0.0,
        "also write a checkpoint every so many minutes (0: never)",
        unit="minutes",
        minimum=0,
        may_change=True,
    )
    keep_checkpoints: int = train_flag(
        1,
        "keep this many of the newest checkpoints",
        unit="checkpoints",
        minimum=1,
        may_change=True,
    )
    on_nan: str = train_flag(
        "stop",
        "what to do if a loss or gradient is not finite; in both cases its update is "
        "left out",
        choices=("stop", "skip"),
        may_change=True,
    )


@dataclasses.dataclass(frozen=True)
class ExecutionConfig(Config):
    """How the work is computed."""

    precision: str = flag(
        "float32",
        "the dtype policy of the networks; variables stay float32",
        choices=("float32", "mixed_bfloat16", "mixed_float16"),
        is_hyperparameter=True,
    )
    emulate_16bit: str = train_flag(
        "auto",
        "with a 16-bit --precision, compute convolutions in float32 and round to 16 "
        "bits; auto: if the processor lacks the format",
        choices=("auto", "on", "off"),
        is_hyperparameter=True,
    )
    convolutions: str = train_flag(
        "auto",
        "the class of processor whose fastest convolutions are used (auto: this "
        "machine's), or the library's alone; only the order of sums differs",
        choices=("auto", "library", *processor.CLASSES),
        is_hyperparameter=True,
    )
    strategy: str = train_flag(
        "one",
        "what to train on: one device, several of this machine (mirrored), or those of "
        "all processes in TF_CONFIG (multi_worker); they share each batch of "
        "--batch_size (see docs/distributed.md)",
        choices=("one", "mirrored", "multi_worker"),
        may_change=True,
        is_inherited=False,
    )
    num_devices: int | None = train_flag(
        None,
        "mirrored, multi_worker: devices of this process (default: all GPUs, or one "
        "CPU; without GPUs mirrored makes so many logical CPU devices)",
        unit="devices",
        minimum=1,
        maximum=MAX_DEVICES,
        may_change=True,
        is_inherited=False,
    )
    xla: bool = train_flag(False, "compile the step with XLA (see docs/performance.md)")
    dry_run: bool = train_flag(
        False,
        "print the networks and the data, then stop without training",
        may_change=True,
    )

    def __post_init__(self):
        super().__post_init__()
        if self.strategy != "one":
            self.refuse_changed(f"--strategy {self.strategy}", "xla", "dry_run")
        elif self.num_devices is not None:
            raise UsageError(
                "--num_devices needs --strategy mirrored or multi_worker: give it, too"
            )


@dataclasses.dataclass(frozen=True)
class ValidationConfig(Config):
    """Validation while training."""

    val_dir: str | None = train_flag(
        None,
        "a folder of held-out examples; the best model is kept in "
        "OUTPUT_DIR/model-best (default: no validation)",
        unit="folder",
        is_path=True,
        may_change=True,
    )
    val_target_dir: str | None = train_flag(
        None,
        "the folder of images B, if --val_dir has images A only (default: none)",
        unit="folder",
        is_path=True,
        may_change=True,
    )
    val_freq: int = train_flag(
        1000, "validate every so many steps", unit="steps", minimum=1, may_change=True
    )
    best_metric: str = train_flag(
        "ssim",
        "the metric that selects the best model",
        choices=("l1", "psnr", "ssim", "ms_ssim", "lpips"),
    )
    patience: int = train_flag(
        0,
        "stop after this many validations without improvement (0: never)",
        unit="validations",
        minimum=0,
        may_change=True,
    )


@dataclasses.dataclass(frozen=True)
class OutputConfig(Config):
    """The images that are written, and the metrics of them."""

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
    tile: int | None = flag(
        None,
        "with --full_size, generate larger images by tiles of this side (default: in "
        "one pass)",
        unit="pixels",
        minimum=1,
        modes=("test",),
    )
    overlap: int = flag(
        128,
        "what neighbouring tiles share, and are blended in",
        unit="pixels",
        minimum=0,
        modes=("test",),
    )
    tile_statistics: str = flag(
        "picture",
        "what tiles are normalised by: statistics of the whole image, or their own",
        choices=("picture", "tile"),
        modes=("test",),
    )
    generator_weights: str = flag(
        "average",
        "of a run with --ema_generator, the generator to use: the moving average, or "
        "the latest weights",
        choices=("average", "latest"),
        modes=("test", "export"),
        may_change=True,
    )
    export_format: str = flag(
        "saved_model",
        "the format of the exported model; litert and onnx need libraries of their own",
        choices=("saved_model", "litert", "onnx", "keras"),
        modes=("export",),
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
        "also compute FID and KID, by InceptionV3 with these weights: a file, or "
        "imagenet to download them (default: off)",
        unit="file",
        is_path=True,
        modes=("test",),
    )
    lpips_weights: str | None = flag(
        None,
        "also compute LPIPS, in validation too, by AlexNet with the weights of this "
        "file, which pix2pix-tf convert --to lpips writes (default: off)",
        unit="file",
        is_path=True,
        modes=("train", "test"),
        may_change=True,
    )
    palette: str | None = flag(
        None,
        "also compute accuracy and IoU of label maps: a file with lines NAME,R,G,B, "
        "or targets to use the colours of the targets (default: off)",
        unit="file",
        is_path=True,
        modes=("test",),
    )
