"""Measures what tiles change: images made by tiles, against the same in one pass.

    python tools/measure_seams.py --model runs/colour photos/test --tile 512 \\
        --overlap 128 --mosaic 4096

`psnr` is the mean and least PSNR against one pass, in dB. `steps` is the mean step
from pixel to pixel across the lines where tiles begin and end, divided by that two
to four pixels beside them, and divided by the same of the image in one pass: above 1,
seams show. `--mosaic SIDE` puts the images side by side to one of SIDE x SIDE pixels.
"""

import argparse
import itertools
import math
import sys
from pathlib import Path

import numpy as np

from pix2pix_tf.options import add_tiling_flags, given_tiling
from pix2pix_tf.runtime import command
from pix2pix_tf.runtime.errors import UsageError
from pix2pix_tf.runtime.start import start_tensorflow


def main(argv: list[str] | None = None) -> int:
    """Runs one command line; returns the exit status, 2 for wrong usage."""
    return command.run("measure_seams", lambda: run(parse(argv)))


def parse(argv: list[str] | None = None) -> argparse.Namespace:
    """Returns the namespace of a command line; raises UsageError for a wrong one."""
    parser = command.Parser("measure_seams", __doc__)
    parser.add_argument("images", type=Path, help="a folder of photographs or inputs")
    parser.add_argument("--model", required=True, help="what pix2pix_tf.load takes")
    parser.add_argument("--mosaic", type=int, metavar="SIDE", help="of one mosaic")
    add_tiling_flags(parser, "tiles", "side of a tile (required)")
    given = parser.parse_args(argv)
    given.tiling = given_tiling(given)
    if given.tiling is None:
        raise UsageError("--tile is missing")
    return given


def run(given: argparse.Namespace) -> None:
    """Prints the figures; raises UsageError if no image is larger than a tile."""
    start_tensorflow()
    from pix2pix_tf import data
    from pix2pix_tf.images import codecs
    from pix2pix_tf.inference.load import load
    from pix2pix_tf.inference.tiles import Tiling

    translator, tiling = load(given.model), Tiling(*given.tiling)
    examples = data.find_examples(given.images, flags=("IMAGES", ""))
    images = [codecs.read(example.paths[0]) for example in examples]
    if given.mosaic:
        images = [make_mosaic(images, given.mosaic)]
    images = [image for image in images if not tiling.is_one(*image.shape[:2])]
    if not images:
        raise UsageError(f"{given.images} has no image above {tiling.tile} pixels")
    psnrs, steps = [], []
    for image in images:
        whole = np.asarray(translator(image, full_size=True))
        tiled = np.asarray(translator(image, tiling=tiling))
        psnrs.append(-10 * math.log10(max(np.mean((tiled - whole) ** 2), 1e-20)))
        steps.append([*measure_steps(tiled, tiling), *measure_steps(whole, tiling)])
    across, beside, whole_across, whole_beside = np.mean(steps, axis=0)
    ratio = (across / beside) / (whole_across / whole_beside)
    print(f"images {len(images)}  psnr mean {np.mean(psnrs):.2f} min {min(psnrs):.2f}")
    print(f"steps {ratio:.3f}")


def make_mosaic(images: list[np.ndarray], side: int) -> np.ndarray:
    """Returns [side, side, channels]: images side by side, again from the first."""
    height, width = np.min([image.shape[:2] for image in images], axis=0)
    parts = itertools.cycle([image[:height, :width] for image in images])
    rows = [
        np.concatenate(list(itertools.islice(parts, math.ceil(side / width))), axis=1)
        for _ in range(math.ceil(side / height))
    ]
    return np.concatenate(rows)[:side, :side]


def measure_steps(image: np.ndarray, tiling) -> tuple[float, float]:
    """Returns the mean step across the borders of tiles, and that beside them."""
    across, beside = [], []
    for axis in (0, 1):
        steps = np.abs(np.diff(image, axis=axis)).mean(axis=(1 - axis, 2))
        length = image.shape[axis]
        for start in tiling.starts(length):
            for border in (start, start + tiling.tile):
                if 4 < border < length - 4:
                    across.append(steps[border - 1])
                    beside += [steps[border + place] for place in (-4, -3, 1, 2)]
    return float(np.mean(across)), float(np.mean(beside))


if __name__ == "__main__":
    sys.exit(main())
