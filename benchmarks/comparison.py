"""Compares variants of one task: their times, and the least time that is possible."""

import contextlib
import sys

import printing
import timing
from pix2pix_tf.runtime.start import start_tensorflow

ADAM_PASSES = 7  # it reads gradient, weight and two moments, and writes the last three
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


def compare(given, task, variants, batch_sizes, calls=1):
    """Times the variants in turn and prints the table.

    Args:
        given: the flags that `shared_flags.add_comparison` adds.
        task: "step" or "forward".
        variants: list of str; --peer adds one.
        batch_sizes: list of int.
        calls: int, calls in a round.

    Returns:
        dict, the contents of --json.
    """
    start_tensorflow()
    import machine
    import workload

    description = machine.describe(given.precision)
    printing.print_values(description)
    counts = workload.count_work(given.ngf)
    printing.print_values(counts)
    samples, results = [machine.measure_rates()], []
    with contextlib.ExitStack() as stack:
        workers = _start_workers(given, task, variants, stack)
        for batch_size in sorted(batch_sizes):
            times = timing.take_turns(
                workers, batch_size, given.rounds, given.budget, calls
            )
            samples.append(machine.measure_rates())
            results += [
                timing.summarize(worker, batch_size, seconds, calls)
                for worker, seconds in zip(workers, times, strict=True)
            ]
    rates = machine.best_rates(samples)
    printing.print_values(rates)
    timing.add_ratios(results)
    for result in results:
        gflop = counts[f"{task}_gflop"] * result["batch_size"]
        floor_s = gflop / machine.arithmetic_rate(rates, result["precision"])
        if task == "step":
            passes = ADAM_PASSES * machine.FLOAT_BYTES * counts["parameters"] / 1e9
            floor_s += passes / rates["memory_gb_per_s"]
        result["gflops"] = gflop / result["median_s"]
        result["floor_s"] = floor_s
        result["share_of_floor"] = floor_s / result["median_s"]
    printing.print_table(results, COLUMNS)
    return {
        "machine": description,
        "ngf": given.ngf,
        "work": counts,
        "rates": rates,
        "results": results,
    }


def _start_workers(given, task, variants, stack):
    """Returns a list of Worker, which the ExitStack will end, by precision."""
    pythons = dict.fromkeys(variants, sys.executable)
    if given.peer:
        pythons[given.peer] = given.peer_python
    return [
        stack.enter_context(timing.Worker(task, variant, precision, given.ngf, python))
        for precision in given.precision
        for variant, python in pythons.items()
    ]
