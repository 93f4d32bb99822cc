"""`MODEL_CARD.md` of an exported model: what it does, its training, how to call it."""

import json
from pathlib import Path

import keras

from pix2pix_tf import checkpoints, metrics, networks
from pix2pix_tf.inference.formats import Written
from pix2pix_tf.options import Options, split_checkpoint, value_text
from pix2pix_tf.options.flag import sides
from pix2pix_tf.runtime import files, messages, processor
from pix2pix_tf.runtime.errors import UsageError
from pix2pix_tf.runtime.files import printable

CARD_NAME = "MODEL_CARD.md"
SAMPLE_NAME = "sample.png"
LABELS_NAME = "labels.csv"  # the colours of label maps, as `--palette` reads them
FILES_NAME = "export.json"  # what is known of each file in the folder
# What reading JSON of another form than expected may raise.
DAMAGE = (ValueError, TypeError, AttributeError, LookupError, RecursionError)
CALLS = {
    "saved_model": """```python
import tensorflow as tf

model = tf.saved_model.load("{folder}")
contents = tf.io.read_file("input.png")
answer = model.signatures["serving_default"](image_bytes=contents[tf.newaxis])
tf.io.write_file("output.png", answer["output_bytes"][0])
```""",
    "litert": """```python
from ai_edge_litert.interpreter import Interpreter

generate = Interpreter("{folder}/model_float32.tflite").get_signature_runner()
outputs = generate(inputs=inputs)["outputs"]  # float32 [1, height, width, channels]
```""",
    "onnx": """```python
import onnxruntime

session = onnxruntime.InferenceSession("{folder}/model.onnx")
[outputs] = session.run(["outputs"], {{"inputs": inputs}})
```""",
    "keras": """```python
import keras
import pix2pix_tf.networks  # the layers' classes

outputs = keras.models.load_model("{folder}/model.keras")(inputs)
```""",
}


def write(
    options: Options,
    stored: dict,
    prefix: str,
    generator: keras.Model,
    written: list[Written],
    samples_of: str | None,
) -> None:
    """Writes the card; files of an earlier export into the same folder stay in it.

    Args:
        options: Options of the export.
        stored: {flag name: value} of the training.
        prefix: path prefix of the checkpoint.
        generator: that was exported.
        written: the files that were written now; none for a SavedModel.
        samples_of: the folder of the images that they were measured with.
    """
    folder = Path(options.run.output_dir)
    known = _read_known(folder / FILES_NAME)
    export_format = options.output.export_format
    known[export_format] = written
    stored_files = {name: [one._asdict() for one in known[name]] for name in known}
    files.write_whole(folder / FILES_NAME, json.dumps(stored_files, indent=4) + "\n")
    place = folder.absolute()
    # TensorFlow Serving wants models/NAME/1.
    name = printable((place.parent if place.name.isdecimal() else place).name)
    lines = [f"# {name}", "", _what(options), ""]
    if (folder / SAMPLE_NAME).exists():
        lines += [f"![A sample: input, output]({SAMPLE_NAME})", ""]
    lines += _table(_facts(options, stored, prefix, generator), ("what", "value"))
    rows = [_row(one) for group in known.values() for one in group]
    if rows:
        heads = ("file", "MB", "seconds", "largest difference", "mean difference")
        lines += ["", "## Files", "", *_table(rows, heads), "", _measured(samples_of)]
    lines += ["", "## How to call it", ""]
    lines.append(
        "`inputs` and `outputs` are float32 [batch, height, width, channels], in "
        "[-1, 1]."
    )
    for one in known:
        lines += ["", CALLS[one].format(folder=printable(folder))]
    files.write_whole(folder / CARD_NAME, "\n".join(lines) + "\n")


def _read_known(path):
    """Returns {format: [Written, ...]} of the exports so far."""
    if not path.exists():
        return {}
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        known = {
            name: [Written(**one) for one in found[name]]
            for name in CALLS
            if name in found
        }
        for group in known.values():
            for one in group:
                _row(one)  # fails where a number is none
        return known
    except DAMAGE:
        messages.warn(
            f"{printable(path)} is damaged: the model card leaves out what was "
            "exported before"
        )
        return {}


def _what(options):
    """Returns what the model maps, as a sentence."""
    pair, model = options.pair, options.model
    size = " x ".join(map(str, sides(model.crop_size)))
    of = f"any size (trained at {size})" if options.is_any_size else size
    if pair.lab_colorization:
        parts = ["lightness (1 channel)", "colour, a and b (2 channels)"]
        if pair.which_direction == "BtoA":
            parts.reverse()
        return f"Maps {parts[0]} to {parts[1]} of CIE L\\*a\\*b\\*, {of} pixels."
    inputs, targets = pair.channels
    return f"Maps images of {inputs} channels to images of {targets}, {of} pixels."


def _facts(options, stored, prefix, generator):
    """Returns [(what, value), ...] of the training."""
    folder, _ = split_checkpoint(options.run.checkpoint)
    reader, shapes = checkpoints.open_reader(prefix)
    facts = [("training data", _name(stored))]
    if "global_step" in shapes:
        facts.append(("steps", int(reader.get_tensor("global_step"))))
    names = ("which_direction", "generator", "ngf", "norm", "no_dropout")
    facts += [
        (f"`{name}`", value_text(getattr(part, name)))
        for part in (options.pair, options.model)
        for name in names
        if hasattr(part, name)
    ]
    facts.append(("parameters", f"{networks.count_parameters(generator):,}"))
    return facts + _metrics(folder)


def _name(stored):
    """Returns the name of the training data, without the folders above it."""
    if stored.get("dataset"):
        return printable(stored["dataset"])
    if stored.get("input_dir"):
        return printable(Path(*Path(stored["input_dir"]).parts[-2:]))
    return "the sample data, or a dataset in Python"


def _metrics(folder):
    """Returns [(metric, value)] of a `model-best`, or of a run's last validation."""
    names = (metrics.JSON_NAME, metrics.HISTORY_NAME)
    path = next((folder / name for name in names if (folder / name).exists()), None)
    if path is None:
        return [("metrics", "not measured during training")]
    try:
        if path.name == metrics.JSON_NAME:
            found = metrics.read_report(folder)
        else:
            found = json.loads(path.read_text(encoding="utf-8"))[-1]
        return [
            (f"validation {name}", f"{value:.6g}")
            for name, value in found.items()
            if value is not None
        ]
    except (*DAMAGE, UsageError):
        messages.warn(
            f"{printable(path)} is damaged: the model card leaves the metrics out"
        )
        return [("metrics", f"not known, {path.name} of the training is damaged")]


def _row(one):
    measured = ("seconds", "largest", "mean")
    values = (getattr(one, name) for name in measured)
    texts = ("" if value is None else f"{value:.2g}" for value in values)
    return (f"`{one.name}`", f"{one.num_bytes / 1e6:.1f}", *texts)


def _measured(samples_of):
    if samples_of is None:
        return "Times and differences were not measured: there were no images to do it."
    return (
        "Seconds for one image (median), and differences of outputs, which are in "
        "[-1, 1], from the TensorFlow model: images of "
        f"{printable(Path(samples_of).name)}, on {processor.model_name()}."
    )


def _table(rows, heads):
    lines = [heads, ["---"] * len(heads), *rows]
    return [f"| {' | '.join(str(cell) for cell in line)} |" for line in lines]
