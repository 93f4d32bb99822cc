"""Arrays of pixels from any file: bounds, values, channels, orientation.

In: NumPy arrays [height, width, channels]. Not in: files and their formats.
"""

import numpy as np
from PIL import Image

# A small file may claim to hold a huge image. Pillow warns above the same bound.
MAX_PIXELS = Image.MAX_IMAGE_PIXELS  # 9459 x 9459
MAX_NUMBERS = 4 * MAX_PIXELS  # pixels times channels
ADVICE = (
    "cut it, or convert it to a tiled TIFF, of which windows are read (vips tiffsave "
    "IMAGE out.tif --tile --bigtiff)"
)
_MAX_ERROR = 0.001  # of 255, for a value of 8 bits; a step of 16 bits is 0.004
LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # Rec. ITU-R BT.601


class ImageError(ValueError):
    """A file is not an image that can be read; str() gives the reason."""


class ChannelsError(ImageError):
    """An image has other channels than are wanted, and cannot be given those."""


def check_size(
    height: int, width: int, channels: int = 1, part: str = "", advice: str = ADVICE
) -> None:
    """Raises ImageError if an image, or a part of it, is above these bounds.

    Args:
        part: in the error, what has this size: such as `a tile of `.
        advice: in the error, what to do.
    """
    if height * width > MAX_PIXELS or height * width * channels > MAX_NUMBERS:
        raise ImageError(
            f"has {part}{width}x{height} pixels, {channels} channels: wanted at most "
            f"{MAX_PIXELS} pixels and {MAX_NUMBERS} numbers at once; {advice}"
        )


def to_float(pixels: np.ndarray, largest: int | None = None) -> np.ndarray:
    """Maps integers to float32 in [0, 1] by their largest possible value.

    Args:
        pixels: numpy array of unsigned integers, or of bool, or of floats in [0, 1].
        largest: int, what becomes 1 (default: the largest value of the integers' type).

    Raises:
        ImageError: other values.
    """
    if pixels.dtype == bool:
        return pixels.astype(np.float32)
    if pixels.dtype.kind == "u":
        largest = largest or np.iinfo(pixels.dtype).max
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


def fit_channels(
    pixels: np.ndarray, channels: int, is_plain: bool = True
) -> np.ndarray:
    """Gives an image the channels that are wanted.

    One channel is gray, two are gray and alpha, three RGB, four RGB and alpha. Gray is
    repeated, RGB becomes its luma (Rec. 601), alpha is dropped without blending, and a
    missing alpha is opaque. Any other number must be there as it is.

    Args:
        pixels: numpy float32 [height, width, any], in [0, 1].
        channels: int.
        is_plain: False if these are bands of any meaning, which cannot be fitted.

    Returns:
        numpy float32 [height, width, channels].

    Raises:
        ChannelsError: it cannot be fitted.
    """
    has = pixels.shape[2]
    if has == channels:
        return pixels
    if has > 4 or channels not in (1, 3, 4) or not is_plain:
        raise ChannelsError(f"has {has} channels, wanted {channels}")
    color = pixels[..., : 1 if has < 3 else 3]
    if channels == 1:
        return color if has < 3 else (color @ LUMA)[..., np.newaxis]
    color = np.repeat(color, 3 // color.shape[2], axis=2)
    if channels == 3:
        return color
    alpha = pixels[..., 1:2] if has == 2 else np.ones_like(color[..., :1])
    return np.concatenate([color, alpha], axis=2)


def upright_size(height: int, width: int, orientation: int) -> tuple[int, int]:
    """Returns (height, width) of an image after `turn`."""
    return (width, height) if orientation >= 5 else (height, width)


def turn(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """Turns and mirrors [height, width, channels] upright.

    Args:
        orientation: int, 1 (upright) to 8.

    Source: EXIF 2.3, section 4.6.4, and TIFF 6.0, tag 274.
    """
    if orientation >= 5:
        pixels = pixels.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return pixels


def stored_window(
    window: tuple[int, int, int, int], size: tuple[int, int], orientation: int
) -> tuple[int, int, int, int]:
    """Returns where a window of an upright image lies in the image before `turn`.

    Args:
        window: (top, left, height, width) in the upright image.
        size: (height, width) of the upright image.
        orientation: int, 1 (upright) to 8.
    """
    top, left, height, width = window
    if orientation in (2, 3, 6, 7):
        left = size[1] - left - width
    if orientation in (3, 4, 7, 8):
        top = size[0] - top - height
    if orientation >= 5:
        return left, top, width, height
    return top, left, height, width


def fits_8_bits(image: np.ndarray) -> bool:
    """Returns True if 8 bits hold all values of an image.

    Args:
        image: float32 of any shape, in [0, 1].
    """
    levels = image * 255
    return bool((np.abs(levels - np.round(levels)) < _MAX_ERROR).all())
