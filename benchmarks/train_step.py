"""How long a training step takes: the project's, against a plain Keras one.

    python benchmarks/train_step.py

One whole step (both networks, losses, gradients, Adam, moving averages) on random
images of 256x256, in float32 and mixed_bfloat16, at batch 1 and 4. `plain` is plain.py,
the same model with Keras's own layers and optimizer; `project` is the package's step at
its defaults; `--peer torch` adds peer_torch.py. Each runs in a process of its own, in
turn (A B A B ...): the table has medians, the fastest and the slowest call, how often,

- ratio: plain float32's median at the same batch size over this one, so that 1.3 is
  1.3 times as fast;
- GFLOP/s: the convolutions' work (81 GFLOP an image at --ngf 64) over the median;
- of floor: the least time that this machine could need, which is that work at the rate
  of one large matrix product, and Adam's way through memory at the rate of one array
  pass (the best of both in between), over the median; 16 bits at the rate of 32 where
  that is higher;
- peak MB: of the process, so far (at several batch sizes: up to this one).

It takes under five minutes on two quiet cores, most of it plain in mixed_bfloat16 where
the processor has no bfloat16 instructions: what needs more than twice `--budget` is
called once, and compiles in that time. On a busy machine no figure counts.
"""

import argparse
import contextlib
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # without an installation too

from pix2pix_tf.runtime.start import start_tensorflow

start_tensorflow()
from benchmarks import timing

VARIANTS = ("plain", "project")
COLUMNS = {
    "variant": ("variant", ""),
    "precision": ("precision", ""),
    "batch_size": ("batch", "d"),
    "rounds": ("rounds", "d"),
    "median_s": ("median s", ".3f"),
    "min_s": ("min s", ".3f"),
    "max_s": ("max s", ".3f"),
    "images_per_s": ("images/s", ".2f"),
    "ratio_to_plain": ("ratio", ".2f"),
    "gflops": ("GFLOP/s", ".1f"),
    "share_of_floor": ("of floor", ".0%"),
    "peak_mb": ("peak MB", ".0f"),
}


def main(argv=None):
    """Runs all variants, prints the table, and writes it where `--json` says."""
    given = parse(argv)
    machine = timing.describe_machine(given.precision)
    timing.print_machine(machine)
    work = timing.count_work(given.ngf)
    print(f"parameters  {work['parameters']:,}")
    print(f"work        {work['step_gflop']:.1f} GFLOP an image", flush=True)
    samples, results = [timing.measure_rates()], []
    with contextlib.ExitStack() as stack:
        workers = [
            stack.enter_context(worker)
            for worker in start_workers(given, "step", VARIANTS)
        ]
        for batch_size in sorted(given.batch_size):
            times = timing.take_turns(workers, batch_size, given.rounds, given.budget)
            samples.append(timing.measure_rates())
            results += [
                timing.summarize(worker, batch_size, seconds)
                for worker, seconds in zip(workers, times, strict=True)
            ]
    rates = timing.best_rates(samples)
    timing.add_ratios(results)
    for result in results:
        add_floor(result, work, rates)
    for name, rate in rates.items():
        print(f"{name:<36}{rate:8.1f}")
    timing.print_table(results, COLUMNS)
    if given.json:
        contents = {"machine": machine, "ngf": given.ngf, "work": work, "rates": rates}
        timing.write_json(given.json, contents | {"results": results})


def parse(argv):
    """Returns the flags."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_flags(parser)
    parser.add_argument("--batch_size", type=int, nargs="+", default=[1, 4])
    given = parser.parse_args(argv)
    check_peer(given)
    return given


def add_flags(parser):
    """Adds the flags that the training step and inference share."""
    parser.add_argument("--ngf", type=int, default=64, help="filters of both networks")
    parser.add_argument(
        "--precision",
        nargs="+",
        choices=timing.PRECISIONS,
        default=list(timing.PRECISIONS),
    )
    parser.add_argument("--rounds", type=int, default=10, help="at most (10)")
    parser.add_argument(
        "--budget",
        type=float,
        default=8,
        metavar="SECONDS",
        help="of one variant at one batch size, after its first call; one round is "
        "done anyway (8)",
    )
    parser.add_argument("--json", metavar="FILE")
    parser.add_argument("--peer", choices=["torch"], help="time this one too")
    parser.add_argument(
        "--peer_python",
        default=sys.executable,
        metavar="PYTHON",
        help="the Python that has it (default: this one)",
    )


def check_peer(given):
    """Refuses a peer that is not installed, by one line and status 2."""
    if given.peer is None:
        return
    command = [given.peer_python, "-c", "import torch"]
    if subprocess.run(command, stderr=subprocess.DEVNULL).returncode:
        print(
            f"error: --peer torch needs PyTorch in {given.peer_python}: pip install "
            "'.[torch]', or give --peer_python",
            file=sys.stderr,
        )
        sys.exit(2)


def start_workers(given, task, variants):
    """Returns the Workers of these variants and the peer, of one precision together."""
    pythons = dict.fromkeys(variants, sys.executable)
    if given.peer:
        pythons[given.peer] = given.peer_python
    return [
        timing.Worker(task, variant, precision, given.ngf, python)
        for precision in given.precision
        for variant, python in pythons.items()
    ]


def add_floor(result, work, rates):
    """Adds the rate of arithmetic, and what share of the time could not be less."""
    gflop = work["step_gflop"] * result["batch_size"]
    arithmetic_s = gflop / timing.arithmetic_rate(rates, result["precision"])
    traffic = timing.ADAM_PASSES * timing.FLOAT_BYTES * work["parameters"]
    floor_s = arithmetic_s + traffic / 1e9 / rates["memory_gb_per_s"]
    result["gflops"] = gflop / result["median_s"]
    result["floor_s"] = floor_s
    result["share_of_floor"] = floor_s / result["median_s"]


if __name__ == "__main__":
    main()
