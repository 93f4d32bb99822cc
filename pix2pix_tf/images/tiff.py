"""TIFF files: what their numbers mean is in their tags, which are obeyed or refused.

In: the first page of a file, decoded by tifffile and imagecodecs, as gray, RGB or
bands in [0, 1], upright. Not in: other pages, other formats. docs/formats.md has the
table of what is read and what is refused.
"""

import io
import logging
import math
import struct
from enum import Enum
from typing import BinaryIO

import numpy as np
import tifffile
from PIL import Image
from tifffile import COMPRESSION, EXTRASAMPLE, PHOTOMETRIC, PREDICTOR, SAMPLEFORMAT

from pix2pix_tf.images import arrays
from pix2pix_tf.images.arrays import ImageError, to_float

MAGICS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
# What makes a file unusable is raised; the log would only add lines to stderr.
logging.getLogger("tifffile").setLevel(logging.CRITICAL)

MAX_COUNTED = 100_000  # pages
_FAX = (COMPRESSION.CCITTRLE, COMPRESSION.CCITTFAX3, COMPRESSION.CCITTFAX4)
# Their decoders find the size in the data, so that is looked at first.
_PICTURES = (COMPRESSION.JPEG, COMPRESSION.WEBP)
_JPEG_END, _JPEG_TAIL = b"\xff\xd9", 16  # bytes at the end, of which some may be 0
_GRAY = (PHOTOMETRIC.MINISWHITE, PHOTOMETRIC.MINISBLACK)
_COLOR_SAMPLES = {  # of the samples of a pixel, how many are its colour
    PHOTOMETRIC.MINISWHITE: 1,
    PHOTOMETRIC.MINISBLACK: 1,
    PHOTOMETRIC.RGB: 3,
    PHOTOMETRIC.PALETTE: 1,
    PHOTOMETRIC.SEPARATED: 4,
    PHOTOMETRIC.YCBCR: 3,
}
# The values that are read, each by itself; `_check` has the combinations.
_READ = {
    "NewSubfileType": (0, 2),  # neither a preview nor a mask of another page
    "ImageDepth": (1,),
    "Compression": (
        COMPRESSION.NONE,
        *_FAX,
        COMPRESSION.LZW,
        COMPRESSION.JPEG,
        COMPRESSION.ADOBE_DEFLATE,
        COMPRESSION.DEFLATE,
        COMPRESSION.PACKBITS,
        COMPRESSION.LZMA,
        COMPRESSION.ZSTD,
        COMPRESSION.WEBP,
    ),
    "PhotometricInterpretation": tuple(_COLOR_SAMPLES),
    "PlanarConfiguration": (1, 2),
    "FillOrder": (1, 2),
    "SampleFormat": (SAMPLEFORMAT.UINT, SAMPLEFORMAT.IEEEFP, SAMPLEFORMAT.VOID),
    "BitsPerSample": (*range(1, 17), 32, 64),
    "SamplesPerPixel": range(1, 1 << 16),
    "Predictor": (PREDICTOR.NONE, PREDICTOR.HORIZONTAL, PREDICTOR.FLOATINGPOINT),
    "InkSet": (1,),  # CMYK
}


def probe(file: BinaryIO) -> tuple[int, int, int]:
    """Returns (height, width, channels) of an open file's first page, upright.

    Raises:
        ImageError: its tags have values that are not read.
        Exception: tifffile cannot read it.
    """
    page = _first_page(file)
    tags = _tags(page)
    _check(tags)
    size = arrays.upright_size(page.imagelength, page.imagewidth, _orientation(page))
    is_gray = tags["PhotometricInterpretation"] in _GRAY
    return *size, (1 if is_gray else 3) + len(tags["ExtraSamples"])


def num_bits(file: BinaryIO) -> int:
    """Returns BitsPerSample of an open file's first page."""
    return _first_page(file).bitspersample


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
    page = _first_page(io.BytesIO(contents))
    tags = _tags(page)
    _check(tags)
    arrays.check_size(page.imagelength, page.imagewidth, tags["SamplesPerPixel"])
    _check_segments(page, contents)
    samples = page.asarray(maxworkers=1)  # training decodes in threads of its own
    if samples.ndim == 2:
        samples = samples[..., np.newaxis]
    elif tags["PlanarConfiguration"] == 2:
        samples = np.moveaxis(samples, 0, -1)
    return arrays.turn(_to_pixels(samples, tags), _orientation(page)), _is_plain(tags)


def _first_page(file):
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


