"""Picture files of every format to numbers: decode, turn upright, fit the channels.

In: JPEG, PNG, BMP, GIF (first frame), WebP, TIFF, and NumPy's `.npy`. What a file is
decides its first bytes, not its name. Not in: resizing, pairs, TensorFlow graphs
(`images.decode` is the exported model's own decoder).
"""

import io
import math
import os
import re
import stat
import struct
import warnings
from pathlib import Path

import numpy as np
import tensorflow as tf
import tifffile
from PIL import Image

SUFFIXES = (
    ".jpg",
    ".jpeg",
    ".png",
    ".bmp",
    ".gif",
    ".webp",
    ".tif",
    ".tiff",
    ".npy",
)
# A bomb is a small file that claims more. The bound is Pillow's, who warns above it.
MAX_PIXELS = Image.MAX_IMAGE_PIXELS  # 9459 x 9459
MAX_NUMBERS = 4 * MAX_PIXELS  # pixels times channels
warnings.filterwarnings("error", category=Image.DecompressionBombWarning)
# Pillow's names. Its JPEG is MPO for a phone's, with a second picture inside.
_FORMATS = ("JPEG", "PNG", "BMP", "GIF", "WEBP")
_NPY_MAGIC = b"\x93NUMPY"
_TIFF_MAGICS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_ORIENTATION = 0x0112  # EXIF's tag
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # Rec. ITU-R BT.601
_MODE_CHANNELS = {"1": 1, "L": 1, "I;16": 1, "I": 1, "F": 1, "LA": 2, "RGBA": 4}
# What Pillow, tifffile and NumPy raise for damaged files.
_DECODING_ERRORS = (
    EOFError,
    Image.DecompressionBombError,
    Image.DecompressionBombWarning,
    LookupError,
    MemoryError,
    OSError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
    struct.error,
)


class ImageError(ValueError):
    """A file is no whole picture of a kind that is read; str() says why."""


class ChannelsError(ImageError):
    """An image has other channels than are wanted, and cannot be given those."""


def read(path, channels=3):
    """Reads one picture file.

    EXIF orientation is applied. Integers are divided by their type's largest value, all
    16 bits of them, and floats must be in [0, 1] already. CMYK and palettes become RGB.

    Args:
        path: str, bytes or Path.
        channels: int; how the file's own are fitted is in `fit_channels`. A `.npy` must
            have exactly so many.

    Returns:
        numpy float32 [height, width, channels], in [0, 1].

    Raises:
        ImageError: the file is no such picture, or damaged.
        OSError: it cannot be read at all.
    """
    path = Path(_text(path))
    _check_kind(path)
    return from_bytes(path.read_bytes(), channels)


def from_bytes(contents, channels=3):
    """Returns the picture in a file's bytes; Args, Returns, Raises: as `read`."""
    if contents.startswith(_NPY_MAGIC):
        pixels = _load_npy(contents)
        if pixels.shape[2] != channels:
            raise ChannelsError(f"has {pixels.shape[2]} channels, wanted {channels}")
        return to_float(pixels)
    return fit_channels(to_float(decode(contents)), channels)


def probe(path):
    """Returns (height, width, channels) of a file, upright, from its first bytes only.

    Raises: as `read`.
    """
    _check_kind(path)
    with open(path, "rb") as file:
        start = file.read(8)
        file.seek(0)
        try:
            if start.startswith(_NPY_MAGIC):
                array = np.load(_text(path), mmap_mode="r", allow_pickle=False)
                return _check_npy(array)
            if start.startswith(_TIFF_MAGICS):
                return _probe_tiff(_first_page(file))
            picture = _open(file)
        except ImageError:
            raise
        except _DECODING_ERRORS as error:
            raise ImageError(f"cannot be decoded ({_first_line(error)})") from None
        channels = _MODE_CHANNELS.get(picture.mode, 3)
        return *_upright(picture.height, picture.width, _orientation(picture)), channels


