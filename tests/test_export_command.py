"""Whole export commands, and what other programs make of the SavedModel."""

import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from pix2pix_tf import train
from tests.conftest import read_image, write_image

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
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    for number in (1, 2):
        served = read_image(tmp_path / str(number - 1)).astype(int)
        expected = read_image(tested / f"{number}-outputs.png").astype(int)
        assert np.abs(served - expected).max() <= 1


def test_any_size_kind_and_number_of_images_is_served(exported_dir, tmp_path):
    contents = [
        write_image(tmp_path / name, *size, channels=channels).read_bytes()
        for name, size, channels in (
            ("rgb.jpg", (30, 50), 3),
            ("gray.png", (256, 256), 1),
            ("alpha.png", (301, 200), 4),
        )
    ]
    together = _serve(exported_dir, *contents)
    assert all(output.startswith(b"\x89PNG") for output in together)
    for one, output in zip(contents, together, strict=True):
        assert _serve(exported_dir, one)[0] == output  # no mixing within a batch
        assert tf.io.decode_png(output).shape == (32, 32, 3)


def test_the_float_signature_takes_batches(exported_dir):
    model = tf.saved_model.load(str(exported_dir))
    inputs = tf.random.stateless_uniform([2, 32, 32, 3], [0, 1], -1, 1)
    outputs = model.signatures["generate"](inputs=inputs)["outputs"]
    alone = model.signatures["generate"](inputs=inputs[1:])["outputs"]
    assert outputs.shape == (2, 32, 32, 3)
    np.testing.assert_allclose(outputs[1:], alone, atol=1e-5)


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
