"""Measures the checkerboards in images that test mode wrote, and shows them enlarged.

    python tools/measure_checkerboard.py runs/ablate/defaults/test \\
        runs/ablate/upsample=resize/test --picture checkerboards.png

Transposed convolutions of stride 2 leave a pattern with a period of 2 pixels (Odena et
al. 2016, "Deconvolution and checkerboard artifacts"). The pixels of an image are of
four kinds: of an even or odd row, and of an even or odd column. The amplitude of the
pattern, in levels of 255, is how much the means of the four kinds differ from the mean
of all pixels. The edges in a photograph fall on each kind about alike: the amplitude of
the targets shows how much of it is not a checkerboard.

Several such layers also leave patterns with periods of 4 and 8 pixels. These are
measured in the spectrum: how many times the energy at the frequencies of a period is
that of the frequencies beside them, on average. Without a pattern it is about 1; the
targets show how much more a photograph has.
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
PERIODS = (4, 8)  # pixels, of patterns that are measured in the spectrum
# A window spreads a frequency to those at 1; the next ones count as its neighbourhood.
NEIGHBOURS = (-4, -3, -2, 2, 3, 4)
MIN_SIDE = 64  # pixels; in a smaller image neighbourhoods would overlap


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

    titles = ["amplitude", *(f"period {period}" for period in PERIODS)]
    print(f"{'folder':<50}{'images':<9}" + "".join(f"{title:>11}" for title in titles))
    cells = []
    for folder in given.folders:
        middles = []
        for kind in ("outputs", "targets"):
            paths = written_images(folder, kind).values()
            if not paths:
                raise UsageError(f"{folder} has no images/*-{kind}.png of test mode")
            images = [codecs.read(path) for path in paths]
            means = np.mean([_measure_all(image, folder) for image in images], axis=0)
            numbers = "".join(f"{mean:>11.2f}" for mean in means)
            print(f"{folder!s:<49} {kind:<9}{numbers}")
            top, left = ((side - ZOOM) // 2 for side in images[0].shape[:2])
            middles.append(images[0][top : top + ZOOM, left : left + ZOOM])
        title = folder.parent.name if folder.name == "test" else str(folder)
        cells.append((title, middles[0]))
    if given.picture:
        contents = grid.draw_grid([[*cells, ("target", middles[1])]], [""])
        files.write_whole(given.picture, contents)


def _measure_all(image, folder):
    """Returns the amplitude, and the measure of each of PERIODS."""
    if min(image.shape[:2]) < MIN_SIDE:
        raise UsageError(
            f"{folder} has images of {image.shape[1]}x{image.shape[0]}: wanted sides "
            f"of {MIN_SIDE} pixels or more"
        )
    return [measure(image), *(measure_period(image, period) for period in PERIODS)]


def measure(image: np.ndarray) -> float:
    """Returns the amplitude, in levels of 255.

    Args:
        image: float32 [height, width, 3], in [0, 1].
    """
    height, width = (side // 2 * 2 for side in image.shape[:2])
    blocks = image[:height, :width].reshape(height // 2, 2, width // 2, 2, -1)
    kinds = blocks.mean(axis=(0, 2))  # [2, 2, channels]
    return 255 * np.abs(kinds - kinds.mean(axis=(0, 1))).mean()


def measure_period(image: np.ndarray, period: int) -> float:
    """Returns how far a pattern with this period stands out of the spectrum.

    The frequencies of the period are the multiples of 1 / period in both directions
    that are not frequencies of half the period. The energy at each is divided by the
    mean energy of its neighbours, which lie along the axes in which it is not 0: lines
    that are level or upright have their energy on one axis, and neighbours there too.

    Args:
        image: float32 [height, width, channels], in [0, 1], sides of MIN_SIDE or more.
        period: pixels, a power of 2, at most 8.

    Returns:
        The mean of these quotients over frequencies and channels.
    """
    height, width = (side // max(PERIODS) * max(PERIODS) for side in image.shape[:2])
    image = image[:height, :width].astype(np.float64)
    window = np.outer(*(np.hanning(side + 1)[:-1] for side in (height, width)))
    values = (image - image.mean(axis=(0, 1))) * window[..., np.newaxis]
    energy = np.abs(np.fft.fft2(values, axes=(0, 1))) ** 2
    quotients = []
    for i, j in np.ndindex(period, period):
        if i % 2 == j % 2 == 0:  # of half the period
            continue
        row, column = i * height // period, j * width // period
        rows = [(row + k, column) for k in NEIGHBOURS if i]
        columns = [(row, column + k) for k in NEIGHBOURS if j]
        beside = [energy[y % height, x % width] for y, x in rows + columns]
        quotients.append(energy[row, column] / (np.mean(beside, axis=0) + 1e-12))
    return float(np.mean(quotients))


if __name__ == "__main__":
    sys.exit(main())
