"""Measures the checkerboards in images that test mode wrote, and shows them enlarged.

    python tools/measure_checkerboard.py runs/ablate/defaults/test \\
        runs/ablate/upsample=resize/test --picture checkerboards.png

Transposed convolutions of stride 2 leave a pattern with a period of 2 pixels (Odena et
al. 2016, "Deconvolution and checkerboard artifacts"). The pixels of an image are of
four kinds: of an even or odd row, and of an even or odd column. The amplitude of the
pattern, in levels of 255, is how much the means of the four kinds differ from the mean
of all pixels. The edges in a photograph fall on each kind about alike: the amplitude of
the targets shows how much of it is not a checkerboard.
"""

import argparse
import sys
from pathlib import Path

import numpy as np

from pix2pix_tf.commands.image_files import written_images
from pix2pix_tf.runtime import command, files
from pix2pix_tf.runtime.errors import UsageError
from pix2pix_tf.runtime.start import start_tensorflow

ZOOM = 64  # pixels of an image that are shown


def main(argv: list[str] | None = None) -> int:
    """Runs one command line; returns the exit status, 2 for wrong usage."""
    return command.run("measure_checkerboard", lambda: run(parse(argv)))


def parse(argv: list[str] | None = None) -> argparse.Namespace:
    """Returns the namespace of a command line; raises UsageError for a wrong one."""
    parser = command.Parser("measure_checkerboard", __doc__)
    parser.add_argument("folders", nargs="+", type=Path, help="written by test mode")
    text = "draw the first outputs"
    parser.add_argument("--picture", type=Path, metavar="FILE.png", help=text)
    return parser.parse_args(argv)


def run(given: argparse.Namespace) -> None:
    """Prints the amplitudes of each folder; raises UsageError if one has no images."""
    start_tensorflow()
    from pix2pix_tf.commands.plot import grid
    from pix2pix_tf.images import codecs

    print(f"{'folder':<50}{'outputs':>10}{'targets':>10}")
    cells = []
    for folder in given.folders:
        line, middles = f"{folder!s:<50}", []
        for kind in ("outputs", "targets"):
            paths = written_images(folder, kind).values()
            if not paths:
                raise UsageError(f"{folder} has no images/*-{kind}.png of test mode")
            images = [codecs.read(path) for path in paths]
            line += f"{np.mean([measure(image) for image in images]):>10.2f}"
            top, left = ((side - ZOOM) // 2 for side in images[0].shape[:2])
            middles.append(images[0][top : top + ZOOM, left : left + ZOOM])
        print(line)
        title = folder.parent.name if folder.name == "test" else str(folder)
        cells.append((title, middles[0]))
    if given.picture:
        contents = grid.draw_grid([[*cells, ("target", middles[1])]], [""])
        files.write_whole(given.picture, contents)


def measure(image: np.ndarray) -> float:
    """Returns the amplitude, in levels of 255.

    Args:
        image: float32 [height, width, 3], in [0, 1].
    """
    height, width = (side // 2 * 2 for side in image.shape[:2])
    blocks = image[:height, :width].reshape(height // 2, 2, width // 2, 2, -1)
    kinds = blocks.mean(axis=(0, 2))  # [2, 2, channels]
    return 255 * np.abs(kinds - kinds.mean(axis=(0, 1))).mean()


if __name__ == "__main__":
    sys.exit(main())
