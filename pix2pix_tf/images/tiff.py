"""TIFF files: the first page, whole or by windows, upright.

In: strips and tiles, decoded by tifffile and imagecodecs, and their damage. Not in:
what the numbers mean (`tiff_tags`), other pages, other formats, writing (`windows`).
"""

import functools
import io
import itertools
import logging
import math
import os
import struct
import threading
from typing import BinaryIO

import numpy as np
import tifffile
from PIL import Image
from tifffile import COMPRESSION

from pix2pix_tf.images import arrays
from pix2pix_tf.images.arrays import ImageError
from pix2pix_tf.images.tiff_tags import (
    IMAGE_CODECS,
    is_plain,
    num_channels,
    read_tags,
    to_pixels,
)

MAGICS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
# What makes a file unusable is raised; the log would only add lines to stderr.
logging.getLogger("tifffile").setLevel(logging.CRITICAL)

MAX_COUNTED = 100_000  # pages
# What to do with an image that is too large to be read whole.
WINDOW_ADVICE = (
    "train on windows of it (--preprocess crop), or generate it by tiles (pix2pix-tf "
    "predict with --tile)"
)
_JPEG_END, _JPEG_TAIL = b"\xff\xd9", 16  # bytes at the end, of which some may be 0
_CACHE_BYTES = 1 << 28  # of decoded tiles or strips, of one open file


def probe(file: BinaryIO) -> tuple[int, int, int]:
    """Returns (height, width, channels) of an open file's first page, upright.

    Raises:
        ImageError: its tags have values that are not read.
        Exception: tifffile cannot read it.
    """
    page = first_page(file)
    channels = num_channels(read_tags(page))
    size = arrays.upright_size(page.imagelength, page.imagewidth, _orientation(page))
    return *size, channels


def num_bits(file: BinaryIO) -> int:
    """Returns BitsPerSample of an open file's first page."""
    return first_page(file).bitspersample


def count_pages(file: BinaryIO) -> int:
    """Returns how many pages an open file has, without previews and masks.

    Follows the chain of pages by hand: tifffile never ends on one that is a ring.
    """
    byteorder = "<" if file.read(2) == b"II" else ">"
    is_big = 43 in file.read(2)  # BigTIFF
    number, offset = (f"{byteorder}{'Q' if is_big else size}" for size in "HI")
    entry_bytes, value_at = (20, 12) if is_big else (12, 8)
    file.seek(8 if is_big else 4)
    num_pages, seen, place = 0, {0}, _unpack(offset, file)
    while place not in seen and len(seen) < MAX_COUNTED:
        seen.add(place)
        file.seek(place)
        num_tags = _unpack(number, file)
        if not num_tags:
            break
        first = file.read(entry_bytes)
        file.seek(place + struct.calcsize(number) + num_tags * entry_bytes)
        place = _unpack(offset, file)
        # NewSubfileType, of the lowest number, comes first where there is one.
        is_part = len(first) == entry_bytes and (
            struct.unpack_from(f"{byteorder}H", first)[0] == 254
            and any(byte & 0b101 for byte in first[value_at:])
        )
        num_pages += not is_part
    return max(1, num_pages)


def _unpack(number_format, file):
    """Reads one number, 0 where the file has ended."""
    contents = file.read(struct.calcsize(number_format))
    if len(contents) < struct.calcsize(number_format):
        return 0
    return struct.unpack(number_format, contents)[0]


def decode(contents: bytes) -> tuple[np.ndarray, bool]:
    """Decodes the first page of a file.

    Args:
        contents: bytes.

    Returns:
        (pixels, is_plain): float32 [height, width, channels], in [0, 1]; and True if
        they are gray or RGB and perhaps alpha, False if they are bands of any meaning.

    Raises:
        ImageError: its tags have values that are not read, or it is damaged.
        Exception: tifffile or imagecodecs cannot decode it.
    """
    page = first_page(io.BytesIO(contents))
    tags = read_tags(page)
    size = page.imagelength, page.imagewidth, tags["SamplesPerPixel"]
    arrays.check_size(*size, advice=WINDOW_ADVICE)
    _check_segments(page, contents)
    samples = page.asarray(maxworkers=1)  # training decodes in threads of its own
    if samples.ndim == 2:
        samples = samples[..., np.newaxis]
    elif tags["PlanarConfiguration"] == 2:
        samples = np.moveaxis(samples, 0, -1)
    return arrays.turn(to_pixels(samples, tags), _orientation(page)), is_plain(tags)


