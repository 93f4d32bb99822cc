"""Measures what grows with the number of images: listing, shuffling, reading, sharding.

    python benchmarks/many_images.py
    python benchmarks/many_images.py --count 100000 --work_dir /tmp/many

It makes a folder of so many empty files and a data set of so many small records (0.5 GB
for a million), has the project's own code list, open, shuffle and read them, and
removes them. Then it measures the input pipeline, and prints the plan: storage, cores,
hours and memory of a million and of a hundred million images, computed from what it
measured and from the flags. Times are seconds of a core (CPU time of all threads), so
other work on the machine changes them little.
"""

import argparse
import concurrent.futures
import json
import multiprocessing
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import psutil

import printing
import shared_flags
from pix2pix_tf.options import CROP_SIZE, DataConfig, PairConfig
from pix2pix_tf.runtime import command
from pix2pix_tf.runtime.start import start_tensorflow

PLANNED = (1_000_000, 100_000_000)  # images
NUM_READ = 20_000  # records, or indices, in a timed loop
NUM_SHARDS = 64  # of the data set of small records
NUM_DECODED = 300  # images in the timing of the input pipeline
BUFFERS = (1_000, 10_000, 100_000)  # records that are shuffled in memory
PLAN_COLUMNS = {
    "images": ("images", ",d"),
    "storage_gb": ("storage GB", ",.0f"),
    "shards": ("shards", ",d"),
    "list_cpu_s": ("list CPU s", ",.0f"),
    "list_gb": ("list GB", ",.2f"),
    "cpu_days": ("CPU days/epoch", ",.1f"),
    "gpu_hours": ("GPU hours/epoch", ",.2f"),
    "cores": ("cores/GPU", ",.1f"),
    "storage_cost": ("storage/month", ",.0f"),
    "epoch_cost": ("GPU/epoch", ",.0f"),
}


def main(argv=None) -> int:
    """Runs one command line; returns the exit status."""
    return command.run("many_images", lambda: _run(parse(argv)))


def parse(argv: list[str] | None = None) -> argparse.Namespace:
    """Returns the namespace of a command line; raises UsageError for a wrong one."""
    parser = command.Parser("many_images", __doc__)
    add, positive = parser.add_argument, shared_flags.positive
    add("--count", type=positive, default=1_000_000, help="images (default: 1000000)")
    add("--work_dir", metavar="FOLDER", help="where to make them (default: a new one)")
    text = "of one encoded pair of images, for the plan (default: 50)"
    add("--kilobytes", type=float, default=50, help=text)
    text = "of a training step on one image on the CPU (default: 1.0)"
    add("--cpu_step", type=float, default=1.0, metavar="SECONDS", help=text)
    text = "that the planned GPU computes in a second (default: 40)"
    add("--gpu_tflops", type=float, default=40, metavar="TFLOP", help=text)
    text = "of an hour of it (default: 2)"
    add("--gpu_price", type=float, default=2, metavar="PRICE", help=text)
    text = "of a GB of storage in a month (default: 0.02)"
    add("--storage_price", type=float, default=0.02, metavar="PRICE", help=text)
    shared_flags.add_json(parser)
    return parser.parse_args(argv)


def _run(given):
    start_tensorflow()
    import machine

    description = machine.describe(["float32"])
    printing.print_values(description)
    results = {"count": given.count}
    folder = Path(tempfile.mkdtemp(dir=given.work_dir, prefix="many-images-"))
    try:
        for measure in (measure_folder, measure_records):
            found = measure(folder, given.count)
            printing.print_values(found)
            results |= found
    finally:
        shutil.rmtree(folder)
    for found in (measure_shuffles(given.count), measure_one_core(given.kilobytes)):
        printing.print_values(found)
        results |= found
    results["plan"] = [plan(count, results, given) for count in PLANNED]
    print()
    printing.print_table(results["plan"], PLAN_COLUMNS)
    printing.write_json(given.json, {"machine": description, "results": results})


def measure_folder(folder: Path, count: int) -> dict:
    """Returns the time and memory of listing a folder of so many files.

    The files are empty: listing reads names only.
    """
    files = folder / "files"
    files.mkdir()
    for number in range(count):
        os.close(os.open(files / f"{number:09d}.jpg", os.O_CREAT))
    found = run_alone(_list_folder, str(files))
    shutil.rmtree(files)
    return found


def run_alone(function, *arguments):
    """Returns what a function returns in a process, and with memory, of its own."""
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(1, context) as pool:
        return pool.submit(function, *arguments).result()


