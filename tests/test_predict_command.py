"""`pix2pix-tf predict`: one file for each image, by a model here or on a server."""

import numpy as np
import pytest
from PIL import Image

import pix2pix_tf
from pix2pix_tf.__main__ import main
from pix2pix_tf.serve.app import Limits, build_app
from pix2pix_tf.serve.models import open_models
from tests.conftest import read_image, serving, write_image

# Keras' own of NumPy 2, and the converters' of Python, while models are exported.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


def test_files_folders_and_patterns_are_translated(trained_dir, tmp_path, capsys):
    (tmp_path / "in").mkdir()
    for number, name in enumerate(["a.png", "b.jpg", "c.png"]):
        write_image(tmp_path / "in" / name, 30, 40, seed=number)
    out = tmp_path / "new" / "out"
    images = [tmp_path / "in" / "a.png", tmp_path / "in" / "[bc]*"]
    arguments = ["predict", "--model", trained_dir, *images, "--full_size"]
    assert main([str(one) for one in [*arguments, "--output_dir", out]]) == 0
    names = ["a-output.png", "b-output.png", "c-output.png"]
    assert sorted(path.name for path in out.iterdir()) == names
    assert f"wrote {out / 'c-output.png'}" in capsys.readouterr().out
    wanted = pix2pix_tf.load(trained_dir)(images[0], full_size=True)
    np.testing.assert_array_equal(read_image(out / "a-output.png"), wanted)


def test_a_server_and_a_folder_give_the_same_files(exported_dir, tmp_path):
    """Files of formats that TensorFlow Serving does not read are converted."""
    images = tmp_path / "images"
    images.mkdir()
    write_image(images / "a.png", 30, 40)
    write_image(images / "b.jpg", 30, 40, seed=1)
    with Image.open(images / "a.png") as image:
        image.save(images / "c.webp", lossless=True)
    app = build_app(open_models([exported_dir]), Limits(10**6, 10**6, 8))
    with serving(app) as url:
        url = f"{url}/v1/models/facades"
        for name, source in (
            ("here", ["--model", exported_dir]),
            ("there", ["--url", url]),
        ):
            arguments = ["predict", *source, images, "--output_dir", tmp_path / name]
            assert main([str(one) for one in arguments]) == 0
    here, there = (sorted((tmp_path / name).iterdir()) for name in ("here", "there"))
    assert [path.name for path in here] == [f"{name}-output.png" for name in "abc"]
    for one, other in zip(here, there, strict=True):
        assert one.read_bytes() == other.read_bytes()
    assert here[0].read_bytes() == here[2].read_bytes()  # lossless WebP


def _error(capsys, tmp_path, *arguments):
    out = ["--output_dir", tmp_path / "out"]
    assert main(["predict", *map(str, [*arguments, *out])]) == 2
    assert not list(tmp_path.glob("out/*"))
    [line] = capsys.readouterr().err.splitlines()
    return line


def test_what_cannot_be_translated_is_named(trained_dir, tmp_path, capsys):
    def error(*arguments):
        return _error(capsys, tmp_path, *arguments)

    image = write_image(tmp_path / "a.png", 30, 40)
    (tmp_path / "b.png").write_bytes(b"no image")
    model = ["--model", trained_dir]
    assert "none.png" in error(*model, tmp_path / "none.png")
    assert "b.png is not an image" in error(*model, tmp_path / "b.png")
    assert str(tmp_path / "none") in error("--model", tmp_path / "none", image)
    assert "both be written to the same file" in error(*model, image, image)
    assert "--model --url is required" in error(image)


def test_what_a_server_refuses_is_named(exported_dir, tmp_path, capsys):
    image = write_image(tmp_path / "a.png", 30, 40)
    app = build_app(open_models([exported_dir]), Limits(10**6, 1000, 8))
    with serving(app) as url:
        for name, reason in (("facades", "has 40x30 pixels"), ("none", "'none'")):
            flags = ["--url", f"{url}/v1/models/{name}"]
            line = _error(capsys, tmp_path, *flags, image)
            assert "a.png" in line and "refused" in line and reason in line
    line = _error(capsys, tmp_path, "--url", f"{url}/v1/models/facades", image)
    assert f"{url}/v1/models/facades cannot be reached" in line
    line = _error(capsys, tmp_path, "--url", "grpc://127.0.0.1:1/facades", image)
    assert "grpc://127.0.0.1:1 cannot be reached" in line


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--url", "localhost:8501"], "wanted http://HOST:PORT/v1/models/NAME or grpc"),
        (["--url", "http://localhost/facades"], "wanted http://HOST:PORT/v1/models/"),
        (["--url", "grpc://localhost"], "or grpc://HOST:PORT/NAME"),
        (
            ["--url", "grpc://localhost:1/a", "--full_size", "--seed", "1"],
            "--full_size, --seed: with --url the server's export decides it",
        ),
    ],
)
def test_wrong_flags_are_refused(tmp_path, capsys, flags, message):
    image = write_image(tmp_path / "a.png", 30, 40)
    assert message in _error(capsys, tmp_path, *flags, image)
