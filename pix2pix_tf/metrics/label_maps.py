"""Metrics of label maps: pixel accuracy, class accuracy and class IoU.

A pixel of an output or a target gets the class with the nearest colour, because scaling
mixes colours at borders.

Source: Long et al. 2015, section 5; Isola et al. 2017, table 6.
"""

import csv
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import scipy  # its parts are imported when they are used

from pix2pix_tf.runtime import files
from pix2pix_tf.runtime.errors import UsageError

Palette = dict[str, tuple[int, int, int]]  # class name: (red, green, blue)
# Which colours of the targets are classes: JPEG files blur colours, scaling mixes them.
MIN_SHARE = 1e-4  # of the pixels inside areas of one colour
MIN_DISTANCE = 32  # levels, from every more frequent colour
MAX_RANGE = 8  # levels, within the 3 x 3 pixels around a pixel inside an area
# Of the pixels inside areas: 0.99 of facades' labels, 0.76 and 0.31 of photographs.
MIN_LABELS = 0.95


def read_palette(path: str) -> Palette:
    """Reads a palette from a CSV file of NAME,R,G,B.

    A first line without numbers is skipped as a heading.

    Raises:
        UsageError: the file cannot be read, or a line is wrong.
    """
    try:
        text = Path(path).read_text(encoding="utf-8-sig")  # spreadsheets write a BOM
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"--palette {path} cannot be read: {error}") from None
    palette = {}
    for number, line in enumerate(csv.reader(text.splitlines()), start=1):
        name, *levels = [cell.strip() for cell in line] or [""]
        is_color = len(levels) == 3 and all(level.isdecimal() for level in levels)
        is_heading = number == 1 and not any(level.isdecimal() for level in levels)
        if not line or is_heading:
            continue
        color = tuple(map(int, levels)) if is_color else ()
        if not is_color or max(color) > 255 or not name:
            raise UsageError(
                f"--palette {path}, line {number}: wanted NAME,R,G,B with 0 to 255, "
                f"got {','.join(line)!r}"
            )
        if name in palette or color in palette.values():
            raise UsageError(
                f"--palette {path}, line {number}: the name or colour occurs twice"
            )
        palette[name] = color
    return _checked(palette, path)


def find_palette(targets: Iterable) -> Palette:
    """Finds the colours of label maps, the most frequent first.

    A colour is a class if at least MIN_SHARE of the pixels inside areas have it, and if
    its distance to every more frequent class is at least MIN_DISTANCE.

    Args:
        targets: uint8 [height, width, 3] each.

    Returns:
        Palette, with names such as "#0000aa".

    Raises:
        UsageError: there are fewer than two classes.
    """
    counts = np.zeros(2**24, np.int64)
    for target in targets:
        inside = _inside(target).astype(np.int32)
        places, numbers = np.unique(inside @ (2**16, 2**8, 1), return_counts=True)
        counts[places] += numbers
    common = np.flatnonzero(counts >= max(MIN_SHARE * counts.sum(), 1))
    found = []
    for place in common[np.argsort(-counts[common], kind="stable")]:
        color = np.array([place >> 16, place >> 8 & 255, place & 255])
        if all(np.linalg.norm(color - other) >= MIN_DISTANCE for other in found):
            found.append(color)
    palette = {
        f"#{red:02x}{green:02x}{blue:02x}": (int(red), int(green), int(blue))
        for red, green, blue in found
    }
    return _checked(palette, "targets")


def find_labels(images: list[np.ndarray]) -> Palette:
    """Returns the colours of images that are label maps or drawings, else {}.

    They are such if nearly all pixels inside areas of one colour have the colour of a
    class. Photographs have areas of many shades.

    Args:
        images: uint8 [height, width, 3] each.
    """
    try:
        palette = find_palette(images)
    except UsageError:
        return {}
    inside = np.concatenate([_inside(image) for image in images])
    tree = scipy.spatial.KDTree(np.array(list(palette.values())))
    is_label = tree.query(inside)[0] <= MAX_RANGE
    return palette if is_label.mean() >= MIN_LABELS else {}


def _inside(image):
    """Returns the pixels inside areas of one colour, uint8 [count, 3]."""
    highest = scipy.ndimage.maximum_filter(image, (3, 3, 1))
    spread = highest - scipy.ndimage.minimum_filter(image, (3, 3, 1))
    return image[(spread <= MAX_RANGE).all(axis=2)]


def write_palette(path: Path, palette: Palette) -> None:
    """Writes a palette as the CSV file that `read_palette` reads."""
    lines = [",".join(map(str, (name, *color))) for name, color in palette.items()]
    files.write_whole(path, "\n".join(["name,red,green,blue", *lines]) + "\n")


def _checked(palette, source):
    if len(palette) < 2:
        raise UsageError(
            f"--palette {source} has {len(palette)} colours: label maps need at least 2"
        )
    return palette


def confuse(output, target, palette: Palette) -> np.ndarray:
    """Returns the confusion matrix of two uint8 [height, width, 3].

    Returns:
        int64 [classes of the target's pixels, classes of the output's pixels].
    """
    tree = scipy.spatial.KDTree(np.array(list(palette.values())))
    of_target, of_output = (
        tree.query(image.reshape(-1, 3))[1] for image in (target, output)
    )
    count = len(palette)
    return np.bincount(of_target * count + of_output, minlength=count**2).reshape(
        count, count
    )


def summarise(
    confusion: np.ndarray, palette: Palette
) -> tuple[dict[str, float], list[dict]]:
    """Returns ({metric: value}, [a dict for each class]).

    The value of a class is None, and not part of the mean, if no target has the class
    (accuracy), or if neither targets nor outputs have it (IoU).

    Args:
        confusion: sum of the results of `confuse`, not all zero.
        palette: Palette.
    """
    hits = np.diag(confusion)
    in_targets, in_outputs = confusion.sum(axis=1), confusion.sum(axis=0)
    accuracies = [_share(*pair) for pair in zip(hits, in_targets, strict=True)]
    ious = [
        _share(*pair) for pair in zip(hits, in_targets + in_outputs - hits, strict=True)
    ]
    classes = [
        {"name": name, "pixels": int(pixels), "accuracy": accuracy, "iou": iou}
        for name, pixels, accuracy, iou in zip(
            palette, in_targets, accuracies, ious, strict=True
        )
    ]
    metrics = {
        "pixel_accuracy": float(hits.sum() / confusion.sum()),
        "class_accuracy": _mean(accuracies),
        "class_iou": _mean(ious),
    }
    return metrics, classes


def _share(part, whole):
    return float(part / whole) if whole else None


def _mean(values):
    return float(np.mean([value for value in values if value is not None]))
