"""The flags of what the networks learn from: the losses, and the optimizers."""

import dataclasses
from pathlib import Path

from pix2pix_tf.options.flag import Config, flag, refuse
from pix2pix_tf.runtime.errors import UsageError

TRAIN = ("train",)


@dataclasses.dataclass(frozen=True)
class OptimizerConfig(Config):
    """The optimizers and their learning rates."""

    are_hyperparameters = True

    lr: float = flag(
        0.0002,
        "Adam's initial learning rate",
        unit="rate",
        above=0,
        modes=TRAIN,
        in_original=True,
    )
    d_lr: float | None = flag(
        None,
        "the discriminator's own initial learning rate (default: --lr)",
        unit="rate",
        above=0,
        modes=TRAIN,
    )
    lr_policy: str = flag(
        "constant",
        "how the rates change: not, or down to 0 at the end that --max_epochs or "
        "--max_steps sets",
        choices=("constant", "linear", "cosine"),
        modes=TRAIN,
    )
    decay_from: int | None = flag(
        None,
        "linear, cosine: epochs of this run at the initial rate (default: 0)",
        unit="epochs",
        minimum=0,
        modes=TRAIN,
    )
    beta1: float = flag(
        0.5,
        "Adam's momentum term",
        unit="rate",
        minimum=0,
        below=1,
        modes=TRAIN,
        in_original=True,
    )

    def __post_init__(self):
        super().__post_init__()
        if self.lr_policy == "constant" and self.decay_from is not None:
            raise UsageError("--decay_from needs --lr_policy linear or cosine")

    @property
    def rates(self):
        """(the generator's, the discriminator's) initial learning rate."""
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
    label_smoothing: float = flag(
        0.0,
        "vanilla, lsgan: lower the label of real pairs by this",
        unit="amount",
        minimum=0,
        below=1,
        modes=TRAIN,
    )
    gan_weight: float = flag(
        1.0,
        "weight of the generator's GAN term (0: no discriminator is built)",
        unit="weight",
        minimum=0,
        modes=TRAIN,
        in_original=True,
    )
    l1_weight: float = flag(
        100.0,
        "weight of the generator's L1 term",
        unit="weight",
        minimum=0,
        modes=TRAIN,
        in_original=True,
    )
    l2_weight: float = flag(
        0.0,
        "weight of the mean squared difference",
        unit="weight",
        minimum=0,
        modes=TRAIN,
    )
    tv_weight: float = flag(
        0.0,
        "weight of the outputs' total variation",
        unit="weight",
        minimum=0,
        modes=TRAIN,
    )
    feature_weight: float = flag(
        0.0,
        "weight of matching the discriminator's activations",
        unit="weight",
        minimum=0,
        modes=TRAIN,
    )
    perceptual_weight: float = flag(
        0.0,
        "weight of the VGG19 distance (image pairs only)",
        unit="weight",
        minimum=0,
        modes=TRAIN,
    )
    vgg_weights: str = flag(
        "imagenet",
        "VGG19's weights: a file, or imagenet to download them",
        unit="file",
        modes=TRAIN,
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
        if self.vgg_weights != "imagenet" and not Path(self.vgg_weights).is_file():
            raise UsageError(f"--vgg_weights {self.vgg_weights} is not a file")
        weights = (self.gan_weight, self.l1_weight, self.l2_weight)
        if not any((*weights, self.feature_weight, self.perceptual_weight)):
            raise UsageError(
                "--gan_weight, --l1_weight, --l2_weight, --feature_weight and "
                "--perceptual_weight are all 0: the generator has nothing to learn from"
            )
