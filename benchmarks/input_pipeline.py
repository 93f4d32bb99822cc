"""Times how fast training examples are read, against how fast a step takes them.

    python benchmarks/input_pipeline.py --input_dir facades/train

It prints how many images one core reads in a second: decoding alone, the whole input
pipeline (reading, decoding, flip, scale, crop, batch), and the pipeline with `--cache`;
the images a second of the pipeline and of the training step at the same batch size, and
their ratio; the memory of the process after 2 epochs and after the last one; and the
time from a folder of many files to the first batch. What is compared runs in turn, and
rates are medians.
"""

import argparse
import collections
import functools
import itertools
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
    sides,
)
from pix2pix_tf.runtime import command
from pix2pix_tf.runtime.start import start_tensorflow

ROUNDS = 5  # of pipeline and step in turn
STEPS = 4  # in a round
EXAMPLES = 200  # in a round
CORE_ROUNDS = 3  # of decoding and of pipelines in turn
SECONDS = 2.0  # in which the images of one core are counted


def main(argv=None) -> int:
    """Runs one command line; returns the exit status."""
    return command.run("input_pipeline", lambda: _run(parse(argv)))


def parse(argv: list[str] | None = None) -> argparse.Namespace:
    """Returns the namespace of a command line; raises UsageError for a wrong one."""
    parser = command.Parser("input_pipeline", __doc__)
    add, positive = parser.add_argument, shared_flags.positive
    add("--input_dir", metavar="FOLDER", help="image pairs (default: the sample data)")
    add("--lab_colorization", action="store_true", help="the images are photographs")
    add(
        "--preprocess",
        choices=["resize_and_crop", "crop"],
        default="resize_and_crop",
        help="(default: resize_and_crop)",
    )
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
    config = DataConfig(batch_size=given.batch_size, preprocess=given.preprocess)
    pair = PairConfig(given.lab_colorization)
    folder = given.input_dir or samples.sample_dir(given.lab_colorization, "train")
    source = _open(folder, pair, config)
    results = {"files": len(source), "batch_size": given.batch_size, "ngf": given.ngf}
    results |= measure_cores(folder, pair, config)
    results |= measure_rates(source, pair, config, given.ngf)
    results |= measure_memory(source, pair, config, given.epochs)
    results |= measure_start(given.num_files)
    printing.print_values(results)
    printing.write_json(given.json, {"machine": description, "results": results})


def _open(folder, pair, config, cache=None):
    """Returns the Source of a folder, all files checked, and kept in the cache."""
    from pix2pix_tf import data
    from pix2pix_tf.images.kinds import kind_of

    window = sides(CROP_SIZE) if config.preprocess == "crop" else None
    files = data.Files(data.find_examples(folder), window, cache)
    source = data.Source(files, kind_of(pair).image_channels)
    source.check()
    return source


def _make_batches(source, pair, config):
    """Returns an iterator of training's batches at the default flags."""
    from pix2pix_tf import data
    from pix2pix_tf.images.kinds import kind_of

    kind = kind_of(pair)
    return iter(data.train_batches(source, kind, config, CROP_SIZE, seed=1, position=0))


def measure_cores(folder, pair, config):
    """Returns the images that one core reads in a second, and shares of decoding alone.

    Rates are counted by processor time, so that other threads and processes matter
    little; each is the median of rounds in turn.
    """
    from pix2pix_tf import data

    examples = data.find_examples(folder)[:EXAMPLES]
    contents = [[path.read_bytes() for path in one.paths] for one in examples]
    endless = itertools.cycle(contents)
    found = collections.defaultdict(list)
    with tempfile.TemporaryDirectory() as kept:
        places = {"": None, "_cache_memory": "memory", "_cache_folder": kept}
        sources = {
            name: _open(folder, pair, config, place and data.Cache(place))
            for name, place in places.items()
        }
        for _ in range(CORE_ROUNDS):
            rate = _calls_per_cpu_s(lambda: list(map(_decode, next(endless))))
            found["decode"].append(rate)
            for name, source in sources.items():
                batches = _make_batches(source, pair, config)
                rate = _calls_per_cpu_s(functools.partial(next, batches))
                found[f"pipeline{name}"].append(config.batch_size * rate)
                del batches  # stops its threads
    medians = {name: statistics.median(values) for name, values in found.items()}
    per_core = {f"{name}_images_per_s_of_a_core": one for name, one in medians.items()}
    shares = {
        f"{name}_share_of_decode": one / medians["decode"]
        for name, one in medians.items()
        if name != "decode"
    }
    return per_core | shares


def _decode(contents):
    """Decodes a file's bytes, and does nothing else."""
    import tensorflow as tf

    from pix2pix_tf.images import codecs, pixels

    if contents.startswith(b"\xff\xd8"):
        return pixels.decode_jpeg(contents)
    if contents.startswith(pixels.PNG_MAGIC):
        return tf.io.decode_png(contents)
    return codecs.decode(contents)


def _calls_per_cpu_s(function):
    """Returns how many calls of a function take a second of processor time."""
    function()
    count, started, cpu_started = 0, time.perf_counter(), time.process_time()
    while time.perf_counter() < started + SECONDS:
        function()
        count += 1
    return count / (time.process_time() - cpu_started)


def measure_rates(source, pair, config, ngf):
    """Returns the images a second of the pipeline and of the step, and their ratio."""
    from pix2pix_tf.training import step

    loss = LossConfig()
    state = step.make_state(pair.channels, ModelConfig(ngf=ngf, ndf=ngf), loss)
    train_step = step.make_train_step(state, loss, seed=1)
    _, *tensors = next(_make_batches(source, pair, config))

    def train():
        return float(train_step(*tensors).losses["generator_loss_L1"])  # waits for it

    train()  # compiles
    rates = {"pipeline": [], "step": []}
    for _ in range(ROUNDS):
        batches = _make_batches(source, pair, config)  # a new one has no batches ready
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


def measure_memory(source, pair, config, epochs):
    """Returns the memory of this process in MB, after 2 epochs and after the last."""
    found = {}
    steps_per_epoch = -(-len(source) // config.batch_size)
    batches = _make_batches(source, pair, config)
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
        pair, config = PairConfig(), DataConfig()
        started = time.perf_counter()
        next(_make_batches(_open(folder, pair, config), pair, config))
        return {
            "start_files": num_files,
            "start_to_first_batch_s": time.perf_counter() - started,
        }


if __name__ == "__main__":
    sys.exit(main())
