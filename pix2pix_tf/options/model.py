"""The flags of the two networks, and checks of the image size that they need."""

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

CROP_SIZE = 256  # pixels; the original's: eight stride-2 layers reduce it to 1
MAX_FILTERS = 1024  # in a first layer; a larger network fits into no memory
MIN_DOWNS, MAX_DOWNS = 5, 10  # halvings of a U-Net
DEFAULT_DOWNS = 8
RESNET_MULTIPLE = 4  # pixels: two halvings
MIN_SIDE = 8  # pixels; two halvings leave 2, the least that a ResNet can mirror

# A flag that shapes the networks: a checkpoint fixes it.
_shape = functools.partial(flag, from_checkpoint=True)


@dataclasses.dataclass(frozen=True)
class ModelConfig(Config):
    """The two networks."""

    are_hyperparameters = True

    crop_size: Size = _shape(
        CROP_SIZE,
        "image size of the networks: one number, or height and width",
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
        "unet, encoder_decoder: number of halvings of the size (default: as many as "
        f"--crop_size allows, at most {DEFAULT_DOWNS})",
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
        "turn dropout off, so that equal inputs have equal outputs",
        modes=("test", "export"),
    )
    norm: str = _shape(
        "batch",
        "batch normalisation, instance normalisation, or none",
        choices=("batch", "instance", "none"),
    )
    innermost_norm: str = _shape(
        "batch",
        "whether the innermost encoder layer is normalised: batch: like the others, "
        "as in the original; none: not, as the paper's erratum says",
        choices=("batch", "none"),
    )
    init: str = _shape(
        "normal",
        "initialisation of the kernels",
        choices=("normal", "xavier", "kaiming", "orthogonal"),
    )
    discriminator: str = _shape(
        "patch",
        "what the discriminator classifies: patches, single pixels, or whole images",
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
        "patch: number of halvings of the size; 3 makes patches of 70x70 pixels",
        unit="layers",
        minimum=1,
        maximum=6,
    )
    unconditional: bool = _shape(
        False, "the discriminator does not see the inputs, only targets or outputs"
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
    def multiple(self) -> int:
        """The height and width of the generator's images must be multiples of this."""
        return RESNET_MULTIPLE if self.generator == "resnet" else 2**self.num_downs

    @property
    def is_bottleneck_constant(self) -> bool:
        """True if the innermost layer gives the same values for every image.

        Instance normalisation of a single pixel leaves nothing of it.
        """
        return (
            self.norm == "instance"
            and self.innermost_norm != "none"
            and self.generator != "resnet"
            and sides(self.crop_size) == (self.multiple, self.multiple)
        )

    def _check_crop(self):
        """Raises UsageError if the generator cannot halve the size without a rest."""
        if any(side % self.multiple for side in sides(self.crop_size)):
            raise UsageError(
                f"--crop_size {value_text(self.crop_size)} must be multiples of "
                f"{self.multiple}: the nearest are {self._nearest_size()}"
                + self._fewer_downs()
            )

    def _nearest_size(self):
        """Returns the nearest usable sizes below and above --crop_size, as text."""
        unit, crop = self.multiple, sides(self.crop_size)
        low = make_size(*(max(side // unit, 1) * unit for side in crop))
        high = make_size(*(-(-side // unit) * unit for side in crop))
        return " and ".join(dict.fromkeys([value_text(low), value_text(high)]))

    def _fewer_downs(self):
        """Returns advice to lower --num_downs, as text; "" if that would not help."""
        downs = deepest(self.crop_size)
        if self.generator == "resnet" or downs is None or downs >= self.num_downs:
            return ""
        return f"; or give --num_downs {downs}"

    def _check_generator(self):
        """Raises UsageError if the generator's flags contradict each other."""
        kind = f"--generator {self.generator}"
        if self.generator == "resnet":
            self.refuse_changed(kind, "separable_conv", "num_downs", "innermost_norm")
        else:
            self.refuse_changed(kind, "num_blocks")
        refuse(
            self.separable_conv and self.upsample != "deconv",
            f"--upsample {self.upsample}",
            "--separable_conv, which resizes",
        )

    def _check_discriminator(self):
        """Raises UsageError if the discriminator's flags or the size contradict it."""
        kind = f"--discriminator {self.discriminator}"
        if self.discriminator != "patch":
            self.refuse_changed(kind, "n_layers")
        if self.discriminator == "image":
            self.refuse_changed(kind, "num_discriminators")
        height, width = sides(self.crop_size)
        if self.discriminator == "image" and (height != width or height & (height - 1)):
            raise UsageError(
                f"--discriminator image halves a square down to 4 pixels: --crop_size "
                f"must be one power of 2, got {value_text(self.crop_size)}"
            )
        # n halvings, then two layers that each remove one pixel: size / 2**n - 2.
        smallest = min(height, width) // 2 ** (self.num_discriminators - 1)
        if self.discriminator == "patch" and smallest < 3 * 2**self.n_layers:
            raise UsageError(
                f"--n_layers {self.n_layers} leaves nothing of the {smallest} pixels "
                f"that the last of --num_discriminators {self.num_discriminators} "
                "sees: give fewer of either"
            )


def deepest(size: Size) -> int | None:
    """Returns the largest number of halvings that divide a Size without a rest.

    At most DEFAULT_DOWNS; None if even MIN_DOWNS are too many.
    """
    for downs in range(DEFAULT_DOWNS, MIN_DOWNS - 1, -1):
        if not any(side % 2**downs for side in sides(size)):
            return downs
    return None
