"""The flags of the losses and the optimizers."""

import dataclasses
import re
from pathlib import Path

from pix2pix_tf.options.flag import Config, flag, refuse, train_flag
from pix2pix_tf.runtime.errors import UsageError

DOWNLOAD = "imagenet"  # in place of a file of weights
DIFFAUG = ("color", "translation", "cutout")


def _weight(default, term, **known):
    """Returns the field of the flag that weights a loss term."""
    return train_flag(default, f"weight of {term}", unit="weight", minimum=0, **known)


@dataclasses.dataclass(frozen=True)
class OptimizerConfig(Config):
    """The optimizers and their learning rates."""

    are_hyperparameters = True

    lr: float = train_flag(
        0.0002, "Adam's initial learning rate", unit="rate", above=0, in_original=True
    )
    d_lr: float | None = train_flag(
        None,
        "the discriminator's own initial learning rate (default: --lr)",
        unit="rate",
        above=0,
    )
    lr_policy: str = train_flag(
        "constant",
        "how the learning rates change: constant, or decaying to 0 at the end, which "
        "--max_epochs or --max_steps sets",
        choices=("constant", "linear", "cosine"),
    )
    decay_from: int | None = train_flag(
        None,
        "linear, cosine: epochs of this run before the decay starts (default: 0)",
        unit="epochs",
        minimum=0,
    )
    beta1: float = train_flag(
        0.5, "Adam's momentum term", unit="rate", minimum=0, below=1, in_original=True
    )

    ema_generator: float | None = train_flag(
        None,
        "also keep a moving average of the generator's weights with this decay, such "
        "as 0.999; validation, test and export use it (default: off)",
        unit="rate",
        above=0,
        below=1,
    )

    def __post_init__(self):
        super().__post_init__()
        if self.lr_policy == "constant" and self.decay_from is not None:
            raise UsageError("--decay_from needs --lr_policy linear or cosine")

    @property
    def rates(self) -> tuple[float, float]:
        """The initial learning rates of the generator and the discriminator."""
        return self.lr, self.lr if self.d_lr is None else self.d_lr


@dataclasses.dataclass(frozen=True)
class LossConfig(Config):
    """The losses and their weights."""

    are_hyperparameters = True

    gan_mode: str = flag(
        "vanilla",
        "the adversarial loss",
        choices=("vanilla", "lsgan", "hinge", "wgangp"),
        from_checkpoint=True,
    )
    label_smoothing: float = train_flag(
        0.0,
        "vanilla, lsgan: subtract this from the label 1 of real pairs",
        unit="amount",
        minimum=0,
        below=1,
    )
    gan_weight: float = _weight(
        1.0, "the generator's GAN term (0: no discriminator is built)", in_original=True
    )
    l1_weight: float = _weight(100.0, "the generator's L1 term", in_original=True)
    l2_weight: float = _weight(0.0, "the mean squared difference")
    tv_weight: float = _weight(0.0, "the total variation of the outputs")
    feature_weight: float = _weight(
        0.0, "the distance of the discriminator's activations"
    )
    diffaug: str | None = train_flag(
        None,
        f"change what the discriminator sees at random: {','.join(DIFFAUG)}, or some "
        "of these (default: off)",
        unit="names",
    )
    perceptual_weight: float = _weight(0.0, "the VGG19 distance (image pairs only)")
    vgg_weights: str = train_flag(
        DOWNLOAD,
        f"VGG19's weights: a file, or {DOWNLOAD} to download them",
        unit="file",
        is_path=True,
        may_change=True,
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
        refuse(is_alone and self.diffaug is not None, "--diffaug", without)
        policy = self.diffaug_policy
        if not set(policy) <= set(DIFFAUG) or len(set(policy)) < len(policy):
            raise UsageError(
                f"--diffaug must be some of {', '.join(DIFFAUG)}, each once, with "
                f"commas between them, got {self.diffaug!r}"
            )
        # Total variation does not compare with the targets, so it is not enough.
        weights = {
            f"--{name}": value
            for name, value in vars(self).items()
            if name.endswith("_weight") and name != "tv_weight"
        }
        if not any(weights.values()):
            *names, last = weights
            raise UsageError(
                f"{', '.join(names)} and {last} are all 0: the generator has nothing "
                "to learn from"
            )

    @property
    def diffaug_policy(self) -> tuple[str, ...]:
        """The names that `--diffaug` lists, with commas or + between them."""
        return tuple(re.split("[,+]", self.diffaug)) if self.diffaug is not None else ()

    def check_files(self):
        """Raises UsageError if a file does not exist.

        The constructor does not check this: the options of a checkpoint may name files
        of another machine.
        """
        if self.vgg_weights != DOWNLOAD and not Path(self.vgg_weights).is_file():
            raise UsageError(
                f"--vgg_weights {self.vgg_weights} is not a file: give the place of "
                "VGG19's weights on this machine"
            )
