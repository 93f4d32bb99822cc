"""How fast examples come, against how fast a train step takes them.

    python benchmarks/input_pipeline.py --input_dir facades/train

Prints the pipeline's images/s alone (reading, decoding, flip, scale, crop, batch), the
train step's at the same batch size, their ratio; memory after 2 epochs and at the end
of `--epochs`; and the time from a folder of `--num_files` generated files to the first
batch. Pipeline and step run in turn, and their rates are medians.
"""

import argparse
import functools
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # without an installation too

import psutil

from pix2pix_tf.runtime.start import start_tensorflow

start_tensorflow()
import tensorflow as tf

from benchmarks import timing
from pix2pix_tf import data
from pix2pix_tf.data import samples
from pix2pix_tf.images.kinds import kind_of
from pix2pix_tf.options import (
    CROP_SIZE,
    DataConfig,
    LossConfig,
    ModelConfig,
    PairConfig,
)
from pix2pix_tf.training import step

ROUNDS = 5  # pipeline and step in turn
STEPS = 4  # of a round
EXAMPLES = 200  # of a round
PAIR = PairConfig()
KIND = kind_of(PAIR)


def main():
    """Runs all measurements, prints them, and writes them where `--json` says."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--input_dir", help="of pairs (default: the sample facades)")
    parser.add_argument("--batch_size", type=int, default=1)
    parser.add_argument("--ngf", type=int, default=64)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--num_files", type=int, default=100_000)
    parser.add_argument("--json", metavar="FILE")
    given = parser.parse_args()
    machine = timing.describe_machine(["float32"])
    timing.print_machine(machine)
    flags = DataConfig(batch_size=given.batch_size)
    folder = given.input_dir or samples.sample_dir(False, "train")
    source = open_source(folder)
    results = {"files": len(source), "batch_size": given.batch_size, "ngf": given.ngf}
    results |= measure_rates(source, flags, given.ngf)
    results |= measure_memory(source, flags, given.epochs)
    results |= measure_start(given.num_files)
    for name, value in results.items():
        print(f"{name:<36}{value:>12.4g}")
    if given.json:
        timing.write_json(given.json, {"machine": machine, "results": results})


def open_source(folder):
    """Returns the source of a folder's pairs."""
    return data.Source(data.Files(data.find_examples(folder)), KIND.image_channels)


def make_batches(source, flags):
    """Returns training's Dataset at its defaults."""
    return data.train_batches(source, KIND, flags, CROP_SIZE, seed=1, position=0)


def measure_rates(source, flags, ngf):
    """Returns the rates of pipeline and step, in images a second, and their ratio."""
    loss = LossConfig()
    state = step.make_state(PAIR.channels, ModelConfig(ngf=ngf, ndf=ngf), loss)
    train_step = step.make_train_step(state, loss, seed=1)
    batches = iter(make_batches(source, flags))
    _, *tensors = next(batches)
    train_step(*tensors)  # compiles
    rates = {"pipeline": [], "step": []}
    for _ in range(ROUNDS):
        batches = iter(make_batches(source, flags))  # a fresh one has nothing ready
        next(batches)
        count = max(EXAMPLES // flags.batch_size, 1)
        rates["pipeline"].append(_rate(functools.partial(next, batches), count))
        del batches  # stops its threads
        rates["step"].append(
            _rate(
                lambda: float(train_step(*tensors).losses["generator_loss_L1"]), STEPS
            )
        )
    medians = {
        name: flags.batch_size * statistics.median(found)
        for name, found in rates.items()
    }
    return {
        "pipeline_images_per_s": medians["pipeline"],
        "step_images_per_s": medians["step"],
        "ratio": medians["pipeline"] / medians["step"],
    }


def _rate(function, count):
    """Returns calls a second."""
    started = time.perf_counter()
    for _ in range(count):
        function()
    return count / (time.perf_counter() - started)


def measure_memory(source, flags, epochs):
    """Returns the process's memory in MB after 2 epochs, and after the last."""
    found = {}
    steps_per_epoch = -(-len(source) // flags.batch_size)
    batches = iter(make_batches(source, flags))
    for epoch in range(1, epochs + 1):
        for _ in range(steps_per_epoch):
            next(batches)
        if epoch in (2, epochs):
            size = psutil.Process().memory_info().rss
            found[f"memory_mb_epoch_{epoch}"] = size / 1e6
    return found


def measure_start(num_files):
    """Returns the time from a folder of files to the first batch, in seconds."""
    pixels = tf.random.stateless_uniform([64, 128, 3], [1, 2], 0, 255, tf.int32)
    contents = tf.io.encode_jpeg(tf.cast(pixels, tf.uint8)).numpy()
    with tempfile.TemporaryDirectory() as folder:
        for number in range(num_files):
            Path(folder, f"{number}.jpg").write_bytes(contents)
        flags = DataConfig()
        started = time.perf_counter()
        source = open_source(folder)
        source.check()
        next(iter(make_batches(source, flags)))
        return {
            "start_files": num_files,
            "start_to_first_batch_s": time.perf_counter() - started,
        }


if __name__ == "__main__":
    main()
