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
    model = networks.make_portable(generator)
    owner = tf.Module()  # the converter does not find the variables of a Keras model
    owner.variables_of_model = [variable.value for variable in model.variables]

    @tf.function(input_signature=[_inputs_spec(options, batch_size=1)], autograph=False)
    def generate(inputs):
        return {"outputs": model(inputs)}

    concrete = generate.get_concrete_function()
    written = []
    for name, file_name in exported.LITERT_NAMES.items():
        converter = tf.lite.TFLiteConverter.from_concrete_functions([concrete], owner)
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
    """Writes `model.onnx`; the arguments are those of `write_litert`.

    The weights are inputs of what tf2onnx converts, and constants only afterwards: it
    would keep some 90 copies of constants, 20 GB at ngf 64.
    """
    import tf2onnx
    from onnx import numpy_helper

    model = networks.make_portable(generator)
    weights = {f"weight_{n}": one for n, one in enumerate(model.variables)}
    specs = [
        tf.TensorSpec(one.shape, tf.float32, name) for name, one in weights.items()
    ]

    signature = [_inputs_spec(options, batch_size=None), *specs]

    @tf.function(input_signature=signature, autograph=False)
    def generate(inputs, *values):
        def compute(inputs):
            return model.stateless_call(values, [], inputs)[0]

        if not options.is_any_size:
            return {"outputs": compute(inputs)}
        multiple = options.model.multiple
        return {"outputs": networks.generate_at_own_size(compute, inputs, multiple)}

    converted, _ = tf2onnx.convert.from_function(
        generate, input_signature=generate.input_signature, opset=OPSET
    )
    graph = converted.graph
    [inputs] = [one for one in graph.input if one.name not in weights]
    del graph.input[:]
    graph.input.append(inputs)
    for name, one in weights.items():
        graph.initializer.append(numpy_helper.from_array(one.numpy(), name))
    path = Path(options.run.output_dir, exported.ONNX_NAME)
    files.write_whole(path, converted.SerializeToString())
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


def _inputs_spec(options, batch_size):
    """Returns the tf.TensorSpec of `inputs`."""
    size = (None, None) if options.is_any_size else sides(options.model.crop_size)
    shape = [batch_size, *size, options.pair.channels[0]]
    return tf.TensorSpec(shape, tf.float32, name="inputs")


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
