"""Measures the checkerboards in images that test mode wrote, and shows them enlarged.

    python tools/measure_checkerboard.py runs/ablate/defaults/test \\
        runs/ablate/upsample=resize/test --picture checkerboards.png

The amplitude, in levels of 255, is that of the pattern with a period of 2 pixels; the
patterns with periods of 4 and 8 are measured in the spectrum, where the value without a
pattern is about 1 (checkerboard.py says how). Photographs have some of each, too: the
targets show how much.
"""

import argparse
import sys
from pathlib import Path

import checkerboard
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
    """Prints the measures of each folder.

    Raises:
        UsageError: a folder has no images, or they are too small.
    """
    start_tensorflow()
    from pix2pix_tf.commands.plot import grid
    from pix2pix_tf.images import codecs

    titles = "".join(f"{name:>11}" for name in checkerboard.NAMES)
    print(f"{'folder':<50}{'images':<9}{titles}")
    cells = []
    for folder in given.folders:
        middles = []
        for kind in ("outputs", "targets"):
            paths = written_images(folder, kind).values()
            if not paths:
                raise UsageError(f"{folder} has no images/*-{kind}.png of test mode")
            images = [codecs.read(path) for path in paths]
            _check_sizes(images, folder)
            means = checkerboard.measure_means(images)
            numbers = "".join(f"{mean:>11.2f}" for mean in means.values())
            print(f"{folder!s:<49} {kind:<9}{numbers}")
            top, left = ((side - ZOOM) // 2 for side in images[0].shape[:2])
            middles.append(images[0][top : top + ZOOM, left : left + ZOOM])
        title = folder.parent.name if folder.name == "test" else str(folder)
        cells.append((title, middles[0]))
    if given.picture:
        contents = grid.draw_grid([[*cells, ("target", middles[1])]], [""])
        files.write_whole(given.picture, contents)


def _check_sizes(images, folder):
    """Raises UsageError if an image is too small for one of the measures."""
    for image in images:
        if min(image.shape[:2]) < checkerboard.MIN_SIDE:
            raise UsageError(
                f"{folder} has images of {image.shape[1]}x{image.shape[0]}: wanted "
                f"sides of {checkerboard.MIN_SIDE} pixels or more"
            )


if __name__ == "__main__":
    sys.exit(main())
