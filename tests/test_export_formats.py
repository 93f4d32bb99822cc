"""Exports for other runtimes: equal to the SavedModel, and described in the card."""

import json
import shutil

import keras
import numpy as np
import onnxruntime
import pytest
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter
from PIL import Image
from tensorflow_serving.apis import prediction_log_pb2

from pix2pix_tf import train
from pix2pix_tf.metrics.label_maps import read_palette
from tests.conftest import TINY, export

# Keras' own of NumPy 2, and the converters' of Python.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


@pytest.fixture
def copied_dir(trained_dir, tmp_path):
    """A copy of `trained_dir`, to be damaged."""
    return shutil.copytree(trained_dir, tmp_path / "run")


@pytest.fixture(scope="module")
def inputs():
    return np.random.default_rng(1).uniform(-1, 1, [2, 32, 32, 3]).astype(np.float32)


@pytest.fixture(scope="module")
def outputs(exported_dir, inputs):
    generate = tf.saved_model.load(str(exported_dir)).signatures["generate"]
    return generate(inputs=tf.constant(inputs))["outputs"].numpy()


@pytest.mark.parametrize(
    ("name", "tolerance"), [("float32", 1e-4), ("float16", 0.01), ("int8", 0.2)]
)
def test_litert_gives_the_outputs_one_image_a_call(
    exported_dir, inputs, outputs, name, tolerance
):
    interpreter = Interpreter(str(exported_dir / f"model_{name}.tflite"))
    generate = interpreter.get_signature_runner()
    for one, wanted in zip(inputs, outputs, strict=True):
        found = generate(inputs=one[np.newaxis])["outputs"][0]
        np.testing.assert_allclose(found, wanted, atol=tolerance)


def _onnx_session(folder):
    path = str(folder / "model.onnx")
    return onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])


def test_onnx_gives_the_outputs_of_any_batch(exported_dir, inputs, outputs):
    session = _onnx_session(exported_dir)
    for end in (1, 2):
        [found] = session.run(["outputs"], {"inputs": inputs[:end]})
        np.testing.assert_allclose(found, outputs[:end], atol=1e-4)


def test_onnx_of_full_size_takes_any_size(trained_dir, tmp_path):
    for name in ("saved_model", "onnx"):
        flags = ["--full_size", "--export_format", name]
        export(trained_dir, tmp_path / "any", *flags)
    images = np.random.default_rng(2).uniform(-1, 1, [2, 45, 70, 3]).astype(np.float32)
    [found] = _onnx_session(tmp_path / "any").run(["outputs"], {"inputs": images})
    generate = tf.saved_model.load(str(tmp_path / "any")).signatures["generate"]
    wanted = generate(inputs=tf.constant(images))["outputs"]
    np.testing.assert_allclose(found, wanted, atol=1e-4)


def test_keras_gives_the_outputs(exported_dir, inputs, outputs):
    model = keras.models.load_model(exported_dir / "model.keras")
    np.testing.assert_allclose(model(inputs[:1]), outputs[:1], atol=1e-4)


def test_colorization_is_exported_too(lab_trained_dirs, tmp_path):
    for name in ("saved_model", "onnx"):
        flags = ["--export_format", name]
        export(lab_trained_dirs["AtoB"], tmp_path / "colour", *flags)
    lightness = np.linspace(-1, 1, 32 * 32, dtype=np.float32).reshape(1, 32, 32, 1)
    session = _onnx_session(tmp_path / "colour")
    [found] = session.run(["outputs"], {"inputs": lightness})
    generate = tf.saved_model.load(str(tmp_path / "colour")).signatures["generate"]
    wanted = generate(inputs=tf.constant(lightness))["outputs"]
    np.testing.assert_allclose(found, wanted, atol=1e-4)
    assert "Maps lightness" in (tmp_path / "colour" / "MODEL_CARD.md").read_text()
    _check_warm_up(tmp_path / "colour")


def test_the_card_names_training_files_and_calls(exported_dir):
    card = (exported_dir / "MODEL_CARD.md").read_text()
    assert card.startswith("# facades\n") and "![A sample" in card
    assert (exported_dir / "sample.png").is_file()
    assert "| steps | 3 |" in card and "| `which_direction` | BtoA |" in card
    for name in ("float32.tflite", "float16.tflite", "int8.tflite", "onnx", "keras"):
        assert f"model.{name}`" in card or f"model_{name}`" in card
    for call in ("saved_model.load", "get_signature_runner", "InferenceSession"):
        assert call in card
    known = json.loads((exported_dir / "export.json").read_text())
    assert known["onnx"][0]["largest"] < 1e-4


