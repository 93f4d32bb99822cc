"""Batches of examples: flipped, scaled and cropped."""

from collections.abc import Iterator

import tensorflow as tf

from pix2pix_tf.data.source import ALL, Source, crop_place
from pix2pix_tf.images import kinds, pixels
from pix2pix_tf.options import DataConfig
from pix2pix_tf.options.flag import Size, sides
from pix2pix_tf.runtime.errors import UsageError

Kind = kinds.Pairs | kinds.Colorization


def train_batches(
    source: Source,
    kind: Kind,
    data: DataConfig,
    crop_size: Size,
    seed: int,
    position: int,
    multiple: int = 1,
    shard: tuple[int, int] = ALL,
) -> tf.data.Dataset:
    """Returns an endless Dataset of training batches.

    All are complete: one may hold the end of an epoch and the start of the next, as in
    the original.

    Args:
        source: with the channels of `kind`'s images.
        kind: one with targets.
        seed: in [0, 2**31).
        position: the number of examples that training has already used.
        multiple: without a window, height and width are padded to multiples of it.
        shard: as for `shuffled`.

    Returns:
        Dataset of (indices, inputs, targets): int64 [batch] of the examples, and
        float32 [batch, *crop_size, channels] in [-1, 1]. Without a window the size is
        that of each image, padded.
    """
    size = crop_size if data.has_window else None

    @tf.autograph.experimental.do_not_convert
    def load(index, example_seed, *images):
        if data.preprocess == "crop":  # first, because the images may be large
            images = [
                random_window(image, sides(crop_size), example_seed) for image in images
            ]
        inputs, targets = kind.to_tensors(*images)
        inputs, targets = augment(
            inputs, targets, data, crop_size, example_seed, multiple
        )
        return index, *_set_shapes((inputs, targets), size)

    examples = source.shuffled(seed, position, shard)
    batches = examples.map(load, num_parallel_calls=tf.data.AUTOTUNE).batch(
        data.batch_size, drop_remainder=True
    )
    return read_ahead(batches)


def ordered_batches(
    source: Source, kind: Kind, data: DataConfig, size: Size | tuple | None
) -> tf.data.Dataset:
    """Returns a Dataset of every example once, in order; the last batch may be short.

    Args:
        source: with the channels of `kind`'s images.
        size: the size to scale to, or None to leave each example's own; with a height
            of None the width is scaled, and the height by the same factor.

    Returns:
        Dataset of (indices, inputs, targets), or of (indices, inputs) if the kind has
        no targets: int64 [batch] of the examples, and float32 [batch, height, width,
        channels] in [-1, 1].
    """

    @tf.autograph.experimental.do_not_convert
    def load(index, *images):
        tensors = kind.to_tensors(*images)
        tensors = [pixels.scale(image, sides(size)) for image in tensors]
        return index, *_set_shapes(tensors, size)

    examples = source.ordered().map(load, num_parallel_calls=tf.data.AUTOTUNE)
    return read_ahead(examples.batch(data.batch_size))


def read_ahead(batches: tf.data.Dataset) -> tf.data.Dataset:
    """Returns the Dataset, of which the next two batches are made in the background.

    The autotuning of tf.data, which may take up to a minute to notice that an iterator
    has ended, is off: `AUTOTUNE` then stands for a thread for each core.
    """
    options = tf.data.Options()
    options.autotune.enabled = False
    return batches.prefetch(2).with_options(options)


def iterate(batches: tf.data.Dataset, source: Source) -> Iterator[tuple]:
    """Yields the batches of a Dataset; its error names the example at fault.

    Raises:
        UsageError: an example of `source`, which the Dataset reads, cannot be used.
        tf.errors.OpError: anything else went wrong, such as too little memory.
    """
    try:
        yield from batches
    except tf.errors.OpError as error:
        # All that TensorFlow keeps of a Python exception is its type's name and text.
        if f"{kinds.ExampleError.__name__}: " in error.message.partition("\n")[0]:
            raise source.error() from None
        if "Cannot batch tensors with different shapes" in error.message:
            raise UsageError(
                "the images of a batch have several sizes: give --batch_size 1"
            ) from None
        raise


def padded_sizes(
    source: Source, data: DataConfig, crop_size: Size, multiple: int
) -> set[tuple[int, int]]:
    """Returns the sizes that the images of training have without a window."""
    return {
        tuple(
            int(pixels.padded_side(side, multiple, least))
            for side, least in zip(
                pixels.scaled_sides(*size, data.scaled_size),
                sides(crop_size),
                strict=True,
            )
        )
        for size in source.image_sizes()
    }


def check_one_size(source: Source, data: DataConfig, crop_size: Size, multiple: int):
    """Raises UsageError if the images of one training batch would differ in size."""
    if data.has_window or data.batch_size == 1:
        return
    found = sorted(padded_sizes(source, data, crop_size, multiple))
    if len(found) > 1:
        small, large = (f"{width}x{height}" for height, width in (found[0], found[-1]))
        raise UsageError(
            f"--batch_size {data.batch_size} needs images of one size, and "
            f"--preprocess {data.preprocess} leaves {len(found)}, such as {small} and "
            f"{large}: give --batch_size 1, or --preprocess crop"
        )


