"""Export mode: a SavedModel that takes and gives encoded images."""

import tensorflow as tf

from pix2pix_tf import checkpoints, networks
from pix2pix_tf.images import kinds, pixels
from pix2pix_tf.options import write_options
from pix2pix_tf.options.flag import sides
from pix2pix_tf.runtime.errors import UsageError

IMAGE_CHANNELS = (1, 3, 4)  # of PNG, for reading and writing alike


class ServingModel(tf.Module):
    """What the SavedModel holds: the generator, and the way from bytes to bytes.

    Every image goes through the network by itself: batch statistics, which the original
    uses at test time too, would otherwise mix the images of one request.
    """

    def __init__(self, generator, options):
        super().__init__(name="pix2pix")
        self._variables = networks.freeze(generator)
        # Not the model itself, or its kernels would be saved as they were, too.
        self._generator = lambda inputs: generator(inputs)
        self._pair = options.pair
        self._multiple = options.model.multiple if options.output.full_size else None
        self._size = sides(options.model.crop_size)
        self._output_filetype = options.output.output_filetype

    def signatures(self):
        """Returns {signature name: concrete function}.

        Encoded images have gray, RGB or RGBA; other channels come as numbers only.
        """
        strings = tf.TensorSpec([None], tf.string, name="image_bytes")
        size = (None, None) if self._multiple else self._size
        channels = self._pair.channels
        floats = tf.TensorSpec([None, *size, channels[0]], tf.float32, name="inputs")
        found = {"generate": self.generate.get_concrete_function(floats)}
        if self._pair.lab_colorization or set(channels) <= set(IMAGE_CHANNELS):
            found["serving_default"] = self.translate.get_concrete_function(strings)
        return found

    @tf.function
    def translate(self, image_bytes):
        """Maps encoded images of any size, string [batch], to encoded outputs."""

        def translate_one(contents):
            channels = 3 if self._pair.lab_colorization else self._pair.channels[0]
            image = pixels.to_float(pixels.decode(contents, channels))
            inputs = kinds.from_input(image, self._pair)
            if not self._multiple:
                inputs = pixels.resize_area(inputs, self._size)
                inputs = tf.ensure_shape(inputs, [*self._size, inputs.shape[-1]])
            rgb = self._to_picture(inputs[tf.newaxis])[0]
            return pixels.encode(pixels.to_uint8(rgb), self._output_filetype)

        outputs = tf.map_fn(translate_one, image_bytes, fn_output_signature=tf.string)
        return {"output_bytes": outputs}

    @tf.function
    def generate(self, inputs):
        """Maps float32 [batch, height, width, channels] in [-1, 1] to outputs alike."""
        outputs = tf.map_fn(lambda image: self._generate(image[tf.newaxis])[0], inputs)
        return {"outputs": outputs}

    def _generate(self, inputs):
        if self._multiple:
            return networks.generate_at_own_size(
                self._generator, inputs, self._multiple
            )
        return self._generator(inputs)

    def _to_picture(self, inputs):
        """[1, height, width, channels] in [-1, 1] -> what is encoded, in [0, 1]."""
        outputs = self._generate(inputs)
        if not self._pair.lab_colorization:
            return pixels.deprocess(outputs)
        return kinds.to_rgb(inputs, outputs, None, self._pair)["outputs"]


def export(options):
    """Writes the checkpoint's generator to `--output_dir` as a SavedModel.

    Args:
        options: Options.

    Raises:
        UsageError: the checkpoint does not fit.
    """
    run, pair = options.run, options.pair
    if options.output.output_filetype == "jpeg" and pair.channels[1] == 4:
        raise UsageError("--output_filetype jpeg has no alpha: leave it out, for PNG")
    prefix = checkpoints.find_latest(run.checkpoint)
    checkpoints.check_widths(prefix, options.model)
    generator = networks.build_generator(
        pair.channels, options.model, any_size=options.output.full_size
    )
    print("loading model from checkpoint")
    checkpoints.restore_generator(generator, prefix)
    write_options(options)
    print("exporting model", flush=True)
    model = ServingModel(generator, options)
    tf.saved_model.save(model, run.output_dir, signatures=model.signatures())
    print(f"wrote SavedModel at {run.output_dir}")
