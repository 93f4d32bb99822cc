"""The tool that measures seams sees a seam, and none where there is none."""

import numpy as np
import pytest

import measure_seams
from pix2pix_tf.inference.tiles import Tiling
from tests.conftest import write_image


def test_a_seam_is_a_larger_step_than_those_beside_it():
    image = np.random.default_rng(1).uniform(0, 0.5, [64, 64, 3])
    tiling = Tiling(32, 0, "tile")
    across, beside = measure_seams.measure_steps(image, tiling)
    assert across == pytest.approx(beside, rel=0.2)
    image[:, 32:] += 0.5
    image[32:] += 0.5
    seams, beside = measure_seams.measure_steps(image, tiling)
    assert seams > across + 0.3 and beside == pytest.approx(across, rel=0.2)


def test_a_mosaic_repeats_its_images():
    images = [np.full([20, 30, 3], value) for value in (0.0, 1.0)]
    mosaic = measure_seams.make_mosaic(images, 64)
    assert mosaic.shape == (64, 64, 3)
    np.testing.assert_array_equal(mosaic[::20, ::30, 0], [[0, 1, 0], [1, 0, 1]] * 2)


def test_it_prints_psnr_and_steps(trained_dir, tmp_path, capsys):
    (tmp_path / "images").mkdir()
    write_image(tmp_path / "images" / "a.png", 70, 101)
    argv = ["--model", str(trained_dir), str(tmp_path / "images")]
    assert measure_seams.main([*argv, "--tile", "32", "--overlap", "8"]) == 0
    first, second = capsys.readouterr().out.splitlines()[-2:]
    assert first.startswith("images 1  psnr mean ") and second.startswith("steps ")
    assert measure_seams.main(argv) == 2
    assert measure_seams.main([*argv, "--tile", "128"]) == 2
