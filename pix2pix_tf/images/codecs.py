"""Image files of every format to numbers: decode, turn upright, fit the channels.

In: JPEG, PNG, BMP, GIF, WebP, AVIF, TIFF, Netpbm, and NumPy's `.npy`. A file's format
is decided by its first bytes, not by its name. Not in: resizing, pairs, TensorFlow
graphs (`images.served` is what the exported model decodes with).
"""

import contextlib
import io
import os
import re
import stat
import warnings
from pathlib import Path
from typing import BinaryIO

import numpy as np
import tensorflow as tf
from PIL import Image

from pix2pix_tf.images import pixels, plain, tiff
from pix2pix_tf.images.arrays import (
    ADVICE,
    MAX_PIXELS,
    ImageError,
    check_size,
    fit_channels,
    to_float,
    turn,
    upright_size,
)

SUFFIXES = (
    ".jpg",
    ".jpeg",
    ".jfif",
    ".png",
    ".bmp",
    ".gif",
    ".webp",
    ".avif",
    ".tif",
    ".tiff",
    ".ppm",
    ".pgm",
    ".pbm",
    ".pnm",
    ".npy",
)
# Images that people have and that are not read: a command names them as left out.
UNREAD_SUFFIXES = tuple(
    ".heic .heif .hif .jxl .jp2 .j2k .jpx .jxr .dng .cr2 .cr3 .nef .arw .orf .rw2 .raf "
    ".exr .hdr .pfm .pam .dds .tga .pcx .ico .psd .xcf .dcm .nii .fits .svg".split()
)
warnings.filterwarnings("error", category=Image.DecompressionBombWarning)
# Pillow's names. Its JPEG is MPO for a phone's, with a second image inside.
_PILLOW_FORMATS = ("JPEG", "PNG", "BMP", "GIF", "WEBP", "AVIF")
_ORIENTATION = 0x0112  # EXIF's tag
# Where a PNG may have it. Pillow decodes the whole image before it looks.
_PNG_EXIF = (b"eXIf", b"Raw profile type exif", b"XML:com.adobe.xmp")
_MODE_CHANNELS = {"1": 1, "L": 1, "I;16": 1, "I": 1, "F": 1, "LA": 2, "RGBA": 4}


def read(path: str | bytes | Path, channels: int = 3) -> np.ndarray:
    """Reads one image file, of several pages or frames the first.

    EXIF orientation is applied. Integers are divided by the largest value that they can
    have, all 16 bits of them, and floats must be in [0, 1] already. CMYK and palettes
    become RGB. docs/formats.md has the details of each format.

    Args:
        path: str, bytes or Path.
        channels: int; how the file's own are fitted is in `fit_channels`. A `.npy`, and
            a TIFF that is neither gray nor RGB, must have exactly so many.

    Returns:
        numpy float32 [height, width, channels], in [0, 1].

    Raises:
        ImageError: the file is not such an image, or damaged.
        OSError: it cannot be read at all.
    """
    path = Path(_text(path))
    check_is_file(path)
    if path.stat().st_size > MAX_PIXELS:
        _check_large(path)
    return from_bytes(path.read_bytes(), channels)


def _check_large(path):
    """Refuses a TIFF with too many pixels before all its bytes are in memory."""
    with path.open("rb") as file, naming_damage():
        if file.read(4) in tiff.MAGICS:
            file.seek(0)
            check_size(*tiff.probe(file), advice=tiff.WINDOW_ADVICE)


def from_bytes(contents: bytes, channels: int = 3) -> np.ndarray:
    """Returns the image in a file's bytes; Args, Returns, Raises: as in `read`."""
    with naming_damage():
        image, is_plain = _decode(contents)
        return fit_channels(image, channels, is_plain)


def decode(contents: bytes) -> np.ndarray:
    """Returns the image in a file's bytes with the channels that it has, as `read`."""
    with naming_damage():
        return _decode(contents)[0]


