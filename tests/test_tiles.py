"""Large images by tiles: equal to one pass where that is possible, without seams."""

import numpy as np
import pytest
import tensorflow as tf
import tifffile

import pix2pix_tf
from pix2pix_tf import networks, train
from pix2pix_tf.__main__ import main
from pix2pix_tf.images import windows
from pix2pix_tf.inference import large
from pix2pix_tf.inference.tiles import TiledGenerator, Tiling
from pix2pix_tf.runtime.errors import UsageError
from pix2pix_tf.serve.models import open_models
from tests.conftest import read_image, small_model, write_image

# Keras' own of NumPy 2, and the converters' of Python, while models are exported.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


def _outputs(generator, array, *tiling, **settings):
    bands = TiledGenerator(generator, Tiling(*tiling)).bands(
        windows.of_array(array), **settings
    )
    return np.concatenate([outputs for _, outputs in bands])


@pytest.fixture
def image():
    return np.random.default_rng(1).uniform(-1, 1, [70, 101, 3]).astype(np.float32)


def test_tiles_cover_a_side_and_the_last_ends_with_it():
    assert Tiling(32, 8, "tile").starts(80) == [0, 24, 48]
    assert Tiling(32, 8, "tile").starts(81) == [0, 24, 48, 49]
    assert Tiling(32, 8, "tile").starts(32) == Tiling(32, 8, "tile").starts(20) == [0]


@pytest.mark.parametrize("norm", ["batch", "instance"])
def test_stored_statistics_are_those_of_a_whole_batch(norm):
    model = small_model(norm=norm, no_dropout=True, ngf=2)
    generator = networks.build_generator((3, 3), model)
    stored = networks.with_stored_statistics(generator)
    batch = tf.random.stateless_uniform([4, 32, 32, 3], [1, 2], -1, 1)
    networks.store_statistics(stored, batch, tf.ones([4, 32, 32, 1]))
    outputs = stored(batch)
    if norm == "batch":
        np.testing.assert_allclose(outputs, generator(batch), atol=1e-4)
    # Each image alone is normalised as in the batch.
    for one in range(4):
        alone = stored(batch[one : one + 1])
        np.testing.assert_allclose(alone, outputs[one : one + 1], atol=1e-4)


def test_pixels_without_weight_do_not_count_in_stored_statistics():
    model = small_model(norm="batch", no_dropout=True, ngf=2)
    stored = networks.with_stored_statistics(networks.build_generator((3, 3), model))
    batch = tf.random.stateless_uniform([4, 32, 32, 3], [1, 2], -1, 1)
    networks.store_statistics(stored, batch[:2], tf.ones([2, 32, 32, 1]))
    wanted = stored(batch)
    weights = tf.reshape([0.5, 0.5, 0.0, 0.0], [4, 1, 1, 1]) * tf.ones([4, 32, 32, 1])
    networks.store_statistics(stored, batch, weights)
    np.testing.assert_allclose(stored(batch), wanted, atol=1e-4)


@pytest.mark.parametrize(("length", "overlap"), [(70, 8), (101, 0), (20, 8), (96, 31)])
def test_weights_of_tiles_sum_to_one(length, overlap):
    tiling = Tiling(32, overlap, "tile")
    sums = np.zeros(max(length, 32))
    for start, weights in zip(
        tiling.starts(length), tiling.weights(length), strict=True
    ):
        sums[start : start + 32] += weights
    np.testing.assert_allclose(sums, 1, atol=1e-6)


def test_tiles_of_a_network_without_norms_join_to_the_same_values(image):
    """A generator whose outputs depend on one pixel each shows the joining alone."""
    inputs = tf.keras.Input([32, 32, 3])
    outputs = tf.keras.layers.Activation("tanh")(inputs)
    generator = tf.keras.Model(inputs, outputs)
    for overlap in (0, 7, 16, 25):
        found = _outputs(generator, image, 32, overlap, "tile")
        np.testing.assert_allclose(found, np.tanh(image), atol=1e-6)


