"""Batches of examples: flipped, scaled and cropped."""

import tensorflow as tf

from pix2pix_tf.images import pixels
from pix2pix_tf.images.kinds import ExampleError
from pix2pix_tf.options.flag import sides


def train_batches(source, kind, data, crop_size, seed, position):
    """Returns an endless tf.data.Dataset of training batches.

    Args:
        source: data.Source, with the channels of `kind`'s images.
        kind: kinds.Pairs or kinds.Colorization, with targets.
        data: DataConfig.
        crop_size: Size.
        seed: int, in [0, 2**31).
        position: int, the number of examples that training has already used.

    Returns:
        Dataset of (indices, inputs, targets): int64 [batch] of the examples, and
        float32 [batch, *crop_size, channels] in [-1, 1]. All batches are complete:
        one may hold the end of an epoch and the start of the next, as in the original.
    """

    def load(index, example_seed, *images):
        inputs, targets = kind.to_tensors(*images)
        inputs, targets = augment(inputs, targets, data, crop_size, example_seed)
        return index, *_set_shapes((inputs, targets), crop_size)

    examples = source.shuffled(seed, position)
    batches = examples.map(load, num_parallel_calls=tf.data.AUTOTUNE).batch(
        data.batch_size, drop_remainder=True
    )
    return batches.prefetch(tf.data.AUTOTUNE)


def ordered_batches(source, kind, data, size):
    """Returns a tf.data.Dataset of every example once, in order.

    Args:
        source: data.Source, with the channels of `kind`'s images.
        kind: kinds.Pairs or kinds.Colorization.
        data: DataConfig.
        size: Size to scale to, or None to leave each example's own.

    Returns:
        Dataset of (indices, inputs, targets), or of (indices, inputs) where the kind
        has no targets: int64 [batch] of the examples, and float32 [batch, height,
        width, channels] in [-1, 1]. The last batch may be short.
    """

    def load(index, *images):
        tensors = kind.to_tensors(*images)
        if size is not None:
            tensors = [pixels.resize_area(image, sides(size)) for image in tensors]
            tensors = _set_shapes(tensors, size)
        return index, *tensors

    examples = source.ordered().map(load, num_parallel_calls=tf.data.AUTOTUNE)
    return examples.batch(data.batch_size).prefetch(tf.data.AUTOTUNE)


def iterate(batches, source):
    """Yields the batches of a Dataset; its error names the example at fault.

    Args:
        batches: tf.data.Dataset.
        source: data.Source that it reads.

    Raises:
        UsageError: an example cannot be used.
        tf.errors.OpError: anything else went wrong, such as too little memory.
    """
    try:
        yield from batches
    except tf.errors.OpError as error:
        # All that TensorFlow keeps of a Python exception is its type's name and text.
        if f"{ExampleError.__name__}: " in error.message.partition("\n")[0]:
            raise source.error() from None
        raise


def augment(inputs, targets, data, crop_size, seed):
    """Flips, scales and crops both images alike, in the order of the original.

    Args:
        inputs, targets: float32 [height, width, channels].
        data: DataConfig.
        crop_size: Size.
        seed: int [2], for tf.random.stateless_*.

    Returns:
        (inputs, targets), float32 [*crop_size, channels].
    """
    num_inputs = inputs.shape[-1]
    both = tf.concat([inputs, targets], axis=-1)
    if data.flip:
        both = random_flip(both, seed)
    both = pixels.resize_area(both, sides(data.scale_size))
    both = random_crop(both, sides(crop_size), seed)
    return both[..., :num_inputs], both[..., num_inputs:]


def random_flip(image, seed):
    """Mirrors an image, [height, width, channels], for half of all seeds, int [2]."""
    draw = tf.random.stateless_uniform([], tf.random.fold_in(seed, 0))
    return tf.cond(draw < 0.5, lambda: image[:, ::-1], lambda: image)


def random_crop(image, size: tuple[int, int], seed):
    """Crops an image, [height, width, channels], to `size` at a place that is random.

    The place depends on `seed`, int [2], only.
    """
    # floor(U[0, n)): 286 to 256 gives offsets 0 to 30.
    draws = tf.random.stateless_uniform([2], tf.random.fold_in(seed, 1))
    ends = tf.cast(tf.shape(image)[:2] - size + 1, tf.float32)
    y, x = tf.unstack(tf.cast(draws * ends, tf.int32))
    return image[y : y + size[0], x : x + size[1]]


def _set_shapes(tensors, size):
    """Sets the static shapes, for which the networks are compiled."""
    return [
        tf.ensure_shape(tensor, [*sides(size), tensor.shape[-1]]) for tensor in tensors
    ]
