import shutil

import numpy as np
import pytest
import tensorflow as tf

from pix2pix_tf import data
from pix2pix_tf.config import DataConfig, PairConfig, UsageError
from tests.conftest import write_image

PAIR = PairConfig()


def _indices(dataset, count):
    return [int(index) for batch, *_ in dataset.take(count) for index in batch]


def test_mixed_formats_in_any_case_are_found_and_sorted_by_number(tmp_path):
    for name in ["10.png", "9.JPG", "2.jpeg", "1.Png", "notes.txt"]:
        (tmp_path / name).touch()
    (tmp_path / "11.png").mkdir()
    (tmp_path / "._1.png").touch()
    names = [path.name for path in data.find_images(tmp_path)]
    assert names == ["1.Png", "2.jpeg", "9.JPG", "10.png"]


def test_names_that_are_not_all_numbers_are_sorted_as_text(tmp_path):
    for name in ["b.png", "10.png", "9.png", "a.jpg"]:
        (tmp_path / name).touch()
    names = [path.name for path in data.find_images(tmp_path)]
    assert names == ["10.png", "9.png", "a.jpg", "b.png"]


def test_a_missing_or_empty_folder_is_refused_by_name(tmp_path):
    with pytest.raises(UsageError, match="--input_dir .*gone is not a folder"):
        data.find_images(tmp_path / "gone")
    with pytest.raises(UsageError, match="has no images.*.jpeg"):
        data.find_images(tmp_path)


def _truncated(path):
    write_image(path, 64, 128)
    path.write_bytes(path.read_bytes()[:-200])


@pytest.mark.parametrize(
    "name, make, words",
    [
        ("cut.jpg", _truncated, "cannot be decoded"),
        ("cut.png", _truncated, "cannot be decoded"),
        ("text.png", lambda path: path.write_text("hello"), "Unknown image"),
        ("empty.jpg", lambda path: path.touch(), "empty"),
        ("odd.png", lambda path: write_image(path, 8, 33), "33 pixels wide"),
        ("gone.png", lambda path: path.symlink_to("nowhere"), "cannot be decoded"),
        ("thin.png", lambda path: write_image(path, 8, 1), "1 pixels wide"),
    ],
)
def test_an_unusable_file_is_named_with_its_reason(tmp_path, name, make, words):
    write_image(tmp_path / "good.png", 8, 32)
    make(tmp_path / name)
    paths = data.find_images(tmp_path)
    with pytest.raises(UsageError) as error:
        data.check_images(paths, PAIR)
    message = str(error.value)
    assert name in message and words in message and "good.png" not in message
    assert "1 of 2" in message and "\n" not in message


def test_an_odd_width_is_no_problem_for_colorization(tmp_path):
    path = write_image(tmp_path / "odd.png", 8, 33)
    assert data.find_problem(path, PairConfig(lab_colorization=True)) is None


def test_a_file_damaged_later_is_named_when_it_is_reached(pair_dir, tmp_path):
    folder = shutil.copytree(pair_dir, tmp_path / "pairs")
    paths = data.find_images(folder)
    paths[3].write_bytes(paths[3].read_bytes()[:100])
    batches = data.ordered_batches(paths, PAIR, DataConfig())
    with pytest.raises(UsageError, match=paths[3].name):
        try:
            list(batches)
        except tf.errors.OpError as error:
            data.raise_damaged(error, paths, PAIR)


def test_an_epoch_has_each_example_once_in_a_new_order(pair_dir):
    paths = data.find_images(pair_dir)
    indices = _indices(data.train_batches(paths, PAIR, DataConfig(), 1, 0), 20)
    epochs = [tuple(indices[start : start + 5]) for start in range(0, 20, 5)]
    assert all(sorted(epoch) == [0, 1, 2, 3, 4] for epoch in epochs)
    assert len(set(epochs)) > 1


def test_draws_depend_on_the_seed(pair_dir):
    paths = data.find_images(pair_dir)
    first, second = (
        next(iter(data.train_batches(paths, PAIR, DataConfig(batch_size=5), seed, 0)))
        for seed in (1, 2)
    )
    assert not np.array_equal(first[1], second[1])


@pytest.mark.parametrize("lab", [False, True])
def test_starting_at_a_position_repeats_the_unbroken_run(pair_dir, lab):
    paths = data.find_images(pair_dir)
    pair, two = PairConfig(lab), DataConfig(batch_size=2)
    unbroken = list(data.train_batches(paths, pair, two, 7, 0).take(4))
    resumed = list(data.train_batches(paths, pair, two, 7, 6).take(1))
    for expected, got in zip(unbroken[3], resumed[0], strict=True):
        np.testing.assert_array_equal(got, expected)


def test_train_batches_are_whole_and_run_over_the_epochs_border(pair_dir):
    paths = data.find_images(pair_dir)
    batches = data.train_batches(paths, PAIR, DataConfig(batch_size=3), 1, 0)
    assert batches.element_spec[1].shape == (3, 256, 256, 3)
    assert sorted(_indices(batches, 5)) == sorted([0, 1, 2, 3, 4] * 3)


def test_both_sides_get_the_same_flip_and_crop():
    ramp = tf.reshape(tf.range(40 * 50, dtype=tf.float32), [40, 50, 1])
    for seed in range(8):
        inputs, targets = data.augment(ramp, 2 * ramp, DataConfig(), [seed, 0])
        np.testing.assert_allclose(targets, 2 * inputs)


def test_flip_and_crop_take_all_their_values_and_no_others():
    ramp = tf.broadcast_to(tf.range(286, dtype=tf.float32)[:, tf.newaxis], [286, 286])
    image = tf.stack([ramp, tf.transpose(ramp)], axis=-1)
    rows, columns, flips = set(), set(), set()

    @tf.function
    def corner(seed):
        both = data.augment(image[..., :1], image[..., 1:], DataConfig(), seed)
        return both[0][0, 0, 0], both[1][0, 0, 0], both[1][0, -1, 0]

    for seed in range(400):
        top, left, right = (round(float(x)) for x in corner(tf.constant([seed, 9])))
        rows.add(top)
        columns.add(min(left, right))
        flips.add(left > right)
    assert rows == columns == set(range(31)) and flips == {False, True}


def test_no_flip_and_scale_256_leave_the_picture():
    image = tf.random.stateless_uniform([256, 256, 3], [0, 1])
    plain = DataConfig(scale_size=256, flip=False)
    for seed in range(3):
        inputs, _ = data.augment(image, image, plain, [seed, 0])
        np.testing.assert_array_equal(inputs, image)


def test_test_batches_have_each_example_once_in_order(pair_dir):
    paths = data.find_images(pair_dir)
    batches = data.ordered_batches(paths, PAIR, DataConfig(batch_size=2))
    assert _indices(batches, 100) == [0, 1, 2, 3, 4]
    assert [len(batch[0]) for batch in batches] == [2, 2, 1]


def test_lab_is_split_before_resizing(photo_dir):
    paths = data.find_images(photo_dir)
    pair = PairConfig(lab_colorization=True)
    _, inputs, targets = next(iter(data.ordered_batches(paths, pair, DataConfig())))
    assert inputs.shape == (1, 256, 256, 1) and targets.shape == (1, 256, 256, 2)
    from pix2pix_tf import images, pairs

    image = images.to_float(images.decode(tf.io.read_file(str(paths[0]))))
    lightness, _ = pairs.split(image, pair)
    np.testing.assert_allclose(inputs[0], images.resize_area(lightness, 256), atol=1e-6)
