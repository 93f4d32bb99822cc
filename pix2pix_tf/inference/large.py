"""Writes the output of a large image as its bands are done, and continues after a kill.

The bands go to a file of plain numbers, beside the file that is written at the end.
"""

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import tensorflow as tf

from pix2pix_tf.images import pixels, windows
from pix2pix_tf.runtime import files

MAX_PNG_PIXELS = 4096 * 4096  # of a PNG, which is encoded whole; larger ones are TIFF
SLICE = 16  # rows that are converted at once; more do not fit into caches


def is_tiff(height: int, width: int) -> bool:
    """Returns True if an image of this size is written as a TIFF, False for a PNG."""
    return height * width > MAX_PNG_PIXELS


def write(
    path: Path,
    shape: tuple[int, int, int],
    bands: Callable[[int], Iterator[np.ndarray]],
    job: dict,
    like: Path,
) -> None:
    """Writes an image whose bands are computed one after the other.

    If an earlier call of the same job was killed, its bands are used.

    Args:
        path: ends in `.png` or `.tif`.
        shape: (height, width, channels).
        bands: function from a number of bands to leave out to an iterator of the
            others: float32 [rows, width, channels] in [0, 1], from top to bottom.
        job: what the bands depend on, as JSON can hold it.
        like: the image file of the input; see `windows.write_tiff`.
    """
    rows_path = path.with_name(f".{path.name}.rows")
    done_path = path.with_name(f".{path.name}.json")
    done = _read_done(done_path, rows_path, job)
    row_bytes = shape[1] * shape[2]
    with open(rows_path, "r+b" if done["bands"] else "wb") as file:
        file.truncate(done["rows"] * row_bytes)
        file.seek(0, os.SEEK_END)
        for band in bands(done["bands"]):
            for rows in np.array_split(band, -(-len(band) // SLICE)):
                file.write(pixels.to_uint8(rows).numpy().tobytes())
            file.flush()
            os.fsync(file.fileno())
            done |= {"rows": done["rows"] + len(band), "bands": done["bands"] + 1}
            files.write_whole(done_path, json.dumps(done))
    with files.writing(path) as partial, open(rows_path, "rb") as file:
        if path.suffix == ".png":
            rows = np.fromfile(file, np.uint8).reshape(shape)
            partial.write_bytes(pixels.encode(tf.constant(rows), "png").numpy())
        else:
            slices = _slices(file, shape)
            windows.write_tiff(partial, slices, shape, np.uint8, like)
    for one in (rows_path, done_path):
        one.unlink()


def _read_done(done_path, rows_path, job):
    """Returns how much an earlier call of the same job has done."""
    try:
        done = json.loads(done_path.read_text(encoding="utf-8"))
        if done["job"] == job and rows_path.exists():
            return done
    except (OSError, ValueError, KeyError, TypeError):
        pass  # there is none, or it is damaged
    return {"job": job, "bands": 0, "rows": 0}


def _slices(file, shape):
    """Yields the rows in a file, a row of tiles at a time."""
    height, width, channels = shape
    for top in range(0, height, windows.TILE_SIZE):
        count = min(windows.TILE_SIZE, height - top)
        rows = np.fromfile(file, np.uint8, count * width * channels)
        yield rows.reshape(count, width, channels)
