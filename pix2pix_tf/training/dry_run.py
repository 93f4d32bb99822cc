"""`--dry_run`: shows the examples, the networks and their memory, without training."""

import dataclasses
import math
from pathlib import Path

import psutil
import tensorflow as tf

from pix2pix_tf import data, networks
from pix2pix_tf.images import kinds, pixels
from pix2pix_tf.options import Options, make_size, sides
from pix2pix_tf.runtime import files, messages
from pix2pix_tf.training import faults, validation
from pix2pix_tf.training.step import make_state

MAX_ROWS = 4  # of the grid
MAX_SIZES = 10  # that are listed
GRID_NAME = "dry_run.png"
FLOAT_BYTES = 4
# Of TensorFlow with a compiled step, measured on Linux without a GPU.
PROGRAM_BYTES = 0.7e9


def dry_run(options: Options, source: data.Source) -> None:
    """Prints what a run would train, and writes `dry_run.png` to its output folder.

    Raises:
        UsageError: an example, or `--val_dir`, cannot be read.
    """
    print(f"examples count = {len(source)}")
    for size, count in source.count_sizes().most_common(MAX_SIZES):
        print(f"  {count} images of {size}")
    if options.validation.val_dir:
        print(f"validation examples count = {len(validation.open_source(options))}")
    path = _write_grid(options, source)
    print(f"wrote {path}: inputs on the left, targets on the right, as trained on")
    model = options.model
    if not options.data.has_window:
        sizes = data.padded_sizes(source, options.data, model.crop_size, model.multiple)
        largest = make_size(*max(sizes, key=math.prod))
        model = dataclasses.replace(model, crop_size=largest)
        height, width = sides(largest)
        print(f"of the largest images, {width}x{height} with their padding:")
    state = make_state(options.pair.channels, model, options.loss, options.optimizer)
    trained = [network for network, _ in state.trained]
    for network in trained:
        print()
        _print_layers(network)
    print()
    if state.discriminator is not None:
        print(networks.describe_discriminator(model))
    print(f"parameter_count = {networks.count_parameters(*trained)}")
    _print_memory(trained, options)


def _write_grid(options, source):
    """Writes the first training examples as an image grid, and returns its path."""
    kind = kinds.kind_of(options.pair)
    batches = data.train_batches(
        source,
        kind,
        options.data,
        options.model.crop_size,
        options.run.seed,
        0,
        options.model.multiple,
    )
    batches = batches.take(math.ceil(MAX_ROWS / options.data.batch_size))
    rows = []
    for _, inputs, targets in data.iterate(batches, source):
        images = kinds.to_images(kind, inputs, targets, targets)
        rows += list(tf.concat([images["inputs"], images["targets"]], axis=2))
    output_dir = Path(options.run.output_dir)
    output_dir.mkdir(parents=True, exist_ok=True)
    path = output_dir / GRID_NAME
    # Whole images may differ in size: those of the first one's.
    rows = [row for row in rows if row.shape == rows[0].shape]
    grid = tf.concat(rows[:MAX_ROWS], axis=0)
    files.write_whole(path, pixels.encode(grid, "png").numpy())
    return path


def _print_layers(network):
    """Prints name, output shape and parameter count of the layers with weights."""
    print(f"{network.name:<36}{'output':>22}{'parameters':>14}")
    for layer in network.layers:
        if layer.weights:
            shape = "x".join(map(str, layer.output.shape[1:]))
            count = sum(math.prod(v.shape) for v in layer.trainable_variables)
            print(f"{layer.name:<36}{shape:>22}{count:>14,}")


def _print_memory(trained, options):
    """Prints the memory that training will need, and warns if the machine has less."""
    num_activations = options.data.batch_size * sum(
        math.prod(layer.output.shape[1:])
        for network in trained
        for layer in network.layers
    )
    sizes = {
        # Weights and gradients, and Adam's momentums and velocities.
        "weights, gradients and Adam": 4 * networks.count_parameters(*trained),
        "activations": 2 * num_activations,  # and their gradients
    }
    if options.validation.val_dir:  # a second generator, and its frozen kernels
        sizes["validation"] = 2 * networks.count_parameters(trained[0])
    sizes = {name: FLOAT_BYTES * size for name, size in sizes.items()}
    total = sum(sizes.values()) + PROGRAM_BYTES
    parts = [f"{size / 1e9:.2f} {name}" for name, size in sizes.items()]
    print(
        f"expected memory: about {total / 1e9:.1f} GB ({', '.join(parts)}, "
        f"{PROGRAM_BYTES / 1e9:.1f} TensorFlow)"
    )
    machine = psutil.virtual_memory().total
    if total > machine and not tf.config.list_logical_devices("GPU"):
        messages.warn(
            f"this machine has {machine / 1e9:.1f} GB, so training will end "
            f"for lack of memory: lower {faults.memory_flags(options)}"
        )