class WindowReader:
    """Reads windows of an open file's first page: only the tiles or strips they touch.

    Decoded tiles or strips are kept for the next windows, up to 256 MB of them. Threads
    may share a reader.

    Attributes:
        height, width, channels: of the image, upright.
        is_plain: as `decode` returns it.
    """

    def __init__(self, file: BinaryIO):
        """Reads the tags.

        Raises:
            ImageError: they have values that are not read.
            Exception: tifffile cannot read them.
        """
        self._page = page = first_page(file)
        self._tags = read_tags(page)
        _check_count(page)
        self._orientation = _orientation(page)
        self.height, self.width = arrays.upright_size(
            page.imagelength, page.imagewidth, self._orientation
        )
        self.channels = num_channels(self._tags)
        self.is_plain = is_plain(self._tags)
        self._read_bytes = functools.partial(_read_bytes, file, threading.Lock())
        segment_bytes = math.prod(page.chunks) * page.dtype.itemsize
        decode = functools.partial(_decode_segment, page, self._read_bytes)
        num_kept = max(1, _CACHE_BYTES // segment_bytes)
        self._decode = functools.lru_cache(num_kept)(decode)
        page.init_decode()  # tifffile does this once, and not in threads

    def read(self, top: int, left: int, height: int, width: int) -> np.ndarray:
        """Returns the pixels of a window: the numbers that `decode` gives there.

        Args:
            top, left, height, width: of the window, in the upright image.

        Returns:
            float32 [height, width, channels], in [0, 1].

        Raises:
            ImageError: the window is too large, or the data that it touches is damaged.
            Exception: imagecodecs cannot decode it.
        """
        page = self._page
        arrays.check_size(
            height, width, page.samplesperpixel, advice="ask for smaller windows"
        )
        top, left, height, width = arrays.stored_window(
            (top, left, height, width), (self.height, self.width), self._orientation
        )
        samples = np.empty([height, width, page.samplesperpixel], page.dtype)
        copy = self._copy_rows if page.is_final else self._copy_segments
        copy(samples, top, left)
        return arrays.turn(to_pixels(samples, self._tags), self._orientation)

    def _copy_rows(self, samples, top, left):
        """Fills `samples` from numbers that are not compressed, in one piece."""
        height, width, _ = samples.shape
        planes, _, rows, columns, together = self._page.shaped
        dtype = self._page.dtype.newbyteorder(self._page.parent.byteorder)
        for plane, row in itertools.product(range(planes), range(height)):
            place = ((plane * rows + top + row) * columns + left) * together
            start = self._page.dataoffsets[0] + place * dtype.itemsize
            numbers = self._read_bytes(start, width * together * dtype.itemsize)
            samples[row, :, plane : plane + together] = np.frombuffer(
                numbers, dtype
            ).reshape(width, together)

    def _copy_segments(self, samples, top, left):
        """Fills `samples` from the tiles or strips that it touches."""
        page = self._page
        height, width, _ = samples.shape
        rows, columns = _segment_size(page)
        num_columns = math.ceil(page.imagewidth / columns)
        num_rows = math.ceil(page.imagelength / rows)
        for plane, row, column in itertools.product(
            range(page.shaped[0]),
            range(top // rows, math.ceil((top + height) / rows)),
            range(left // columns, math.ceil((left + width) / columns)),
        ):
            segment = self._decode((plane * num_rows + row) * num_columns + column)
            to_y, from_y = _overlap(top, height, row * rows, rows)
            to_x, from_x = _overlap(left, width, column * columns, columns)
            planes = slice(plane, plane + segment.shape[-1])
            samples[to_y, to_x, planes] = segment[from_y, from_x]


def _overlap(start, length, other_start, other_length):
    """Returns where two ranges overlap: the slice of the one, and of the other."""
    first = max(start, other_start)
    end = min(start + length, other_start + other_length)
    return (
        slice(first - start, end - start),
        slice(first - other_start, end - other_start),
    )


def _read_bytes(file, lock, start, length):
    if not start:
        raise ImageError("cannot be decoded (a strip or tile is missing)")
    with lock:
        if start + length > file.seek(0, os.SEEK_END):  # before memory is taken
            raise ImageError("cannot be decoded (its end is missing)")
        file.seek(start)
        return file.read(length)


def _decode_segment(page, read_bytes, index):
    """Returns a tile or strip by its number, [rows, columns, samples]."""
    rows, columns = _segment_size(page)
    arrays.check_size(rows, columns, page.shaped[-1], "a strip or tile of ")
    start, length = page.dataoffsets[index], page.databytecounts[index]
    contents = read_bytes(start, length)
    _check_segment(page, contents, length)
    tables = {"jpegtables": page.jpegtables, "jpegheader": page.jpegheader}
    return page.decode(contents, index, **tables)[0][0]  # of ImageDepth 1


def first_page(file: BinaryIO) -> tifffile.TiffPage:
    """Returns the first page of an open file; raises ImageError or any Exception."""
    try:
        return tifffile.TiffFile(file).pages.first
    except TypeError:  # a tag has several values, and tifffile needs one
        raise ImageError(
            "has a tag of the wrong type or count, such as a SampleFormat that differs "
            "between the samples of a pixel"
        ) from None


def _orientation(page):
    value = page.tags.valueof(274)
    return value if value in range(1, 9) else 1


def _segment_size(page):
    """Returns (rows, columns) of a tile or strip."""
    if page.is_tiled:
        return page.tilelength, page.tilewidth
    return page.rowsperstrip, page.imagewidth


def _check_count(page):
    starts, lengths = page.dataoffsets, page.databytecounts
    if not len(starts) == len(lengths) == math.prod(page.chunked):
        raise ImageError("cannot be decoded (strips or tiles are missing)")


def _check_segments(page, contents):
    """Refuses strips and tiles that are missing, cut, or claim to be huge."""
    _check_count(page)
    if 0 in page.dataoffsets:
        raise ImageError("cannot be decoded (strips or tiles are missing)")
    if page.is_contiguous:  # read at once, and then it must be whole
        return
    for start, length in zip(page.dataoffsets, page.databytecounts, strict=True):
        _check_segment(page, contents[start : start + length], length)


def _check_segment(page, segment, length):
    """Refuses the bytes of a strip or tile that is cut or claims to be huge.

    tifffile would fill what is missing, and decode a JPEG of any size to cut it then.
    """
    if not 0 < length == len(segment):
        raise ImageError("cannot be decoded (a strip or tile is cut)")
    if page.compression == COMPRESSION.JPEG:
        if not segment[-_JPEG_TAIL:].rstrip(b"\0").endswith(_JPEG_END):
            raise ImageError("cannot be decoded (a JPEG strip or tile is cut)")
    if page.compression in IMAGE_CODECS:
        rows, columns = _segment_size(page)
        width, height = Image.open(io.BytesIO(segment)).size
        if height > rows or width > columns:
            raise ImageError(
                f"cannot be decoded (a strip or tile of {width}x{height} pixels, "
                f"wanted {columns}x{rows})"
            )
