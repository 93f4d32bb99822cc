"""The flags of the two networks, and the sizes of images that they take."""

import dataclasses

from pix2pix_tf.options.flag import (
    Checked,
    Size,
    make_flag,
    make_size,
    refuse,
    sides,
    size_text,
)
from pix2pix_tf.runtime.errors import UsageError

CROP_SIZE = 256  # pixels; the original's, eight stride-2 layers take it to 1
MIN_DOWNS, MAX_DOWNS = 5, 10  # halvings of a U-Net
DEFAULT_DOWNS = 8
RESNET_MULTIPLE = 4  # pixels: two halvings
MIN_SIDE = 8  # pixels; a ResNet cannot mirror less by 1 after two halvings


@dataclasses.dataclass(frozen=True)
class ModelConfig(Checked):
    """The kinds, sizes and layers of the two networks."""

    crop_size: int | tuple = make_flag(
        Size,
        CROP_SIZE,
        "pixels of the networks' images, one number or height and width",
        minimum=MIN_SIDE,
    )
    generator: str = make_flag(
        str,
        "unet",
        "kind of generator",
        choices=("unet", "encoder_decoder", "resnet"),
    )
    ngf: int = make_flag(int, 64, "filters in the generator's first layer", minimum=1)
    num_downs: int = make_flag(
        int,
        DEFAULT_DOWNS,
        "unet, encoder_decoder: halvings of the image (as many as --crop_size allows, "
        "and no more)",
        minimum=MIN_DOWNS,
        below=MAX_DOWNS + 1,
    )
    num_blocks: int = make_flag(int, 9, "resnet: residual blocks", choices=(6, 9))
    separable_conv: bool = make_flag(
        bool, False, "separable convolutions in the generator"
    )
    upsample: str = make_flag(
        str,
        "deconv",
        "how the generator doubles the size",
        choices=("deconv", "resize", "subpixel"),
    )
    dropout: float = make_flag(
        float, 0.5, "share that the generator's dropout drops", minimum=0, below=1
    )
    no_dropout: bool = make_flag(
        bool,
        False,
        "test, export: leave dropout out, so that one input has always one output",
    )
    norm: str = make_flag(
        str,
        "batch",
        "normalise over the batch, or over each image by itself, or not",
        choices=("batch", "instance", "none"),
    )
    innermost_norm: str = make_flag(
        str,
        "batch",
        "batch: the innermost encoder has a norm like the other layers, as in the "
        "original; none: it has none (the paper's erratum)",
        choices=("batch", "none"),
    )
    init: str = make_flag(
        str,
        "normal",
        "what kernels start from",
        choices=("normal", "xavier", "kaiming", "orthogonal"),
    )
    discriminator: str = make_flag(
        str,
        "patch",
        "what the discriminator judges: patches, single pixels, or the image",
        choices=("patch", "pixel", "image"),
    )
    ndf: int = make_flag(
        int, 64, "filters in the discriminator's first layer", minimum=1
    )
    n_layers: int = make_flag(
        int, 3, "patch: halvings; 3 sees 70x70 pixels", minimum=1, below=7
    )
    unconditional: bool = make_flag(
        bool, False, "the discriminator sees no inputs, only targets or outputs"
    )
    num_discriminators: int = make_flag(
        int,
        1,
        "patch, pixel: discriminators, each at half the size",
        minimum=1,
        below=5,
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
                f"--crop_size {size_text(self.crop_size)} must be multiples of "
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
        return " and ".join(dict.fromkeys([size_text(low), size_text(high)]))

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
            refuse(self.num_downs != 8, "--num_downs", "--generator resnet")
            refuse(self.innermost_norm != "batch", "--innermost_norm", "resnet")
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
                f"must be one power of 2, got {size_text(self.crop_size)}"
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
