"""Export mode: a SavedModel that takes and gives encoded images."""

import os

import tensorflow as tf

from pix2pix_tf import checkpoints, networks
from pix2pix_tf.images import kinds, pixels, served
from pix2pix_tf.options import Options, write_options
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
        self._kind = kinds.kind_of(options.pair, inputs_only=True)
        self._multiple = options.model.multiple if options.output.full_size else None
        self._size = sides(options.model.crop_size)
        self._output_filetype = options.output.output_filetype

    def signatures(self):
        """Returns {signature name: concrete function}.

        Encoded images have gray, RGB or RGBA; other channels come as numbers only.
        """
        strings = tf.TensorSpec([None], tf.string, name="image_bytes")
        size = (None, None) if self._multiple else self._size
        pair = self._pair
        shape = [None, *size, pair.channels[0]]
        floats = tf.TensorSpec(shape, tf.float32, name="inputs")
        found = {"generate": self.generate.get_concrete_function(floats)}
        if {pair.input_channels, pair.target_channels} <= set(IMAGE_CHANNELS):
            found["serving_default"] = self.translate.get_concrete_function(strings)
        return found

    @tf.function
    def translate(self, image_bytes):
        """Maps JPEG and PNG files of any size, string [batch], to encoded outputs."""

        def translate_one(contents):
            image = served.decode(contents, self._pair.input_channels)
            [inputs] = self._kind.to_tensors(image)
            if not self._multiple:
                inputs = pixels.resize_area(inputs, self._size)
                inputs = tf.ensure_shape(inputs, [*self._size, inputs.shape[-1]])
            inputs = inputs[tf.newaxis]
            outputs = self._kind.to_output_images(inputs, self._generate(inputs))
            return pixels.encode(pixels.to_uint8(outputs[0]), self._output_filetype)

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


def check_folder(output_dir: str) -> None:
    """Raises UsageError if TensorFlow could not load a SavedModel from the folder."""
    place = os.path.abspath(output_dir)
    if special := sorted(checkpoints.PATTERN_CHARACTERS & set(place)):
        raise UsageError(
            f"--output_dir {place} has {' and '.join(special)} in its path, which "
            "TensorFlow reads as a pattern, so that no model can be loaded from there: "
            "name another folder"
        )


def export(options: Options) -> None:
    """Writes the checkpoint's generator to `--output_dir` as a SavedModel.

    Args:
        options: Options.

    Raises:
        UsageError: the checkpoint does not fit, or no SavedModel could be loaded from
            the folder.
    """
    run, pair = options.run, options.pair
    if options.output.output_filetype == "jpeg" and pair.channels[1] == 4:
        raise UsageError("--output_filetype jpeg has no alpha: leave it out, for PNG")
    check_folder(run.output_dir)
    prefix = checkpoints.find(run.checkpoint)
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
