"""How long the generator takes for one picture: the project's, against plain Keras.

    python benchmarks/inference.py
    python benchmarks/inference.py --test_mode runs/facades facades/test

One forward pass at batch 1 on a random 256x256 image, in float32 and mixed_bfloat16:
`plain` is plain.py's generator in a `tf.function`; `project` is the core of test mode
(keyed dropout, then the network); `exported` is the signature `generate` of a
SavedModel; `--peer torch` adds peer_torch.py's generator. Each runs in a process of its
own, in turn (A B A B ...), a few calls each time; the table is train_step.py's, but the
floor has the arithmetic alone.

`--test_mode CHECKPOINT DIR` also runs `--mode test` on that folder, at the checkpoint's
own --ngf, which replaces the flag, and says which share of its time is the network's:
network_share as test mode timed it, while reading, writing and measuring went on beside
it, and network_alone_share by the median above, of `project` alone. Its first line
comes when some pictures wait to be written, and the last ones' lines come together: DIR
must have 24 pictures or more.
"""

import argparse
import contextlib
import statistics
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # without an installation too

from pix2pix_tf.runtime.start import start_tensorflow

start_tensorflow()
from benchmarks import commands, timing
from benchmarks.train_step import COLUMNS, add_flags, check_peer, start_workers
from pix2pix_tf.inference.evaluate import MAX_WAITING
from pix2pix_tf.options import OPTIONS_NAME, read_options

CALLS = 5  # of a round
MIN_PICTURES = 3 * MAX_WAITING  # of test mode
VARIANTS = ("plain", "project", "exported")


def main(argv=None):
    """Runs all variants, prints the table, and writes it where `--json` says."""
    given = parse(argv)
    if given.test_mode:
        options = Path(given.test_mode[0], OPTIONS_NAME)
        given.ngf = read_options(options)["ngf"]
    machine = timing.describe_machine(given.precision)
    timing.print_machine(machine)
    work = timing.count_work(given.ngf)
    print(f"work        {work['forward_gflop']:.1f} GFLOP", flush=True)
    rates = timing.measure_rates()
    with contextlib.ExitStack() as stack:
        workers = [
            stack.enter_context(worker)
            for worker in start_workers(given, "forward", VARIANTS)
        ]
        times = timing.take_turns(workers, 1, given.rounds, given.budget, CALLS)
        results = [
            timing.summarize(worker, 1, seconds, CALLS)
            for worker, seconds in zip(workers, times, strict=True)
        ]
    rates = timing.best_rates([rates, timing.measure_rates()])
    timing.add_ratios(results)
    for result in results:
        result["gflops"] = work["forward_gflop"] / result["median_s"]
        rate = timing.arithmetic_rate(rates, result["precision"])
        result["share_of_floor"] = result["gflops"] / rate
    for name, rate in rates.items():
        print(f"{name:<36}{rate:8.1f}")
    timing.print_table(results, COLUMNS)
    contents = {"machine": machine, "ngf": given.ngf, "work": work, "rates": rates}
    contents["results"] = results
    if given.test_mode:
        contents["test_mode"] = measure_test_mode(*given.test_mode, results)
        for name, value in contents["test_mode"].items():
            print(f"{name:<36}{value:8.3f}")
    if given.json:
        timing.write_json(given.json, contents)


def parse(argv):
    """Returns the flags."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_flags(parser)
    parser.add_argument(
        "--test_mode",
        nargs=2,
        metavar=("CHECKPOINT", "DIR"),
        help="measure test mode too, of this checkpoint on these pictures",
    )
    given = parser.parse_args(argv)
    check_peer(given)
    if given.test_mode and "float32" not in given.precision:
        parser.error("--test_mode runs in float32: leave --precision out")
    return given


def measure_test_mode(checkpoint, input_dir, results):
    """Returns seconds a picture of `--mode test`, and the network's share of them."""
    with tempfile.TemporaryDirectory() as folder:
        flags = ["--mode", "test", "--checkpoint", checkpoint, "--input_dir", input_dir]
        run = commands.run_command([*flags, "--output_dir", folder])
    stamps = [second for second, line in run.lines if line.startswith("evaluated")]
    if len(stamps) < MIN_PICTURES:
        sys.exit(
            f"inference: error: {input_dir} has {len(stamps)} pictures: give "
            f"{MIN_PICTURES} or more"
        )
    steady = stamps[1:-MAX_WAITING]
    steps = zip(steady, steady[1:], strict=False)
    picture_s = statistics.median(after - before for before, after in steps)
    network_s = next(
        result["median_s"]
        for result in results
        if (result["variant"], result["precision"]) == ("project", "float32")
    )
    percent = next(
        line.split()[1] for _, line in run.lines if line.startswith("network")
    )
    return {
        "test_mode_picture_s": picture_s,
        "network_s": network_s,
        "network_share": float(percent.rstrip("%")) / 100,
        "network_alone_share": network_s / picture_s,
        "test_mode_first_line_s": stamps[0],
        "test_mode_peak_mb": run.peak_mb,
    }


if __name__ == "__main__":
    main()
