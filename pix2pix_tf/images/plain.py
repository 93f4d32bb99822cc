"""Files of plain numbers, decoded without a library: NumPy's .npy and Netpbm.

In: the array of a file, and its size from the first bytes. Not in: other formats.
Netpbm (PBM, PGM, PPM) is here because Pillow cuts its colours to 8 bits.
"""

import io
import math
import os
import re
from typing import BinaryIO

import numpy as np

from pix2pix_tf.images.arrays import ImageError, check_size, to_float

NPY_MAGIC = b"\x93NUMPY"
NETPBM_MAGIC = re.compile(rb"P[1-6][\s#]")
_HEADER_BYTES = 1 << 16  # of a Netpbm file, with its comments
_NUMBER = rb"(?:\s|#[^\r\n]*[\r\n])+(\d{1,9})"


def load_npy(contents: bytes) -> np.ndarray:
    """Returns the array of a `.npy` file, [height, width, channels], of its own type.

    Raises:
        ImageError: it has another shape, or is not whole.
        Exception: NumPy cannot read it.
    """
    file = io.BytesIO(contents)
    _check_npy_size(file)
    pixels = np.load(file, allow_pickle=False)
    return pixels.reshape(_npy_shape(pixels))


def probe_npy(path: str) -> tuple[int, int, int]:
    """Returns (height, width, channels) of a `.npy` file; raises as `load_npy`."""
    return _npy_shape(np.load(path, mmap_mode="r", allow_pickle=False))


def load_netpbm(contents: bytes) -> np.ndarray:
    """Returns the image of a PBM, PGM or PPM file, plain or raw.

    Values are divided by the maximum that the file names, up to 65535.

    Returns:
        float32 [height, width, 1 or 3], in [0, 1].

    Raises:
        ImageError: it is damaged.

    Source: the manual pages of Netpbm, pbm(5), pgm(5), ppm(5).
    """
    kind, shape, largest, start = _netpbm_header(contents)
    body, size = contents[start:], math.prod(shape)
    if kind in b"123":
        body = re.sub(rb"#[^\r\n]*", b"", body)
    if kind == b"1":  # digits need no space between them
        values = np.frombuffer(re.sub(rb"[^01]", b"", body), np.uint8) - ord("0")
    elif kind in b"23":
        values = np.array([int(number) for number in body.split(maxsplit=size)[:size]])
    elif kind == b"4":
        row_bytes = -(-shape[1] // 8)
        rows = np.frombuffer(body[: shape[0] * row_bytes], np.uint8)
        rows = rows[: rows.size // row_bytes * row_bytes].reshape(-1, row_bytes)
        values = np.unpackbits(rows, axis=1)[:, : shape[1]].ravel()
    else:
        dtype = np.dtype(np.uint8 if largest < 256 else ">u2")
        whole = len(body) // dtype.itemsize * dtype.itemsize
        values = np.frombuffer(body[:whole], dtype)
    values = values[:size]
    if values.size < size:
        raise ImageError(f"has {values.size} numbers, wanted {size}")
    if values.min() < 0 or values.max() > largest:
        raise ImageError(
            f"holds numbers from {values.min()} to {values.max()}: wanted 0 to "
            f"{largest}, the maximum that it names"
        )
    if kind in b"14":
        values = 1 - values  # a bit of 1 is black
    return to_float(values.astype(np.uint16).reshape(shape), largest)


def probe_netpbm(file: BinaryIO) -> tuple[int, int, int]:
    """Returns (height, width, channels) of an open PBM, PGM or PPM file."""
    return _netpbm_header(file.read(_HEADER_BYTES))[1]


def netpbm_maximum(file: BinaryIO) -> int:
    """Returns the value of an open PBM, PGM or PPM file that stands for 1."""
    return _netpbm_header(file.read(_HEADER_BYTES))[2]


def _netpbm_header(contents):
    """Returns (kind, b"1" to b"6"; shape; largest value; where the numbers start)."""
    kind = contents[1:2]
    numbers = 2 if kind in b"14" else 3  # bits name no maximum
    header = re.match(rb"P\d" + numbers * _NUMBER + rb"\s", contents)
    if not header:
        raise ImageError("cannot be decoded (its Netpbm header is damaged)")
    width, height, largest = ([int(number) for number in header.groups()] + [1])[:3]
    channels = 3 if kind in b"36" else 1
    if not (width and height and 0 < largest < 65536):
        raise ImageError(
            f"has {width}x{height} pixels of at most {largest}: wanted at least one "
            "pixel, and a maximum from 1 to 65535"
        )
    check_size(height, width, channels)
    return kind, (height, width, channels), largest, header.end()


def npy_header(file: BinaryIO) -> tuple[tuple, np.dtype]:
    """Returns (shape, dtype) of an open `.npy` file, read up to its numbers."""
    version = np.lib.format.read_magic(file)
    read_header = (
        np.lib.format.read_array_header_1_0
        if version == (1, 0)
        else np.lib.format.read_array_header_2_0
    )
    shape, _, dtype = read_header(file)
    return shape, dtype


def _check_npy_size(file):
    """Refuses a `.npy` that claims more than it holds: NumPy takes the memory first."""
    shape, dtype = npy_header(file)
    start, end = file.tell(), file.seek(0, os.SEEK_END)
    file.seek(0)
    wanted = math.prod(shape) * dtype.itemsize
    if wanted != end - start and not dtype.hasobject:
        raise ImageError(f"has {end - start} bytes of numbers, wanted {wanted}")


def _npy_shape(array):
    """Returns (height, width, channels)."""
    if array.ndim not in (2, 3) or 0 in array.shape:
        raise ImageError(
            f"has the shape {list(array.shape)}: wanted [height, width] or [height, "
            "width, channels]"
        )
    return (*array.shape, 1)[:3]
