"""Times a training step: the project's, against one in plain Keras.

    python benchmarks/train_step.py

A step is all of it: both networks, losses, gradients, Adam and moving averages, on
random 256x256 images, in float32 and mixed_bfloat16, at batch sizes 1 and 4. The
variant `plain` is plain.py, the same model with Keras's own layers and optimizer;
`project` is the package's step at its defaults; `--peer torch` adds peer_torch.py.
Each runs in a process of its own, in turn (A B A B ...). The table has the number of
rounds, the median, fastest and slowest call, and

- ratio: the median of plain in float32 at the same batch size, divided by this one. A
  ratio of 1.3 is 1.3 times as fast;
- GFLOP/s: the work of the convolutions (81 GFLOP an image at --ngf 64) by the median;
- of floor: the least time that this machine could need, divided by the median. The
  least time is that work at the rate of one large matrix product, plus Adam's memory
  traffic at the rate of one pass over an array, each at the best rate measured before,
  between and after. 16 bits count at the rate of float32 if that is higher;
- peak MB: the peak memory of the process so far, including smaller batch sizes.

It takes less than five minutes on two idle cores. Most of that is plain in
mixed_bfloat16 if the processor has no bfloat16 instructions: a variant whose first
call takes more than twice --budget is called once only, and its time includes
compilation. Do not trust results from a busy machine.
"""

import argparse
import sys

import comparison
import printing
import shared_flags
from pix2pix_tf.runtime import command

VARIANTS = ("plain", "project")


def main(argv=None) -> int:
    """Runs one command line; returns the exit status."""
    return command.run("train_step", lambda: _run(parse(argv)))


def parse(argv: list[str] | None = None) -> argparse.Namespace:
    """Returns the namespace of a command line; raises UsageError for a wrong one."""
    parser = command.Parser("train_step", __doc__)
    shared_flags.add_comparison(parser)
    parser.add_argument(
        "--batch_size",
        type=shared_flags.positive,
        nargs="+",
        default=[1, 4],
        help="batch sizes to time (default: 1 4)",
    )
    return parser.parse_args(argv)


def _run(given):
    shared_flags.check_peer(given)
    contents = comparison.compare(given, "step", VARIANTS, given.batch_size)
    printing.write_json(given.json, contents)


if __name__ == "__main__":
    sys.exit(main())
