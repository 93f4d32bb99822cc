"""Whole export commands, and what other programs make of the SavedModel."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from pix2pix_tf import train
from tests.conftest import TINY, read_image, write_image

# Runs in a process that does not import the package.
CLIENT = """
import sys
import tensorflow as tf
model = tf.saved_model.load(sys.argv[1])
contents = [open(path, "rb").read() for path in sys.argv[3:]]
answer = model.signatures["serving_default"](image_bytes=tf.constant(contents))
for number, output in enumerate(answer["output_bytes"].numpy()):
    open(f"{sys.argv[2]}/{number}", "wb").write(output)
assert not any(name.startswith("pix2pix_tf") for name in sys.modules)
"""


def _export(checkpoint, output_dir, *arguments):
    return train.main(
        ["--mode", "export", "--checkpoint", str(checkpoint)]
        + ["--output_dir", str(output_dir), *arguments]
    )


@pytest.fixture(scope="module")
def exported_dir(trained_dir, tmp_path_factory):
    folder = tmp_path_factory.mktemp("exported") / "1"
    assert _export(trained_dir, folder, "--no_dropout") == 0
    return folder


def _serve(folder, *contents):
    model = tf.saved_model.load(str(folder))
    answer = model.signatures["serving_default"](image_bytes=tf.constant(contents))
    return answer["output_bytes"].numpy()


def test_a_process_without_the_package_gets_the_pictures_of_test_mode(
    exported_dir, trained_dir, pair_dir, tmp_path
):
    arguments = ["--mode", "test", "--checkpoint", str(trained_dir), "--no_dropout"]
    arguments += ["--input_dir", str(pair_dir), "--output_dir", str(tmp_path / "test")]
    assert train.main(arguments) == 0
    tested = tmp_path / "test" / "images"
    inputs = [str(tested / f"{number}-inputs.png") for number in (1, 2)]
    command = [sys.executable, "-c", CLIENT, str(exported_dir), str(tmp_path), *inputs]
    env = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "0"}
    done = subprocess.run(
        command, capture_output=True, text=True, cwd=tmp_path, env=env
    )
    assert done.returncode == 0, done.stderr
    assert "remapper failed" not in done.stderr  # the graph optimizer
    for number in (1, 2):
        served = read_image(tmp_path / str(number - 1)).astype(int)
        expected = read_image(tested / f"{number}-outputs.png").astype(int)
        assert np.abs(served - expected).max() <= 1


def test_any_size_kind_and_number_of_images_is_served(exported_dir, tmp_path):
    contents = [
        write_image(tmp_path / name, *size, channels=channels).read_bytes()
        for name, size, channels in (
            ("rgb.jpg", (30, 50), 3),
            ("gray-2.png", (256, 256), 1),
            ("alpha.png", (301, 200), 4),
        )
    ]
    together = _serve(exported_dir, *contents)
    assert all(output.startswith(b"\x89PNG") for output in together)
    for one, output in zip(contents, together, strict=True):
        assert _serve(exported_dir, one)[0] == output  # no mixing within a batch
        assert tf.io.decode_png(output).shape == (32, 32, 3)


FILES = {  # name of a file: whether the exported model takes it
    "rgb-1.png": True,
    "gray-2.png": True,
    "alpha-3.png": True,
    "deep-4.png": True,
    "palette-5.png": True,
    "rgb-6.jpg": True,
    "gray-7.jpg": True,
    "cmyk-8.jpg": True,
    "rgb-9.bmp": False,
    "palette-10.bmp": False,
    "palette-11.gif": False,
    "rgb-12.webp": False,
    "rgb-13.tif": False,
    "rgb-14.ppm": False,
}


@pytest.fixture(scope="module")
def files_dir(tmp_path_factory):
    """A folder of one image in many formats."""
    folder = tmp_path_factory.mktemp("files")
    path = write_image(tmp_path_factory.mktemp("rgba") / "rgba.png", 40, 48, channels=4)
    rgba = Image.open(path)
    modes = {"gray": "L", "palette": "P", "cmyk": "CMYK", "rgb": "RGB", "alpha": "RGBA"}
    for name in FILES:
        mode = name.partition("-")[0]
        if mode == "deep":
            deep = np.asarray(rgba, np.uint16)[..., :3] * 200 + 99
            (folder / name).write_bytes(tf.io.encode_png(deep).numpy())
        else:
            image = rgba if mode == "alpha" else rgba.convert("RGB")
            image.convert(modes[mode]).save(folder / name)
    return folder


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_every_file_gives_the_image_of_test_mode_or_is_refused_by_name(
    channels, files_dir, pair_dir, tmp_path
):
    run, out, model = (str(tmp_path / name) for name in ("run", "out", "model"))
    count = ["--input_channels", str(channels), "--target_channels", "3"]
    flags = ["--mode", "train", "--input_dir", str(pair_dir), "--output_dir", run]
    flags += ["--crop_size", "32", "--scale_size", "32", "--summary_freq", "0"]
    assert train.main([*flags, *count, "--max_steps", "1", *TINY]) == 0
    flags = ["--mode", "test", "--inputs_only", "--input_dir", str(files_dir)]
    flags += ["--no_dropout", "--checkpoint", run, "--output_dir", out]
    assert train.main(flags) == 0
    assert _export(run, model, "--no_dropout") == 0

    serve = tf.saved_model.load(model).signatures["serving_default"]
    for name, is_taken in FILES.items():
        contents = tf.constant([(files_dir / name).read_bytes()])
        if is_taken:
            [output] = serve(image_bytes=contents)["output_bytes"].numpy()
            served = tf.io.decode_png(output).numpy().astype(int)
            tested = read_image(
                tmp_path / "out/images" / f"{Path(name).stem}-outputs.png"
            )
            assert np.abs(served - tested).max() <= 1, name
        else:
            with pytest.raises(tf.errors.InvalidArgumentError, match="JPEG or PNG"):
                serve(image_bytes=contents)


def test_an_error_names_the_image_of_a_batch(exported_dir, files_dir):
    model = tf.saved_model.load(str(exported_dir))
    good = (files_dir / "gray-2.png").read_bytes()
    for bad in (b"no image", good[:-12]):
        with pytest.raises(tf.errors.InvalidArgumentError, match=r"image_bytes\[2\]"):
            contents = tf.constant([good, good, bad, good])
            model.signatures["serving_default"](image_bytes=contents)


def test_the_float_signature_takes_batches(exported_dir):
    model = tf.saved_model.load(str(exported_dir))
    inputs = tf.random.stateless_uniform([2, 32, 32, 3], [0, 1], -1, 1)
    outputs = model.signatures["generate"](inputs=inputs)["outputs"]
    alone = model.signatures["generate"](inputs=inputs[1:])["outputs"]
    assert outputs.shape == (2, 32, 32, 3)
    np.testing.assert_allclose(outputs[1:], alone, atol=1e-4)


def test_dropout_stays_on_unless_told_otherwise(trained_dir, tmp_path):
    assert _export(trained_dir, tmp_path / "model") == 0
    image = write_image(tmp_path / "a.png", 20, 20).read_bytes()
    first, second = _serve(tmp_path / "model", image, image)
    assert first != second


@pytest.mark.parametrize("direction", ["AtoB", "BtoA"])
def test_colorization_exports_too(lab_trained_dirs, tmp_path, direction):
    arguments = ["--output_filetype", "jpeg"]
    assert _export(lab_trained_dirs[direction], tmp_path / "model", *arguments) == 0
    [output] = _serve(
        tmp_path / "model", write_image(tmp_path / "a.png", 40, 60).read_bytes()
    )
    assert output.startswith(b"\xff\xd8")
    assert tf.io.decode_jpeg(output).shape == (32, 32, 3)


def test_saved_model_cli_shows_and_runs_it(exported_dir, tmp_path):
    command = [sys.executable, "-m", "tensorflow.python.tools.saved_model_cli"]
    place = ["--dir", str(exported_dir), "--tag_set", "serve", "--signature_def"]
    shown = subprocess.run(
        [*command, "show", *place, "serving_default"], capture_output=True, text=True
    )
    assert shown.returncode == 0, shown.stderr
    assert "image_bytes" in shown.stdout and "output_bytes" in shown.stdout
    np.save(tmp_path / "zeros.npy", np.zeros([1, 32, 32, 3], np.float32))
    zeros = f"inputs={tmp_path / 'zeros.npy'}"
    ran = subprocess.run(
        [*command, "run", *place, "generate", "--inputs", zeros],
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 0, ran.stderr
    assert "outputs" in ran.stdout
