"""`pix2pix-tf predict`: one PNG for each image."""

import numpy as np

import pix2pix_tf
from pix2pix_tf.__main__ import main
from tests.conftest import read_image, write_image


def test_files_folders_and_patterns_are_translated(trained_dir, tmp_path, capsys):
    (tmp_path / "in").mkdir()
    for number, name in enumerate(["a.png", "b.jpg", "c.png"]):
        write_image(tmp_path / "in" / name, 30, 40, seed=number)
    out = tmp_path / "new" / "out"
    images = [tmp_path / "in" / "a.png", tmp_path / "in" / "[bc]*"]
    arguments = ["predict", trained_dir, *images, "--output_dir", out, "--full_size"]
    assert main([str(one) for one in arguments]) == 0
    names = ["a-output.png", "b-output.png", "c-output.png"]
    assert sorted(path.name for path in out.iterdir()) == names
    assert f"wrote {out / 'c-output.png'}" in capsys.readouterr().out
    wanted = pix2pix_tf.load(trained_dir)(images[0], full_size=True)
    np.testing.assert_array_equal(read_image(out / "a-output.png"), wanted)


def test_what_cannot_be_translated_is_named(trained_dir, tmp_path, capsys):
    def error(*arguments):
        out = ["--output_dir", tmp_path / "out"]
        assert main(["predict", *map(str, [*arguments, *out])]) == 2
        assert not (tmp_path / "out").exists()
        [line] = capsys.readouterr().err.splitlines()
        return line

    image = write_image(tmp_path / "a.png", 30, 40)
    assert "none.png" in error(trained_dir, tmp_path / "none.png")
    assert str(tmp_path / "none") in error(tmp_path / "none", image)
    assert "both be written to the same file" in error(trained_dir, image, image)
