"""Test mode's way from examples to pictures, which validation takes too."""

import tensorflow as tf

from pix2pix_tf import data, networks
from pix2pix_tf.images import kinds, pixels


def ordered_batches(source, options, size, max_batches=None):
    """Yields every example once, in order; a damaged file is named.

    Args:
        source: data.FileSource.
        options: what holds a PairConfig as `pair` and a DataConfig as `data`.
        size: as `data.ordered_batches` takes it.
        max_batches: int, or None for all.

    Raises:
        UsageError: a file is damaged.
    """
    batches = data.ordered_batches(source, options.pair, options.data, size)
    yield from data.iterate(batches.take(max_batches or -1), source)


def make_translate(generator, pair, seed, aspect_ratio=1.0, multiple=None):
    """Returns a compiled function from a batch to what is written of it.

    It maps (the batch's number, inputs, targets where there are any) to (outputs,
    float32 [batch, height, width, channels] in [0, 1], and {kind: uint8 pictures}).

    Args:
        generator: keras.Model.
        pair: PairConfig.
        seed: int, of dropout.
        aspect_ratio: float, width / height of the pictures.
        multiple: int, of which any size is taken, or None for the generator's own size.
    """

    @tf.function(reduce_retracing=True)
    def translate(number, inputs, targets=None):
        networks.key_dropout(generator, seed, number)
        if multiple is not None:
            outputs = networks.generate_at_own_size(generator, inputs, multiple)
        else:
            outputs = generator(inputs)
        pictures = kinds.to_pictures(inputs, outputs, targets, pair, aspect_ratio)
        return pixels.deprocess(outputs), pictures

    return translate
