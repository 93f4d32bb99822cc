"""From examples to batches: order, flip, scale, crop.

Every random draw is stateless: it depends on the seed, the epoch and the example only,
so that training may go on at any position as if it had never stopped.
"""

import tensorflow as tf

from pix2pix_tf import images, pairs
from pix2pix_tf.flags import sides


def train_batches(reader, pair, data, crop_size, seed, position):
    """Returns an endless tf.data.Dataset of training batches.

    Args:
        reader: Reader.
        pair: PairConfig.
        data: DataConfig.
        crop_size: Size.
        seed: int, in [0, 2**31).
        position: int, how many examples training has already seen.

    Returns:
        Dataset of (indices, inputs, targets): int64 [batch] of the examples, and
        float32 [batch, *crop_size, channels] in [-1, 1]. Batches are always whole:
        they run on over the border of an epoch, as the original's do.
    """

    def load(index, example_seed):
        inputs, targets = _load(reader.read_or_next, reader, index, pair)
        inputs, targets = augment(inputs, targets, data, crop_size, example_seed)
        return index, *_set_shapes((inputs, targets), crop_size)

    examples = shuffled(len(reader.examples), seed, position)
    batches = examples.map(load, num_parallel_calls=tf.data.AUTOTUNE).batch(
        data.batch_size, drop_remainder=True
    )
    return batches.prefetch(tf.data.AUTOTUNE)


def shuffled(num_examples, seed, position):
    """Returns an endless tf.data.Dataset of indices, each epoch in its own order.

    Args:
        num_examples: int, in an epoch.
        seed, position: int, as in `train_batches`.

    Returns:
        Dataset of (index, seed of the example in this epoch): int64 scalar, int [2].
    """

    def example_at(position):
        epoch_seed = tf.random.fold_in([seed, 0], position // num_examples)
        rank, last = position % num_examples, num_examples - 1
        index = tf.random.experimental.index_shuffle(rank, epoch_seed, last)
        return index, tf.random.fold_in(epoch_seed, index)

    return tf.data.Dataset.range(position, tf.int64.max).map(example_at)


def ordered_batches(reader, pair, data, size):
    """Returns a tf.data.Dataset of every example once, in order.

    Args:
        reader: Reader.
        pair: PairConfig.
        data: DataConfig.
        size: Size to scale to, or None to leave each example's own.

    Returns:
        Dataset of (indices, inputs, targets) as `train_batches`, or of (indices,
        inputs) for inputs alone; the last batch may be short.
    """

    def load(index):
        tensors = _load(reader.read, reader, index, pair)
        if data.inputs_only:
            tensors = tensors[:1]
        if size is not None:
            tensors = [images.resize_area(image, sides(size)) for image in tensors]
            tensors = _set_shapes(tensors, size)
        return index, *tensors

    indices = tf.data.Dataset.range(len(reader.examples))
    examples = indices.map(load, num_parallel_calls=tf.data.AUTOTUNE)
    if data.on_bad_image == "skip":
        examples = examples.ignore_errors()
    return examples.batch(data.batch_size).prefetch(tf.data.AUTOTUNE)


def augment(inputs, targets, data, crop_size, seed):
    """Flips, scales and crops both pictures by the same draws, in the original's order.

    Args:
        inputs, targets: float32 [height, width, channels].
        data: DataConfig.
        crop_size: Size.
        seed: int [2], as tf.random.stateless_* take it.

    Returns:
        (inputs, targets), float32 [*crop_size, channels].
    """
    num_inputs = inputs.shape[-1]
    both = tf.concat([inputs, targets], axis=-1)
    if data.flip:
        draw = tf.random.stateless_uniform([], tf.random.fold_in(seed, 0))
        both = tf.cond(draw < 0.5, lambda: both[:, ::-1], lambda: both)
    scale, crop = sides(data.scale_size), sides(crop_size)
    both = images.resize_area(both, scale)
    # floor(U[0, n)): 286 to 256 gives offsets 0 to 30.
    draws = tf.random.stateless_uniform([2], tf.random.fold_in(seed, 1))
    ends = [scale[0] - crop[0] + 1, scale[1] - crop[1] + 1]
    y, x = tf.unstack(tf.cast(draws * ends, tf.int32))
    both = both[y : y + crop[0], x : x + crop[1]]
    return both[..., :num_inputs], both[..., num_inputs:]


def _load(read, reader, index, pair):
    """Reads one example into its tensors, float32 [height, width, channels]."""
    types = [tf.float32] * reader.num_pictures
    pictures = tf.numpy_function(read, [index], types, stateful=False)
    for picture, channels in zip(pictures, reader.channels, strict=True):
        picture.set_shape([None, None, channels])
    if pair.lab_colorization:
        return pairs.from_photograph(pictures[0], pair)
    if len(pictures) == 1:
        return [pairs.from_input(pictures[0], pair)]
    return pairs.from_sides(*pictures, pair)


def _set_shapes(tensors, size):
    """Tells the graph the shapes, so that the networks compile for them."""
    return [
        tf.ensure_shape(tensor, [*sides(size), tensor.shape[-1]]) for tensor in tensors
    ]
