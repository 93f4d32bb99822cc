"""What `pix2pix-tf process` and `datasets` make of images before training.

In: the operations, and their order in a series. Not in: files. TensorFlow is imported
where it is used, so that a command can list the operations without it.
"""

import numpy as np

from pix2pix_tf.images.arrays import ImageError, fits_8_bits, to_float

OPERATIONS = ("grayscale", "resize", "blank", "combine", "edges")
DRAWN = ("grayscale", "blank", "edges")  # in a series these make image A of B
BLANK_SHARE = 0.3  # of the side; as the original
MAX_SIZE = 16384  # pixels of a side

# Images are numpy float32 [height, width, 3], in [0, 1].


def count_images(operations: tuple[str, ...], count: int) -> int:
    """Returns how many images a series of operations makes of 1 or 2.

    Raises:
        ValueError: `combine` has not two images, or is not the last.
    """
    for place, name in enumerate(operations, start=1):
        if name in DRAWN:
            count = 2
        elif name == "combine":
            if count < 2:
                raise ValueError("combine needs two images")
            if place < len(operations):
                raise ValueError(f"{operations[place]} cannot follow combine")
            count = 1
    return count


def apply(
    operations: tuple[str, ...], images: list[np.ndarray], size: int, is_padded: bool
) -> list[np.ndarray]:
    """Applies a series of operations to one image, or to images A and B.

    `resize` changes each image. `grayscale`, `blank` and `edges` change A; a single
    image becomes B before that. Values are rounded after each operation, as if each
    wrote a file for the next.

    Args:
        operations: of OPERATIONS, at least one.
        images: one or two.
        size, is_padded: of `resize`.

    Returns:
        uint8 or uint16 [height, width, 3], as many as `count_images` says.

    Raises:
        ImageError: it cannot be done with these.
    """

    def make(name, parts):
        image = operate(name, parts, size, is_padded)
        return to_numbers(image, needs_16_bits(name, parts))

    made = [to_numbers(image, not fits_8_bits(image)) for image in images]
    for name in operations:
        if name == "combine":
            made = [make(name, images)]
        elif name in DRAWN:
            made = [make(name, images[:1]), made[-1]]
        else:
            made = [make(name, [image]) for image in images]
        images = [to_float(numbers) for numbers in made]
    return made


def needs_16_bits(operation: str, images: list[np.ndarray]) -> bool:
    """Returns True if 8 bits cannot hold what an operation makes of images."""
    # The edges are black and white.
    return operation != "edges" and not all(map(fits_8_bits, images))


def to_numbers(image: np.ndarray, is_deep: bool) -> np.ndarray:
    """Returns uint16 [height, width, 3] if `is_deep`, else uint8."""
    from pix2pix_tf.images import pixels

    return (pixels.to_uint16 if is_deep else pixels.to_uint8)(image).numpy()


def operate(
    operation: str, images: list[np.ndarray], size: int, is_padded: bool
) -> np.ndarray:
    """Returns the image that an operation makes of one or, for `combine`, two.

    Args:
        size, is_padded: of `resize`.

    Raises:
        ImageError: it cannot be done with these.
    """
    image = images[0]
    match operation:
        case "combine":
            return combine(*images)
        case "resize":
            return resize(image, size, is_padded)
        case "blank":
            return blank(image)
        case "grayscale":
            return grayscale(image)
    from pix2pix_tf.images import lines

    return lines.draw_canny(image)


def combine(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Puts two images of one size side by side."""
    if left.shape != right.shape:
        raise ImageError("and its partner differ in size")
    return np.concatenate([left, right], axis=1)


def resize(image: np.ndarray, size: int, is_padded: bool) -> np.ndarray:
    """Crops or pads an image to a square, then scales it: by area down, by bicubic up.

    TensorFlow 1's bicubic (no half-pixel centres), as the original's.
    """
    import tensorflow as tf

    from pix2pix_tf.images import pixels

    height, width, _ = image.shape
    side = max(height, width) if is_padded else min(height, width)
    if side > MAX_SIZE and is_padded:
        raise ImageError(f"is {width}x{height}, too long to pad to {side}x{side}")
    square = tf.image.resize_with_crop_or_pad(image, side, side)
    if side > size:
        square = pixels.resize_area(square, (size, size))
    elif side < size:
        method = tf.compat.v1.image.ResizeMethod.BICUBIC
        square = tf.compat.v1.image.resize(square, [size, size], method)
    return square.numpy()


def blank(image: np.ndarray) -> np.ndarray:
    """Paints a white square in the middle, BLANK_SHARE of the side."""
    height, width, _ = image.shape
    if height != width:
        raise ImageError(f"is {width}x{height}: blank wants a square, so resize first")
    side = int(width * BLANK_SHARE)
    start = int(width / 2 - side / 2)
    image = image.copy()
    image[start : start + side, start : start + side] = 1
    return image


def grayscale(image: np.ndarray) -> np.ndarray:
    """Replaces each colour by its luma, as TensorFlow rounds Rec. ITU-R BT.601's."""
    import tensorflow as tf

    return tf.image.grayscale_to_rgb(tf.image.rgb_to_grayscale(image)).numpy()
