"""Times a training step as batch, width, image size and threads change.

    python benchmarks/scaling.py --json scaling.json --plot docs/performance.png

Each case is the project's step at its defaults but for one setting, in a process of its
own, in float32 (or --precision). The tables have the median seconds of some calls after
a first one that compiles, images a second, the GFLOP/s of the convolutions, and the
peak memory of the process. It takes about eight minutes on two idle cores and up to
12 GB. Do not trust results from a busy machine.
"""

import argparse
import statistics
import sys

import printing
import shared_flags
import timing
from pix2pix_tf.runtime import command
from pix2pix_tf.runtime.start import start_tensorflow

DEFAULTS = {"batch_size": 1, "ngf": 64, "crop_size": 256, "threads": 0}
# {the setting that changes: its values}; the others are as in DEFAULTS.
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


def main(argv=None) -> int:
    """Runs one command line; returns the exit status."""
    return command.run("scaling", lambda: _run(parse(argv)))


def parse(argv: list[str] | None = None) -> argparse.Namespace:
    """Returns the namespace of a command line; raises UsageError for a wrong one."""
    parser = command.Parser("scaling", __doc__)
    add = parser.add_argument
    add(
        "--precision",
        choices=timing.PRECISIONS,
        default="float32",
        help="the number format (default: float32)",
    )
    add("--calls", type=shared_flags.positive, default=3, help="timed (default: 3)")
    add("--plot", metavar="FILE", help="draw time and memory to this PNG file")
    shared_flags.add_json(parser)
    return parser.parse_args(argv)


def _run(given):
    start_tensorflow()
    import machine

    description = machine.describe([given.precision])
    printing.print_values(description)
    series = {}
    for name, values in SERIES.items():
        print(f"\n{name}")
        series[name] = [measure(given, DEFAULTS | {name: value}) for value in values]
        printing.print_table(series[name], COLUMNS)
    printing.write_json(given.json, {"machine": description, "series": series})
    if given.plot:
        plot(series, given.plot)


def measure(given, case):
    """Returns a case, a dict like DEFAULTS, with its results."""
    import workload

    batch_size, ngf, crop_size = case["batch_size"], case["ngf"], case["crop_size"]
    with timing.Worker(
        "step",
        "project",
        given.precision,
        ngf,
        crop_size=crop_size,
        threads=case["threads"],
    ) as worker:
        worker.run(batch_size, 1)  # compiles
        median_s = statistics.median(worker.run(batch_size, given.calls))
    gflop = workload.count_work(ngf)["step_gflop"] * batch_size
    gflop *= (crop_size / 256) ** 2  # 1 % too little: the edges in the discriminator
    return case | {
        "median_s": median_s,
        "images_per_s": batch_size / median_s,
        "gflops": gflop / median_s,
        "peak_mb": worker.peak_mb,
    }


def plot(series, path):
    """Draws seconds a step and peak memory of each series."""
    from matplotlib.figure import Figure

    figure = Figure((12, 3.2), dpi=100, layout="tight")
    for axes, (name, rows) in zip(
        figure.subplots(1, len(series)), series.items(), strict=True
    ):
        places = [str(row[name]) for row in rows]
        axes.plot(places, [row["median_s"] for row in rows], "o-")
        axes.set(xlabel=name, ylabel="seconds a step", ylim=(0, None))
        axes.yaxis.label.set_color("tab:blue")
        memory = axes.twinx()
        gigabytes = [(row["peak_mb"] or 0) / 1000 for row in rows]
        memory.plot(places, gigabytes, "s--", color="tab:orange")
        memory.set(ylabel="peak memory, GB", ylim=(0, None))
        memory.yaxis.label.set_color("tab:orange")
    figure.savefig(path, format="png")


if __name__ == "__main__":
    sys.exit(main())
