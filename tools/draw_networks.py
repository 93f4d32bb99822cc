"""Describes the networks, as they are built, in Markdown; or draws what they see.

python tools/draw_networks.py > docs/networks.md
python tools/draw_networks.py --receptive_fields docs/receptive_fields.png
"""

import argparse
import itertools
import re
import sys
from pathlib import Path

from pix2pix_tf.options import CROP_SIZE, ModelConfig
from pix2pix_tf.runtime import command
from pix2pix_tf.runtime.start import start_tensorflow
from text_table import markdown

GENERATORS = {
    "U-Net": ModelConfig(),
    "encoder-decoder": ModelConfig(generator="encoder_decoder"),
    "ResNet, 9 blocks": ModelConfig(generator="resnet"),
    "U-Net, 7 halvings": ModelConfig(num_downs=7),
    "U-Net, separable": ModelConfig(separable_conv=True),
    "U-Net, resize": ModelConfig(upsample="resize"),
    "U-Net, subpixel": ModelConfig(upsample="subpixel"),
}
DISCRIMINATORS = {
    **{
        f"patch, n_layers {count}": ModelConfig(n_layers=count) for count in range(1, 7)
    },
    "pixel": ModelConfig(discriminator="pixel"),
    "image": ModelConfig(discriminator="image"),
    "patch, two scales": ModelConfig(num_discriminators=2),
}
# A layer's name up to what it is part of: scale_2_layer_3_leaky_relu, block_1_2_pad.
LEVEL = re.compile(r"((?:scale_\d+_)?(?:encoder|decoder|layer|block)_\d+)(?:_|$)")
# What a layer does, by its class; {0} is the layer.
WORDS = {
    "Activation": "{0.activation.__name__}",
    "Add": "add to the level's input",
    "AveragePooling2D": "mean {0.pool_size[0]}x{0.pool_size[1]}",
    "BatchNorm": "batch norm",
    "Conv2D": "conv {0.kernel_size[0]}x{0.kernel_size[1]}",
    "Conv2DTranspose": "deconv {0.kernel_size[0]}x{0.kernel_size[1]} x2",
    "DepthToSpace": "depth to space x2",
    "Dropout": "dropout {0.rate}",
    "LeakyReLU": "leaky ReLU",
    "ReLU": "ReLU",
    "ReflectionPad": "mirror {0.size}",
    "SeparableConv2D": "separable conv {0.kernel_size[0]}x{0.kernel_size[1]}",
    "UpSampling2D": "repeat x2",
    "ZeroPadding2D": "zeros {0.padding[0][0]}",
}

INTRODUCTION = """# Networks

```bash
python tools/draw_networks.py > docs/networks.md
```

made this page from the networks themselves, for pairs of RGB images of 256 x 256 pixels
at the default `--ngf 64 --ndf 64`. One line is one level, with what it does in order.
Shapes are height x width x channels at the end of the level, and parameters are the
trained ones. `/2` halves height and width, and `x2` doubles them. In the drawing of the
U-Net each arrow is a skip connection. The last `sigmoid` of a discriminator is there
with `--gan_mode vanilla` only.

## Overview
"""
FIELDS = """What one output of each discriminator sees
(`python tools/draw_networks.py --receptive_fields docs/receptive_fields.png`):

![Squares on a photograph](receptive_fields.png)
"""


def main(argv: list[str] | None = None) -> int:
    """Prints the document, or draws the receptive fields; returns the exit status."""
    return command.run("draw_networks", lambda: run(parse(argv)))


def parse(argv: list[str] | None = None) -> argparse.Namespace:
    """Returns the namespace of a command line; raises UsageError for a wrong one."""
    parser = command.Parser("draw_networks", __doc__)
    parser.add_argument(
        "--receptive_fields",
        type=Path,
        metavar="FILE.png",
        help="draw what one output of each discriminator sees, and print nothing",
    )
    return parser.parse_args(argv)


def run(given: argparse.Namespace) -> None:
    """Does what the flags say."""
    if given.receptive_fields is not None:
        draw_fields(given.receptive_fields)
    else:
        print_document()


def print_document() -> None:
    """Prints the whole document."""
    start_tensorflow()
    from pix2pix_tf import networks

    overview = [("network", "flags", "output", "sees", "parameters")]
    sections = []
    for heading, models, build in (
        ("Generators", GENERATORS, networks.build_generator),
        ("Discriminators", DISCRIMINATORS, networks.build_discriminator),
    ):
        sections.append(f"## {heading}\n")
        for title, model in models.items():
            network = build((3, 3), model)
            flags, output = _flags(model), " and ".join(map(_shape, network.outputs))
            sees = _field_text(model) if build is networks.build_discriminator else ""
            count = f"{networks.count_parameters(network):,}"
            overview.append((f"{network.name}: {title}", flags, output, sees, count))
            sections.append(f"### {title}\n\n{flags}\n")
            if title == "U-Net":
                sections.append(draw_u(network, model.num_downs))
            sections.append(markdown(describe(network)))
            del network  # 390 MB for the largest
    print(INTRODUCTION, markdown(overview), FIELDS, *sections, sep="\n", end="")