def _list_folder(folder):
    """Lists a folder as training does, up to the first example's index."""
    start_tensorflow()
    from pix2pix_tf import data

    memory = psutil.Process().memory_info
    before, started = memory().rss, time.process_time()
    examples = data.find_examples(folder)
    listed, used = time.process_time(), memory().rss - before
    source = data.Source(data.Files(examples), (3,))
    source.fingerprint()
    hashed = time.process_time()
    next(iter(data.shuffled(len(source), 1, 0)))
    return {
        "folder_list_cpu_s": listed - started,
        "folder_bytes_per_image": used / len(source),
        "folder_hash_names_cpu_s": hashed - listed,
        "folder_first_index_cpu_s": time.process_time() - hashed,
    }


def measure_records(folder: Path, count: int) -> dict:
    """Returns the times of opening, and the rates of reading, so many records."""
    from pix2pix_tf import datasets

    found = {}
    for file_format in datasets.FILE_FORMATS:
        num_bytes = _write_records(folder / file_format, file_format, count)
        found[f"{file_format}_gb"] = num_bytes / 1e9
        read = run_alone(_read_records, folder / file_format, min(NUM_READ, count))
        found |= {f"{file_format}_{name}": value for name, value in read.items()}
        shutil.rmtree(folder / file_format)
    return found


