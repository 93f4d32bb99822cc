"""The flags of the two networks, and the sizes of images that they take."""

import dataclasses
import functools

from pix2pix_tf.options.data import MAX_SIDE
from pix2pix_tf.options.flag import (
    Config,
    Size,
    flag,
    make_size,
    refuse,
    sides,
    value_text,
)
from pix2pix_tf.runtime.errors import UsageError

CROP_SIZE = 256  # pixels; the original's, eight stride-2 layers take it to 1
MAX_FILTERS = 1024  # in a first layer; beyond it no machine holds the network
MIN_DOWNS, MAX_DOWNS = 5, 10  # halvings of a U-Net
DEFAULT_DOWNS = 8
RESNET_MULTIPLE = 4  # pixels: two halvings
MIN_SIDE = 8  # pixels; a ResNet cannot mirror less by 1 after two halvings

# A flag of what a checkpoint has fixed: the shapes and layers of the networks.
_shape = functools.partial(flag, from_checkpoint=True)


@dataclasses.dataclass(frozen=True)
class ModelConfig(Config):
    """The two networks."""

    are_hyperparameters = True

    crop_size: Size = _shape(
        CROP_SIZE,
        "size of the networks' images, one number or height and width",
        unit="pixels",
        minimum=MIN_SIDE,
        maximum=MAX_SIDE,
        needs_memory=True,
    )
    generator: str = _shape(
        "unet", "kind of generator", choices=("unet", "encoder_decoder", "resnet")
    )
    ngf: int = _shape(
        64,
        "filters in the generator's first layer",
        unit="filters",
        minimum=1,
        maximum=MAX_FILTERS,
        in_original=True,
        needs_memory=True,
    )
    num_downs: int = _shape(
        DEFAULT_DOWNS,
        "unet, encoder_decoder: how often the size is halved (default: as often as "
        f"--crop_size allows, at most {DEFAULT_DOWNS} times)",
        unit="halvings",
        minimum=MIN_DOWNS,
        maximum=MAX_DOWNS,
    )
    num_blocks: int = _shape(9, "resnet: residual blocks", choices=(6, 9))
    separable_conv: bool = _shape(
        False, "use separable convolutions in the generator", in_original=True
    )
    upsample: str = _shape(
        "deconv",
        "how the generator doubles the size",
        choices=("deconv", "resize", "subpixel"),
    )
    dropout: float = _shape(
        0.5, "the generator's dropout rate", unit="rate", minimum=0, below=1
    )
    no_dropout: bool = flag(
        False,
        "leave dropout out, so that one input always has the same output",
        modes=("test", "export"),
    )
    norm: str = _shape(
        "batch",
        "normalise over the batch, over each image by itself, or not at all",
        choices=("batch", "instance", "none"),
    )
    innermost_norm: str = _shape(
        "batch",
        "batch: the innermost encoder layer has a norm like the others, as in the "
        "original; none: it has none (the paper's erratum)",
        choices=("batch", "none"),
    )
    init: str = _shape(
        "normal",
        "initialisation of the kernels",
        choices=("normal", "xavier", "kaiming", "orthogonal"),
    )
    discriminator: str = _shape(
        "patch",
        "what the discriminator judges: patches, single pixels, or the whole image",
        choices=("patch", "pixel", "image"),
    )
    ndf: int = _shape(
        64,
        "filters in the discriminator's first layer",
        unit="filters",
        minimum=1,
        maximum=MAX_FILTERS,
        in_original=True,
        needs_memory=True,
    )
    n_layers: int = _shape(
        3,
        "patch: how often the size is halved; 3 sees 70x70 pixels",
        unit="layers",
        minimum=1,
        maximum=6,
    )
    unconditional: bool = _shape(
        False, "the discriminator sees no inputs, only targets or outputs"
    )
    num_discriminators: int = _shape(
        1,
        "patch, pixel: discriminators, each at half the size of the one before",
        unit="networks",
        minimum=1,
        maximum=4,
    )

    def __post_init__(self):
        super().__post_init__()
        self._check_generator()
        self._check_crop()
        self._check_discriminator()

    @property
    def multiple(self):
        """What the height and the width of the generator's images are multiples of."""
        return RESNET_MULTIPLE if self.generator == "resnet" else 2**self.num_downs

    def _check_crop(self):
        """Refuses a size that the generator cannot halve and double again."""
        if any(side % self.multiple for side in sides(self.crop_size)):
            raise UsageError(
                f"--crop_size {value_text(self.crop_size)} must be multiples of "
                f"{self.multiple}: the nearest are {self._nearest_size()}"
                + self._fewer_downs()
            )

    def _nearest_size(self):
        """Returns the usable sizes around --crop_size, as text."""
        counts = [side // self.multiple for side in sides(self.crop_size)]
        low = make_size(*(max(count, 1) * self.multiple for count in counts))
        high = make_size(
            *(
                -(-side // self.multiple) * self.multiple
                for side in sides(self.crop_size)
            )
        )
        return " and ".join(dict.fromkeys([value_text(low), value_text(high)]))

    def _fewer_downs(self):
        """Returns what --num_downs would do instead, as text; "" where none would."""
        downs = deepest(self.crop_size)
        if self.generator == "resnet" or downs is None or downs >= self.num_downs:
            return ""
        return f"; or give --num_downs {downs}"

    def _check_generator(self):
        """Refuses kinds and flags that do not go together."""
        if self.generator == "resnet":
            refuse(self.separable_conv, "--separable_conv", "--generator resnet")
            refuse(self.num_downs != DEFAULT_DOWNS, "--num_downs", "--generator resnet")
            refuse(
                self.innermost_norm != "batch", "--innermost_norm", "--generator resnet"
            )
        else:
            refuse(
                self.num_blocks != 9, "--num_blocks", f"--generator {self.generator}"
            )
        refuse(
            self.separable_conv and self.upsample != "deconv",
            f"--upsample {self.upsample}",
            "--separable_conv, which resizes",
        )

    def _check_discriminator(self):
        """Refuses kinds, flags and sizes that do not go together."""
        kind = f"--discriminator {self.discriminator}"
        refuse(self.discriminator != "patch" and self.n_layers != 3, "--n_layers", kind)
        refuse(
            self.discriminator == "image" and self.num_discriminators > 1,
            "--num_discriminators",
            kind,
        )
        height, width = sides(self.crop_size)
        if self.discriminator == "image" and (height != width or height & (height - 1)):
            raise UsageError(
                f"--discriminator image halves a square down to 4 pixels: --crop_size "
                f"must be one power of 2, got {value_text(self.crop_size)}"
            )
        # n halvings and two layers that take one pixel each leave size / 2**n - 2.
        smallest = min(height, width) // 2 ** (self.num_discriminators - 1)
        if self.discriminator == "patch" and smallest < 3 * 2**self.n_layers:
            raise UsageError(
                f"--n_layers {self.n_layers} leaves nothing of the {smallest} pixels "
                f"that --num_discriminators {self.num_discriminators} ends with: give "
                "fewer of either"
            )


def deepest(size):
    """Returns the most halvings, up to the default, that keep a Size's pixels whole.

    Returns:
        int, or None where not even MIN_DOWNS do.
    """
    for downs in range(DEFAULT_DOWNS, MIN_DOWNS - 1, -1):
        if not any(side % 2**downs for side in sides(size)):
            return downs
    return None
