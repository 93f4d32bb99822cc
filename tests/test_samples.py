"""The sample pictures: what is in them, and how they come to be on disk."""

import hashlib
import os
import pathlib
import tempfile

import numpy as np
import pytest
import tensorflow as tf

from pix2pix_tf.data import samples
from pix2pix_tf.data.samples import facades

SEEDS = {
    split: range(first + 1, first + 1 + samples.NUM_PAIRS[split])
    for split, first in samples.FIRST_SEED.items()
}


@pytest.fixture(scope="module")
def all_samples(tmp_path_factory):
    """Writes every sample once; returns {(lab_colorization, split): folder}."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        return {
            (lab, split): samples.sample_dir(lab, split)
            for lab in (False, True)
            for split in ("train", "test")
        }


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty cache folder, and only three pairs to draw."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(samples, "NUM_PAIRS", {"train": 2, "test": 1})
    return tmp_path


def _read(folder):
    """The images of a folder by number, uint8 [height, width, 3] each."""
    paths = {int(path.stem): path for path in folder.iterdir()}
    return [tf.io.decode_png(paths[n].read_bytes()).numpy() for n in sorted(paths)]


def _colors(image):
    """The different colours of an image, a set of (red, green, blue)."""
    packed = np.unique(image.astype(int) @ (65536, 256, 1))
    return {(c >> 16, c >> 8 & 255, c & 255) for c in packed.tolist()}


def _labels(seed):
    """The label map that is drawn from `seed`, without its photograph."""
    rng = np.random.default_rng(seed)
    return facades.draw_labels(facades.plan_parts(facades.plan_house(rng), rng))


# What is in the pictures


@pytest.mark.parametrize("split, count", [("train", 100), ("test", 12)])
def test_pairs_are_numbered_from_1_and_512_by_256(all_samples, split, count):
    folder = all_samples[False, split]
    names = {path.name for path in folder.iterdir()}
    assert names == {f"{number}.png" for number in range(1, count + 1)}
    assert {image.shape for image in _read(folder)} == {(256, 512, 3)}


def test_the_right_half_has_only_colours_of_the_palette(all_samples):
    for pair in _read(all_samples[False, "test"]):
        assert _colors(pair[:, 256:]) <= set(facades.PALETTE.values())


def test_the_left_half_looks_like_a_photograph(all_samples):
    for pair in _read(all_samples[False, "test"]):
        assert len(_colors(pair[:, :256])) > 5000  # against at most 12 for a label map
        assert pair[:, :256].mean() > 64  # and it is daylight


def test_every_class_occurs_in_both_splits():
    for seeds in SEEDS.values():
        maps = np.concatenate([_labels(seed) for seed in seeds])
        assert _colors(maps) == set(facades.PALETTE.values())


def test_every_part_lies_within_the_picture():
    for seed in (*SEEDS["train"], *SEEDS["test"]):
        rng = np.random.default_rng(seed)
        for part in facades.plan_parts(facades.plan_house(rng), rng):
            assert 0 <= part.top < part.bottom <= facades.SIDE, (seed, part)
            assert 0 <= part.left < part.right <= facades.SIDE, (seed, part)
            assert 0 <= part.rise < part.bottom - part.top, (seed, part)


def test_a_pair_depends_on_its_seed_alone():
    first, again, other = (facades.draw_pair(seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert (first[:, :256] != other[:, :256]).any()
    assert (first[:, 256:] != other[:, 256:]).any()


def test_a_new_drawing_has_a_new_version():
    # Recorded from draw_pair(1) itself. If this fails because the drawing was changed,
    # raise samples.VERSION, so that old caches are left alone, and record it again.
    digest = hashlib.sha256(facades.draw_pair(1).tobytes()).hexdigest()
    assert (samples.VERSION, digest[:16]) == (1, "4bd94f7df2f6c75e")


def test_no_label_map_is_drawn_twice():
    maps = [_labels(seed).tobytes() for seeds in SEEDS.values() for seed in seeds]
    assert len(set(maps)) == len(maps)


@pytest.mark.parametrize("split, count", [("train", 24), ("test", 2)])
def test_photographs_are_in_colour_and_at_least_256_pixels(all_samples, split, count):
    images = _read(all_samples[True, split])
    assert len(images) == count
    for image in images:
        height, width, channels = image.shape
        assert min(height, width) >= 256 and channels == 3
        assert (image.max(axis=2) != image.min(axis=2)).any()  # not grey


def test_photographs_for_testing_are_whole_and_not_trained_on(all_samples):
    train, test = samples.PHOTOGRAPHS["train"], samples.PHOTOGRAPHS["test"]
    assert not set(train) & set(test)
    sizes = [image.shape[:2] for image in _read(all_samples[True, "test"])]
    assert sizes == [(300, 451), (400, 600)]  # chelsea and coffee, height first


def test_crops_are_squares_that_cover_the_photograph():
    photograph = np.arange(400 * 640).reshape(400, 640, 1)
    squares = samples.crops(photograph)
    side = samples.CROP_SIDE
    assert [square.shape for square in squares] == [(side, side, 1)] * 6
    assert np.unique(squares).size == photograph.size


# How they come to be on disk


@pytest.mark.parametrize("lab, kind", [(False, "facades"), (True, "photographs")])
def test_samples_are_in_the_cache_folder(cache, lab, kind):
    folder = samples.sample_dir(lab, "test")
    version = f"samples-{samples.VERSION}"
    assert folder == cache / "pix2pix_tf" / version / kind / "test"


def test_without_xdg_cache_home_the_cache_is_in_the_home_folder(cache, monkeypatch):
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr(pathlib.Path, "home", lambda: cache)
    folder = samples.sample_dir(False, "test")
    assert folder.is_relative_to(cache / ".cache" / "pix2pix_tf")


def test_a_second_call_writes_nothing(cache, monkeypatch):
    folder = samples.sample_dir(False, "train")
    monkeypatch.delattr(facades, "draw_pair")
    assert samples.sample_dir(False, "train") == folder
    assert len(_read(folder)) == 2


def test_the_folder_appears_only_when_it_is_whole(cache, monkeypatch):
    folder = samples.sample_dir(False, "train")
    siblings = set(folder.parent.iterdir())
    drawn = []

    def draw_and_look(seed):
        drawn.append(seed)
        assert not (folder.parent / "test").exists()
        return np.zeros([256, 512, 3], np.uint8)

    monkeypatch.setattr(facades, "draw_pair", draw_and_look)
    assert samples.sample_dir(False, "test") == folder.parent / "test"
    assert drawn
    assert set(folder.parent.iterdir()) == siblings | {folder.parent / "test"}


def test_an_interrupted_run_leaves_nothing_and_the_next_one_succeeds(
    cache, monkeypatch
):
    def interrupt(seed):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(facades, "draw_pair", interrupt)
        with pytest.raises(KeyboardInterrupt):
            samples.sample_dir(False, "train")
    assert [path for path in cache.rglob("*") if "train" in path.name] == []
    assert len(_read(samples.sample_dir(False, "train"))) == 2


def test_the_folder_of_a_faster_process_is_kept(cache, monkeypatch):
    folder = cache / "pix2pix_tf" / f"samples-{samples.VERSION}" / "facades" / "test"

    def draw_while_another_finishes(seed):
        folder.mkdir()
        (folder / "theirs").touch()
        return np.zeros([256, 512, 3], np.uint8)

    monkeypatch.setattr(facades, "draw_pair", draw_while_another_finishes)
    assert samples.sample_dir(False, "test") == folder
    assert os.listdir(folder) == ["theirs"]
    assert os.listdir(folder.parent) == ["test"]


def test_without_a_writable_cache_a_temporary_folder_is_used(cache, monkeypatch):
    not_a_folder = cache / "file"
    not_a_folder.touch()
    temporary = cache / "temporary"
    temporary.mkdir()
    monkeypatch.setenv("XDG_CACHE_HOME", str(not_a_folder))
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    folder = samples.sample_dir(False, "train")
    assert folder.is_relative_to(temporary)
    assert len(_read(folder)) == 2


def test_an_unknown_split_is_refused_by_name(cache):
    with pytest.raises(ValueError, match=r"'val'.*'test', 'train'"):
        samples.sample_dir(False, "val")
    assert os.listdir(cache) == []
