"""The work of the default networks: parameters, and arithmetic of the convolutions."""

import functools
import math

import numpy as np
from keras import layers

import plain
from pix2pix_tf import networks

WIDTHS = (1, 2, 3)  # of the small networks that are counted


def count_work(ngf):
    """Returns the work of the default networks, counted from their layers.

    A backward pass costs as much as the forward pass once for the weights' gradients
    and once for the gradient of the layer's inputs. A training step has

    - of the generator, G: one forward and one whole backward pass;
    - of the discriminator, D: two forward passes and two whole backward passes (real
      and fake, for its own loss), and one backward pass for the inputs only, for the
      generator's loss.

    That is 3 G + 7 D, or 1 % less, as the inputs of first layers need no gradient.

    Args:
        ngf: int, filters in the first layer of both networks.

    Returns:
        {"parameters": int, "step_gflop": float, for each image,
        "forward_gflop": float, of the generator and one image}.
    """
    # Each count is a polynomial of the second degree in the width.
    curves = np.polyfit(WIDTHS, _count_small(), 2)
    parameters, generator, discriminator = np.polyval(curves, ngf).round().tolist()
    return {
        "parameters": int(parameters),
        "step_gflop": 2 * (3 * generator + 7 * discriminator) / 1e9,
        "forward_gflop": 2 * generator / 1e9,
    }


@functools.cache
def _count_small():
    """Returns [(parameters, multiply-adds of G, of D), ...] for WIDTHS."""
    counts = []
    for width in WIDTHS:
        generator = plain.make_plain_generator(width, "float32")
        discriminator = plain.make_plain_discriminator(width, "float32")
        counts.append(
            (
                networks.count_parameters(generator, discriminator),
                _count_multiply_adds(generator),
                _count_multiply_adds(discriminator),
            )
        )
    return counts


def _count_multiply_adds(network):
    """Returns the multiply-adds of all convolutions in the forward pass of one image.

    Norms and activations add less than 1 %.
    """
    total = 0
    for layer in network.layers:
        if isinstance(layer, layers.Conv2DTranspose):  # each input pixel is spread
            pixels = math.prod(layer.input.shape[1:3])
        elif isinstance(layer, layers.Conv2D):
            pixels = math.prod(layer.output.shape[1:3])
        else:
            continue
        total += pixels * math.prod(layer.kernel.shape)
    return total
