"""The flags of a run: what it does, when, and what it writes where."""

import dataclasses

from pix2pix_tf.options.flag import Checked, make_flag
from pix2pix_tf.options.model import CROP_SIZE
from pix2pix_tf.runtime.errors import UsageError


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
        "kept in OUTPUT_DIR/model-best",
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