def _tags(page):
    """Returns {name: value} of the tags that say what the numbers mean."""
    has_color = 262 in page.tags  # tifffile takes it for MINISWHITE otherwise
    extras = tuple(page.extrasamples)
    num_unnamed = page.samplesperpixel - len(extras)
    num_unnamed -= _COLOR_SAMPLES.get(page.photometric, 0)
    return {
        "NewSubfileType": page.subfiletype,
        "ImageDepth": page.imagedepth,
        "Compression": page.compression,
        "PhotometricInterpretation": page.photometric if has_color else None,
        "PlanarConfiguration": page.planarconfig,
        "FillOrder": page.fillorder,
        "SampleFormat": page.sampleformat,
        "BitsPerSample": page.bitspersample,
        "SamplesPerPixel": page.samplesperpixel,
        "Predictor": page.predictor,
        "InkSet": page.tags.valueof(332, 1),
        "DotRange": page.tags.valueof(336),
        "ExtraSamples": extras + num_unnamed * (EXTRASAMPLE.UNSPECIFIED,),
        "ColorMap": page.tags.valueof(320),
        "JFIF": page.is_jfif,
    }


def _check(tags):
    """Raises ImageError, with tags and values, unless all is read as it is meant."""
    for name, values in _READ.items():
        if tags[name] not in values:
            raise _refusal(tags, name)
    names = _unread_samples(tags) or _unread_compression(tags)
    if names:
        raise _refusal(tags, *names)


def _refusal(tags, *names):
    values = " with ".join(f"{name} {_show(tags[name])}" for name in names)
    return ImageError(f"has {values}: docs/formats.md has what is read of TIFF")


def _show(value):
    """Returns a tag's value as text: `7 (JPEG)`."""
    if isinstance(value, tuple):
        return f"({', '.join(_show(one) for one in value)})"
    return f"{value} ({value.name})" if isinstance(value, Enum) else str(value)


def _unread_samples(tags):
    """Returns the names of tags whose values together do not say what samples mean."""
    color, extras = tags["PhotometricInterpretation"], tags["ExtraSamples"]
    bits, samples = tags["BitsPerSample"], tags["SamplesPerPixel"]
    is_linear = color in (PHOTOMETRIC.MINISBLACK, PHOTOMETRIC.RGB)
    if samples < _COLOR_SAMPLES[color]:
        return "SamplesPerPixel", "PhotometricInterpretation"
    if samples != _COLOR_SAMPLES[color] + len(extras):
        return "ExtraSamples", "SamplesPerPixel", "PhotometricInterpretation"
    if not set(extras) <= set(EXTRASAMPLE):
        return ("ExtraSamples",)
    if EXTRASAMPLE.ASSOCALPHA in extras and not is_linear:
        return "ExtraSamples", "PhotometricInterpretation"
    if tags["SampleFormat"] == SAMPLEFORMAT.IEEEFP:
        if bits not in (16, 32, 64):
            return "BitsPerSample", "SampleFormat"
        if not is_linear:
            return "SampleFormat", "PhotometricInterpretation"
    elif bits == 64:
        return "BitsPerSample", "SampleFormat"
    if bits == 1 and samples > 1:  # programs pack these differently
        return "BitsPerSample", "SamplesPerPixel"
    if color == PHOTOMETRIC.PALETTE and bits > 16:
        return "BitsPerSample", "PhotometricInterpretation"
    if tags["DotRange"] not in (None, (0, 2**bits - 1)):
        return ("DotRange",)
    return ()


def _unread_compression(tags):
    """Returns the names of tags whose values do not go with the compression."""
    color, compression = tags["PhotometricInterpretation"], tags["Compression"]
    bits, samples = tags["BitsPerSample"], tags["SamplesPerPixel"]
    is_interleaved = samples > 1 and tags["PlanarConfiguration"] == 1
    is_jpeg = compression == COMPRESSION.JPEG
    if compression in _FAX and bits * samples > 1:
        return "Compression", "BitsPerSample", "SamplesPerPixel"
    if compression in _PICTURES and bits != 8:
        return "Compression", "BitsPerSample"
    if is_jpeg and is_interleaved and tags["ExtraSamples"]:
        return "Compression", "ExtraSamples"
    if is_jpeg and color == PHOTOMETRIC.PALETTE:  # indices do not survive it
        return "Compression", "PhotometricInterpretation"
    if is_jpeg and is_interleaved and color == PHOTOMETRIC.RGB and tags["JFIF"]:
        return "Compression", "PhotometricInterpretation", "JFIF"  # JFIF is YCbCr
    if color == PHOTOMETRIC.YCBCR and not (is_jpeg and is_interleaved):
        return "PhotometricInterpretation", "Compression", "PlanarConfiguration"
    if compression == COMPRESSION.WEBP and not (
        color == PHOTOMETRIC.RGB and is_interleaved and samples <= 4
    ):
        return "Compression", "PhotometricInterpretation", "PlanarConfiguration"
    if tags["Predictor"] != PREDICTOR.NONE:
        if compression in (COMPRESSION.NONE, *_FAX, *_PICTURES):
            return "Predictor", "Compression"
        if bits not in (8, 16, 32, 64):
            return "Predictor", "BitsPerSample"
        is_float = tags["SampleFormat"] == SAMPLEFORMAT.IEEEFP
        if tags["Predictor"] == PREDICTOR.FLOATINGPOINT and not is_float:
            return "Predictor", "SampleFormat"
    return ()


