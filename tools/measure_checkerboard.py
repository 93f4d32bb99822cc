"""Measures the checkerboards in pictures that test mode wrote, and shows them enlarged.

    python tools/measure_checkerboard.py runs/ablate/defaults/test \\
        runs/ablate/upsample=resize/test --picture checkerboards.png

Transposed convolutions of stride 2 leave a pattern with a period of 2 pixels (Odena et
al. 2016, "Deconvolution and checkerboard artifacts"). Its amplitude, in levels of 255,
is how much the means of a picture's four kinds of pixels (even or odd row and column)
differ from the mean of all. A photograph's own edges fall on each kind about alike, so
that the targets beside it show what is no checkerboard.
"""

import argparse
import io
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # without an installation too

import numpy as np

from pix2pix_tf.runtime import files
from pix2pix_tf.runtime.start import start_tensorflow

ZOOM = 64  # pixels of a picture that are shown


def main(argv=None):
    """Runs one command line; returns the exit status, 2 for wrong usage."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folders", nargs="+", help="that test mode wrote")
    parser.add_argument(
        "--picture", metavar="FILE.png", help="the first output of each"
    )
    given = parser.parse_args(argv)
    start_tensorflow()
    from pix2pix_tf.images import codecs

    rows = {}
    for folder in given.folders:
        for kind in ("outputs", "targets"):
            paths = sorted(Path(folder, "images").glob(f"*-{kind}.png"))
            if not paths:
                parser.exit(2, f"{folder} has no images/*-{kind}.png of test mode\n")
            rows[folder, kind] = [codecs.read(path) for path in paths]
    print(f"{'folder':<50}{'outputs':>10}{'targets':>10}")
    for folder in given.folders:
        found = [measure_all(rows[folder, kind]) for kind in ("outputs", "targets")]
        print(f"{folder:<50}{found[0]:>10.2f}{found[1]:>10.2f}")
    if given.picture:
        pictures = {folder: rows[folder, "outputs"][0] for folder in given.folders}
        pictures["target"] = rows[given.folders[-1], "targets"][0]
        files.write_whole(given.picture, draw(pictures))
    return 0


def measure_all(pictures):
    """Returns the mean amplitude of pictures, in levels of 255."""
    return float(np.mean([measure(picture) for picture in pictures]))


def measure(picture):
    """Returns one picture's amplitude: float32 [height, width, 3] in [0, 1]."""
    height, width = (side // 2 * 2 for side in picture.shape[:2])
    blocks = picture[:height, :width].reshape(height // 2, 2, width // 2, 2, -1)
    kinds = blocks.mean(axis=(0, 2))  # [2, 2, channels]
    return 255 * np.abs(kinds - kinds.mean(axis=(0, 1))).mean()


def draw(pictures):
    """Returns a PNG's bytes: the middle of each picture, enlarged; {title: picture}."""
    from matplotlib.figure import Figure

    figure = Figure((3 * len(pictures), 3.3), dpi=100, layout="constrained")
    axes = figure.subplots(1, len(pictures), squeeze=False)[0]
    for axis, (title, picture) in zip(axes, pictures.items(), strict=True):
        top, left = ((side - ZOOM) // 2 for side in picture.shape[:2])
        axis.imshow(picture[top : top + ZOOM, left : left + ZOOM])
        axis.set_axis_off()
        path = Path(title)
        axis.set_title(path.parent.name if path.name == "test" else title, fontsize=9)
    contents = io.BytesIO()
    figure.savefig(contents, format="png")
    return contents.getvalue()


if __name__ == "__main__":
    sys.exit(main())