def decode(contents):
    """Decodes the bytes of a picture file, upright, with the channels that it has.

    JPEG and PNG are decoded by TensorFlow, as in the original.

    Args:
        contents: bytes.

    Returns:
        numpy uint8, uint16, or float32 or float64 in [0, 1], [height, width, channels].

    Raises:
        ImageError: it is no such picture, or damaged.
    """
    try:
        if contents.startswith(_TIFF_MAGICS):
            return _decode_tiff(contents)
        picture = _open(io.BytesIO(contents))
        if picture.format == "PNG":  # the 25th byte: bits of a sample
            dtype = tf.uint16 if contents[24] == 16 else tf.uint8
            pixels = tf.io.decode_png(contents, dtype=dtype).numpy()
        elif picture.format in ("JPEG", "MPO"):
            pixels = tf.io.decode_jpeg(contents).numpy()
        else:
            pixels = _decode_by_pillow(picture)
    except tf.errors.OpError as error:
        raise ImageError(_reason(error)) from None
    except ImageError:
        raise
    except _DECODING_ERRORS as error:
        raise ImageError(f"cannot be decoded ({_first_line(error)})") from None
    return _turn(pixels, _orientation(picture))


def fit_channels(pixels, channels):
    """Gives a picture the channels that are wanted, as files of each kind mean them.

    One channel is gray, two are gray and alpha, three RGB, four RGB and alpha. Gray is
    repeated, RGB becomes its luma (Rec. 601), alpha is dropped without blending, and a
    missing alpha is opaque. Any other number must be there as it is.

    Args:
        pixels: numpy float32 [height, width, any], in [0, 1].
        channels: int.

    Returns:
        numpy float32 [height, width, channels].

    Raises:
        ImageError: it cannot be fitted.
    """
    has = pixels.shape[2]
    if has == channels:
        return pixels
    if has > 4 or channels not in (1, 3, 4):
        raise ChannelsError(f"has {has} channels, wanted {channels}")
    color = pixels[..., : 1 if has < 3 else 3]
    if channels == 1:
        return color if has < 3 else (color @ _LUMA)[..., np.newaxis]
    color = np.repeat(color, 3 // color.shape[2], axis=2)
    if channels == 3:
        return color
    alpha = pixels[..., 1:2] if has == 2 else np.ones_like(color[..., :1])
    return np.concatenate([color, alpha], axis=2)


def to_float(pixels):
    """Maps integers to float32 in [0, 1] by their type's largest value.

    Args:
        pixels: numpy array of unsigned integers, or of bool, or of floats in [0, 1].

    Raises:
        ImageError: other values.
    """
    if pixels.dtype == bool:
        return pixels.astype(np.float32)
    if pixels.dtype.kind == "u":
        largest = np.iinfo(pixels.dtype).max
        return pixels.astype(np.float32) * np.float32(1 / largest)
    if pixels.dtype.kind != "f":
        raise ImageError(
            f"holds {pixels.dtype}: wanted unsigned integers, or floats in [0, 1]"
        )
    if pixels.size and not (pixels.min() >= 0 and pixels.max() <= 1):  # NaN too
        raise ImageError(
            f"holds floats from {pixels.min():.4g} to {pixels.max():.4g}: wanted them "
            "in [0, 1]"
        )
    return pixels.astype(np.float32)


def _check_kind(path):
    """Refuses what would be read without an end: a pipe, a device."""
    if not stat.S_ISREG(os.stat(path).st_mode):
        raise ImageError("is no file")


def _text(path):
    """Returns a path as str; file systems may hold any bytes."""
    return path.decode(errors="surrogateescape") if isinstance(path, bytes) else path


def _open(file):
    """Returns Pillow's Image of a file, its pixels not yet decoded."""
    if file.read(1) == b"":
        raise ImageError("is empty")
    file.seek(0)
    try:
        picture = Image.open(file, formats=_FORMATS)
    except Image.UnidentifiedImageError:
        wanted = ", ".join(_FORMATS)
        raise ImageError(f"is no picture: wanted {wanted}, TIFF or NPY") from None
    except _DECODING_ERRORS as error:
        raise ImageError(f"cannot be decoded ({_first_line(error)})") from None
    return picture


def _check_size(height, width, channels=1):
    if height * width > MAX_PIXELS or height * width * channels > MAX_NUMBERS:
        raise ImageError(
            f"has {width}x{height} pixels, {channels} channels: wanted at most "
            f"{MAX_PIXELS} pixels and {MAX_NUMBERS} numbers"
        )


def _decode_tiff(contents):
    """Decodes the first page: as numbers where Pillow would change or refuse them."""
    page = _first_page(io.BytesIO(contents))
    _check_size(page.imagelength, page.imagewidth, page.samplesperpixel)
    if (
        page.bitspersample <= 8 and page.samplesperpixel <= 4
    ):  # Pillow turns them upright
        return _decode_by_pillow(Image.open(io.BytesIO(contents), formats=["TIFF"]))
    pixels = page.asarray()
    if pixels.ndim == 2:
        pixels = pixels[..., np.newaxis]
    elif page.planarconfig == tifffile.PLANARCONFIG.SEPARATE:
        pixels = np.moveaxis(pixels, 0, -1)
    return _turn(pixels, _tiff_orientation(page))


def _first_page(file):
    return tifffile.TiffFile(file).pages.first


def _probe_tiff(page):
    height, width = page.imagelength, page.imagewidth
    return *_upright(height, width, _tiff_orientation(page)), page.samplesperpixel


def _tiff_orientation(page):
    tag = page.tags.get(_ORIENTATION)
    return int(tag.value) if tag is not None else 1


def _decode_by_pillow(picture):
    """Returns numpy uint8 [height, width, 1 to 4]; palettes and CMYK become RGB."""
    mode = picture.mode
    if mode == "1":
        picture = picture.convert("L")
    elif "transparency" in picture.info or mode == "PA":
        picture = picture.convert("RGBA")
    elif mode not in ("L", "LA", "RGB", "RGBA"):
        picture = picture.convert("RGB")
    pixels = np.array(picture)
    return pixels if pixels.ndim == 3 else pixels[..., np.newaxis]


def _orientation(picture):
    """Returns EXIF's number, 1 to 8, of how the camera was held; 1 is upright."""
    try:
        value = picture.getexif().get(_ORIENTATION, 1)
    except Exception:  # damaged metadata, of which Pillow raises anything
        return 1
    return value if value in range(1, 9) else 1


def _upright(height, width, orientation):
    return (width, height) if orientation >= 5 else (height, width)


def _turn(pixels, orientation):
    """Turns and mirrors [height, width, channels] upright (EXIF 2.3, section 4.6.4)."""
    if orientation >= 5:
        pixels = pixels.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return pixels


def _load_npy(contents):
    """Returns the array of a `.npy`, [height, width, channels]."""
    try:
        file = io.BytesIO(contents)
        _check_npy_size(file)
        pixels = np.load(file, allow_pickle=False)
    except ImageError:
        raise
    except _DECODING_ERRORS as error:
        raise ImageError(f"cannot be decoded ({_first_line(error)})") from None
    _check_npy(pixels)
    return pixels if pixels.ndim == 3 else pixels[..., np.newaxis]


def _check_npy_size(file):
    """Refuses a `.npy` that claims more than it holds: NumPy takes the memory first."""
    version = np.lib.format.read_magic(file)
    read_header = (
        np.lib.format.read_array_header_1_0
        if version == (1, 0)
        else np.lib.format.read_array_header_2_0
    )
    shape, _, dtype = read_header(file)
    start, end = file.tell(), file.seek(0, os.SEEK_END)
    file.seek(0)
    wanted = math.prod(shape) * dtype.itemsize
    if wanted != end - start and not dtype.hasobject:
        raise ImageError(f"has {end - start} bytes of numbers, wanted {wanted}")


def _check_npy(array):
    """Returns (height, width, channels)."""
    if array.ndim not in (2, 3) or 0 in array.shape:
        raise ImageError(
            f"has the shape {list(array.shape)}: wanted [height, width] or [height, "
            "width, channels]"
        )
    return (*array.shape, 1)[:3]


def _reason(error):
    """Returns TensorFlow's message without the names of its internal nodes."""
    text = re.sub(r"\{\{.*?\}\} | \[Op:.*", "", error.message.splitlines()[0])
    return f"cannot be decoded ({text})"


def _first_line(error):
    return (str(error) or type(error).__name__).splitlines()[0]
