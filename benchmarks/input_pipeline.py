"""Times how fast training examples are read, against how fast a step takes them.

    python benchmarks/input_pipeline.py --input_dir facades/train

It prints the images a second of the input pipeline alone (reading, decoding, flip,
scale, crop, batch) and of the training step at the same batch size, and their ratio;
the memory of the process after 2 epochs and after the last one; and the time from a
folder of many files to the first batch. Pipeline and step run in turn, and their rates
are medians.
"""

import argparse
import functools
import statistics
import sys
import tempfile
import time
from pathlib import Path

import psutil

import printing
import shared_flags
from pix2pix_tf.options import (
    CROP_SIZE,
    DataConfig,
    LossConfig,
    ModelConfig,
    PairConfig,
)
from pix2pix_tf.runtime import command
from pix2pix_tf.runtime.start import start_tensorflow

ROUNDS = 5  # of pipeline and step in turn
STEPS = 4  # in a round
EXAMPLES = 200  # in a round
PAIR = PairConfig()


def main(argv=None) -> int:
    """Runs one command line; returns the exit status."""
    return command.run("input_pipeline", lambda: _run(parse(argv)))


def parse(argv: list[str] | None = None) -> argparse.Namespace:
    """Returns the namespace of a command line; raises UsageError for a wrong one."""
    parser = command.Parser("input_pipeline", __doc__)
    add, positive = parser.add_argument, shared_flags.positive
    add("--input_dir", metavar="FOLDER", help="image pairs (default: the sample data)")
    add("--batch_size", type=positive, default=1, help="(default: 1)")
    shared_flags.add_ngf(parser)
    add("--epochs", type=positive, default=20, help="for the memory (default: 20)")
    add(
        "--num_files",
        type=positive,
        default=100_000,
        help="files in the folder for the time to the first batch (default: 100000)",
    )
    shared_flags.add_json(parser)
    return parser.parse_args(argv)


def _run(given):
    start_tensorflow()
    import machine
    from pix2pix_tf.data import samples

    description = machine.describe(["float32"])
    printing.print_values(description)
    config = DataConfig(batch_size=given.batch_size)
    source = _open(given.input_dir or samples.sample_dir(False, "train"), config)
    results = {"files": len(source), "batch_size": given.batch_size, "ngf": given.ngf}
    results |= measure_rates(source, config, given.ngf)
    results |= measure_memory(source, config, given.epochs)
    results |= measure_start(given.num_files)
    printing.print_values(results)
    printing.write_json(given.json, {"machine": description, "results": results})


def _open(folder, config):
    """Returns the Source of a folder, all files checked."""
    from pix2pix_tf import data
    from pix2pix_tf.images.kinds import kind_of

    files = data.Files(data.find_examples(folder))
    source = data.Source(files, kind_of(PAIR).image_channels, config.on_bad_image)
    source.check()
    return source


def _make_batches(source, config):
    """Returns an iterator of training's batches at the default flags."""
    from pix2pix_tf import data
    from pix2pix_tf.images.kinds import kind_of

    kind = kind_of(PAIR)
    return iter(data.train_batches(source, kind, config, CROP_SIZE, seed=1, position=0))


def measure_rates(source, config, ngf):
    """Returns the images a second of the pipeline and of the step, and their ratio."""
    from pix2pix_tf.training import step

    loss = LossConfig()
    state = step.make_state(PAIR.channels, ModelConfig(ngf=ngf, ndf=ngf), loss)
    train_step = step.make_train_step(state, loss, seed=1)
    _, *tensors = next(_make_batches(source, config))

    def train():
        return float(train_step(*tensors).losses["generator_loss_L1"])  # waits for it

    train()  # compiles
    rates = {"pipeline": [], "step": []}
    for _ in range(ROUNDS):
        batches = _make_batches(source, config)  # a new one has no batches ready
        next(batches)
        count = max(EXAMPLES // config.batch_size, 1)
        rates["pipeline"].append(_calls_per_s(functools.partial(next, batches), count))
        del batches  # stops its threads
        rates["step"].append(_calls_per_s(train, STEPS))
    pipeline, train_rate = (
        config.batch_size * statistics.median(found) for found in rates.values()
    )
    return {
        "pipeline_images_per_s": pipeline,
        "step_images_per_s": train_rate,
        "ratio": pipeline / train_rate,
    }


def _calls_per_s(function, count):
    """Returns how many calls of a function are done in a second."""
    started = time.perf_counter()
    for _ in range(count):
        function()
    return count / (time.perf_counter() - started)


def measure_memory(source, config, epochs):
    """Returns the memory of this process in MB, after 2 epochs and after the last."""
    found = {}
    steps_per_epoch = -(-len(source) // config.batch_size)
    batches = _make_batches(source, config)
    for epoch in range(1, epochs + 1):
        for _ in range(steps_per_epoch):
            next(batches)
        if epoch in (2, epochs):
            memory_mb = psutil.Process().memory_info().rss / 1e6
            found[f"memory_mb_epoch_{epoch}"] = memory_mb
    return found


def measure_start(num_files):
    """Returns the seconds from a folder of so many JPEG files to the first batch."""
    import tensorflow as tf

    pixels = tf.random.stateless_uniform([64, 128, 3], [1, 2], 0, 255, tf.int32)
    contents = tf.io.encode_jpeg(tf.cast(pixels, tf.uint8)).numpy()
    with tempfile.TemporaryDirectory() as folder:
        for number in range(num_files):
            Path(folder, f"{number}.jpg").write_bytes(contents)
        config = DataConfig()
        started = time.perf_counter()
        next(_make_batches(_open(folder, config), config))
        return {
            "start_files": num_files,
            "start_to_first_batch_s": time.perf_counter() - started,
        }


if __name__ == "__main__":
    sys.exit(main())
