"""A trained model in Python: `load` reads it, and the Translator translates images."""

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import tensorflow as tf
from PIL import Image

from pix2pix_tf import checkpoints, networks
from pix2pix_tf.images import arrays, codecs, kinds, pixels, windows
from pix2pix_tf.inference import exported
from pix2pix_tf.inference.tiles import Tiling
from pix2pix_tf.inference.trained import Trained
from pix2pix_tf.interop import convert
from pix2pix_tf.options import FLAGS, check_tiling
from pix2pix_tf.runtime import precision
from pix2pix_tf.runtime.errors import UsageError


def load(path: str | Path, which_direction: str | None = None) -> "Translator":
    """Loads a model that was trained or exported.

    Args:
        path: the folder of a run, its `model-best`, one checkpoint `FOLDER/model-STEP`,
            a folder of the TensorFlow 1 original, a `.pict`, `.pth`, `.pt` or
            `.safetensors` file; the folder of an export (SavedModel, ONNX or LiteRT, in
            this order), one of its files, such as `models/facades/model_int8.tflite`,
            or a folder of numbered versions of it. Of a run with `--ema_generator` the
            moving average of the generator is loaded.
        which_direction: "AtoB" or "BtoA", for files that do not store it.

    Returns:
        Translator, to be called with an image.

    Raises:
        UsageError: the model cannot be read, or does not fit its options.
    """
    if exported_path := exported.find(Path(path)):
        return Translator(exported.Exported(exported_path))
    model = convert.read(path, which_direction, generator_only=True)
    with precision.in_float32(), networks.without_random_kernels():
        generator = networks.build_generator(
            model.options.pair.channels, model.options.model
        )
    variables = networks.variables_by_name(generator)
    checkpoints.check_fit(
        {name: list(variable.shape) for name, variable in variables.items()},
        {name: list(array.shape) for name, array in model.tensors.items()},
        f"{path} does not fit the networks of its options.json",
    )
    for name, variable in variables.items():
        variable.assign(model.tensors[name])
    return Translator(Trained(generator, model.options))


