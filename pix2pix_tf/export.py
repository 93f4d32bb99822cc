"""Export mode: a SavedModel that takes and gives encoded images."""

import tensorflow as tf

from pix2pix_tf import checkpoints, config, images, networks, pairs
from pix2pix_tf.config import CROP_SIZE


class ServingModel(tf.Module):
    """What the SavedModel holds: the generator, and the way from bytes to bytes.

    Every image goes through the network by itself: batch statistics, which the original
    uses at test time too, would otherwise mix the images of one request.
    """

    def __init__(self, generator, pair, output_filetype):
        super().__init__(name="pix2pix")
        self._generator = generator
        self._variables = [variable.value for variable in generator.variables]
        self._pair = pair
        self._output_filetype = output_filetype

    def signatures(self):
        """Returns {signature name: concrete function}."""
        strings = tf.TensorSpec([None], tf.string, name="image_bytes")
        size = [None, CROP_SIZE, CROP_SIZE, self._pair.channels[0]]
        floats = tf.TensorSpec(size, tf.float32, name="inputs")
        return {
            "serving_default": self.translate.get_concrete_function(strings),
            "generate": self.generate.get_concrete_function(floats),
        }

    @tf.function
    def translate(self, image_bytes):
        """Maps encoded images of any size, string [batch], to encoded outputs."""

        def translate_one(contents):
            image = images.to_float(images.decode(contents))
            inputs = pairs.split_input(image, self._pair)
            inputs = images.resize_area(inputs, CROP_SIZE)[tf.newaxis]
            inputs.set_shape([1, CROP_SIZE, CROP_SIZE, self._pair.channels[0]])
            rgb = pairs.output_to_rgb(inputs, self._generator(inputs), self._pair)
            return images.encode(images.to_uint8(rgb)[0], self._output_filetype)

        outputs = tf.map_fn(translate_one, image_bytes, fn_output_signature=tf.string)
        return {"output_bytes": outputs}

    @tf.function
    def generate(self, inputs):
        """Maps float32 [batch, 256, 256, channels] in [-1, 1] to outputs alike."""
        outputs = tf.map_fn(lambda image: self._generator(image[tf.newaxis])[0], inputs)
        return {"outputs": outputs}


def export(options):
    """Writes the checkpoint's generator to `--output_dir` as a SavedModel.

    Args:
        options: Options.

    Raises:
        UsageError: the checkpoint does not fit.
    """
    run = options.run
    generator = networks.build_generator(options.pair.channels, options.model)
    print("loading model from checkpoint")
    checkpoints.restore_generator(generator, checkpoints.find_latest(run.checkpoint))
    config.write_options(options)
    print("exporting model", flush=True)
    model = ServingModel(generator, options.pair, run.output_filetype)
    tf.saved_model.save(model, run.output_dir, signatures=model.signatures())
    print(f"wrote SavedModel at {run.output_dir}")