def describe(network) -> list[tuple[str, ...]]:
    """Returns the rows of a table: its head, each level of a network, and the total."""
    from pix2pix_tf import networks

    levels, level = {}, ""
    for layer in network.layers[len(network.inputs) :]:
        found = LEVEL.match(layer.name)
        if found:
            level = found[1]
        elif not layer.name.startswith("skip_"):  # a skip ends the level before it
            level = layer.name
        levels.setdefault(level, []).append(layer)
    rows = []
    # Scales are parallel, and Keras lists them mixed.
    for name in sorted(levels, key=lambda name: re.match(r"(scale_\d+)?", name)[0]):
        does = ", ".join(map(_describe_layer, levels[name]))
        count = sum(networks.count_parameters(layer) for layer in levels[name])
        rows.append((name, does, _shape(levels[name][-1].output), f"{count:,}"))
    table = [("level", "does", "output", "parameters")]
    for same, group in itertools.groupby(rows, key=lambda row: row[1:]):
        names = [row[0] for row in group]
        if len(names) == 1:
            table.append((names[0], *same))
        else:
            does, shape, count = same
            name = f"{names[0]} to {names[-1]}"
            table.append((name, does, shape, f"{len(names)} x {count}"))
    return [*table, ("all", "", "", f"{networks.count_parameters(network):,}")]


def _describe_layer(layer):
    """Returns what a layer does, in a few words."""
    kind = type(layer).__name__
    if kind == "Concatenate":
        sources = [tensor._keras_history.operation.name for tensor in layer.input]
        if layer.name.startswith("skip_"):  # the first source is the level itself
            return f"join {LEVEL.match(sources[1])[1]}"
        return f"join {' and '.join(sources)}"
    words = WORDS[kind].format(layer)
    is_halving = kind != "Conv2DTranspose" and getattr(layer, "strides", (1,))[0] > 1
    return f"{words} /{layer.strides[0]}" if is_halving else words


def _shape(tensor):
    return " x ".join(str(size) for size in tensor.shape[1:])


def _flags(model):
    """Returns the flags that ask for a ModelConfig."""
    default = vars(ModelConfig())
    flags = [
        f"--{name}" if value is True else f"--{name} {value}"
        for name, value in vars(model).items()
        if value != default[name]
    ]
    return f"`{' '.join(flags)}`" if flags else "default"


def _field_text(model):
    """Returns how many pixels one output of a discriminator sees."""
    from pix2pix_tf.networks.discriminators import conv_table, receptive_field

    side = receptive_field(conv_table(model))
    return f"{side} x {side}" + ", of each size" * (model.num_discriminators > 1)


def draw_u(network, num_downs: int) -> str:
    """Returns a drawing of a U-Net: encoder down the left, decoder up the right."""
    shapes = {layer.name: _shape(layer.output) for layer in network.layers}
    levels = range(1, num_downs + 1)
    left = [f"inputs {shapes['inputs']}"]
    left += [f"encoder_{level} {shapes[f'encoder_{level}']}" for level in levels]
    right = [f"{shapes[f'decoder_{level}']} decoder_{level}" for level in levels]
    width, lines = 88, ["```"]
    for level, (down, up) in enumerate(zip(left[:-1], right, strict=True)):
        gap = width - 4 * level - len(down) - len(up) - 3
        arrow = "-" * gap + ">" if level else " " * (gap + 1)
        lines.append(f"{'  ' * level}{down} {arrow} {up}")
    return "\n".join([*lines, left[-1].center(width).rstrip(), "```\n"])


def draw_fields(path: Path) -> None:
    """Draws what the central output of each discriminator sees of a photograph.

    Gray is outside the photograph, where there are only zeros.

    Args:
        path: the PNG file to write.
    """
    start_tensorflow()
    from matplotlib.figure import Figure
    from matplotlib.patches import Rectangle
    from PIL import Image

    from pix2pix_tf.data import samples
    from pix2pix_tf.networks import discriminators

    fields = {}  # title: (first pixel, pixels a side)
    for title, model in DISCRIMINATORS.items():
        convs = discriminators.conv_table(model)
        side = discriminators.receptive_field(convs)
        if model.num_discriminators == 1 and side < 2 * CROP_SIZE:
            centre = discriminators.output_grid(convs, CROP_SIZE) // 2
            fields[title] = discriminators.field_start(convs, centre), side
    low = min(start for start, _ in fields.values()) - 8
    high = max(start + side for start, side in fields.values()) + 8
    with Image.open(samples.sample_dir(False, "test") / "3.webp") as pair:
        photograph = pair.crop((0, 0, CROP_SIZE, CROP_SIZE))
    figure = Figure((8.4, 4.8), dpi=80, layout="constrained")
    for number, (title, (start, side)) in enumerate(fields.items(), start=1):
        axis = figure.add_subplot(2, (len(fields) + 1) // 2, number)
        axis.imshow(photograph)
        corner = start - 0.5, start - 0.5  # imshow has pixels' centres at integers
        square = {"fill": False, "color": "red", "lw": 2, "snap": False}
        axis.add_patch(Rectangle(corner, side, side, **square))
        axis.set(xlim=(low, high), ylim=(high, low), xticks=[], yticks=[])
        axis.set_facecolor("0.85")
        axis.set_title(f"{title}\n{side}x{side}", fontsize=9)
    figure.savefig(path, format="png")


if __name__ == "__main__":
    sys.exit(main())
