"""How the cost of a training step grows: with batch, width, size, and fewer threads.

    python benchmarks/scaling.py --json scaling.json --plot docs/performance.png

The project's step at its defaults but for one thing at a time, each in a process of its
own, in float32 (or as `--precision` says): median seconds of some calls after one that
compiles, images a second, the convolutions' GFLOP/s, and the process's peak memory. It
takes about eight minutes on two quiet cores, and up to 12 GB. On a busy machine no
figure counts.
"""

import argparse
import statistics
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # without an installation too

from pix2pix_tf.runtime.start import start_tensorflow

start_tensorflow()
from benchmarks import timing

DEFAULTS = {"batch_size": 1, "ngf": 64, "crop_size": 256, "threads": 0}
# {what grows: its values}; all else is as in DEFAULTS.
SERIES = {
    "batch_size": [1, 2, 4, 8, 16],
    "ngf": [16, 32, 64, 128],
    "crop_size": [256, 512],
    "threads": [1, 2],
}
COLUMNS = {
    "batch_size": ("batch", "d"),
    "ngf": ("ngf", "d"),
    "crop_size": ("crop", "d"),
    "threads": ("threads", "d"),
    "median_s": ("median s", ".3f"),
    "images_per_s": ("images/s", ".2f"),
    "gflops": ("GFLOP/s", ".1f"),
    "peak_mb": ("peak MB", ".0f"),
}


def main(argv=None):
    """Runs all series, prints the tables, and writes what is asked for."""
    given = parse(argv)
    machine = timing.describe_machine([given.precision])
    timing.print_machine(machine)
    found = {}
    for name, values in SERIES.items():
        print(f"\n{name}")
        found[name] = [measure(given, DEFAULTS | {name: value}) for value in values]
        timing.print_table(found[name], COLUMNS)
    if given.json:
        timing.write_json(given.json, {"machine": machine, "series": found})
    if given.plot:
        plot(found, given.plot)


def parse(argv):
    """Returns the flags."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--precision", choices=timing.PRECISIONS, default=timing.PRECISIONS[0]
    )
    parser.add_argument("--calls", type=int, default=3, help="of each (3)")
    parser.add_argument("--json", metavar="FILE")
    parser.add_argument("--plot", metavar="FILE", help="a PNG of two curves a series")
    return parser.parse_args(argv)


def measure(given, case):
    """Returns the figures of one case, like DEFAULTS, with the case itself."""
    batch_size = case["batch_size"]
    with timing.Worker(
        "step",
        "project",
        given.precision,
        case["ngf"],
        crop_size=case["crop_size"],
        threads=case["threads"],
    ) as worker:
        worker.run(batch_size, 1)  # compiles
        median_s = statistics.median(worker.run(batch_size, given.calls))
    work = timing.count_work(case["ngf"])["step_gflop"] * batch_size
    work *= (case["crop_size"] / 256) ** 2  # 1 % more: the discriminator's edges
    return case | {
        "median_s": median_s,
        "images_per_s": batch_size / median_s,
        "gflops": work / median_s,
        "peak_mb": worker.peak_mb,
    }


def plot(found, path):
    """Draws each series: seconds a step and peak memory."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    figure, panels = plt.subplots(1, len(found), figsize=(12, 3.2))
    for panel, (name, rows) in zip(panels, found.items(), strict=True):
        places = [str(row[name]) for row in rows]
        panel.plot(places, [row["median_s"] for row in rows], "o-")
        panel.set(xlabel=name, ylabel="seconds a step", ylim=(0, None))
        memory = panel.twinx()
        gigabytes = [row["peak_mb"] / 1000 for row in rows]
        memory.plot(places, gigabytes, "s--", color="tab:orange")
        memory.set(ylabel="peak memory, GB", ylim=(0, None))
        panel.yaxis.label.set_color("tab:blue")
        memory.yaxis.label.set_color("tab:orange")
    figure.tight_layout()
    figure.savefig(path, dpi=100)
    plt.close(figure)


if __name__ == "__main__":
    main()
