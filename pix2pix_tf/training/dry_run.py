"""`--dry_run`: what would be trained on what, without a step.

It shows counts, sizes, one grid of examples, the networks, and the memory they need.
"""

import math
from pathlib import Path

import psutil
import tensorflow as tf

from pix2pix_tf import data, networks
from pix2pix_tf.images import kinds, pixels
from pix2pix_tf.runtime import files
from pix2pix_tf.training import faults, validation
from pix2pix_tf.training.step import make_state

MAX_ROWS = 4  # of the grid
MAX_KINDS = 10  # of sizes, that are listed
PICTURE_NAME = "dry_run.png"
FLOAT_BYTES = 4
# Of TensorFlow itself, once its step is compiled; measured on Linux without a GPU.
PROGRAM_BYTES = 0.7e9


def dry_run(options, source):
    """Prints what a run would do, and writes `dry_run.png` to its output folder.

    Args:
        options: Options.
        source: data.Source.

    Raises:
        UsageError: an example, or `--val_dir`, cannot be read.
    """
    print(f"examples count = {len(source)}")
    for size, count in source.count_sizes().most_common(MAX_KINDS):
        print(f"  {count} images of {size}")
    if options.validation.val_dir:
        print(f"validation examples count = {len(validation.open_source(options))}")
    path = _write_grid(options, source)
    print(f"wrote {path}: inputs on the left, targets on the right, as trained on")
    state = make_state(
        options.pair.channels, options.model, options.loss, options.optimizer
    )
    for network, _ in state.trained:
        print()
        _print_layers(network)
    print()
    if state.discriminator is not None:
        print(networks.describe_discriminator(options.model))
    all_networks = [network for network, _ in state.trained]
    print(f"parameter_count = {networks.count_parameters(*all_networks)}")
    _print_memory(state, options)


def _write_grid(options, source):
    """Writes the first examples of training, flipped and cropped; returns the path."""
    kind = kinds.kind_of(options.pair)
    batches = data.train_batches(
        source, kind, options.data, options.model.crop_size, options.run.seed, 0
    )
    batches = batches.take(math.ceil(MAX_ROWS / options.data.batch_size))
    rows = []
    for _, inputs, targets in data.iterate(batches, source):
        images = kinds.to_images(kind, inputs, targets, targets)
        rows += list(tf.concat([images["inputs"], images["targets"]], axis=2))
    output_dir = Path(options.run.output_dir)
    output_dir.mkdir(parents=True, exist_ok=True)
    path = output_dir / PICTURE_NAME
    grid = tf.concat(rows[:MAX_ROWS], axis=0)
    files.write_whole(path, pixels.encode(grid, "png").numpy())
    return path


def _print_layers(network):
    """Prints the layers that have parameters: name, output shape, count."""
    print(f"{network.name:<36}{'output':>22}{'parameters':>14}")
    for layer in network.layers:
        if layer.weights:
            shape = "x".join(map(str, layer.output.shape[1:]))
            count = sum(math.prod(v.shape) for v in layer.trainable_variables)
            print(f"{layer.name:<36}{shape:>22}{count:>14,}")


def _print_memory(state, options):
    """Prints what a run will hold, by its kinds."""
    all_networks = [network for network, _ in state.trained]
    parameters = networks.count_parameters(*all_networks)
    weights = 4 * FLOAT_BYTES * parameters  # values, gradients, two of Adam
    numbers = sum(
        math.prod(layer.output.shape[1:])
        for network in all_networks
        for layer in network.layers
    )
    numbers *= options.data.batch_size
    activations = 2 * FLOAT_BYTES * numbers  # and their gradients
    kinds = {"weights, gradients and Adam": weights, "activations": activations}
    if options.validation.val_dir:  # its own generator's values and frozen kernels
        parameters = networks.count_parameters(state.generator)
        kinds["validation"] = 2 * FLOAT_BYTES * parameters
    total = sum(kinds.values()) + PROGRAM_BYTES
    parts = [f"{size / 1e9:.2f} {kind}" for kind, size in kinds.items()]
    print(
        f"expected memory: about {total / 1e9:.1f} GB ({', '.join(parts)}, "
        f"{PROGRAM_BYTES / 1e9:.1f} TensorFlow)"
    )
    machine = psutil.virtual_memory().total
    if total > machine and not tf.config.list_logical_devices("GPU"):
        print(
            f"warning: this machine has {machine / 1e9:.1f} GB, so training will end "
            f"for lack of memory: lower {faults.memory_flags(options)}"
        )
