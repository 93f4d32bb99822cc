"""What the benchmarks share: the machine and its rates, turns, counts, tables, JSON."""

import functools
import json
import math
import os
import platform
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import keras
import tensorflow as tf
from keras import layers

from benchmarks import plain
from pix2pix_tf import networks
from pix2pix_tf.training import meters

PRECISIONS = ("float32", "mixed_bfloat16")
MATRIX_SIDE = 2048
ARRAY_NUMBERS = 2**26  # float32: 256 MB, beyond any cache
ADAM_PASSES = 7  # reads gradient, weight and two moments, writes the last three
FLOAT_BYTES = 4


class Worker:
    """One variant in a process of its own (see variants.py)."""

    def __init__(
        self,
        task,
        variant,
        precision,
        ngf,
        python=sys.executable,
        crop_size=256,
        threads=0,
    ):
        self.variant, self.precision = variant, precision
        self.peak_mb = None  # after the last turn
        path = Path(__file__).with_name("variants.py")
        numbers = map(str, (ngf, crop_size, threads))
        command = [python, str(path), task, variant, precision, *numbers]
        self._errors = tempfile.TemporaryFile("w+")
        environment = {"TF_CPP_MIN_LOG_LEVEL": "3"} | os.environ
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            env=environment,
        )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._process.stdin.close()
        self._process.kill()
        self._process.wait()
        self._process.stdout.close()
        self._errors.close()

    def run(self, batch_size, calls):
        """Returns the seconds of each of so many calls.

        Raises:
            SystemExit: the process ended; the message says why.
        """
        request = {"batch_size": batch_size, "calls": calls}
        try:
            print(json.dumps(request), file=self._process.stdin, flush=True)
        except BrokenPipeError:
            pass  # it has ended: there is no answer either
        line = self._process.stdout.readline()
        if not line:
            status = self._process.wait()
            self._errors.seek(0)
            last = self._errors.read().strip().rpartition("\n")[2]
            sys.exit(f"{self.variant}, {self.precision}: status {status}: {last}")
        answer = json.loads(line)
        self.peak_mb = answer["peak_mb"]
        return answer["seconds"]


def take_turns(workers, batch_size, rounds, budget, calls=1):
    """Times the workers in turn, A B A B ..., after one call each that compiles.

    Args:
        workers: list of Worker.
        batch_size: int.
        rounds: int, at most.
        budget: seconds of one worker, but for its first call. One round is done anyway,
            unless the first call took more than twice as long: then that one counts.
        calls: int, of a round.

    Returns:
        list of lists of seconds, one for each worker.
    """
    for worker in workers:  # lets all start, so that none disturbs another's first call
        worker.run(batch_size, 0)
    firsts = [sum(worker.run(batch_size, 1)) for worker in workers]
    found = [[first] if first > 2 * budget else [] for first in firsts]
    spent = [sum(times) for times in found]
    for _ in range(rounds):
        for number, worker in enumerate(workers):
            times = found[number]
            if times and spent[number] + calls * statistics.median(times) > budget:
                continue
            seconds = worker.run(batch_size, calls)
            spent[number] += sum(seconds)
            times += seconds
    return found


def summarize(worker, batch_size, times, calls=1):
    """Returns one result, as `--json` has it, without ratios."""
    return {
        "variant": worker.variant,
        "precision": worker.precision,
        "batch_size": batch_size,
        "rounds": len(times) // calls,
        "median_s": statistics.median(times),
        "min_s": min(times),
        "max_s": max(times),
        "images_per_s": batch_size / statistics.median(times),
        "peak_mb": worker.peak_mb,
    }


def add_ratios(results):
    """Adds `ratio_to_plain`: how many times as fast as plain float32, same batch."""
    plain_s = {
        result["batch_size"]: result["median_s"]
        for result in results
        if (result["variant"], result["precision"]) == ("plain", "float32")
    }
    for result in results:
        yardstick = plain_s.get(result["batch_size"])
        ratio = yardstick / result["median_s"] if yardstick else None
        result["ratio_to_plain"] = ratio


def describe_machine(precisions):
    """Returns {what: text} of processor, devices, versions and precisions."""
    text = Path("/proc/cpuinfo").read_text() if sys.platform == "linux" else ""
    flags = re.search(r"flags\s*: (.*)", text)
    flags = flags.group(1).split() if flags else []
    known = [name for name in ("avx2", "avx512f", "avx512_bf16") if name in flags]
    devices = [device.name for device in tf.config.list_physical_devices("GPU")]
    return {
        "machine": f"{meters.processor_name()}, {os.cpu_count()} processors, "
        f"{' '.join(known)}; {', '.join(devices) or 'no GPU'}",
        "versions": f"Python {platform.python_version()}, TensorFlow "
        f"{tf.__version__}, Keras {keras.__version__}",
        "precision": ", ".join(precisions),
    }