def from_pillow(image: Image.Image, channels: int = 3) -> np.ndarray:
    """Returns the numbers of an image that Pillow opened or made, as `read` does.

    Args:
        image: of 8 or 16 bits; Pillow's modes I and F have no largest value.
        channels: int.

    Returns:
        numpy float32 [height, width, channels], in [0, 1].

    Raises:
        ImageError: it has another mode, is damaged, or cannot get the channels.
    """
    with naming_damage():
        if image.mode in ("I", "F"):
            raise ImageError(f"has Pillow's mode {image.mode}: wanted 8 or 16 bits")
        is_deep = image.mode.startswith("I;16")
        decoded = np.atleast_3d(image) if is_deep else _decode_by_pillow(image)
        return fit_channels(turn(to_float(decoded), _orientation(image)), channels)


def probe(path: str | bytes | Path) -> tuple[int, int, int]:
    """Returns (height, width, channels) of a file, upright, without decoding it.

    Raises: as `read`.
    """
    check_is_file(path)
    with open(path, "rb") as file, naming_damage():
        if file.read(len(plain.NPY_MAGIC)) == plain.NPY_MAGIC:
            return plain.probe_npy(_text(path))
        return _probe(file)


def probe_bytes(contents: bytes) -> tuple[int, int, int]:
    """Returns what `probe` does, of a file's bytes; raises ImageError as `read`."""
    with naming_damage():
        if contents.startswith(plain.NPY_MAGIC):  # not compressed: it is as small
            return plain.load_npy(contents).shape
        return _probe(io.BytesIO(contents))


def _probe(file):
    """Returns (height, width, channels) of an open file that is not a `.npy`."""
    file.seek(0)
    start = file.read(8)
    file.seek(0)
    if plain.NETPBM_MAGIC.match(start):
        return plain.probe_netpbm(file)
    if start.startswith(tiff.MAGICS):
        return tiff.probe(file)
    image = _open(file)
    orientation = 1
    if image.format != "PNG" or _has_exif(_all_bytes(file)):
        orientation = _orientation(image)
    size = upright_size(image.height, image.width, orientation)
    return *size, _num_channels(image)


def _all_bytes(file):
    """Returns the bytes of a file, and leaves it where it is."""
    place = file.tell()
    file.seek(0)
    contents = file.read()
    file.seek(place)
    return contents


def count_pages(path: str | bytes | Path) -> int:
    """Returns how many pages (TIFF) or frames (GIF, PNG, WebP, AVIF) a file has.

    Only the first is read.

    Raises: as `read`.
    """
    check_is_file(path)
    with open(path, "rb") as file, naming_damage():
        start = file.read(8)
        file.seek(0)
        if start.startswith(tiff.MAGICS):
            return tiff.count_pages(file)
        if start.startswith(plain.NPY_MAGIC) or plain.NETPBM_MAGIC.match(start):
            return 1
        image = _open(file)
        # The second image of an MPO is a preview, or the other eye's.
        return 1 if image.format == "MPO" else getattr(image, "n_frames", 1)


def is_deep(file: BinaryIO) -> bool:
    """Returns True if the numbers of an open file have more than 8 bits.

    The numbers of a palette image are its indices. Only the header is read.

    Raises:
        ImageError: the file is damaged.
    """
    with naming_damage():
        start = file.read(pixels.PNG_BITS_AT + 1)
        file.seek(0)
        if start.startswith(plain.NPY_MAGIC):
            return plain.npy_header(file)[1].itemsize > 1
        if plain.NETPBM_MAGIC.match(start):
            return plain.netpbm_maximum(file) > 255
        if start.startswith(tiff.MAGICS):
            return tiff.num_bits(file) > 8
        return start.startswith(pixels.PNG_MAGIC) and start[pixels.PNG_BITS_AT] == 16


