"""Times each convolution in its forms: alone, in the whole step, and in the generator.

    python benchmarks/forms.py

From its numbers comes the row of the processor at hand in the table of
pix2pix_tf/networks/forms.py. First come the layers alone, at batch size 1 unless
--batch_size says otherwise: the fastest of many calls, in turn, in milliseconds, for
the forward pass, the gradient of the inputs and the gradient of the filters. `area` is
height times width of the smaller image, by which the table chooses. encoder_2 to
encoder_8 are `conv`, decoder_8 to decoder_1 `deconv`. A form counts as faster if it
takes less than 95 % of the library's time.

Then the whole training step and the generator are timed as by train_step.py and
inference.py, with the forms of each class, in turn, beside plain Keras. A form that
wins less than 2 % of the step is not worth its lines.

It takes about ten minutes on two idle cores.
"""

import argparse
import sys
import time

import comparison
import printing
import shared_flags
from pix2pix_tf.runtime import command, processor
from pix2pix_tf.runtime.start import start_tensorflow

MIN_S = 0.1  # of each form of each part of a layer
MIN_CALLS = 5
PARTS = ("forward", "inputs", "filters")
CLASSES = ("library", *processor.CLASSES)
COLUMNS = {
    "layer": ("layer", ""),
    "area": ("area", "d"),
    "precision": ("precision", ""),
    "form": ("form", ""),
    **{f"{part}_ms": (f"{part} ms", ".2f") for part in PARTS},
    "faster": ("faster in", ""),
}


def main(argv=None) -> int:
    """Runs one command line; returns the exit status."""
    return command.run("forms", lambda: _run(parse(argv)))


def parse(argv: list[str] | None = None) -> argparse.Namespace:
    """Returns the namespace of a command line; raises UsageError for a wrong one."""
    parser = command.Parser("forms", __doc__)
    shared_flags.add_comparison(parser)
    text = "batch sizes to time (default: 1)"
    parser.add_argument(
        "--batch_size", type=shared_flags.positive, nargs="+", default=[1], help=text
    )
    return parser.parse_args(argv)


def _run(given):
    shared_flags.check_peer(given)
    start_tensorflow()
    layers = []
    for precision in given.precision:
        for batch_size in given.batch_size:
            print(f"\nlayers alone, {precision}, batch size {batch_size}")
            found = time_layers(given.ngf, precision, batch_size)
            printing.print_table(found, COLUMNS)
            layers += [result | {"batch_size": batch_size} for result in found]
    contents = {"layers": layers}
    variants = ("plain", *CLASSES)
    for task, batch_sizes, calls in (
        ("step", given.batch_size, 1),
        ("forward", [1], 5),
    ):
        print(f"\nthe whole {task}, with the forms of each class")
        contents[task] = comparison.compare(given, task, variants, batch_sizes, calls)
    printing.write_json(given.json, contents)


def time_layers(ngf: int, precision: str, batch_size: int) -> list[dict]:
    """Returns a result for each layer and form, with the milliseconds of each part."""
    import tensorflow as tf

    dtype = tf.float32 if precision == "float32" else tf.bfloat16
    results = []
    for name, x_shape, kernel_shape, area, forms in _find_layers(ngf):
        x = tf.cast(tf.random.normal([batch_size, *x_shape]), dtype)
        kernel = tf.cast(tf.random.normal(kernel_shape), dtype)
        found = {form: {} for form in forms}
        for part in PARTS:
            for form, ms in _time_part(part, forms, x, kernel).items():
                found[form][f"{part}_ms"] = ms
        for form, times in found.items():
            faster = [
                part
                for part in PARTS
                if times[f"{part}_ms"] < 0.95 * found["library"][f"{part}_ms"]
            ]
            results.append(
                {"layer": name, "area": area, "precision": precision, "form": form}
                | times
                | {"faster": " ".join(faster)}
            )
    return results


def _find_layers(ngf):
    """Yields (name, shape of an image, of the kernel, area, {form: function})."""
    import tensorflow as tf
    from keras import ops

    from pix2pix_tf.networks import convolutions

    def halve(x, kernel):
        return tf.nn.conv2d(x, kernel, 2, "SAME")

    def double(x, kernel):
        return ops.conv_transpose(x, kernel, 2, "same")

    def slide(x, kernel):
        return tf.nn.conv2d(x, kernel, 1, "VALID")

    conv = {"library": halve, "conv": convolutions.conv}
    deconv = {"library": double, "deconv": convolutions.deconv}
    widths = [ngf * factor for factor in (1, 2, 4, 8, 8, 8, 8, 8)]
    for level in range(1, 8):
        side, before, after = 128 // 2**level, widths[level - 1], widths[level]
        image, kernel = (2 * side, 2 * side, before), (4, 4, before, after)
        yield f"encoder_{level + 1}", image, kernel, side**2, conv
    for level in range(8, 0, -1):
        side, after = 128 // 2 ** (level - 1), widths[level - 2] if level > 1 else 3
        before = widths[level - 1] * (1 if level == 8 else 2)
        image, kernel = (side, side, before), (4, 4, after, before)
        yield f"decoder_{level}", image, kernel, side**2, deconv
    by_patches = {"library": slide, "patches": convolutions.conv_by_patches}
    by_patches["taps"] = convolutions.conv_by_taps
    to_one = {"library": slide, "to one": convolutions.conv_to_one}
    yield "layer_4", (34, 34, 4 * ngf), (4, 4, 4 * ngf, 8 * ngf), 31**2, by_patches
    yield "layer_5", (33, 33, 8 * ngf), (4, 4, 8 * ngf, 1), 30**2, to_one


def _time_part(part, forms, x, kernel):
    """Returns {form: milliseconds of the fastest call}, of calls in turn."""
    import tensorflow as tf

    outputs = forms["library"](x, kernel)
    slopes = tf.cast(tf.random.normal(outputs.shape), outputs.dtype)

    def compile_part(convolve):
        @tf.function
        def compute(x, kernel, slopes):
            with tf.GradientTape() as tape:
                tape.watch([x, kernel])
                y = convolve(x, kernel)
            if part == "forward":
                return y
            return tape.gradient(y, x if part == "inputs" else kernel, slopes)

        return compute

    functions = {form: compile_part(convolve) for form, convolve in forms.items()}
    seconds = {form: [] for form in forms}
    for function in functions.values():
        function(x, kernel, slopes)
    started = time.perf_counter()
    while (
        time.perf_counter() - started < MIN_S * len(forms)
        or len(seconds["library"]) < MIN_CALLS
    ):
        for form, function in functions.items():
            called = time.perf_counter()
            function(x, kernel, slopes)
            tf.test.experimental.sync_devices()
            seconds[form].append(time.perf_counter() - called)
    return {form: 1000 * min(own) for form, own in seconds.items()}


if __name__ == "__main__":
    sys.exit(main())
