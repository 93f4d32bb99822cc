"""Describes the networks in Markdown: `draw_networks.py > docs/networks.md`.

Layers, shapes and counts come from the networks as they are built.
"""

import re
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # without an installation too

from pix2pix_tf.options import ModelConfig
from pix2pix_tf.runtime.start import start_tensorflow

CHANNELS = (3, 3)
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

INTRODUCTION = """# Networks

Made by `python tools/draw_networks.py > docs/networks.md` from the networks themselves,
for pairs of RGB images of 256 x 256 pixels at the default `--ngf 64 --ndf 64`. One line
is one level, with what it does in order; shapes are height x width x channels at its
end; parameters are the trained ones. `/2` halves height and width, `x2`
doubles them. In the drawing of the U-Net each arrow is a skip connection. The last
`sigmoid` of a discriminator is there with `--gan_mode vanilla` only.
"""

FIELDS = """What one output of each discriminator sees
(`python -m pix2pix_tf.networks --picture docs/receptive_fields.png`):

![Squares on a photograph](receptive_fields.png)
"""


def main():
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
            network = build(CHANNELS, model)
            overview.append(_summary(title, model, network))
            sections.append(f"### {title}\n\n{_flags(model)}\n")
            if title == "U-Net":
                sections.append(draw_u(network, model.num_downs))
            sections.append("\n".join(describe(network)) + "\n")
            del network  # 390 MB for the largest
    print(INTRODUCTION)
    print("## Overview\n")
    print("\n".join(_table(overview)) + "\n")
    print(FIELDS)
    print("\n".join(sections).rstrip())


def _summary(title, model, network):
    """Returns a network's line of the overview."""
    from pix2pix_tf import networks
    from pix2pix_tf.networks.discriminators import conv_table, receptive_field

    outputs = " and ".join(_shape(output) for output in network.outputs)
    sees = ""
    if network.name == "discriminator":
        side = receptive_field(conv_table(model))
        sees = f"{side} x {side}"
    if model.num_discriminators > 1:
        sees += ", of each size"
    count = f"{networks.count_parameters(network):,}"
    return f"{network.name}: {title}", _flags(model), outputs, sees, count


def describe(network):
    """Returns the lines of a table: each level of a network, and the total."""
    from pix2pix_tf import networks

    levels = {}
    level = ""
    for layer in network.layers:
        if type(layer).__name__ == "InputLayer":
            continue
        found = LEVEL.match(layer.name)
        if found:
            level = found[1]
        elif not layer.name.startswith("skip_"):  # a skip ends the level before it
            level = layer.name
        levels.setdefault(level, []).append(layer)
    rows = []
    # Scales are parallel, and Keras lists them mixed.
    for name, layers in sorted(levels.items(), key=lambda item: _scale(item[0])):
        does = ", ".join(map(_describe_layer, layers))
        count = sum(networks.count_parameters(layer) for layer in layers)
        rows.append((name, does, _shape(layers[-1].output), count))
    lines = [("level", "does", "output", "parameters")]
    for names, (_, does, shape, count) in _merge(rows):
        counted = f"{count:,}" if len(names) == 1 else f"{len(names)} x {count:,}"
        name = names[0] if len(names) == 1 else f"{names[0]} to {names[-1]}"
        lines.append((name, does, shape, counted))
    lines.append(("all", "", "", f"{networks.count_parameters(network):,}"))
    return _table(lines)


def _scale(name):
    return int(name.split("_")[1]) if name.startswith("scale_") else 1


def _merge(rows):
    """Yields (names, row) with rows in succession that differ by name only as one."""
    merged = []
    for row in rows:
        if merged and merged[-1][1][1:] == row[1:]:
            merged[-1][0].append(row[0])
        else:
            merged.append(([row[0]], row))
    return merged


def _describe_layer(layer):
    """Returns what a layer does, in a few words."""
    kind = type(layer).__name__
    if kind == "Concatenate":
        sources = [tensor._keras_history.operation.name for tensor in layer.input]
        if layer.name.startswith("skip_"):
            return f"join {LEVEL.match(sources[1])[1]}"  # the first is the level itself
        return f"join {' and '.join(sources)}"
    words = {
        "Activation": lambda: layer.activation.__name__,
        "Add": lambda: "add to the level's input",
        "AveragePooling2D": lambda: f"mean {_window(layer.pool_size)} /2",
        "BatchNorm": lambda: "batch norm",
        "Conv2D": lambda: f"conv {_window(layer.kernel_size)}{_halving(layer)}",
        "Conv2DTranspose": lambda: f"deconv {_window(layer.kernel_size)} x2",
        "DepthToSpace": lambda: "depth to space x2",
        "Dropout": lambda: f"dropout {layer.rate}",
        "LeakyReLU": lambda: "leaky ReLU",
        "ReLU": lambda: "ReLU",
        "ReflectionPad": lambda: f"mirror {layer.size}",
        "SeparableConv2D": lambda: (
            f"separable conv {_window(layer.kernel_size)}{_halving(layer)}"
        ),
        "UpSampling2D": lambda: "repeat x2",
        "ZeroPadding2D": lambda: f"zeros {layer.padding[0][0]}",
    }
    return words[kind]()


def _window(size):
    return f"{size[0]}x{size[1]}"


def _halving(layer):
    return "" if layer.strides[0] == 1 else f" /{layer.strides[0]}"


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


def _table(rows):
    """Returns the lines of a Markdown table, its columns aligned."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["| " + " | ".join(map(str.ljust, row, widths)) + " |" for row in rows]
    lines.insert(1, "| " + " | ".join("-" * width for width in widths) + " |")
    return lines


def draw_u(network, num_downs):
    """Returns a drawing of a U-Net: encoder down the left, decoder up the right."""

    def shape(name):
        return _shape(network.get_layer(name).output)

    left = [f"inputs {_shape(network.inputs[0])}"]
    left += [f"encoder_{k} {shape(f'encoder_{k}')}" for k in range(1, num_downs)]
    right = [f"{shape(f'decoder_{k}')} decoder_{k}" for k in range(1, num_downs + 1)]
    width = 88
    lines = ["```"]
    for level, (down, up) in enumerate(zip(left, right, strict=True)):
        inside = width - 4 * level
        arrow = " " if level == 0 else "-"
        gap = inside - len(down) - len(up) - 2
        middle = arrow * (gap - 1) + (" " if level == 0 else ">")
        lines.append(" " * 2 * level + f"{down} {middle} {up}")
    bottom = f"encoder_{num_downs} {shape(f'encoder_{num_downs}')}"
    lines += [bottom.center(width).rstrip(), "```\n"]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
