"""Whole test-mode commands on tiny images."""

import numpy as np
import pytest

from pix2pix_tf import color, images, train
from tests.conftest import read_image, write_image


def _test(checkpoint, input_dir, output_dir, *arguments):
    return train.main(
        ["--mode", "test", "--checkpoint", str(checkpoint), "--seed", "1"]
        + ["--input_dir", str(input_dir), "--output_dir", str(output_dir), *arguments]
    )


def _pictures(folder):
    return {path.name: read_image(path) for path in (folder / "images").iterdir()}


@pytest.fixture(scope="module")
def tested_dir(trained_dir, pair_dir, tmp_path_factory):
    folder = tmp_path_factory.mktemp("tested")
    assert _test(trained_dir, pair_dir, folder, "--batch_size", "2") == 0
    return folder


def test_each_image_once_in_order(tested_dir):
    names = {
        f"{stem}-{kind}.png"
        for stem in range(1, 6)
        for kind in ("inputs", "outputs", "targets")
    }
    assert set(_pictures(tested_dir)) == names
    page = (tested_dir / "index.html").read_text()
    places = [page.index(f"images/{stem}-inputs.png") for stem in range(1, 6)]
    assert places == sorted(places) and page.count("<img") == 15


def test_inputs_and_targets_are_the_files_halves(tested_dir, pair_dir):
    pictures = _pictures(tested_dir)
    image = read_image(pair_dir / "2.png")  # trained BtoA
    for kind, half in (("targets", image[:, :64]), ("inputs", image[:, 64:])):
        resized = images.resize_area(images.to_float(half), (256, 256))
        np.testing.assert_array_equal(
            pictures[f"2-{kind}.png"], images.to_uint8(resized)
        )


def test_no_dropout_repeats_and_dropout_follows_the_seed(
    tested_dir, trained_dir, pair_dir, tmp_path
):
    runs = {
        "plain": ["--no_dropout", "--seed", "1"],
        "plain_again": ["--no_dropout", "--seed", "2"],
        "dropout": ["--batch_size", "2"],
        "dropout_other": ["--batch_size", "2", "--seed", "2"],
    }
    outputs = {}
    for name, arguments in runs.items():
        assert _test(trained_dir, pair_dir, tmp_path / name, *arguments) == 0
        outputs[name] = _pictures(tmp_path / name)["2-outputs.png"]
    np.testing.assert_array_equal(outputs["plain"], outputs["plain_again"])
    first = _pictures(tested_dir)["2-outputs.png"]
    np.testing.assert_array_equal(outputs["dropout"], first)
    assert not np.array_equal(outputs["dropout_other"], first)
    assert not np.array_equal(outputs["plain"], first)


def test_aspect_ratio_widens_every_picture(trained_dir, pair_dir, tmp_path):
    arguments = ["--aspect_ratio", "1.5", "--max_steps", "2"]
    assert _test(trained_dir, pair_dir, tmp_path, *arguments) == 0
    pictures = _pictures(tmp_path)
    assert len(pictures) == 6  # --max_steps bounds the batches
    assert all(picture.shape == (256, 384, 3) for picture in pictures.values())


@pytest.mark.parametrize("direction", ["AtoB", "BtoA"])
def test_colorization_writes_rgb_with_the_photographs_lightness(
    lab_trained_dirs, photo_dir, tmp_path, direction
):
    assert _test(lab_trained_dirs[direction], photo_dir, tmp_path) == 0
    pictures = _pictures(tmp_path)
    assert len(pictures) == 6
    assert all(picture.shape == (256, 256, 3) for picture in pictures.values())
    photo = images.to_float(read_image(photo_dir / "a.png"))
    lightness = images.resize_area(color.rgb_to_lab(photo), (256, 256))[..., 0]
    kinds = {"AtoB": ["inputs", "outputs", "targets"], "BtoA": ["inputs", "targets"]}
    for kind in kinds[direction]:
        lab = color.rgb_to_lab(images.to_float(pictures[f"a-{kind}.png"]))
        # Rounding to 8 bits, and colours clipped at the border of sRGB.
        assert np.mean(np.abs(lab[..., 0] - lightness)) < 2


def test_testing_into_the_training_folder_is_refused(capsys, trained_dir, pair_dir):
    before = (trained_dir / "options.json").read_text()
    assert _test(trained_dir, pair_dir, trained_dir) == 2
    assert "holds a train run" in capsys.readouterr().err
    assert (trained_dir / "options.json").read_text() == before


def test_testing_again_gives_the_same_index(tested_dir, trained_dir, pair_dir):
    before = (tested_dir / "index.html").read_text()
    assert _test(trained_dir, pair_dir, tested_dir, "--batch_size", "2") == 0
    assert (tested_dir / "index.html").read_text() == before


def test_files_that_share_a_stem_both_get_their_pictures(trained_dir, tmp_path):
    (tmp_path / "in").mkdir()
    write_image(tmp_path / "in" / "a.png", 8, 16, seed=1)
    write_image(tmp_path / "in" / "a.jpg", 8, 16, seed=2)
    assert _test(trained_dir, tmp_path / "in", tmp_path / "out") == 0
    assert {"a.png-outputs.png", "a.jpg-outputs.png"} < set(_pictures(tmp_path / "out"))
