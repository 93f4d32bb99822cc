"""Export mode: a trained generator as a SavedModel, LiteRT, ONNX or Keras model."""

from pathlib import Path

import numpy as np
import tensorflow as tf

from pix2pix_tf import checkpoints, data, networks
from pix2pix_tf.data import samples
from pix2pix_tf.images import kinds, pixels
from pix2pix_tf.inference import formats, model_card, saved_model
from pix2pix_tf.inference.translate import ordered_batches
from pix2pix_tf.metrics import label_maps
from pix2pix_tf.options import (
    OPTIONS_NAME,
    DataConfig,
    Options,
    read_options,
    split_checkpoint,
    write_options,
)
from pix2pix_tf.runtime import files
from pix2pix_tf.runtime.errors import UsageError

NUM_SAMPLES = 10


def export(options: Options) -> None:
    """Writes the checkpoint's generator to `--output_dir`, and a model card.

    Raises:
        UsageError: the checkpoint does not fit, the format cannot hold the generator,
            or TensorFlow could not load a model from the folder.
    """
    run, pair = options.run, options.pair
    export_format = options.output.export_format
    if options.output.output_filetype == "jpeg" and pair.channels[1] == 4:
        raise UsageError("--output_filetype jpeg has no alpha: leave it out, for PNG")
    saved_model.check_folder(run.output_dir)
    if export_format in formats.PORTABLE:
        formats.check(options)
    prefix = checkpoints.find(run.checkpoint)
    checkpoints.check_widths(prefix, options.model)
    with networks.without_random_kernels():
        generator = networks.build_generator(
            pair.channels, options.model, any_size=options.is_any_size
        )
    print("loading model from checkpoint")
    checkpoints.restore_generator(generator, prefix, options.output.generator_weights)
    stored = read_options(split_checkpoint(run.checkpoint)[0] / OPTIONS_NAME)
    inputs, of = _read_samples(options, stored)
    write_options(options)
    print("exporting model", flush=True)
    sample = _translate_first(options, generator, inputs)
    folder = Path(run.output_dir)
    if export_format == "litert":
        written = formats.write_litert(generator, options, inputs)
    elif export_format == "onnx":
        written = formats.write_onnx(generator, options, inputs)
    elif export_format == "keras":
        written = formats.write_keras(generator, folder)
    else:
        saved_model.write(generator, options, sample.get("inputs"))
        written = []
    if sample:
        both = tf.concat([sample["inputs"], sample["outputs"]], axis=1)
        png = pixels.encode(both, "png").numpy()
        files.write_whole(folder / model_card.SAMPLE_NAME, png)
    _write_labels(folder, options, inputs)
    model_card.write(options, stored, prefix, generator, written, of)
    name = {"saved_model": "SavedModel"}.get(export_format, export_format)
    print(f"wrote {name} at {run.output_dir}")


def _read_samples(options, stored):
    """Returns inputs of the generator, float32 [count, ...], and whence they come.

    They are images of the run's validation or training data, if these are still there,
    else the sample data; None for channels that those do not have.
    """
    kind = kinds.kind_of(options.pair)
    folders = [
        (stored.get("val_dir"), stored.get("val_target_dir")),
        (stored.get("input_dir"), stored.get("target_dir")),
        (str(samples.sample_dir(kind.is_photograph, "test")), None),
    ]
    for folder, target_dir in folders:
        if folder is None or not Path(folder).is_dir():
            continue
        try:
            examples = data.find_examples(folder, target_dir)[:NUM_SAMPLES]
            source = data.Source(data.Files(examples), kind.image_channels)
            batches = ordered_batches(
                source, kind, DataConfig(), options.model.crop_size
            )
            return np.concatenate([inputs for _, inputs, _ in batches]), folder
        except UsageError:  # removed, or others, since the training
            continue
    return None, None


def _translate_first(options, generator, inputs):
    """Returns {"inputs", "outputs": uint8 image} of the first input; {} without any."""
    if inputs is None:
        return {}
    kind = kinds.kind_of(options.pair, inputs_only=True)
    images = kinds.to_images(kind, inputs[:1], generator(inputs[:1]))
    return {name: image[0] for name, image in images.items()}


def _write_labels(folder, options, inputs):
    """Writes the colours of label maps, with which a page can offer to draw them."""
    if inputs is None or options.pair.channels[0] != 3:
        return
    images = pixels.to_uint8(pixels.deprocess(inputs)).numpy()
    if labels := label_maps.find_labels(list(images)):
        label_maps.write_palette(folder / model_card.LABELS_NAME, labels)
