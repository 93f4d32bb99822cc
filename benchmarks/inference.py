"""Times the generator on one image: the project's, against one in plain Keras.

    python benchmarks/inference.py
    python benchmarks/inference.py --test_mode runs/facades facades/test

It times one forward pass at batch size 1 on a random 256x256 image, in float32 and
mixed_bfloat16. The variant `plain` is the generator of plain.py in a `tf.function`;
`project` is the core of test mode (the dropout masks by seed, then the network);
`exported` is the signature `generate` of a SavedModel; `--peer torch` adds the
generator of peer_torch.py. Each runs in a process of its own, in turn (A B A B ...), a
few calls each time. The table is that of train_step.py, but the least time is the
arithmetic alone.

`--test_mode CHECKPOINT DIR` also runs `--mode test` on the images of that folder, with
the --ngf of the checkpoint for all variants. It prints the seconds an image, and the
share of the network: `network_share` as test mode itself timed it, while it also read,
wrote and measured images, and `network_alone_share` by the median of `project` above.
Test mode prints nothing until some images wait to be written, and the lines of the
last ones together, so DIR must have 24 images or more.
"""

import argparse
import statistics
import sys
import tempfile
from pathlib import Path

import commands
import comparison
import printing
import shared_flags
from pix2pix_tf.options import OPTIONS_NAME, ModelConfig, read_options
from pix2pix_tf.runtime import command
from pix2pix_tf.runtime.errors import UsageError

CALLS = 5  # in a round
VARIANTS = ("plain", "project", "exported")


def main(argv=None) -> int:
    """Runs one command line; returns the exit status."""
    return command.run("inference", lambda: _run(parse(argv)))


def parse(argv: list[str] | None = None) -> argparse.Namespace:
    """Returns the namespace of a command line; raises UsageError for a wrong one."""
    parser = command.Parser("inference", __doc__)
    shared_flags.add_comparison(parser)
    parser.add_argument(
        "--test_mode",
        nargs=2,
        metavar=("CHECKPOINT", "DIR"),
        help="also time test mode with this checkpoint on these images",
    )
    given = parser.parse_args(argv)
    if given.test_mode:
        if "float32" not in given.precision:
            parser.error("--test_mode needs float32: leave --precision out")
        stored = read_options(Path(given.test_mode[0], OPTIONS_NAME))
        given.ngf = stored.get("ngf", ModelConfig.ngf)
    return given


def _run(given):
    shared_flags.check_peer(given)
    contents = comparison.compare(given, "forward", VARIANTS, [1], CALLS)
    if given.test_mode:
        network_s = next(
            result["median_s"]
            for result in contents["results"]
            if (result["variant"], result["precision"]) == ("project", "float32")
        )
        contents["test_mode"] = measure_test_mode(*given.test_mode, network_s)
        printing.print_values(contents["test_mode"])
    printing.write_json(given.json, contents)


def measure_test_mode(checkpoint, input_dir, network_s):
    """Returns the times of `--mode test`, as --json has them.

    Args:
        checkpoint, input_dir: str, the values of its flags.
        network_s: float, the seconds that the network alone takes for an image.

    Raises:
        UsageError: the folder has too few images.
        RunError: test mode failed.
    """
    from pix2pix_tf.inference.evaluate import MAX_WAITING

    with tempfile.TemporaryDirectory() as folder:
        arguments = ["--mode", "test", "--checkpoint", checkpoint]
        arguments += ["--input_dir", input_dir, "--output_dir", folder]
        run = commands.run_command(arguments)
    stamps = [second for second, line in run.lines if line.startswith("evaluated")]
    if len(stamps) < 3 * MAX_WAITING:
        raise UsageError(
            f"--test_mode: {input_dir} has {len(stamps)} images: give "
            f"{3 * MAX_WAITING} or more"
        )
    steady = stamps[1:-MAX_WAITING]
    pairs = zip(steady, steady[1:], strict=False)
    image_s = statistics.median(after - before for before, after in pairs)
    percent = next(
        line.split()[1] for _, line in run.lines if line.startswith("network")
    )
    return {
        "test_mode_picture_s": image_s,
        "network_s": network_s,
        "network_share": float(percent.rstrip("%")) / 100,
        "network_alone_share": network_s / image_s,
        "test_mode_first_line_s": stamps[0],
        "test_mode_peak_mb": run.peak_mb,
    }


if __name__ == "__main__":
    sys.exit(main())
