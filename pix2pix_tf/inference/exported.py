"""Exported models: the files that export mode wrote, run by their own runtimes."""

import functools
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import tensorflow as tf

from pix2pix_tf.images import kinds
from pix2pix_tf.inference.translate import translate_image
from pix2pix_tf.options import (
    OPTIONS_NAME,
    RESIZE_AND_CROP,
    Options,
    from_dict,
    read_options,
)
from pix2pix_tf.options.flag import sides
from pix2pix_tf.runtime.errors import UsageError
from pix2pix_tf.runtime.optional import import_optional

SAVED_MODEL_NAME = "saved_model.pb"
ONNX_NAME = "model.onnx"
LITERT_NAMES = {  # by the type of the weights
    "float32": "model_float32.tflite",
    "float16": "model_float16.tflite",
    "int8": "model_int8.tflite",
}
# What the folder of an export may hold, the most exact first.
FILE_NAMES = (SAVED_MODEL_NAME, ONNX_NAME, *LITERT_NAMES.values())


class Exported:
    """A model that export mode wrote.

    Args:
        path: a file of FILE_NAMES, with the `options.json` of its export beside it.

    Attributes:
        generator: None; only a trained model has one.
        options: Options of the export.
        size: (height, width) of the inputs, or None if any size is accepted.

    Raises:
        UsageError: a file is missing or damaged, or the runtime is not installed.
    """

    generator = None

    def __init__(self, path: Path):
        self.options: Options = from_dict(read_options(path.parent / OPTIONS_NAME))
        read = {SAVED_MODEL_NAME: read_saved_model, ONNX_NAME: read_onnx}
        try:
            shape, self._generate = read.get(path.name, read_litert)(path)
        except UsageError:
            raise
        except Exception as error:  # each runtime has its own
            reason = str(error).partition("\n")[0]
            raise UsageError(f"{path} cannot be loaded: {reason}") from None
        self.size = tuple(shape[1:3]) if isinstance(shape[1], int) else None
        self._kind = kinds.kind_of(self.options.pair, inputs_only=True)

    def prepare(self, full_size: bool | None, dropout: bool) -> Callable:
        """Returns a function (image, seed, number) -> output.

        Args:
            full_size: if True, the output has the image's size; if False, that of the
                training (default: as the model was exported).
            dropout: True is refused.
        """
        if dropout:
            raise UsageError(
                "dropout is as the model was exported: leave it out, or load the "
                "checkpoint"
            )
        if full_size and self.size:
            raise UsageError(
                f"the exported model has the size {self.size[0]}x{self.size[1]} only: "
                "export it with --full_size, or load the checkpoint"
            )
        size = self.size
        if size is None:
            size = self._size_of(full_size)
        return functools.partial(self._translate, size)

    def _size_of(self, full_size):
        """Returns the (height, width) to scale to, for a model of any size."""
        options = self.options
        if full_size is False:
            return sides(options.model.crop_size)
        is_full_size = full_size or options.output.full_size
        if is_full_size or options.data.preprocess == RESIZE_AND_CROP:
            return None, None
        return options.data.scaled_size

    def generate(self, inputs: tf.Tensor) -> tf.Tensor:
        """Maps float32 [1, height, width, channels] in [-1, 1] to outputs alike."""
        return self._generate(inputs)

    def _translate(self, size, image, seed, number):
        return translate_image(self._kind, image, size, self._generate)


def find(path: Path) -> Path | None:
    """Returns the file of an exported model, or None if there is none at a path.

    Args:
        path: such a file; the folder that holds it; or a folder of versions as
            TensorFlow Serving wants it, `models/NAME` for `models/NAME/1`, of which the
            last is taken.
    """
    if path.name in FILE_NAMES and path.is_file():
        return path
    folders = [path, *versions(path)[-1:]]
    places = (folder / name for folder in folders for name in FILE_NAMES)
    return next((place for place in places if place.is_file()), None)


def versions(folder: Path) -> list[Path]:
    """Returns the subfolders whose names are numbers, in their order."""
    found = folder.iterdir() if folder.is_dir() else ()
    numbered = [one for one in found if one.name.isdecimal() and one.is_dir()]
    return sorted(numbered, key=lambda one: int(one.name))


def read_saved_model(path: Path) -> tuple[list, Callable]:
    """Reads a SavedModel; returns the shape of the inputs, and inputs -> outputs."""
    model = tf.saved_model.load(str(path.parent))
    signature = model.signatures["generate"]
    shape = signature.structured_input_signature[1]["inputs"].shape.as_list()

    def generate(inputs, model=model):  # without the model its variables were lost
        return signature(inputs=inputs)["outputs"]

    return shape, generate


def read_onnx(path: Path) -> tuple[list, Callable]:
    """Reads an ONNX file; returns the shape of the inputs, and inputs -> outputs."""
    onnxruntime = import_optional("onnxruntime", "onnxruntime", str(path))
    session = onnxruntime.InferenceSession(
        str(path), providers=onnxruntime.get_available_providers()
    )

    def generate(inputs):
        return session.run(["outputs"], {"inputs": np.asarray(inputs)})[0]

    return session.get_inputs()[0].shape, generate


def read_litert(path: Path) -> tuple[list, Callable]:
    """Reads a LiteRT file; returns the shape of the inputs, and inputs -> outputs."""
    module = import_optional("ai_edge_litert.interpreter", "ai-edge-litert", str(path))
    interpreter = module.Interpreter(str(path), num_threads=os.cpu_count())
    runner = interpreter.get_signature_runner()
    shape = interpreter.get_input_details()[0]["shape"].tolist()
    return shape, lambda inputs: runner(inputs=inputs)["outputs"]