@pytest.mark.parametrize("statistics", ["picture", "tile"])
def test_bands_can_begin_later_with_the_same_bits(image, statistics):
    generator = networks.build_generator((3, 2), small_model(ngf=2))
    tiled = TiledGenerator(generator, Tiling(32, 20, statistics))
    bands = list(tiled.bands(windows.of_array(image), seed=3))
    assert [top for top, _ in bands] == [0, 12, 24, 36, 38]
    for first in (1, 3, 4):
        rest = list(tiled.bands(windows.of_array(image), seed=3, first=first))
        for (top, outputs), (wanted_top, wanted) in zip(
            rest, bands[first:], strict=True
        ):
            assert top == wanted_top
            np.testing.assert_array_equal(outputs, wanted)


def test_masks_of_dropout_do_not_repeat_from_tile_to_tile():
    generator = networks.build_generator((3, 3), small_model(ngf=4))
    one = np.random.default_rng(1).uniform(-1, 1, [32, 32, 3]).astype(np.float32)
    same = np.tile(one, [1, 3, 1])
    outputs = _outputs(generator, same, 32, 0, "picture", seed=3)
    first, second, third = np.split(outputs, 3, axis=1)
    assert not np.array_equal(first, second) and not np.array_equal(second, third)
    again = _outputs(generator, same, 32, 0, "picture", seed=3)
    np.testing.assert_array_equal(again, outputs)


@pytest.mark.parametrize(
    ("tiling", "message"),
    [
        (Tiling(48, 8, "tile"), "--tile 48 is not a multiple of 32, .*: try 32 or 64"),
        (
            Tiling(32, 32, "tile"),
            "--overlap 32: wanted 0 or more, and less than --tile",
        ),
        (Tiling(32, -1, "tile"), "--overlap -1: wanted 0 or more"),
    ],
)
def test_wrong_tilings_are_refused(trained_dir, tiling, message):
    with pytest.raises(UsageError, match=message):
        pix2pix_tf.load(trained_dir)(np.zeros([64, 64, 3], np.uint8), tiling=tiling)


def test_test_mode_uses_tiles_where_an_image_is_larger(trained_dir, tmp_path):
    (tmp_path / "in").mkdir()
    small = write_image(tmp_path / "in" / "a.png", 30, 32)
    large_one = write_image(tmp_path / "in" / "b.png", 70, 101)
    flags = ["--mode", "test", "--inputs_only", "--checkpoint", str(trained_dir)]
    flags += ["--no_dropout", "--input_dir", str(tmp_path / "in"), "--full_size"]
    flags += ["--tile", "32", "--overlap", "8", "--output_dir", str(tmp_path / "out")]
    assert train.main(flags) == 0
    translate = pix2pix_tf.load(trained_dir)
    for image in (small, large_one):
        found = read_image(tmp_path / "out" / "images" / f"{image.stem}-outputs.png")
        wanted = translate(image, tiling=Tiling(32, 8, "picture"))
        np.testing.assert_allclose(found.astype(int), np.asarray(wanted, int), atol=1)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--tile", "64"], "--tile needs --full_size"),
        (["--full_size", "--tile", "50"], "--tile 50 is not a multiple of 32"),
        (["--full_size", "--tile", "64", "--overlap", "64"], "--overlap 64: wanted"),
    ],
)
def test_test_mode_refuses_wrong_tiles(trained_dir, capsys, flags, message):
    command = ["--mode", "test", "--checkpoint", str(trained_dir), *flags]
    assert train.main(command) == 2
    assert message in capsys.readouterr().err


def test_an_exported_model_cannot_be_used_by_tiles(exported_dir):
    with pytest.raises(
        UsageError, match="load the checkpoint of which it was exported"
    ):
        open_models([exported_dir], Tiling(32, 8, "picture"))


