"""Windows of large images, and tiled TIFF files that are written from top to bottom.

In: reading a part of a file that does not fit in memory, and writing such a file. Not
in: which windows, and how they are joined.
"""

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np
import tifffile
from tifffile import COMPRESSION, RESUNIT

from pix2pix_tf.images import arrays, codecs, tiff

TILE_SIZE = 256  # pixels, of written files
BIGTIFF_BYTES = 1 << 31  # compressed numbers may need more bytes than plain ones
_BUFFER_BYTES = 1 << 24  # of tiles that wait to be compressed
# Compressions that lose nothing are carried over, most with differences of neighbours.
_PREDICTED = (
    COMPRESSION.LZW,
    COMPRESSION.ADOBE_DEFLATE,
    COMPRESSION.DEFLATE,
    COMPRESSION.ZSTD,
    COMPRESSION.LZMA,
)
_LOSSLESS = (COMPRESSION.NONE, COMPRESSION.PACKBITS, *_PREDICTED)
_JPEG = {"compression": "jpeg", "compressionargs": {"level": 95}, "predictor": False}
# Where the image lies on a map: GeoTIFF 1.1, section 7, and GDAL's two tags.
_MAP_TAGS = (33550, 33922, 34264, 34735, 34736, 34737, 42112, 42113)


class WindowedImage:
    """An image of which windows are read.

    Attributes:
        height, width: of the image, upright.
    """

    def __init__(self, height: int, width: int, read: Callable[..., np.ndarray]):
        self.height, self.width = height, width
        self._read = read

    def read(self, top: int, left: int, height: int, width: int) -> np.ndarray:
        """Returns the pixels of a window, the same numbers that `codecs.read` gives.

        Args:
            top, left, height, width: of the window, inside of the image.

        Returns:
            numpy float32 [height, width, channels], in [0, 1].

        Raises:
            ImageError: the window is too large, or the data that it touches is damaged.
            OSError: the file cannot be read.
            ValueError: the window is empty, or not inside of the image.
        """
        is_inside = 0 <= top < top + height <= self.height
        if not (is_inside and 0 <= left < left + width <= self.width):
            raise ValueError(
                f"the window of {width}x{height} pixels at row {top}, column {left} is "
                f"empty or not inside of the image of {self.width}x{self.height}"
            )
        with codecs.naming_damage():
            return self._read(top, left, height, width)


@contextlib.contextmanager
def open_image(path: str | bytes | Path, channels: int = 3) -> Iterator[WindowedImage]:
    """Opens an image file of any size to read windows of it.

    Of a TIFF only the strips or tiles that a window touches are decoded. Files of other
    formats are decoded whole, so the bound on pixels of `codecs.read` holds for them.

    Args:
        path: str, bytes or Path.
        channels: int, as in `codecs.read`.

    Yields:
        WindowedImage; threads may share it.

    Raises:
        ImageError: the file is not such an image, or damaged.
        OSError: it cannot be read at all.
    """
    codecs.check_is_file(path)
    with open(path, "rb") as file:
        if file.read(4) in tiff.MAGICS:
            yield _open_tiff(file, channels)
            return
        yield of_array(codecs.read(path, channels))


def of_array(pixels: np.ndarray) -> WindowedImage:
    """Returns the WindowedImage of an array or tensor, [height, width, channels]."""
    return WindowedImage(*pixels.shape[:2], lambda *window: _cut(pixels, *window))


def _open_tiff(file, channels):
    file.seek(0)
    with codecs.naming_damage():
        reader = tiff.WindowReader(file)

    def read(*window):
        return arrays.fit_channels(reader.read(*window), channels, reader.is_plain)

    arrays.fit_channels(np.empty([0, 0, reader.channels]), channels, reader.is_plain)
    return WindowedImage(reader.height, reader.width, read)


def _cut(pixels, top, left, height, width):
    return pixels[top : top + height, left : left + width]


