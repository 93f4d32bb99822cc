"""The format `.pth`: PyTorch weights of pytorch-CycleGAN-and-pix2pix, read only.

The files are `latest_net_G.pth` and `latest_net_D.pth` (or `.safetensors`). This module
converts the `unet_256` generator and the `basic` (three-layer PatchGAN) discriminator,
with batch or instance norm, to the original's variable names and layouts. Their images
are in [-1, 1], as here. The networks differ from the original's in three ways:

- There is no norm after the innermost encoder, so encoder_8 has no gamma and beta.
- With batch norm only the last layers, and the first one of the discriminator, have a
  bias. The other layers get a bias of zero here.
- The skip connection comes first in a decoder's input; in the original it comes last.
  The two halves of such a kernel are swapped here.

Source: models/networks.py of junyanz/pytorch-CycleGAN-and-pix2pix, for the key names.
"""

import os
import re
from pathlib import Path
from typing import NamedTuple

import numpy as np

from pix2pix_tf.networks import KERNEL_SIZE, width_factor

NUM_LEVELS = 8  # of unet_256; 256 pixels -> 1 pixel
NUM_LAYERS = 5  # of the basic discriminator
NORM_NAMES = {
    "weight": "gamma",
    "bias": "beta",
    "running_mean": "moving_mean",
    "running_var": "moving_variance",
}
# DistributedDataParallel and torch.compile put their own names in front.
WRAPPERS = re.compile(r"^(module\.|_orig_mod\.)+")


class Weights(NamedTuple):
    """The weights of one network, and its sizes."""

    variables: dict[str, np.ndarray]  # by the original's names
    norm: str  # "batch" or "instance"
    width: int  # ngf or ndf
    # (input, output) of a generator; (both together,) of a discriminator
    channels: tuple[int, ...]


class _Layer(NamedTuple):
    """A convolution and the norm after it."""

    name: str  # in the original: generator/encoder_2/conv2d
    key: str  # in the PyTorch file, without .weight
    shape: tuple[int, ...]  # of the weight in the PyTorch file
    norm_key: str | None = None
    keeps_bias: bool = False  # has a bias with batch norm too
    has_skip: bool = False  # its input is (skip connection, previous decoder)

    @property
    def filters(self):
        return self.shape[1 if self.name.endswith("transpose") else 0]

    def norm_name(self, norm):
        return f"{self.name.rpartition('/')[0]}/{norm}_normalization"


def read_generator(path: Path | str) -> Weights:
    """Reads the generator in a `unet_256` file, `.pth` or `.safetensors`.

    No code from the file is run. With batch norm the running statistics are returned as
    moving_mean and moving_variance; the original normalises by the batch instead.

    Raises:
        ValueError: the file is damaged, contains code, or is not a unet_256.
        ImportError: PyTorch (or safetensors) is not installed.
    """
    state = _load(path)
    depth = 0
    while f"{_block(depth + 1)}{min(depth, 1)}.weight" in state:
        depth += 1
    if depth != NUM_LEVELS:
        got = f"unet_{2**depth} ({depth} levels)" if depth else "no U-Net"
        raise ValueError(f"{path}: got {got}, wanted unet_256 ({NUM_LEVELS} levels)")
    ngf, input_channels = _sizes(path, state, "model.model.0.weight")
    _, output_channels = _sizes(path, state, "model.model.3.weight")
    layers = _generator_layers(ngf, input_channels, output_channels)
    variables, norm = _convert(path, state, layers)
    return Weights(variables, norm, ngf, (input_channels, output_channels))


def read_discriminator(path: Path | str) -> Weights:
    """Reads the discriminator in a `basic` file, `.pth` or `.safetensors`.

    As in the original, it takes inputs and targets concatenated in that order, and its
    output for 256x256 pixels is [batch, 30, 30, 1]. The output is logits; the original
    applies a sigmoid to them. (After training with `--gan_mode lsgan` it is scores
    that need no sigmoid.)

    Raises:
        ValueError: the file is damaged, contains code, or is not this discriminator.
        ImportError: PyTorch (or safetensors) is not installed.
    """
    state = _load(path)
    num_convs = sum(array.ndim == 4 for array in state.values())
    if num_convs != NUM_LAYERS:
        raise ValueError(
            f"{path}: got {num_convs} convolutions, wanted the {NUM_LAYERS} of the "
            "basic discriminator (n_layers 3)"
        )
    ndf, pair_channels = _sizes(path, state, "model.0.weight")
    variables, norm = _convert(path, state, _discriminator_layers(ndf, pair_channels))
    return Weights(variables, norm, ndf, (pair_channels,))


def _load(path):
    """Returns {key: float32 array} of the tensors in a file, without running code."""
    with open(path, "rb"):
        pass  # raises the OSError of a file that cannot be opened
    package = "safetensors" if os.fspath(path).endswith(".safetensors") else "torch"
    try:
        if package == "safetensors":
            from safetensors.numpy import load_file

            state = load_file(path)
        else:
            import torch

            state = torch.load(path, weights_only=True, map_location="cpu")
            state = {key: tensor.detach().float() for key, tensor in state.items()}
        state = {
            WRAPPERS.sub("", key): np.asarray(tensor, np.float32)
            for key, tensor in state.items()
        }
    except ImportError as error:
        message = f"{path}: reading it needs {package}: pip install {package}"
        raise ImportError(message) from error
    except Exception as error:  # a damaged file can raise nearly anything
        raise ValueError(
            f"{path}: got a damaged file, or one with code or other objects in it, "
            "wanted only the tensors of a state_dict"
        ) from error
    return {key: state[key] for key in state if "num_batches_tracked" not in key}