@pytest.mark.parametrize(
    "text",
    ["", "[" * 100_000, "[]", "7", '[{"l1": "a"}]', "[[]]", '{"mean": 1}', "\xff"],
)
@pytest.mark.parametrize("name", ["validation.json", "metrics.json"])
def test_damaged_metrics_of_a_run_are_left_out_of_the_card(
    copied_dir, capsys, name, text
):
    (copied_dir / name).write_bytes(text.encode("latin-1"))
    folder = copied_dir / "exported"
    export(copied_dir, folder, "--export_format", "keras")
    assert f"{copied_dir / name} is damaged" in capsys.readouterr().err
    card = (folder / "MODEL_CARD.md").read_text()
    assert f"| metrics | not known, {name} of the training is damaged |" in card


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "7",
        '{"onnx": 1}',
        '{"onnx": [{}]}',
        '{"onnx": [{"name": "a", "num_bytes": 1, "seconds": "fast"}]}',
        '{"onnx": [{"name": "a", "num_bytes": null}]}',
    ],
)
def test_a_damaged_list_of_exported_files_is_made_anew(copied_dir, capsys, text):
    folder = copied_dir / "exported"
    folder.mkdir()
    (folder / "export.json").write_text(text)
    export(copied_dir, folder, "--export_format", "keras")
    assert "export.json is damaged" in capsys.readouterr().err
    assert list(json.loads((folder / "export.json").read_text())) == ["keras"]
    assert "`model.keras`" in (folder / "MODEL_CARD.md").read_text()


def test_the_warm_up_request_is_one_that_the_model_answers(exported_dir):
    assert _check_warm_up(exported_dir).model_spec.name == "facades"


def _check_warm_up(folder):
    """Returns the warm-up request of a SavedModel, after the model has answered it."""
    path = folder / "assets.extra" / "tf_serving_warmup_requests"
    [record] = tf.data.TFRecordDataset(str(path)).as_numpy_iterator()
    request = prediction_log_pb2.PredictionLog.FromString(record).predict_log.request
    contents = tf.constant(tf.make_ndarray(request.inputs["image_bytes"]))
    model = tf.saved_model.load(str(folder))
    answer = model.signatures[request.model_spec.signature_name](image_bytes=contents)
    assert answer["output_bytes"].shape == (1,)
    return request


@pytest.mark.parametrize("name", ["litert", "onnx"])
def test_what_a_format_cannot_hold_is_refused(trained_dir, tmp_path, capsys, name):
    arguments = ["--mode", "export", "--checkpoint", str(trained_dir)]
    arguments += ["--output_dir", str(tmp_path / "m"), "--export_format", name]
    assert train.main(arguments) == 2
    assert "give --no_dropout" in capsys.readouterr().err
    if name == "litert":
        assert train.main([*arguments, "--no_dropout", "--full_size"]) == 2
        assert "leave --full_size out" in capsys.readouterr().err
    assert not (tmp_path / "m").exists()


@pytest.mark.parametrize(
    "flags",
    [
        ["--separable_conv"],
        ["--generator", "resnet", "--norm", "instance", "--num_blocks", "6"],
        ["--input_channels", "1", "--target_channels", "4", "--upsample", "subpixel"],
    ],
)
def test_other_networks_are_exported(tmp_path, pair_dir, flags):
    arguments = ["--mode", "train", "--input_dir", str(pair_dir), *TINY, *flags]
    arguments += ["--max_steps", "1", "--summary_freq", "0", "--seed", "1"]
    assert train.main([*arguments, "--output_dir", str(tmp_path / "run")]) == 0
    for name in ("litert", "onnx"):
        flags = ["--export_format", name]
        export(tmp_path / "run", tmp_path / "model", *flags)
    known = json.loads((tmp_path / "model" / "export.json").read_text())
    # Norms of so few pixels enlarge rounding; a level of 255 is 8e-3 of [-1, 1].
    assert known["litert"][0]["largest"] < 1e-3 and known["onnx"][0]["largest"] < 1e-3


def test_the_colours_of_label_maps_are_written_and_those_of_photographs_not(
    exported_dir, trained_dir, tmp_path
):
    """The page offers them to draw with."""
    rng, labels = np.random.default_rng(1), ((255, 0, 0), (0, 0, 255), (0, 200, 0))
    (tmp_path / "labels").mkdir()
    for number in range(3):
        image = np.array(labels, np.uint8)[rng.integers(0, 3, [4, 8])]
        image = Image.fromarray(image.repeat(8, axis=0).repeat(8, axis=1))
        image.save(tmp_path / "labels" / f"{number}.png")
    flags = [*TINY, "--input_dir", str(tmp_path / "labels"), "--max_steps", "1"]
    flags += ["--mode", "train", "--summary_freq", "0"]
    assert train.main([*flags, "--output_dir", str(tmp_path / "run")]) == 0
    folder = export(tmp_path / "run", tmp_path / "model")
    assert set(read_palette(str(folder / "labels.csv")).values()) == set(labels)
    assert not (exported_dir / "labels.csv").exists()
