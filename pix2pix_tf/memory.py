"""How much memory a run takes at the least, from its flags alone.

In: bounds that refuse what no machine does, such as `ngf` a thousand times too large in
somebody's `options.json`, before anything is built. Not in: what a run really takes
(`dry_run` prints that, from the built networks).
"""

import itertools
import math
import os
from pathlib import Path

from pix2pix_tf.options.flag import sides, size_text
from pix2pix_tf.runtime.errors import UsageError

FLOAT_BYTES = 4
COPIES = 4  # in training: weights, gradients, and two of Adam
CGROUP_PATH = Path("/sys/fs/cgroup/memory.max")  # of a container


def check(options, has_memory=None):
    """Refuses a run that cannot fit into the machine's memory.

    Args:
        options: config.Options.
        has_memory: int, bytes, or None to ask the machine.

    Raises:
        UsageError: it names the flags that ask for so much.
    """
    has_memory = has_memory or _machine_bytes()
    needs = {
        _network_flags(options): _weight_bytes(options),
        _image_flags(options): _batch_bytes(options),
    }
    for flags, needed in needs.items():
        if has_memory and needed > has_memory:
            raise UsageError(
                f"{flags} need more than {needed / 1e9:.3g} GB of memory, and this "
                f"machine has {has_memory / 1e9:.3g} GB: give less"
            )


def generator_parameters(channels, model):
    """Returns about how many parameters a generator has, and not more than it has.

    Args:
        channels: (input channels, output channels).
        model: ModelConfig.
    """
    if model.generator == "resnet":
        blocks = 2 * model.num_blocks * 9 * (4 * model.ngf) ** 2
        return blocks + 49 * model.ngf * sum(channels)
    widths = [model.ngf * min(2**level, 8) for level in range(model.num_downs)]
    area, up_area = 16, {"deconv": 16, "resize": 9, "subpixel": 36}[model.upsample]
    if model.separable_conv:
        area = up_area = 1
    down = area * (channels[0] * widths[0] + _chain(widths))
    has_skips = model.generator == "unet"
    up = up_area * (_chain(widths) + channels[1] * widths[0]) * (1 + has_skips)
    innermost = up_area * widths[-1] * widths[-2]  # which no skip doubles
    return down + up - innermost * has_skips


def discriminator_parameters(channels, model):
    """As `generator_parameters`, of (input channels, target channels)."""
    if model.discriminator == "pixel":
        widths, area = [model.ndf, 2 * model.ndf], 1
    else:
        levels = model.n_layers + 1
        if model.discriminator == "image":
            levels = int(math.log2(sides(model.crop_size)[0])) - 2
        widths, area = [model.ndf * min(2**level, 8) for level in range(levels)], 16
    first = area * widths[0] * (channels[1] if model.unconditional else sum(channels))
    return model.num_discriminators * (first + area * _chain(widths))


def _chain(widths):
    """Returns the sum of the products of neighbours: kernels of area 1."""
    return sum(a * b for a, b in itertools.pairwise(widths))


def _weight_bytes(options):
    channels, model = options.pair.channels, options.model
    parameters = generator_parameters(channels, model)
    if options.run.mode != "train":
        return FLOAT_BYTES * parameters
    if options.loss.gan_weight:
        parameters += discriminator_parameters(channels, model)
    return COPIES * FLOAT_BYTES * parameters


def _batch_bytes(options):
    """A batch with its first layer's activations; or, in training, one pair scaled."""
    run, channels = options.run, sum(options.pair.channels)
    pixels = options.data.batch_size * math.prod(sides(options.model.crop_size))
    if run.full_size or run.mode == "export":  # one picture, of its own size
        pixels = 1
    numbers = pixels * (channels + options.model.ngf / 4)
    if run.mode == "train":
        scaled = math.prod(sides(options.data.scale_size)) * channels
        numbers = max(numbers, scaled)
    return FLOAT_BYTES * numbers


def _network_flags(options):
    names = ["ngf", "ndf"] if options.run.mode == "train" else ["ngf"]
    return " and ".join(f"--{name} {getattr(options.model, name)}" for name in names)


def _image_flags(options):
    flags = f"--crop_size {size_text(options.model.crop_size)}"
    if options.run.mode == "train":
        flags += f", --scale_size {size_text(options.data.scale_size)}"
    return f"{flags} and --batch_size {options.data.batch_size}"


def _machine_bytes():
    """Returns the machine's or the container's memory, or None where it is unknown."""
    if not hasattr(os, "sysconf"):  # Windows
        return None
    has_memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    try:
        return min(has_memory, int(CGROUP_PATH.read_text()))
    except (OSError, ValueError):  # no container; or it says "max"
        return has_memory
