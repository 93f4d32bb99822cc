"""DCGAN's flags: pix2pix's own where they mean the same."""

import dataclasses

from pix2pix_tf.options import (
    Checked,
    LoopConfig,
    OptimizerConfig,
    check_schedule,
    complete,
    flags_of,
    from_dict,
    make_flag,
    parse_flags,
    resume,
    reuse_flag,
    stored_run,
)
from pix2pix_tf.runtime.errors import UsageError

PROG = "pix2pix-tf-dcgan"
SIZE = 32  # pixels, of the images


@dataclasses.dataclass(frozen=True)
class RunConfig(LoopConfig):
    """Where DCGAN writes, and when; its pictures are its result, so they are on."""

    mode: str = make_flag(str, "dcgan", "no flag here", choices=("dcgan",))
    display_freq: int = reuse_flag(
        "display_freq",
        default=100,
        help="steps between grids of samples, always of the same z (0: none)",
    )
    # The forward pass has moved the norms' statistics: there is nothing to skip.
    on_nan: str = reuse_flag("on_nan", choices=("stop",))


@dataclasses.dataclass(frozen=True)
class DataConfig(Checked):
    """How pictures become batches of crops."""

    input_dir: str | None = reuse_flag("input_dir")
    dataset: str | None = make_flag(
        str, None, "name of a tensorflow_datasets data set of images, for --input_dir"
    )
    batch_size: int = reuse_flag("batch_size", default=64)
    scale_size: int = make_flag(
        int,
        64,
        f"scale larger pictures' short side to this before the {SIZE} pixel crop",
        minimum=SIZE,
    )
    flip: bool = reuse_flag("flip")

    def __post_init__(self):
        super().__post_init__()
        if self.input_dir is not None and self.dataset is not None:
            raise UsageError(
                f"--input_dir {self.input_dir} does not go with --dataset "
                f"{self.dataset}: leave one of them out"
            )


@dataclasses.dataclass(frozen=True)
class LossConfig(OptimizerConfig):
    """The loss and the optimizers' settings."""

    label_smoothing: float = reuse_flag(
        "label_smoothing", default=0.1, help="take this off real images' label"
    )


@dataclasses.dataclass(frozen=True)
class DcganOptions:
    """Everything one command was told."""

    run: RunConfig
    data: DataConfig
    loss: LossConfig

    def __post_init__(self):
        """Refuses what does not go together across the parts."""
        check_schedule(self.loss, self.run)


def parse(argv=None):
    """Returns the DcganOptions of a command line.

    Args, Raises: as `parse`.
    """
    flags = flags_of(DcganOptions)
    shown = {name: flag for name, flag in flags.items() if name != "mode"}
    given = parse_flags(
        shown, argv, PROG, f"DCGAN: learn to draw {SIZE}x{SIZE} images, without pairs"
    )
    values = {name: flag.default for name, flag in flags.items()} | given
    stored = stored_run(values)
    if stored is None:
        values = complete(values)
    else:
        values = resume(values, given, stored)
    return from_dict(values, DcganOptions)
