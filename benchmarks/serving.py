"""Times one model in each format in which it can be served, and its HTTP server.

    python benchmarks/serving.py
    python benchmarks/serving.py --model models/facades

Without --model it exports a model of random weights, with --ngf filters, as SavedModel,
ONNX and LiteRT. The first table has the seconds from the bytes of a 256x256 PNG to
those of the output: by the generator of the run, as test mode computes it, and by each
exported file, in turn (A B A B ...) in one process. The second has eight images in one
call of the SavedModel against eight calls. The third has `pix2pix-tf serve`, in a
process of its own, which serves the SavedModel: requests a second and latencies with
some clients at the same time, each with its own image.

Every answer is compared with the one that a client gets alone. The exit status is 1 if
one was lost or differs. A request that gets status 503 is sent again, and counted.
"""

import argparse
import contextlib
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

import clients
import printing
import shared_flags
import timing
from pix2pix_tf.options import OPTIONS_NAME, ModelConfig, read_options
from pix2pix_tf.runtime import command
from pix2pix_tf.runtime.errors import RunError, UsageError

SEED = 1
BATCH = 8
FORMAT_COLUMNS = {
    "name": ("model", ""),
    "median_s": ("median s", ".3f"),
    "min_s": ("min s", ".3f"),
    "max_s": ("max s", ".3f"),
    "ratio": ("ratio", ".2f"),
}


def main(argv: list[str] | None = None) -> int:
    """Runs one command line; returns the exit status."""
    return command.run("serving", lambda: _run(parse(argv)))


def parse(argv: list[str] | None = None) -> argparse.Namespace:
    """Returns the namespace of a command line; raises UsageError for a wrong one."""
    parser = command.Parser("serving", __doc__)
    parser.add_argument(
        "--model", type=Path, help="an export to time instead of random weights"
    )
    shared_flags.add_ngf(parser)
    add = parser.add_argument
    positive = shared_flags.positive
    add("--rounds", type=positive, default=10, help="calls of each (default: 10)")
    add("--clients", type=positive, nargs="+", default=[1, 2, 4, 8])
    add("--seconds", type=float, default=15.0, help="for each row (default: 15)")
    shared_flags.add_json(parser)
    given = parser.parse_args(argv)
    if not given.seconds > 0:
        raise UsageError(f"--seconds {given.seconds:g}: wanted more than 0")
    return given


def _run(given):
    from pix2pix_tf.runtime.start import start_tensorflow

    start_tensorflow()
    import machine
    from pix2pix_tf.inference import exported

    contents = {"machine": machine.describe(["float32"])}
    contents["machine"]["load"] = f"{os.getloadavg()[0]:.1f} in the minute before"
    printing.print_values(contents["machine"])
    with tempfile.TemporaryDirectory() as folder:
        path = given.model or _export(Path(folder), given.ngf)
        file = exported.find(path)
        if file is None:
            raise UsageError(f"--model {path}: no exported model is there")
        stored = read_options(file.parent / OPTIONS_NAME)
        contents["ngf"] = stored.get("ngf", ModelConfig.ngf)
        names = [name for name in exported.FILE_NAMES if (file.parent / name).exists()]
        paths = {name: file.parent / name for name in names}
        if not given.model:
            paths = {"run": Path(folder, "run")} | paths
        contents["formats"] = time_formats(paths, given.rounds)
        printing.print_table(contents["formats"], FORMAT_COLUMNS)
        if exported.SAVED_MODEL_NAME in names:
            contents["batch"] = time_batch(file.parent, given.rounds)
            printing.print_table(contents["batch"], FORMAT_COLUMNS)
        with clients.serving(path) as (url, process):
            rows = clients.time_clients(url, given.clients, given.seconds)
            contents["clients"] = rows
            contents["peak_mb"] = timing.read_peak_mb(process.pid)
    printing.print_table(rows, clients.COLUMNS)
    printing.print_values({"peak_mb": contents["peak_mb"]})
    printing.write_json(given.json, contents)
    return int(any(row["num_wrong"] for row in rows))


def _export(folder, ngf):
    """Exports random weights in all formats; returns the folder of the export."""
    from pix2pix_tf import checkpoints, train
    from pix2pix_tf.options import parse, write_options
    from variants import build_project

    run, export = folder / "run", folder / "random" / "1"
    flags = ["--mode", "train", "--output_dir", str(run)]
    options = parse([*flags, "--ngf", str(ngf), "--ndf", str(ngf)])
    write_options(options)
    checkpoints.save(build_project("float32", ngf), run, keep=1)
    flags = ["--mode", "export", "--checkpoint", str(run), "--output_dir", str(export)]
    for name in ("saved_model", "onnx", "litert"):
        with contextlib.redirect_stdout(sys.stderr):
            if train.main([*flags, "--no_dropout", "--export_format", name]):
                raise RunError(f"the export as {name} failed")
    return export


def time_formats(paths: dict[str, Path], rounds: int) -> list[dict]:
    """Returns a row of FORMAT_COLUMNS for each model {name: what `load` takes}."""
    import pix2pix_tf

    png = clients.make_png(SEED)
    models = {name: pix2pix_tf.load(path) for name, path in paths.items()}
    calls = {
        name: lambda model=model: model.translate_file(png)
        for name, model in models.items()
    }
    return _take_turns(calls, rounds)


def time_batch(folder: Path, rounds: int) -> list[dict]:
    """Returns two rows of FORMAT_COLUMNS: seconds an image, alone and of a batch."""
    import tensorflow as tf

    model = tf.saved_model.load(str(folder))  # must outlive its signature
    signature = model.signatures["serving_default"]
    images = tf.constant([clients.make_png(number) for number in range(BATCH)])

    def translate_singly():
        for image in images:
            signature(image_bytes=image[tf.newaxis])

    calls = {
        f"{BATCH} calls of 1 image": translate_singly,
        f"1 call of {BATCH} images": lambda: signature(image_bytes=images),
    }
    return _take_turns(calls, rounds, BATCH)


def _take_turns(calls, rounds, num_images=1):
    """Returns rows of FORMAT_COLUMNS of the functions {name: function}."""
    for call in calls.values():
        call()
    seconds = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            started = time.perf_counter()
            call()
            seconds[name].append((time.perf_counter() - started) / num_images)
    medians = {name: statistics.median(times) for name, times in seconds.items()}
    first = next(iter(medians.values()))
    return [
        {
            "name": name,
            "median_s": medians[name],
            "min_s": min(times),
            "max_s": max(times),
            "ratio": first / medians[name],
        }
        for name, times in seconds.items()
    ]


if __name__ == "__main__":
    sys.exit(main())
