"""The exported SavedModel, which takes and gives encoded images."""

import os
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_log_pb2

from pix2pix_tf import checkpoints, networks
from pix2pix_tf.images import kinds, pixels, served
from pix2pix_tf.inference.translate import translate_image
from pix2pix_tf.options import Options
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
        self._multiple = options.model.multiple if options.is_any_size else None
        self._size = options.image_size
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

    @tf.function(autograph=False)
    def translate(self, image_bytes):
        """Maps JPEG and PNG files of any size, string [batch], to encoded outputs."""

        def translate_one(numbered_image):
            index, contents = numbered_image
            image = served.decode(contents, self._pair.input_channels, index)
            output = translate_image(self._kind, image, self._size, self._generate)
            return pixels.encode(pixels.to_uint8(output), self._output_filetype)

        numbered_images = tf.range(tf.size(image_bytes)), image_bytes
        outputs = tf.map_fn(
            translate_one, numbered_images, fn_output_signature=tf.string
        )
        return {"output_bytes": outputs}

    @tf.function(autograph=False)
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


def write(generator: keras.Model, options: Options, image: np.ndarray | None) -> None:
    """Writes a generator to `--output_dir` as a SavedModel with a warm-up request.

    Args:
        generator: with the weights of the checkpoint.
        options: Options.
        image: uint8 [height, width, channels], for the warm-up request; or None.
    """
    folder = options.run.output_dir
    model = ServingModel(generator, options)
    signatures = model.signatures()
    tf.saved_model.save(model, folder, signatures=signatures)
    if image is not None and "serving_default" in signatures:
        _write_warm_up(Path(folder), pixels.encode(image, "png").numpy())


def _write_warm_up(folder, png):
    """Writes the request that TensorFlow Serving sends itself when it loads the model.

    Source: "SavedModel Warmup" in TensorFlow Serving's documentation.
    """
    request = predict_pb2.PredictRequest()
    request.model_spec.name = folder.absolute().parent.name
    request.model_spec.signature_name = "serving_default"
    request.inputs["image_bytes"].CopyFrom(tf.make_tensor_proto([png]))
    log = prediction_log_pb2.PredictionLog(
        predict_log=prediction_log_pb2.PredictLog(request=request)
    )
    place = folder / "assets.extra" / "tf_serving_warmup_requests"
    place.parent.mkdir(exist_ok=True)
    with tf.io.TFRecordWriter(str(place)) as writer:
        writer.write(log.SerializeToString())
