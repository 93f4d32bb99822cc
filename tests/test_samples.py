"""The sample images: which there are, what they show, and that the package has them."""

from pathlib import Path

import numpy as np
import pytest
import setuptools
from PIL import Image

import paint_samples
from pix2pix_tf.data.samples import sample_dir

ROOT = Path(__file__).parents[1]
COUNTS = {
    (False, "train"): 100,
    (False, "test"): 12,
    (True, "train"): 18,
    (True, "test"): 2,
}
PALETTE = np.array(list(paint_samples.PALETTE.values()))


def _read(path):
    """Returns an RGB image, int [height, width, 3]."""
    with Image.open(path) as image:
        assert image.mode == "RGB"
        return np.asarray(image).astype(int)


@pytest.mark.parametrize("is_photographs, split", COUNTS)
def test_images_are_numbered_from_1(is_photographs, split):
    names = {path.name for path in sample_dir(is_photographs, split).iterdir()}
    count = COUNTS[is_photographs, split]
    assert names == {f"{number}.webp" for number in range(1, count + 1)}


@pytest.mark.parametrize("split", ["train", "test"])
def test_a_pair_is_a_photograph_and_the_labels_of_all_classes(split):
    pairs = [_read(path) for path in sample_dir(False, split).iterdir()]
    assert {pair.shape for pair in pairs} == {(256, 512, 3)}
    found = set()
    for pair in pairs[:12]:
        photograph, labels = pair[::2, :256:2], pair[::2, 256::2]
        assert len(np.unique(photograph.reshape(-1, 3), axis=0)) > 3000
        distances = np.abs(labels[:, :, np.newaxis] - PALETTE).max(axis=3)
        is_near = distances.min(axis=2) <= 30  # colours mix at the borders of parts
        assert is_near.mean() > 0.6
        found |= set(distances.argmin(axis=2)[is_near].tolist())
    assert found == set(range(len(PALETTE)))


def test_photographs_are_large_enough_and_in_colour():
    for split in ("train", "test"):
        for path in sample_dir(True, split).iterdir():
            image = _read(path)
            assert min(image.shape[:2]) >= 256
            assert np.ptp(image, axis=2).max() > 50  # gray has 0


def test_painting_gives_the_same_again_and_the_image_that_is_in_the_package():
    first = np.asarray(paint_samples.paint_pair(1)).astype(int)
    np.testing.assert_array_equal(paint_samples.paint_pair(1), first)
    difference = np.abs(_read(sample_dir(False, "train") / "1.webp") - first)
    assert difference.mean() < 10  # of 255; two facades differ by over 40


def test_a_wheel_has_all_sample_images_and_their_licenses(monkeypatch):
    monkeypatch.chdir(ROOT)
    distribution = setuptools.Distribution()
    distribution.parse_config_files(["setup.cfg"])
    build = distribution.get_command_obj("build_py")
    build.ensure_finalized()
    files = {name: found for name, _, _, found in build.data_files}["pix2pix_tf"]
    assert sum(name.endswith(".webp") for name in files) == sum(COUNTS.values())
    assert "data/samples/README.txt" in {Path(name).as_posix() for name in files}
    sizes = [(ROOT / "pix2pix_tf" / name).stat().st_size for name in files]
    assert sum(sizes) < 2.5e6