def _write_records(home, file_format, count):
    """Writes equal small records as a prepared data set; returns their bytes."""
    import tensorflow as tf
    import tensorflow_datasets as tfds
    from array_record.python.array_record_module import ArrayRecordWriter

    folder = home / "pix2pix_folder/many/1.0.0"
    folder.mkdir(parents=True)
    features = tfds.features.FeaturesDict(
        {
            "image": tfds.features.Image(shape=(None, None, 3)),
            "name": tfds.features.Text(),
        }
    )
    example = tf.train.Example()
    png = tf.io.encode_png(tf.zeros([8, 16, 3], tf.uint8)).numpy()
    example.features.feature["image"].bytes_list.value.append(png)
    example.features.feature["name"].bytes_list.value.append(b"a")
    record, lengths, num_bytes = example.SerializeToString(), [], 0
    for shard in range(NUM_SHARDS):
        name = f"pix2pix_folder-train.{file_format}-{shard:05d}-of-{NUM_SHARDS:05d}"
        path = str(folder / name)
        if file_format == "array_record":
            writer = ArrayRecordWriter(path, "group_size:1")  # as TFDS writes them
        else:
            writer = tf.io.TFRecordWriter(path)
        first, end = (count * place // NUM_SHARDS for place in (shard, shard + 1))
        for _ in range(first, end):
            writer.write(record)
        writer.close()
        lengths.append(end - first)
        num_bytes += os.path.getsize(path)
    _describe_records(tfds, folder, file_format, features, lengths, num_bytes)
    return num_bytes


def _describe_records(tfds, folder, file_format, features, lengths, num_bytes):
    """Writes the files with which TFDS finds records."""
    template = tfds.core.ShardedFileTemplate(
        data_dir=folder,
        dataset_name="pix2pix_folder",
        split="train",
        filetype_suffix=file_format,
    )
    split = tfds.core.SplitInfo(
        name="train",
        shard_lengths=lengths,
        num_bytes=num_bytes,
        filename_template=template,
    )
    tfds.folder_dataset.write_metadata(
        data_dir=str(folder),
        features=features,
        split_infos=[split],
        filename_template=template.template,
        check_data=False,
    )
    path = folder / "dataset_info.json"
    info = json.loads(path.read_text()) | {"fileFormat": file_format}
    path.write_text(json.dumps(info))


def _read_records(home, num_read):
    """Opens a data set as training does, and reads some of its records, shuffled."""
    start_tensorflow()
    from pix2pix_tf import datasets
    from pix2pix_tf.datasets.source import Records

    memory = psutil.Process().memory_info
    started = time.process_time()
    builder = datasets.load("many", home)
    before = memory().rss
    store = Records(builder, "train", DataConfig(), num_images=1)
    opened = time.process_time()
    records = iter(store.shuffled(seed=1, position=0))
    next(records)
    first = time.process_time()
    for _ in range(num_read - 1):
        next(records)
    ended = time.process_time()
    return {
        "open_cpu_s": opened - started,
        "first_cpu_s": first - opened,
        "per_cpu_s": num_read / (ended - first),
        "mb": (memory().rss - before) / 1e6,
    }


def measure_shuffles(count: int) -> dict:
    """Returns how well orders mix: the spread of each, and the rate of the first."""
    import tensorflow as tf

    from pix2pix_tf import data

    started = time.process_time()
    indices = data.shuffled(count, 1, 0).map(lambda index, seed: index).batch(10_000)
    order = np.concatenate([*indices.take(-(-count // 10_000)).as_numpy_iterator()])
    found = {
        "indices_per_cpu_s": len(order) / (time.process_time() - started),
        "spread_of_indices": find_spread(order[:count]),
    }
    shards = np.array_split(np.arange(count), min(1024, count))
    mixed = np.random.default_rng(1).permutation(len(shards))
    by_shards = np.concatenate([shards[number] for number in mixed])
    for buffer in BUFFERS:
        for name, records in ("buffer", np.arange(count)), ("shards", by_shards):
            shuffled = tf.data.Dataset.from_tensor_slices(records).shuffle(buffer, 1)
            order = np.concatenate([*shuffled.batch(10_000).as_numpy_iterator()])
            found[f"spread_of_{name}_{buffer}"] = find_spread(order)
    return found


def find_spread(order: np.ndarray) -> float:
    """Returns how many hundredths of a set 1,000 examples in a row come from.

    It is 100 for a perfect shuffle, 1 for none: of a set that is sorted, by place or by
    time of day, 1,000 steps then show a hundredth only. It is the mean over the order.

    Args:
        order: int [count], the number of the example at each place.
    """
    hundredths = order * 100 // len(order)
    rows = [hundredths[start : start + 1000] for start in range(0, len(order), 1000)]
    return float(np.mean([len(np.unique(row)) for row in rows]))


def measure_one_core(kilobytes: float) -> dict:
    """Returns the pairs of 256x256 that a core prepares for training in a second."""
    return run_alone(_read_pairs, kilobytes)


def _read_pairs(kilobytes):
    """Times the input pipeline of JPEG pairs of about so many kilobytes each."""
    start_tensorflow()
    import tensorflow as tf

    from pix2pix_tf import data
    from pix2pix_tf.images.kinds import kind_of

    kind = kind_of(PairConfig())
    rng = np.random.default_rng(1)
    with tempfile.TemporaryDirectory() as folder:
        sizes = []
        for number in range(20):
            small = rng.uniform(0, 255, [64, 128, 3])
            image = tf.image.resize(small, [256, 512], "bicubic").numpy()
            image += rng.normal(0, kilobytes / 5, image.shape)
            image = tf.saturate_cast(image, tf.uint8)
            path = Path(folder, f"{number}.jpg")
            path.write_bytes(tf.io.encode_jpeg(image, quality=90).numpy())
            sizes.append(path.stat().st_size)
        source = data.Source(
            data.Files(data.find_examples(folder)), kind.image_channels
        )
        batches = iter(data.train_batches(source, kind, DataConfig(), CROP_SIZE, 1, 0))
        for _ in range(20):
            next(batches)
        started = time.process_time()
        for _ in range(NUM_DECODED):
            next(batches)
        seconds = time.process_time() - started
    return {
        "pair_kilobytes": np.mean(sizes) / 1000,
        "pairs_per_cpu_s": NUM_DECODED / seconds,
    }


def plan(count: int, results: dict, given: argparse.Namespace) -> dict:
    """Returns what a data set of so many images needs, computed from the results."""
    from tensorflow_datasets.core.utils import shard_utils

    import workload

    times = count / results["count"]
    num_bytes = count * given.kilobytes * 1000
    gpu_rate = given.gpu_tflops * 1000 / workload.count_work(64)["step_gflop"]
    gpu_hours = count / gpu_rate / 3600
    shards = shard_utils.ShardConfig.calculate_number_shards(int(num_bytes), count)
    return {
        "images": count,
        "storage_gb": num_bytes / 1e9,
        "shards": shards,
        "list_cpu_s": results["folder_list_cpu_s"] * times,
        "list_gb": results["folder_bytes_per_image"] * count / 1e9,
        "cpu_days": count * given.cpu_step / 86400,
        "gpu_hours": gpu_hours,
        "cores": gpu_rate / results["pairs_per_cpu_s"],
        "storage_cost": num_bytes / 1e9 * given.storage_price,
        "epoch_cost": gpu_hours * given.gpu_price,
    }


if __name__ == "__main__":
    sys.exit(main())