def write_tiff(
    path: str | Path,
    bands: Iterable[np.ndarray],
    shape: tuple[int, int, int],
    dtype: type[np.unsignedinteger],
    like: str | Path | None = None,
) -> None:
    """Writes a tiled TIFF of any size, from an iterator of bands, from top to bottom.

    Memory holds a band and a row of tiles, never the image. A file whose numbers are
    more than 2 GB is a BigTIFF. The file is not written atomically; write to the path
    that `files.writing` yields.

    Args:
        path: the file.
        bands: arrays [rows, width, channels] of any number of rows each, of `dtype`.
        shape: (height, width, channels). Channels are gray, gray and alpha, RGB, RGB
            and alpha, or more bands, as in `arrays.fit_channels`.
        dtype: np.uint8 or np.uint16.
        like: an image file. If it is a TIFF, its compression and resolution are used,
            and, if it is upright and of the same size, its tags of GeoTIFF and GDAL.

    Raises:
        ValueError: the bands have another shape or type than `shape` and `dtype`.
        OSError: the file cannot be written.
    """
    settings = {"compression": COMPRESSION.ADOBE_DEFLATE, "predictor": True}
    if like is not None:
        settings |= _settings_like(like, shape, dtype)
    tiles = _tiles(bands, shape, dtype)
    num_bytes = np.prod(shape, dtype=np.int64) * np.dtype(dtype).itemsize
    with tifffile.TiffWriter(path, bigtiff=bool(num_bytes > BIGTIFF_BYTES)) as writer:
        writer.write(
            tiles,
            shape=shape if shape[2] > 1 else shape[:2],
            dtype=dtype,
            tile=(TILE_SIZE, TILE_SIZE),
            buffersize=_BUFFER_BYTES,
            maxworkers=os.cpu_count(),
            metadata=None,
            **_samples(shape[2]),
            **settings,
        )
    next(tiles, None)  # raises if there are more bands


def _tiles(bands, shape, dtype):
    """Yields the tiles of an image, each row of them from left to right.

    The last ones repeat the edges of the image: JPEG would blur other colours into it.
    """
    for rows in _rows_of_tiles(bands, shape, dtype):
        for left in range(0, shape[1], TILE_SIZE):
            tile = rows[:, left : left + TILE_SIZE]
            missing = [(0, TILE_SIZE - side) for side in tile.shape[:2]]
            tile = np.pad(tile, [*missing, (0, 0)], mode="edge")
            yield tile if shape[2] > 1 else tile[..., 0]


def _rows_of_tiles(bands, shape, dtype):
    """Yields bands of TILE_SIZE rows each, of which the last may be lower."""
    num_rows, rest = 0, np.empty([0, *shape[1:]], dtype)
    for band in bands:
        if band.shape[1:] != shape[1:] or band.dtype != dtype:
            raise ValueError(
                f"a band is {band.dtype} {list(band.shape)}: wanted "
                f"{np.dtype(dtype)} [rows, {shape[1]}, {shape[2]}]"
            )
        num_rows += len(band)
        rest = np.concatenate([rest, band])
        while len(rest) >= TILE_SIZE:
            yield rest[:TILE_SIZE]
            rest = rest[TILE_SIZE:]
    if num_rows != shape[0]:
        raise ValueError(f"the bands have {num_rows} rows in all: wanted {shape[0]}")
    if len(rest):
        yield rest


def _samples(channels):
    """Returns the settings of tifffile for so many channels."""
    num_colors = 3 if channels in (3, 4) else 1
    extra = "unassalpha" if channels in (2, 4) else "unspecified"
    return {
        "photometric": "rgb" if num_colors == 3 else "minisblack",
        "planarconfig": "contig" if channels > 1 else None,
        "extrasamples": [extra] * (channels - num_colors),
    }


def _settings_like(path, shape, dtype):
    """Returns the settings of tifffile that are carried over from a file."""
    with open(path, "rb") as file, codecs.naming_damage():
        if file.read(4) not in tiff.MAGICS:
            return {}
        file.seek(0)
        page = tiff.first_page(file)
        settings = {}
        is_photo = np.dtype(dtype) == np.uint8 and shape[2] in (1, 3)
        if page.compression in _LOSSLESS:
            settings |= {"compression": page.compression}
            settings |= {"predictor": page.compression in _PREDICTED}
        elif page.compression == COMPRESSION.JPEG and is_photo:
            settings |= _JPEG
        resolution = page.tags.valueof(282), page.tags.valueof(283)
        if None not in resolution:
            unit = page.tags.valueof(296, RESUNIT.INCH)
            settings |= {"resolution": resolution, "resolutionunit": unit}
        is_upright = page.tags.valueof(274, 1) == 1
        if is_upright and (page.imagelength, page.imagewidth) == shape[:2]:
            settings["extratags"] = [
                (tag.code, tag.dtype, tag.count, tag.value, True)
                for tag in page.tags
                if tag.code in _MAP_TAGS
            ]
        return settings