@contextlib.contextmanager
def naming_damage():
    """Turns whatever a decoder raises into an ImageError, which gets the file's name.

    Memory that runs out, and a disk that cannot be read, are not the file's fault.
    """
    try:
        yield
    except (ImageError, MemoryError):
        raise
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        reason = str(error).partition(",")[0]
        raise ImageError(f"cannot be decoded ({reason}): {ADVICE}") from None
    except tf.errors.ResourceExhaustedError as error:
        raise MemoryError(error.message) from None
    except Exception as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise ImageError(f"cannot be decoded ({_reason(error)})") from None


def _reason(error):
    """Returns the first line of an error, without TensorFlow's names of nodes."""
    text = error.message if isinstance(error, tf.errors.OpError) else str(error)
    if isinstance(error, LookupError) or not text:  # its text is a key alone
        text = f"{type(error).__name__} {text}".strip()
    first = text.splitlines()[0]
    return re.sub(r"\{\{.*?\}\} | \[Op:.*", "", first)


def check_is_file(path: str | bytes | Path) -> None:
    """Refuses what would be read without an end: a pipe, a device."""
    if not stat.S_ISREG(os.stat(path).st_mode):
        raise ImageError("is not a file")


def _text(path):
    """Returns a path as str; file systems may hold any bytes."""
    return path.decode(errors="surrogateescape") if isinstance(path, bytes) else path


def _decode(contents):
    """Decodes the bytes of an image file, upright, with the channels that it has.

    Returns:
        (numpy float32 [height, width, channels], in [0, 1]; bool, True if these are
        gray or RGB, with alpha or without).
    """
    if contents.startswith(plain.NPY_MAGIC):
        return to_float(plain.load_npy(contents)), False
    if plain.NETPBM_MAGIC.match(contents):
        return plain.load_netpbm(contents), True
    if contents.startswith(tiff.MAGICS):
        return tiff.decode(contents)
    image = _open(io.BytesIO(contents))
    if image.format == "PNG":
        is_deep = contents[pixels.PNG_BITS_AT] == 16
        decoded = pixels.decode_png(contents, is_deep).numpy()
    elif image.format in ("JPEG", "MPO"):
        decoded = pixels.decode_jpeg(contents).numpy()
    else:
        decoded = _decode_by_pillow(image)
    if image.format == "PNG" and not _has_exif(contents):
        return to_float(decoded), True
    return turn(to_float(decoded), _orientation(image)), True


def _open(file):
    """Returns Pillow's Image of a file, its pixels not yet decoded."""
    if file.read(1) == b"":
        raise ImageError("is empty")
    file.seek(0)
    try:
        return Image.open(file, formats=_PILLOW_FORMATS)
    except Image.UnidentifiedImageError:
        wanted = ", ".join(_PILLOW_FORMATS)
        raise ImageError(
            f"is not an image, or is damaged: wanted {wanted}, TIFF, PPM or NPY"
        ) from None


def _num_channels(image):
    """Returns the channels that `_decode` gives of Pillow's Image."""
    is_key = image.mode != "P" and image.format == "PNG"  # TensorFlow drops it
    if "transparency" in image.info and not is_key:
        return 4
    return _MODE_CHANNELS.get(image.mode, 3)


def _decode_by_pillow(image):
    """Returns numpy uint8 [height, width, 1 to 4]; palettes and CMYK become RGB."""
    if image.mode == "1":
        image = image.convert("L")
    elif "transparency" in image.info or image.mode == "PA":
        image = image.convert("RGBA")
    elif image.mode not in ("L", "LA", "RGB", "RGBA"):
        image = image.convert("RGB")
    decoded = np.array(image)
    return decoded if decoded.ndim == 3 else decoded[..., np.newaxis]


def _has_exif(contents):
    """Returns True if the bytes of a PNG may hold EXIF's orientation."""
    return any(name in contents for name in _PNG_EXIF)


def _orientation(image):
    """Returns EXIF's number, 1 to 8, of how the camera was held; 1 is upright."""
    try:
        value = image.getexif().get(_ORIENTATION, 1)
    except Exception:  # damaged metadata, of which Pillow raises anything
        return 1
    return value if value in range(1, 9) else 1