def _check_segments(page, contents):
    """Refuses strips and tiles that are missing, cut, or claim to be huge.

    tifffile would fill what is missing, and decode a JPEG of any size to cut it then.
    """
    starts, lengths = page.dataoffsets, page.databytecounts
    if not len(starts) == len(lengths) == math.prod(page.chunked) or 0 in starts:
        raise ImageError("cannot be decoded (strips or tiles are missing)")
    if page.is_contiguous:  # read at once, and then it must be whole
        return
    rows, columns = page.rowsperstrip, page.imagewidth
    if page.is_tiled:
        rows, columns = page.tilelength, page.tilewidth
    for start, length in zip(starts, lengths, strict=True):
        segment = contents[start : start + length]
        if not 0 < length == len(segment):
            raise ImageError("cannot be decoded (a strip or tile is cut)")
        if page.compression == COMPRESSION.JPEG:
            if not segment[-_JPEG_TAIL:].rstrip(b"\0").endswith(_JPEG_END):
                raise ImageError("cannot be decoded (a JPEG strip or tile is cut)")
        if page.compression in _PICTURES:
            width, height = Image.open(io.BytesIO(segment)).size
            if height > rows or width > columns:
                raise ImageError(
                    f"cannot be decoded (a strip or tile of {width}x{height} pixels, "
                    f"wanted {columns}x{rows})"
                )


def _to_pixels(samples, tags):
    """Maps the file's numbers, [height, width, any], to what `decode` returns."""
    meaning, extras = tags["PhotometricInterpretation"], tags["ExtraSamples"]
    values = to_float(samples, largest=2 ** tags["BitsPerSample"] - 1)
    num_colors = _COLOR_SAMPLES[meaning]
    color, others = values[..., :num_colors], values[..., num_colors:]
    if meaning == PHOTOMETRIC.MINISWHITE:
        color = 1 - color
    elif meaning == PHOTOMETRIC.PALETTE:
        color = _color_map(tags)[samples[..., 0].astype(int)]
    elif meaning == PHOTOMETRIC.SEPARATED:
        color = (1 - color[..., :3]) * (1 - color[..., 3:])
    if EXTRASAMPLE.ASSOCALPHA in extras:  # colours were multiplied by it
        place = extras.index(EXTRASAMPLE.ASSOCALPHA)
        alpha = others[..., place : place + 1]
        color = np.where(alpha > 0, color / np.where(alpha > 0, alpha, 1), 0)
        color = np.minimum(color, 1)
    return np.concatenate([color, others], axis=-1) if extras else color


def _color_map(tags):
    """Returns float32 [2 ** bits, 3], in [0, 1]: the colour of each index.

    Numbers have 16 bits. Programs that have 8 write them 256 times too large (Pillow
    does), or as they are; both are seen by what no number has.
    """
    colors, wanted = tags["ColorMap"], 3 * 2 ** tags["BitsPerSample"]
    if np.size(colors) != wanted:
        raise ImageError(f"has {np.size(colors)} numbers in ColorMap, wanted {wanted}")
    colors = np.reshape(colors, (3, -1)).T
    largest = colors.max()
    if not (colors % 256).any():
        return to_float(colors // 256, 255)
    return to_float(colors, 255 if largest < 256 else 65535)


def _is_plain(tags):
    """Returns True for gray or RGB that any number of channels can be made of.

    A single unnamed sample beside RGB is most often alpha (Photoshop writes it so), but
    beside gray it is a band of data.
    """
    extras = tags["ExtraSamples"]
    is_gray = tags["PhotometricInterpretation"] in _GRAY
    if len(extras) == 1:
        return extras[0] != EXTRASAMPLE.UNSPECIFIED or not is_gray
    return not extras