def test_a_server_translates_large_images_by_tiles(trained_dir, tmp_path):
    tiling = Tiling(32, 8, "picture")
    [model] = open_models([trained_dir], tiling).values()
    image = write_image(tmp_path / "a.png", 70, 50)
    assert model.describe()["size"] is None
    (tmp_path / "b.png").write_bytes(model.translate(image.read_bytes(), 10**4))
    wanted = pix2pix_tf.load(trained_dir)(image, tiling=tiling)
    np.testing.assert_array_equal(read_image(tmp_path / "b.png"), wanted)


def test_one_tile_is_the_untiled_result_to_the_bit(trained_dir):
    translate = pix2pix_tf.load(trained_dir)
    levels = np.random.default_rng(1).integers(0, 256, [30, 32, 3], np.uint8)
    tiled = translate(levels, tiling=Tiling(32, 8, "picture"))
    np.testing.assert_array_equal(tiled, translate(levels, full_size=True))


@pytest.mark.parametrize("direction", ["AtoB", "BtoA"])
def test_a_colorization_by_tiles_keeps_the_photographs_size(
    lab_trained_dirs, direction
):
    translate = pix2pix_tf.load(lab_trained_dirs[direction])
    levels = np.random.default_rng(1).integers(0, 256, [70, 50, 3], np.uint8)
    assert translate(levels, tiling=Tiling(32, 8, "picture")).shape == (70, 50, 3)


def test_predict_writes_a_png_or_for_large_images_a_tiff(
    trained_dir, tmp_path, monkeypatch
):
    image = write_image(tmp_path / "a.png", 70, 50)
    flags = ["--tile", "32", "--overlap", "8", "--output_dir", str(tmp_path)]
    command = ["predict", "--model", str(trained_dir), str(image), *flags]
    assert main(command) == 0
    found = read_image(tmp_path / "a-output.png")
    tiling = Tiling(32, 8, "picture")
    wanted = pix2pix_tf.load(trained_dir)(image, tiling=tiling)
    np.testing.assert_array_equal(found, wanted)
    monkeypatch.setattr(large, "MAX_PNG_PIXELS", 1000)
    assert main(command) == 0
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "a-output.tif"), wanted)
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {"a.png", "a-output.png", "a-output.tif"}


def test_predict_continues_what_an_earlier_command_did_not_end(trained_dir, tmp_path):
    image = write_image(tmp_path / "a.png", 70, 50)
    flags = ["--tile", "32", "--overlap", "8", "--output_dir", str(tmp_path)]
    command = ["predict", "--model", str(trained_dir), str(image), *flags]
    (tmp_path / "a-output.png").mkdir()  # so it fails when all bands are done
    assert main(command) == 2
    (tmp_path / "a-output.png").rmdir()
    [done] = tmp_path.glob(".*.rows")
    done.write_bytes(bytes(3 * 50) + done.read_bytes()[3 * 50 :])
    assert main(command) == 0
    found = read_image(tmp_path / "a-output.png")
    assert not found[0].any() and found[1].any()


def test_a_killed_job_continues_and_another_one_begins_anew(tmp_path):
    like = write_image(tmp_path / "a.png", 40, 20)
    path, job, calls = tmp_path / "a-output.tif", {"seed": 1}, []
    rows = np.random.default_rng(1).random([40, 20, 3], np.float32)

    def bands(first, end=4):
        calls.append(first)
        for number in range(first, end):
            yield rows[10 * number : 10 * number + 10]
        if end < 4:
            raise KeyboardInterrupt

    def write(job, end):
        large.write(path, rows.shape, lambda first: bands(first, end), job, like)

    with pytest.raises(KeyboardInterrupt):
        write(job, end=3)
    assert not path.exists()
    with pytest.raises(KeyboardInterrupt):
        write({"seed": 2}, end=1)  # another job
    write({"seed": 2}, end=4)
    assert calls == [0, 0, 1]
    wanted = np.floor(rows * 255.5).astype(np.uint8)
    np.testing.assert_array_equal(tifffile.imread(path), wanted)
    assert set(tmp_path.iterdir()) == {path, like}