class Translator:
    """Translates images by a model; the results are those of test mode.

    Each image of a batch is translated by itself, because batch statistics would mix
    them. Threads may share a Translator: their calls wait for each other.

    Args:
        model: Trained or Exported.

    Attributes:
        generator: of a trained model the Keras model, of the size
            `options.model.crop_size`; of an exported one None. It can be trained
            further, exported by Keras and saved as `.keras`; a call of the Translator
            uses the weights that it has then. It has dropout in every mode, as it was
            trained.
        options: Options, such as `options.model.ngf`.
        size: (height, width) of all outputs; or None if an output has the size of its
            image, which it has with `full_size`, of a model that was exported with
            `--full_size`, and of one whose `--preprocess` keeps proportions.
        image_channels, output_channels: int, of an image and of an output; 3 for
            colorization.
    """

    def __init__(self, model: Trained | exported.Exported):
        self.generator, self.options = model.generator, model.options
        self.size = model.size
        self._model = model
        self._kind = kinds.kind_of(model.options.pair, inputs_only=True)
        [self.image_channels] = self._kind.image_channels
        self.output_channels = self._kind.output_channels
        self._lock = threading.Lock()

    def __call__(
        self,
        image,
        full_size: bool | None = None,
        dropout: bool = False,
        seed: int = 0,
        tiling: Tiling | None = None,
    ):
        """Translates an image, or a batch of images.

        Args:
            image: the path of a file; a PIL image; or an array, [height, width,
                channels] or [batch, height, width, channels], of unsigned integers or
                of floats in [0, 1]. Colorization takes RGB or gray.
            full_size: if True, the output has the image's size; if False, images are
                scaled to the size of the generator, and so are the outputs (default:
                as in test mode; True for a model that was exported with `--full_size`).
            dropout: if True, dropout is on, as in test mode without `--no_dropout`. An
                exported model has it or not, as it was exported.
            seed: int, of dropout, in [0, 2**31).
            tiling: Tiling, with which images larger than a tile are translated at their
                own size, tile by tile.

        Returns:
            A PIL image of 8 bits for a path or a PIL image. For an array, an array of
            the same number of dimensions: of the same type if that is uint8 or uint16,
            else float32 in [0, 1]. Outputs of colorization are RGB.

        Raises:
            UsageError: the image cannot be read, or has other channels; the seed is out
                of bounds; or an exported model has no other size or dropout.
        """
        channels = self.image_channels
        is_array = not isinstance(image, (str, os.PathLike, Image.Image))
        try:
            if is_array:
                found = _read_arrays(image, channels)
            elif isinstance(image, Image.Image):
                found = [codecs.from_pillow(image, channels)]
            else:
                found = [codecs.read(image, channels)]
        except (codecs.ImageError, OSError) as error:
            name = "the image" if is_array or isinstance(image, Image.Image) else image
            reason = getattr(error, "strerror", None) or error
            raise UsageError(f"{name} {reason}") from None
        outputs = self._translate(found, full_size, dropout, seed, tiling)
        if not is_array:
            return _to_pillow(outputs[0])
        outputs = np.stack(outputs) if np.ndim(image) == 4 else outputs[0]
        return _as_type(outputs, np.asarray(image).dtype)

    def translate_file(self, contents: bytes, **settings) -> bytes:
        """Translates the bytes of an image file, as an exported model does.

        Args:
            contents: of a file in any format that `codecs` reads.
            settings: `full_size`, `dropout`, `seed` and `tiling`, as in a call.

        Returns:
            The bytes of a PNG of 8 bits; of a JPEG, if the model was exported with
            `--output_filetype jpeg`.

        Raises:
            codecs.ImageError: the bytes are not such an image, or damaged.
            UsageError: as a call does.
        """
        image = codecs.from_bytes(contents, self.image_channels)
        [output] = self._translate([image], **settings)
        filetype = self.options.output.output_filetype
        _check_channels(output)
        return pixels.encode(pixels.to_uint8(output), filetype).numpy()

    def generate(self, inputs: np.ndarray) -> np.ndarray:
        """Maps what the networks take to what they give, without dropout.

        Args:
            inputs: float32 [height, width, channels], in [-1, 1], of the model's size.

        Returns:
            float32 [height, width, channels], in [-1, 1].

        Raises:
            UsageError: the inputs have another shape.
        """
        sides = self.size or (None, None)
        wanted = tf.TensorShape([*sides, self.options.pair.channels[0]])
        if not wanted.is_compatible_with(inputs.shape) or 0 in inputs.shape:
            raise UsageError(
                f"has the shape {list(inputs.shape)}: wanted {wanted.as_list()}"
            )
        with self._lock:
            outputs = self._model.generate(tf.constant(inputs[np.newaxis]))
        return np.asarray(outputs)[0]

    def check_tiling(self, tiling: Tiling) -> None:
        """Raises UsageError if the model cannot be used by such tiles."""
        check_tiling(tiling.tile, tiling.overlap, self.options.model.multiple)
        if self.generator is None:
            raise UsageError(
                "an exported model cannot be used by tiles: load the checkpoint of "
                "which it was exported"
            )

    def bands(
        self, image, tiling: Tiling, dropout: bool = False, seed: int = 0, first=0
    ) -> Iterator[np.ndarray]:
        """Translates an image tile by tile, in memory that depends on its width only.

        Args:
            image: WindowedImage of `images.windows.open_image`, or one like it.
            tiling: Tiling.
            dropout, seed: as in a call.
            first: the number of bands to leave out.

        Yields:
            float32 [rows, width, channels] in [0, 1]: the output from top to bottom.
        """
        self.check_tiling(tiling)
        with self._lock:
            yield from self._bands(image, tiling, dropout, seed, 0, first)

    def _bands(self, image, tiling, dropout, seed, number, first=0):
        inputs = _Inputs(image, self._kind)
        tiled = self._model.tiled(tiling, dropout)
        for top, outputs in tiled.bands(inputs, seed, number, first):
            window = None  # of pairs, whose outputs are whole images
            if self._kind.is_photograph:
                window = inputs.read(top, 0, len(outputs), image.width)[tf.newaxis]
            outputs = tf.constant(outputs[np.newaxis])
            joined = self._kind.to_output_images(window, outputs)
            yield np.asarray(joined)[0]

    def _translate(self, images, full_size=None, dropout=False, seed=0, tiling=None):
        """Returns the outputs, float32 in [0, 1], of images that are such, too."""
        FLAGS["seed"].check(seed, "seed")
        outputs = []
        if tiling is not None:
            self.check_tiling(tiling)
        with self._lock:
            for number, image in enumerate(images):
                if tiling and not tiling.is_one(*image.shape[:2]):
                    window = windows.of_array(image)
                    bands = self._bands(window, tiling, dropout, seed, number)
                    outputs.append(np.concatenate(list(bands)))
                    continue
                translate = self._model.prepare(True if tiling else full_size, dropout)
                numbers = tf.constant(seed, tf.int32), tf.constant(number)
                outputs.append(np.asarray(translate(tf.constant(image), *numbers)))
        return outputs


class _Inputs:
    """The inputs of a generator, of an image of which windows are read."""

    def __init__(self, image, kind):
        self.height, self.width = image.height, image.width
        self._image, self._kind = image, kind

    def read(self, top, left, height, width):
        [inputs] = self._kind.to_tensors(self._image.read(top, left, height, width))
        return inputs


def _read_arrays(image, channels):
    """Returns [float32 [height, width, channels] in [0, 1], ...] of one or a batch."""
    image = np.asarray(image)
    if image.ndim not in (3, 4) or 0 in image.shape:
        raise UsageError(
            f"the image has the shape {image.shape}: wanted [height, width, channels] "
            "or [batch, height, width, channels]"
        )
    images = arrays.to_float(image if image.ndim == 4 else image[np.newaxis])
    return [arrays.fit_channels(one, channels) for one in images]


def _to_pillow(output):
    """Converts float32 [height, width, 1, 3 or 4] in [0, 1] to a PIL image."""
    _check_channels(output)
    levels = pixels.to_uint8(output).numpy()
    return Image.fromarray(levels[..., 0] if levels.shape[2] == 1 else levels)


def _check_channels(output):
    if output.shape[2] not in (1, 3, 4):
        raise UsageError(
            f"the output has {output.shape[2]} channels, which no image file holds: "
            "call `pix2pix_tf.load(...)` with an array"
        )


def _as_type(outputs, dtype):
    """Converts float32 in [0, 1] to the type of the array that was given."""
    if dtype == np.uint8:
        return pixels.to_uint8(outputs).numpy()
    if dtype == np.uint16:
        return pixels.to_uint16(outputs).numpy()
    return outputs
