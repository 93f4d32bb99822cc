"""DCGAN's flags: those of pix2pix, where they mean the same."""

import dataclasses

from pix2pix_tf import options
from pix2pix_tf.options import FLAGS, flag, flags_of, reuse

PROG = "pix2pix-tf dcgan"
SIZE = 32  # pixels, of the images


@dataclasses.dataclass(frozen=True)
class RunConfig(options.RunConfig):
    """The run."""

    mode: str = flag("dcgan", "not a flag here", choices=("dcgan",))


@dataclasses.dataclass(frozen=True)
class MonitorConfig(options.MonitorConfig):
    """What training reports and saves, and how often."""

    display_freq: int = reuse(
        FLAGS["display_freq"],
        default=100,
        help="write a grid of samples, always of the same z, every so many steps (0: "
        "never)",
    )
    # No step can be skipped: its forward pass has updated the moving statistics.
    on_nan: str = reuse(FLAGS["on_nan"], choices=("stop",))


@dataclasses.dataclass(frozen=True)
class DataConfig(options.Config):
    """The data: from images to batches of crops."""

    are_hyperparameters = True

    input_dir: str | None = reuse(
        FLAGS["input_dir"], help="a folder of images (default: the sample data)"
    )
    dataset: str | None = reuse(
        FLAGS["dataset"],
        help="a tensorflow_datasets data set of images instead of --input_dir "
        "(default: none)",
    )
    batch_size: int = reuse(FLAGS["batch_size"], default=64)
    scale_size: int = reuse(
        FLAGS["scale_size"],
        default=64,
        help="scale the short side of larger images to this before the "
        f"{SIZE} pixel crop",
        minimum=SIZE,
    )
    flip: bool = reuse(FLAGS["flip"])

    def __post_init__(self):
        super().__post_init__()
        options.refuse(
            self.input_dir is not None and self.dataset is not None,
            f"--input_dir {self.input_dir}",
            f"--dataset {self.dataset}",
        )


@dataclasses.dataclass(frozen=True)
class LossConfig(options.Config):
    """The loss."""

    are_hyperparameters = True

    label_smoothing: float = reuse(
        FLAGS["label_smoothing"],
        default=0.1,
        help="lower the label of real images by this",
    )


@dataclasses.dataclass(frozen=True)
class DcganOptions:
    """All options of one command."""

    run: RunConfig
    monitor: MonitorConfig
    data: DataConfig
    loss: LossConfig
    optimizer: options.OptimizerConfig

    def __post_init__(self):
        """Raises UsageError if options of different parts contradict each other."""
        options.check_schedule(self.optimizer, self.run)


def parse(argv: list[str] | None = None) -> DcganOptions:
    """Returns the DcganOptions of a command line.

    Args:
        argv: the arguments (default: those of the process).

    Raises:
        UsageError: a flag or its value cannot be used.
        SystemExit: after `--help`.
    """
    flags = flags_of(DcganOptions)
    # There is one mode only; and samples are drawn by the latest generator.
    shown = {
        name: dataclasses.replace(one, modes=options.MODES)
        for name, one in flags.items()
        if name not in ("mode", "ema_generator")
    }
    given = options.parse_flags(
        shown, argv, PROG, f"DCGAN: learns to draw {SIZE}x{SIZE} images, without pairs"
    )
    values = {name: one.default for name, one in flags.items()} | given
    stored = options.stored_run(values)
    if stored is None:
        values = options.complete(values)
    else:
        values = options.resume(values, given, stored)
    return options.from_dict(values, DcganOptions)
