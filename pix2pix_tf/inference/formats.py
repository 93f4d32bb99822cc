"""Other formats than SavedModel: LiteRT, ONNX, and Keras' own.

LiteRT and ONNX files map `inputs`, float32 [batch, height, width, channels] in [-1, 1],
to `outputs` of the same form; those of LiteRT take one image a call.
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

from pix2pix_tf import networks
from pix2pix_tf.inference import exported
from pix2pix_tf.options import Options
from pix2pix_tf.options.flag import sides
from pix2pix_tf.runtime import files
from pix2pix_tf.runtime.errors import UsageError
from pix2pix_tf.runtime.optional import import_optional

PORTABLE = ("litert", "onnx")
OPSET = 18  # of ONNX


class Written(NamedTuple):
    """One file that was written, compared with the generator."""

    name: str
    num_bytes: int
    seconds: float | None = None  # median for one image; None if not measured
    largest: float | None = None  # difference of an output, in [-1, 1]
    mean: float | None = None


def check(options: Options) -> None:
    """Raises UsageError if a format cannot hold the model, or a library is missing."""
    export_format = options.output.export_format
    needed_by = f"--export_format {export_format}"
    if not options.model.no_dropout:
        raise UsageError(f"{needed_by} has no random numbers: give --no_dropout")
    if export_format == "litert":
        if options.output.full_size:
            raise UsageError(
                "--export_format litert has one size: leave --full_size out"
            )
        import_optional("ai_edge_litert", "ai-edge-litert", needed_by)
    else:
        import_optional("tf2onnx", "tf2onnx", needed_by)
        import_optional("onnxruntime", "onnxruntime", needed_by)


def write_litert(
    generator: keras.Model, options: Options, samples: np.ndarray | None
) -> list[Written]:
    """Writes `model_float32.tflite`, `model_float16.tflite` and `model_int8.tflite`.

    Those of float16 and int8 store the weights in these types; int8 is quantized by its
    dynamic range. They use LiteRT's own operations only.

    Args:
        generator: with the weights of the checkpoint.
        options: Options.
        samples: float32 [count, height, width, channels], in [-1, 1], to measure the
            files with; or None.
    """
    folder = Path(options.run.output_dir)
    function, module = _make_function(generator, options, batch_size=1)
    concrete = function.get_concrete_function()
    written = []
    for name, file_name in exported.LITERT_NAMES.items():
        converter = tf.lite.TFLiteConverter.from_concrete_functions([concrete], module)
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
        if name != "float32":
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
        if name == "float16":
            converter.target_spec.supported_types = [tf.float16]
        contents = converter.convert()
        path = folder / file_name
        files.write_whole(path, contents)
        _, run = exported.read_litert(path)
        written.append(_measure(path, run, generator, samples))
    return written


def write_onnx(
    generator: keras.Model, options: Options, samples: np.ndarray | None
) -> list[Written]:
    """Writes `model.onnx`; the arguments are those of `write_litert`."""
    import tf2onnx

    function, _ = _make_function(generator, options, batch_size=None)
    path = Path(options.run.output_dir, exported.ONNX_NAME)
    model, _ = tf2onnx.convert.from_function(
        function, input_signature=function.input_signature, opset=OPSET
    )
    files.write_whole(path, model.SerializeToString())
    _, run = exported.read_onnx(path)
    return [_measure(path, run, generator, samples)]


def write_keras(generator: keras.Model, folder: Path) -> list[Written]:
    """Writes `model.keras`."""
    path = folder / "model.keras"
    with files.writing(path) as partial:
        whole = partial.with_suffix(".keras")
        generator.save(whole)
        whole.rename(partial)
    return [Written(path.name, path.stat().st_size)]


def _make_function(generator, options, batch_size):
    """Returns the function inputs -> {"outputs"}, and the owner of its weights."""
    model = networks.make_portable(generator)
    multiple = options.model.multiple if options.output.full_size else None
    size = (None, None) if multiple else sides(options.model.crop_size)
    module = tf.Module(name="pix2pix")
    module.weights = [variable.value for variable in model.variables]
    spec = [batch_size, *size, options.pair.channels[0]]

    @tf.function(input_signature=[tf.TensorSpec(spec, tf.float32, name="inputs")])
    def generate(inputs):
        if multiple:
            outputs = networks.generate_at_own_size(model, inputs, multiple)
        else:
            outputs = model(inputs)
        return {"outputs": outputs}

    return generate, module


def _measure(path, run: Callable, generator, samples):
    """Returns a Written of a file that `run` computes, image by image."""
    num_bytes = path.stat().st_size
    if samples is None:
        return Written(path.name, num_bytes)
    run(samples[:1])  # the first call prepares
    seconds, differences = [], []
    for number in range(len(samples)):
        one = samples[number : number + 1]
        started = time.perf_counter()
        outputs = run(one)
        seconds.append(time.perf_counter() - started)
        differences.append(np.abs(outputs - generator(one).numpy()))
    return Written(
        path.name,
        num_bytes,
        float(np.median(seconds)),
        float(np.max(differences)),
        float(np.mean(differences)),
    )