def augment(
    inputs: tf.Tensor,
    targets: tf.Tensor,
    data: DataConfig,
    crop_size: Size,
    seed,
    multiple: int = 1,
) -> tuple[tf.Tensor, tf.Tensor]:
    """Flips, scales, crops and turns both images alike, by draws of one seed.

    The order of the first three is that of the original.

    Args:
        inputs, targets: float32 [height, width, channels]; for `--preprocess crop` of
            crop_size already.
        seed: int [2], for tf.random.stateless_*.
        multiple: without a window, height and width are padded to multiples of it.

    Returns:
        (inputs, targets), float32 [*crop_size, channels]; without a window of another
        size, at least that.
    """

    def augment_one(image):
        if data.flip:
            image = random_flip(image, seed)
        if data.flip_vertical:
            image = random_flip_vertical(image, seed)
        if data.preprocess != "crop":
            image = pixels.scale(image, data.scaled_size)
            if data.has_window:
                image = random_window(image, sides(crop_size), seed)
            else:
                image = _pad_whole(image, sides(crop_size), multiple)
        if data.rotate90:
            image = random_turn(image, seed)
        return image

    # One by one: three channels are scaled much faster than six.
    return augment_one(inputs), augment_one(targets)


def random_flip(image: tf.Tensor, seed) -> tf.Tensor:
    """Mirrors an image, [height, width, channels], for half of all seeds, int [2]."""
    draw = tf.random.stateless_uniform([], tf.random.fold_in(seed, 0))
    return tf.cond(draw < 0.5, lambda: tf.reverse(image, [1]), lambda: image)


def random_flip_vertical(image: tf.Tensor, seed) -> tf.Tensor:
    """Turns an image upside down for half of all seeds, as `random_flip` mirrors it."""
    draw = tf.random.stateless_uniform([], tf.random.fold_in(seed, 2))
    return tf.cond(draw < 0.5, lambda: tf.reverse(image, [0]), lambda: image)


def random_turn(image: tf.Tensor, seed) -> tf.Tensor:
    """Turns an image by 0 to 3 quarter turns, which depend on `seed`, int [2], only."""
    turns = tf.random.stateless_uniform(
        [], tf.random.fold_in(seed, 3), maxval=4, dtype=tf.int32
    )
    return tf.image.rot90(image, turns)


def random_window(image: tf.Tensor, size: tuple[int, int], seed) -> tf.Tensor:
    """Crops an image at random; where it is smaller, pads it by reflection first."""
    height, width = image.shape[:2]
    if not (height and width and height >= size[0] and width >= size[1]):
        image = pad_to_least(image, size)
    return random_crop(image, size, seed)


def pad_to_least(image: tf.Tensor, size) -> tf.Tensor:
    """Pads an image by reflection where it is smaller than (height, width)."""
    sides = tf.shape(image)[:2]
    wanted = tf.maximum(sides, size)
    return tf.cond(
        tf.reduce_all(sides == wanted),
        lambda: image,
        lambda: pixels.pad_by_reflection(image, tf.unstack(wanted)),
    )


def _pad_whole(image, least, multiple):
    """Pads by reflection to multiples that are at least (height, width)."""
    wanted = [
        pixels.padded_side(side, multiple, low)
        for side, low in zip(tf.unstack(tf.shape(image)[:2]), least, strict=True)
    ]
    return pad_to_least(image, tf.stack(wanted))


def why_too_small(data: DataConfig, crop_size: Size, height: int, width: int) -> str:
    """Returns why `--small_images refuse` refuses an image, as text; "" if it is not.

    Args:
        height, width: of the image, before it is scaled.
    """
    scaled = pixels.scaled_sides(height, width, data.scaled_size)
    least = sides(crop_size)
    if scaled[0] >= least[0] and scaled[1] >= least[1]:
        return ""
    became = "" if scaled == (height, width) else f", scaled {scaled[1]}x{scaled[0]}"
    return (
        f"is {width}x{height}{became}: wanted at least --crop_size, "
        f"{least[1]}x{least[0]} (--small_images pad pads by reflection)"
    )


def random_crop(image: tf.Tensor, size: tuple[int, int], seed) -> tf.Tensor:
    """Crops an image, [height, width, channels], to `size` at a place that is random.

    The place depends on `seed`, int [2], only.
    """
    y, x = tf.unstack(crop_place(tf.shape(image)[:2], size, seed))
    return image[y : y + size[0], x : x + size[1]]


def _set_shapes(tensors, size):
    """Sets the static shapes, for which the networks are compiled."""
    return [
        tf.ensure_shape(tensor, [*sides(size), tensor.shape[-1]]) for tensor in tensors
    ]
