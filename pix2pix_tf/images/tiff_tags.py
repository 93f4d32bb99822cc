"""What the tags of a TIFF page mean: which values are read, and what numbers become.

In: the tags that tifffile reads, and the numbers that it decodes, as gray, RGB or
bands in [0, 1]. Not in: files, strips and tiles (`tiff`). docs/formats.md has the table
of what is read and what is refused.
"""

from enum import Enum

import numpy as np
import tifffile
from tifffile import COMPRESSION, EXTRASAMPLE, PHOTOMETRIC, PREDICTOR, SAMPLEFORMAT

from pix2pix_tf.images.arrays import ImageError, to_float

_FAX = (COMPRESSION.CCITTRLE, COMPRESSION.CCITTFAX3, COMPRESSION.CCITTFAX4)
# Their decoders find the size in the data, so that is looked at first.
IMAGE_CODECS = (COMPRESSION.JPEG, COMPRESSION.WEBP)
_GRAY = (PHOTOMETRIC.MINISWHITE, PHOTOMETRIC.MINISBLACK)
_COLOR_SAMPLES = {  # of the samples of a pixel, how many are its colour
    PHOTOMETRIC.MINISWHITE: 1,
    PHOTOMETRIC.MINISBLACK: 1,
    PHOTOMETRIC.RGB: 3,
    PHOTOMETRIC.PALETTE: 1,
    PHOTOMETRIC.SEPARATED: 4,
    PHOTOMETRIC.YCBCR: 3,
}
# The values that are read, each by itself; `read_tags` has the combinations.
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


def read_tags(page: tifffile.TiffPage) -> dict:
    """Returns {name: value} of the tags that say what the numbers mean.

    Raises:
        ImageError: a value, or values together, are not read as they are meant.
    """
    tags = _find_tags(page)
    for name, values in _READ.items():
        if tags[name] not in values:
            raise _refusal(tags, name)
    names = _unread_samples(tags) or _unread_compression(tags)
    if names:
        raise _refusal(tags, *names)
    return tags


def num_channels(tags: dict) -> int:
    """Returns the channels that `to_pixels` gives."""
    is_gray = tags["PhotometricInterpretation"] in _GRAY
    return (1 if is_gray else 3) + len(tags["ExtraSamples"])


def _find_tags(page):
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
    if compression in IMAGE_CODECS and bits != 8:
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
        if compression in (COMPRESSION.NONE, *_FAX, *IMAGE_CODECS):
            return "Predictor", "Compression"
        if bits not in (8, 16, 32, 64):
            return "Predictor", "BitsPerSample"
        is_float = tags["SampleFormat"] == SAMPLEFORMAT.IEEEFP
        if tags["Predictor"] == PREDICTOR.FLOATINGPOINT and not is_float:
            return "Predictor", "SampleFormat"
    return ()


def to_pixels(samples: np.ndarray, tags: dict) -> np.ndarray:
    """Maps the file's numbers to gray, RGB or bands.

    Args:
        samples: numpy array [height, width, samples], of the file's type.
        tags: from `read_tags`.

    Returns:
        float32 [height, width, channels], in [0, 1].

    Raises:
        ImageError: floats are not in [0, 1], or the ColorMap is damaged.
    """
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


def is_plain(tags: dict) -> bool:
    """Returns True for gray or RGB that any number of channels can be made of.

    A single unnamed sample beside RGB is most often alpha (Photoshop writes it so), but
    beside gray it is a band of data.
    """
    extras = tags["ExtraSamples"]
    is_gray = tags["PhotometricInterpretation"] in _GRAY
    if len(extras) == 1:
        return extras[0] != EXTRASAMPLE.UNSPECIFIED or not is_gray
    return not extras
