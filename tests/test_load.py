"""`pix2pix_tf.load`: models of every kind, on paths, PIL images and arrays."""

import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

import pix2pix_tf
from pix2pix_tf import train
from pix2pix_tf.interop import convert
from pix2pix_tf.runtime.errors import UsageError
from tests.conftest import read_image, write_image


@pytest.fixture(scope="module")
def image_dir(tmp_path_factory):
    """A folder of two inputs, of other sizes than the model's."""
    folder = tmp_path_factory.mktemp("inputs")
    write_image(folder / "a.png", 40, 50, seed=1)
    write_image(folder / "b.jpg", 40, 50, seed=2)
    return folder


@pytest.fixture(scope="module")
def translate(trained_dir):
    return pix2pix_tf.load(trained_dir)


def _run_test_mode(checkpoint, image_dir, output_dir, *flags):
    """Returns [uint8 output, ...] of test mode for the images, by name."""
    arguments = ["--mode", "test", "--checkpoint", str(checkpoint), "--inputs_only"]
    arguments += ["--input_dir", str(image_dir), "--output_dir", str(output_dir)]
    assert train.main([*arguments, *flags]) == 0
    paths = sorted(output_dir.glob("images/*-outputs.png"))
    return [read_image(path) for path in paths]


@pytest.mark.parametrize("full_size", [False, True])
def test_outputs_are_those_of_test_mode(
    translate, trained_dir, image_dir, tmp_path, full_size
):
    flags = ["--no_dropout", *(["--full_size"] if full_size else [])]
    wanted = _run_test_mode(trained_dir, image_dir, tmp_path, *flags)
    for path, output in zip(sorted(image_dir.iterdir()), wanted, strict=True):
        found = translate(path, full_size=full_size)
        np.testing.assert_array_equal(found, output)
        with Image.open(path) as image:
            np.testing.assert_array_equal(translate(image, full_size=full_size), output)


def test_dropout_is_that_of_test_mode(translate, trained_dir, image_dir, tmp_path):
    wanted = _run_test_mode(trained_dir, image_dir, tmp_path, "--seed", "9")
    batch = np.stack(
        [np.asarray(Image.open(path)) for path in sorted(image_dir.iterdir())]
    )
    np.testing.assert_array_equal(translate(batch, dropout=True, seed=9), wanted)
    assert not np.array_equal(translate(batch), wanted)


@pytest.mark.parametrize("direction", ["AtoB", "BtoA"])
def test_colorization_gives_rgb_as_test_mode(
    lab_trained_dirs, image_dir, tmp_path, direction
):
    model_dir = lab_trained_dirs[direction]
    wanted = _run_test_mode(model_dir, image_dir, tmp_path, "--no_dropout")
    found = pix2pix_tf.load(model_dir)(image_dir / "a.png")
    assert found.mode == "RGB"
    np.testing.assert_array_equal(found, wanted[0])


def test_an_array_gives_an_array_like_it(translate):
    levels = np.random.default_rng(1).integers(0, 256, [2, 32, 32, 3], np.uint8)
    outputs = translate(levels)
    assert outputs.shape == (2, 32, 32, 3) and outputs.dtype == np.uint8
    one = translate(levels[1])
    np.testing.assert_array_equal(one, outputs[1])
    floats = translate(levels / 255)
    assert floats.dtype == np.float32 and 0 <= floats.min() <= floats.max() <= 1
    np.testing.assert_allclose(floats, outputs / 255, atol=1 / 255)
    deep = translate(levels.astype(np.uint16) * 257)
    assert deep.dtype == np.uint16
    np.testing.assert_allclose(deep / 65535, floats, atol=1e-4)


@pytest.mark.parametrize(
    ("image", "message"),
    [
        ("none/there.png", "none/there.png No such file or directory"),
        (np.zeros([32, 32]), r"shape \(32, 32\): wanted \[height, width, channels\]"),
        (np.zeros([0, 32, 32, 3]), r"shape \(0, 32, 32, 3\)"),
        (
            np.full([32, 32, 3], 200.0),
            r"floats from 200 to 200: wanted them in \[0, 1\]",
        ),
        (np.full([32, 32, 3], np.nan), r"wanted them in \[0, 1\]"),
        (
            np.zeros([32, 32, 3], int),
            "holds int64: wanted unsigned integers, or floats",
        ),
        (np.zeros([32, 32, 7]), "the image has 7 channels, wanted 3"),
        (Image.new("F", (32, 32)), "Pillow's mode F: wanted 8 or 16 bits"),
    ],
)
def test_other_images_are_refused(translate, image, message):
    with pytest.raises(UsageError, match=message):
        translate(image)


def test_a_model_of_any_kind_translates_alike(
    translate, trained_dir, image_dir, tmp_path
):
    wanted = translate(image_dir / "a.png")
    [index] = trained_dir.glob("model-*.index")
    model = convert.read(trained_dir)
    convert.write(model, tmp_path / "copy", "checkpoint")
    for path in (index.with_suffix(""), index, tmp_path / "copy"):
        np.testing.assert_array_equal(
            pix2pix_tf.load(path)(image_dir / "a.png"), wanted
        )


@pytest.mark.parametrize("kind", ["tf1", "pict"])
def test_models_of_the_original_translate(tmp_path, image_dir, kind):
    arguments = ["--mode", "train", "--ngf", "1", "--ndf", "1", "--max_steps", "1"]
    arguments += ["--output_dir", str(tmp_path / "run"), "--summary_freq", "0"]
    arguments += ["--seed", "1"]
    assert train.main(arguments) == 0
    path = tmp_path / f"model.{kind}"
    convert.write(convert.read(tmp_path / "run"), path, kind)
    found = pix2pix_tf.load(path)(image_dir / "a.png")
    assert found.size == (256, 256)
    wanted = pix2pix_tf.load(tmp_path / "run")(image_dir / "a.png")
    # A .pict file has 8 bits for each weight.
    np.testing.assert_allclose(found, wanted, atol=0 if kind == "tf1" else 8)


@pytest.mark.parametrize("content", [None, b"", b"\x80\x04 not a model"])
def test_what_is_no_model_is_refused_by_name(tmp_path, content):
    path = tmp_path / "model.pict"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UsageError, match="model.pict"):
        pix2pix_tf.load(path)


# Keras' own, of NumPy 2.
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_the_generator_trains_on_and_is_saved(trained_dir, image_dir, tmp_path):
    translate = pix2pix_tf.load(trained_dir)
    assert translate.options.model.ngf == 2
    before = translate(image_dir / "a.png")
    images = tf.random.stateless_uniform([2, 32, 32, 3], [1, 2], -1, 1)
    translate.generator.compile("sgd", "mae")
    translate.generator.fit(images, images, verbose=0)
    after = translate(image_dir / "a.png")
    assert not np.array_equal(after, before)
    translate.generator.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    other = pix2pix_tf.load(trained_dir)
    other.generator.set_weights(loaded.get_weights())
    np.testing.assert_array_equal(other(image_dir / "a.png"), after)


def test_importing_the_package_loads_no_tensorflow():
    code = "import pix2pix_tf, sys; sys.exit('tensorflow' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="lode"):
        pix2pix_tf.lode  # noqa: B018
