"""The way from examples to images, of test mode, validation and single images."""

import numpy as np
import tensorflow as tf

from pix2pix_tf import data, networks
from pix2pix_tf.images import kinds, pixels, windows


def ordered_batches(source, kind, config, size, max_batches=None):
    """Yields every example once, in order; an unusable one is named.

    Args:
        source: data.Source.
        kind: kinds.Pairs or kinds.Colorization.
        config: DataConfig.
        size: (height, width) to scale to, as in `pixels.scale`.
        max_batches: int, or None for all.

    Raises:
        UsageError: an example cannot be used.
    """
    batches = data.ordered_batches(source, kind, config, size)
    yield from data.iterate(batches.take(max_batches or -1), source)


def make_translate(generator, kind, seed, aspect_ratio=1.0, multiple=None):
    """Returns a compiled function from a batch to what is written of it.

    It maps (the batch's number, inputs, targets where there are any, whether the images
    have 16 bits) to (outputs, float32 [batch, height, width, channels] in [0, 1], and
    what `kinds.to_images` gives).

    Args:
        generator: keras.Model.
        kind: kinds.Pairs or kinds.Colorization.
        seed: int, of dropout.
        aspect_ratio: float, width / height of the images.
        multiple: int, of which any size is taken, or None for the generator's own size.
    """

    @tf.function(reduce_retracing=True, autograph=False)
    def translate(number, inputs, targets=None, is_deep=False):
        networks.seed_dropout(generator, seed, number)
        if multiple is not None:
            outputs = networks.generate_at_own_size(generator, inputs, multiple)
        else:
            outputs = generator(inputs)
        images = kinds.to_images(kind, inputs, outputs, targets, aspect_ratio, is_deep)
        return pixels.deprocess(outputs), images

    return translate


def by_tiles(translate, tiled, kind, tiling, seed):
    """Returns a function like `make_translate`'s, which uses tiles where it must.

    Args:
        translate: that function, for examples that fit in one tile.
        tiled: TiledGenerator.
        kind, seed: as in `make_translate`.
        tiling: Tiling.
    """

    def translate_large(number, inputs, targets=None, is_deep=False):
        if tiling.is_one(*inputs.shape[1:3]):
            return translate(number, inputs, targets, is_deep)
        bands = tiled.bands(windows.of_array(inputs[0]), seed, int(number))
        outputs = np.concatenate([outputs for _, outputs in bands])[np.newaxis]
        images = kinds.to_images(kind, inputs, outputs, targets, is_deep=is_deep)
        return pixels.deprocess(tf.constant(outputs)), images

    return translate_large


def translate_image(kind, image, size, generate):
    """Translates one image.

    Args:
        kind: kinds.Pairs or kinds.Colorization, without targets.
        image: float32 [height, width, channels], in [0, 1].
        size: (height, width) to scale to, as in `pixels.scale`.
        generate: function from inputs, float32 [1, height, width, channels] in [-1, 1],
            to outputs alike.

    Returns:
        float32 [height, width, channels], in [0, 1]; RGB of a colorization.
    """
    [inputs] = kind.to_tensors(image)
    inputs = pixels.scale(inputs, size)[tf.newaxis]
    return kind.to_output_images(inputs, generate(inputs))[0]
