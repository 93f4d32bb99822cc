"""The flags of what the networks learn from: the losses, and the optimizers."""

import dataclasses
import functools
from pathlib import Path

from pix2pix_tf.options.flag import Config, flag, refuse
from pix2pix_tf.runtime.errors import UsageError

_train = functools.partial(flag, modes=("train",))


def _weight(default, term, **known):
    """Returns the field of the weight of a loss term."""
    return _train(default, f"weight of {term}", unit="weight", minimum=0, **known)


@dataclasses.dataclass(frozen=True)
class OptimizerConfig(Config):
    """The optimizers and their learning rates."""

    are_hyperparameters = True

    lr: float = _train(
        0.0002, "Adam's initial learning rate", unit="rate", above=0, in_original=True
    )
    d_lr: float | None = _train(
        None,
        "the discriminator's own initial learning rate (default: --lr)",
        unit="rate",
        above=0,
    )
    lr_policy: str = _train(
        "constant",
        "how the rates change: not, or down to 0 at the end that --max_epochs or "
        "--max_steps sets",
        choices=("constant", "linear", "cosine"),
    )
    decay_from: int | None = _train(
        None,
        "linear, cosine: epochs of this run at the initial rate (default: 0)",
        unit="epochs",
        minimum=0,
    )
    beta1: float = _train(
        0.5, "Adam's momentum term", unit="rate", minimum=0, below=1, in_original=True
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
    label_smoothing: float = _train(
        0.0,
        "vanilla, lsgan: lower the label of real pairs by this",
        unit="amount",
        minimum=0,
        below=1,
    )
    gan_weight: float = _weight(
        1.0, "the generator's GAN term (0: no discriminator is built)", in_original=True
    )
    l1_weight: float = _weight(100.0, "the generator's L1 term", in_original=True)
    l2_weight: float = _weight(0.0, "the mean squared difference")
    tv_weight: float = _weight(0.0, "the outputs' total variation")
    feature_weight: float = _weight(0.0, "matching the discriminator's activations")
    perceptual_weight: float = _weight(0.0, "the VGG19 distance (image pairs only)")
    vgg_weights: str = _train(
        "imagenet",
        "VGG19's weights: a file, or imagenet to download them",
        unit="file",
        is_path=True,
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
        # Total variation alone knows no targets.
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

    def check_files(self):
        """Refuses a file that does not exist.

        Making the options does not, as those of a checkpoint may name files of another
        machine.

        Raises:
            UsageError: it names the flag.
        """
        if self.vgg_weights != "imagenet" and not Path(self.vgg_weights).is_file():
            raise UsageError(f"--vgg_weights {self.vgg_weights} is not a file")