def measure_rates():
    """Returns {name: rate} of the machine now: one large product, one array pass."""
    rates = {}
    for precision, dtype in zip(PRECISIONS, (tf.float32, tf.bfloat16), strict=True):
        matrix = tf.cast(tf.random.normal([MATRIX_SIDE, MATRIX_SIDE]), dtype)
        seconds = _best(lambda matrix=matrix: tf.matmul(matrix, matrix))
        rates[f"matmul_gflops_{precision}"] = 2 * MATRIX_SIDE**3 / seconds / 1e9
    array, addend = tf.Variable(tf.ones([ARRAY_NUMBERS])), tf.ones([ARRAY_NUMBERS])
    seconds = _best(lambda: array.assign_add(addend))
    # Reads two arrays, writes one.
    rates["memory_gb_per_s"] = 3 * FLOAT_BYTES * ARRAY_NUMBERS / seconds / 1e9
    return rates


def _best(function, calls=3):
    """Returns the seconds of the fastest call, after one more."""
    function()
    seconds = []
    for _ in range(calls):
        started = time.perf_counter()
        function()
        tf.test.experimental.sync_devices()
        seconds.append(time.perf_counter() - started)
    return min(seconds)


def best_rates(samples):
    """Returns the best of each rate: what the machine can do, not what it did then."""
    return {name: max(rates[name] for rates in samples) for name in samples[0]}


def arithmetic_rate(rates, precision):
    """Returns the GFLOP/s that a precision could have; 16 bits may be done in 32."""
    kinds = {"float32", precision}
    return max(rates[f"matmul_gflops_{kind}"] for kind in kinds)


def count_multiply_adds(network):
    """Returns the multiply-adds of one forward pass of one image: all convolutions'.

    Norms and activations, under 1 % of it, are left out.
    """
    total = 0
    for layer in network.layers:
        if isinstance(layer, layers.Conv2DTranspose):  # each input pixel is spread
            pixels = math.prod(layer.input.shape[1:3])
        elif isinstance(layer, layers.Conv2D):
            pixels = math.prod(layer.output.shape[1:3])
        else:
            continue
        total += pixels * math.prod(layer.kernel.shape)
    return total


@functools.cache
def count_work(ngf):
    """Returns the work of the default networks at a width, as numbers.

    A backward pass costs as much as the forward pass for each of what it derives by:
    weights, and the layer's inputs. A step has of the generator a forward pass and a
    whole backward one; of the discriminator two forward passes, two whole backward ones
    (real and fake, by its own loss), and the way through it to the outputs by the
    generator's: 3 G + 7 D. (The first layers' inputs need no derivative: 1 % less.)

    Returns:
        {"parameters": trainable numbers, "step_gflop": of one image,
        "forward_gflop": of the generator and one image}.
    """
    # Both counts are polynomials of the second degree in the width: three small
    # networks say what a large one has.
    counts = []
    for width in (1, 2, 3):
        pair = (
            plain.make_plain_generator(width, "float32"),
            plain.make_plain_discriminator(width, "float32"),
        )
        multiply_adds = [count_multiply_adds(network) for network in pair]
        counts.append((networks.count_parameters(*pair), *multiply_adds))
    parameters, generator, discriminator = (
        _extrapolate(values, ngf) for values in zip(*counts, strict=True)
    )
    return {
        "parameters": parameters,
        "step_gflop": 2 * (3 * generator + 7 * discriminator) / 1e9,
        "forward_gflop": 2 * generator / 1e9,
    }


def _extrapolate(values, x):
    """Returns the value at `x` of the parabola through values at 1, 2 and 3."""
    first, second, third = values
    slope, bend = second - first, third - 2 * second + first
    return first + slope * (x - 1) + bend * (x - 1) * (x - 2) // 2


def print_machine(machine):
    """Prints what `describe_machine` says."""
    for name, value in machine.items():
        print(f"{name:<12}{value}", flush=True)


def print_table(rows, columns):
    """Prints results as a table.

    Args:
        rows: list of dict.
        columns: {key: (heading, format)}; what is None is a dash.
    """
    cells = [[heading for heading, _ in columns.values()]]
    for row in rows:
        cells.append(
            [
                "-" if row[key] is None else format(row[key], spec)
                for key, (_, spec) in columns.items()
            ]
        )
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for line in cells:
        pairs = zip(line, widths, strict=True)
        print("  ".join(f"{cell:>{width}}" for cell, width in pairs), flush=True)


def write_json(path, contents):
    """Writes what `--json` asks for."""
    Path(path).write_text(json.dumps(contents, indent=4) + "\n", encoding="utf-8")
