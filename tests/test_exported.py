"""`pix2pix_tf.load` on exported models: equal to test mode, by every runtime."""

import shutil

import numpy as np
import pytest

import pix2pix_tf
from pix2pix_tf.runtime.errors import UsageError
from tests.conftest import export, write_image

# Keras' own of NumPy 2, and the converters' of Python.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
TOLERANCES = {  # levels of 255
    "saved_model.pb": 0,
    "model.onnx": 1,
    "model_float32.tflite": 1,
    "model_float16.tflite": 3,
    "model_int8.tflite": 30,
}


@pytest.fixture(scope="module")
def exports(trained_dir, lab_trained_dirs, exported_dir, tmp_path_factory):
    """{kind: (checkpoint, folder with the model in all formats)}."""
    lab_dir = tmp_path_factory.mktemp("lab")
    for name in ("saved_model", "onnx", "litert"):
        export(lab_trained_dirs["AtoB"], lab_dir, "--export_format", name)
    return {
        "pairs": (trained_dir, exported_dir),
        "lab": (lab_trained_dirs["AtoB"], lab_dir),
    }


@pytest.fixture(scope="module")
def image(tmp_path_factory):
    return write_image(tmp_path_factory.mktemp("image") / "a.png", 45, 60, seed=3)


@pytest.mark.parametrize("kind", ["pairs", "lab"])
@pytest.mark.parametrize("name", TOLERANCES)
def test_outputs_are_those_of_the_checkpoint(exports, image, kind, name):
    checkpoint, folder = exports[kind]
    wanted = np.asarray(pix2pix_tf.load(checkpoint)(image), int)
    translate = pix2pix_tf.load(folder / name)
    assert translate.size == (32, 32) and translate.generator is None
    difference = np.abs(np.asarray(translate(image), int) - wanted)
    assert difference.max() <= TOLERANCES[name]


def test_the_bytes_of_a_file_are_those_of_the_signature(exports, image):
    import tensorflow as tf

    checkpoint, folder = exports["pairs"]
    signature = tf.saved_model.load(str(folder)).signatures["serving_default"]
    contents = image.read_bytes()
    wanted = signature(image_bytes=tf.constant([contents]))["output_bytes"][0].numpy()
    for path in (checkpoint, folder):
        assert pix2pix_tf.load(path).translate_file(contents) == wanted


def test_a_folder_of_versions_is_its_last(exports, image, tmp_path):
    _, folder = exports["pairs"]
    for version in ("2", "10"):
        shutil.copytree(folder, tmp_path / "name" / version)
    (tmp_path / "name" / "2" / "saved_model.pb").write_bytes(b"damaged")
    wanted = pix2pix_tf.load(folder)(image)
    np.testing.assert_array_equal(pix2pix_tf.load(tmp_path / "name")(image), wanted)


@pytest.mark.parametrize("name", ["saved_model", "onnx"])
def test_any_size_is_the_images_own_unless_told(exports, image, tmp_path, name):
    checkpoint, _ = exports["lab"]
    flags = ["--full_size", "--export_format", name]
    translate = pix2pix_tf.load(export(checkpoint, tmp_path / "any", *flags))
    trained = pix2pix_tf.load(checkpoint)
    assert translate.size is None
    for full_size, size in ((None, (60, 45)), (True, (60, 45)), (False, (32, 32))):
        found = translate(image, full_size=full_size)
        assert found.size == size
        wanted = trained(image, full_size=size != (32, 32))
        np.testing.assert_allclose(found, wanted, atol=1)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"full_size": True}, "has the size 32x32 only: export it with --full_size"),
        ({"dropout": True}, "dropout is as the model was exported"),
    ],
)
def test_what_an_export_cannot_do_is_refused(exports, image, settings, message):
    translate = pix2pix_tf.load(exports["pairs"][1])
    with pytest.raises(UsageError, match=message):
        translate(image, **settings)


@pytest.mark.parametrize("name", TOLERANCES)
def test_a_damaged_file_is_named(exports, tmp_path, name):
    _, folder = exports["pairs"]
    shutil.copy(folder / "options.json", tmp_path)
    (tmp_path / name).write_bytes(b"damaged")
    with pytest.raises(UsageError, match=f"{name} cannot be loaded: "):
        pix2pix_tf.load(tmp_path)