def _sizes(path, state, key):
    """Returns the first two of the four dimensions of a kernel."""
    shape = state[key].shape if key in state else ()
    if len(shape) != 4:
        raise ValueError(f"{path}: got shape {list(shape)} for {key}, wanted 4 sizes")
    return shape[:2]


def _block(level):
    """Returns the prefix of the keys of one U-Net level; a level contains the next."""
    inner = "1.model." + "3.model." * (level - 2)
    return "model.model." + (inner if level > 1 else "")


def _generator_layers(ngf, input_channels, output_channels):
    layers = []
    from_channels, to_channels = input_channels, output_channels
    for level in range(1, NUM_LEVELS + 1):
        filters, block = ngf * width_factor(level), _block(level)
        first, last = level == 1, level == NUM_LEVELS
        encoder = _Layer(
            f"generator/encoder_{level}/conv2d",
            block + ("0" if first else "1"),
            (filters, from_channels, KERNEL_SIZE, KERNEL_SIZE),
            norm_key=None if first or last else block + "2",
        )
        decoder = _Layer(
            f"generator/decoder_{level}/conv2d_transpose",
            block + ("3" if first or last else "5"),
            (filters if last else 2 * filters, to_channels, KERNEL_SIZE, KERNEL_SIZE),
            norm_key=None if first else block + ("4" if last else "6"),
            keeps_bias=first,
            has_skip=not last,
        )
        layers += [encoder, decoder]
        from_channels = to_channels = filters
    return layers


def _discriminator_layers(ndf, pair_channels):
    widths = [ndf * width_factor(level) for level in range(1, NUM_LAYERS)]
    widths = [pair_channels, *widths, 1]
    return [
        _Layer(
            f"discriminator/layer_{number}/conv2d",
            f"model.{index}",
            (widths[number], widths[number - 1], KERNEL_SIZE, KERNEL_SIZE),
            norm_key=None if number in (1, NUM_LAYERS) else f"model.{index + 1}",
            keeps_bias=number in (1, NUM_LAYERS),
        )
        for number, index in enumerate((0, 2, 5, 8, 11), start=1)
    ]


def _convert(path, state, layers):
    """Returns the variables of `layers` by the original's names, and the norm."""
    has_gamma = any(key.endswith(".weight") and state[key].ndim == 1 for key in state)
    norm = "batch" if has_gamma else "instance"
    if norm == "instance":  # before PyTorch 0.4: statistics that are not used
        state = {key: state[key] for key in state if ".running_" not in key}
    has_bias = norm == "instance" or any(  # early files have all of them
        f"{layer.key}.bias" in state for layer in layers if not layer.keeps_bias
    )

    wanted = {}  # key in the file: (the original's name, shape in the file)
    for layer in layers:
        wanted[f"{layer.key}.weight"] = (f"{layer.name}/kernel", layer.shape)
        if has_bias or layer.keeps_bias:
            wanted[f"{layer.key}.bias"] = (f"{layer.name}/bias", (layer.filters,))
        if norm == "batch" and layer.norm_key:
            for key, name in NORM_NAMES.items():
                name = f"{layer.norm_name(norm)}/{name}"
                wanted[f"{layer.norm_key}.{key}"] = (name, (layer.filters,))
    _check(path, state, {key: shape for key, (_, shape) in wanted.items()})

    variables = {name: state[key] for key, (name, _) in wanted.items()}
    for layer in layers:
        kernel = variables[f"{layer.name}/kernel"]
        if layer.has_skip:  # (skip, previous) -> (previous, skip)
            kernel = np.concatenate(np.split(kernel, 2)[::-1])
        # conv2d: [out, in, h, w] -> [h, w, in, out];
        # conv2d_transpose: [in, out, h, w] -> [h, w, out, in]
        variables[f"{layer.name}/kernel"] = kernel.transpose(2, 3, 1, 0)
        not_in_file = {f"{layer.name}/bias": 0}
        if layer.norm_key:
            scope = layer.norm_name(norm)
            not_in_file |= {f"{scope}/gamma": 1, f"{scope}/beta": 0}
        for name, value in not_in_file.items():
            variables.setdefault(name, np.full(layer.filters, value, np.float32))
    return variables, norm


def _check(path, state, shapes):
    """Raises ValueError if the keys and shapes of `state` are not those of `shapes`."""
    problems = [f"{key} is missing" for key in shapes if key not in state]
    problems += [f"{key!r} is unknown" for key in state if key not in shapes]
    problems += [
        f"{key} has shape {list(state[key].shape)}, wanted {list(shape)}"
        for key, shape in shapes.items()
        if key in state and state[key].shape != shape
    ]
    if problems:
        more = f" and {len(problems) - 5} more" if len(problems) > 5 else ""
        raise ValueError(f"{path}: {'; '.join(problems[:5])}{more}")
