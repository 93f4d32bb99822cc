"""The flags of what the networks learn from: the losses, and the optimizers."""

import dataclasses
from pathlib import Path

from pix2pix_tf.options.flag import Checked, make_flag, refuse
from pix2pix_tf.runtime.errors import UsageError


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
