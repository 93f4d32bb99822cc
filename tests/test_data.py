"""Which files make which example, what reading them refuses, and the batches."""

import re
import shutil

import numpy as np
import pytest
import tensorflow as tf

from pix2pix_tf import data
from pix2pix_tf.data import batches
from pix2pix_tf.images import kinds, pixels
from pix2pix_tf.options import DataConfig, PairConfig
from pix2pix_tf.runtime.errors import UsageError
from tests.conftest import write_image

PAIR = PairConfig()


def _source(folder, pair=PAIR, config=None):
    source = data.FileSource(data.find_examples(folder), config or DataConfig(), pair)
    source.check()
    return source


def _train_batches(source, config, seed, position):
    pair = source._pair
    return data.train_batches(source, pair, config, 256, seed, position)


def _indices(dataset, count):
    return [int(index) for batch, *_ in dataset.take(count) for index in batch]


def _touch(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def _names(examples):
    return [example.paths[0].name for example in examples]


def test_all_formats_in_any_case_are_found_and_sorted_by_number(tmp_path):
    _touch(tmp_path, "10.png", "9.JPG", "2.jpeg", "1.Png", "notes.txt", "._1.png")
    _touch(tmp_path, "3.webp", "4.TIFF", "5.bmp", "6.gif", "7.tif", "8.npy")
    (tmp_path / "11.png").mkdir()
    assert [
        int(name.split(".")[0]) for name in _names(data.find_examples(tmp_path))
    ] == [*range(1, 11)]


def test_names_that_are_not_all_numbers_are_sorted_as_text(tmp_path):
    _touch(tmp_path, "b.png", "10.png", "9.png", "a.jpg")
    names = _names(data.find_examples(tmp_path))
    assert names == ["10.png", "9.png", "a.jpg", "b.png"]


def test_a_missing_or_empty_folder_is_refused_by_name(tmp_path):
    with pytest.raises(UsageError, match="--input_dir .*gone is not a folder"):
        data.find_examples(tmp_path / "gone")
    with pytest.raises(UsageError, match="has no images.*.jpeg"):
        data.find_examples(tmp_path)


def test_one_file_or_a_pattern_is_enough_where_that_is_allowed(tmp_path):
    _touch(tmp_path, "x/a.png", "x/b.JPG", "y/a.png", "x/notes.txt")

    def find(pattern):
        found = data.find_examples(tmp_path / pattern, is_one_enough=True)
        return [example.name for example in found]

    assert find("x/a.png") == ["a"]
    assert find("x/notes.txt") == ["notes"]  # by name: what is in it decides
    assert find("x/*") == ["a", "b"]
    assert find("**/*.png") == ["1-a.png", "2-a.png"]
    with pytest.raises(UsageError, match="no folder, no file, and no pattern"):
        find("z/*")


def test_names_stay_unique_when_whole_names_clash_with_stems(tmp_path):
    _touch(tmp_path, "a.png", "a.jpg", "a.png.jpg")
    names = [example.name for example in data.find_examples(tmp_path)]
    assert sorted(names) == ["a.jpg", "a.png", "a.png.jpg"]


def test_files_that_share_a_stem_keep_their_whole_names(tmp_path):
    _touch(tmp_path, "1.jpg", "2.png", "1.png", "2a.png")
    names = [example.name for example in data.find_examples(tmp_path)]
    assert sorted(names) == ["1.jpg", "1.png", "2", "2a"]


def test_two_folders_are_paired_by_the_path_without_its_suffix(tmp_path):
    _touch(tmp_path, "A/2.jpg", "A/10.png", "A/cats/1.webp", "A/notes.txt")
    _touch(tmp_path, "B/2.TIF", "B/10.jpg", "B/cats/1.png", "B/._2.png")
    found = data.find_examples(tmp_path / "A", tmp_path / "B")
    relative = [
        (example.name, *(str(path.relative_to(tmp_path)) for path in example.paths))
        for example in found
    ]
    assert sorted(relative) == [
        ("10", "A/10.png", "B/10.jpg"),
        ("2", "A/2.jpg", "B/2.TIF"),
        ("cats/1", "A/cats/1.webp", "B/cats/1.png"),
    ]


def test_missing_and_double_partners_are_all_named_at_once(tmp_path):
    _touch(tmp_path, "A/1.png", "A/2.png", "A/3.png", "A/3.jpg", "A/5.png")
    _touch(tmp_path, "B/1.png", "B/3.png", "B/sub/4.png", "B/5.png")
    with pytest.raises(UsageError) as error:
        data.find_examples(tmp_path / "A", tmp_path / "B")
    message = str(error.value)
    for words in ("B/2.* is missing", "A/sub/4.* is missing", "3.jpg and", "two for"):
        assert words in message
    assert "1.png" not in message and "5.png" not in message


def test_partners_of_differing_sizes_are_all_named_at_once(tmp_path):
    for folder in ("A", "B"):
        (tmp_path / folder).mkdir()
        for number in (1, 2, 3):
            width = 8 + 2 * number * (folder == "B") * (number > 1)
            write_image(tmp_path / folder / f"{number}.png", 8, width)
    examples = data.find_examples(tmp_path / "A", tmp_path / "B")
    with pytest.raises(UsageError, match="2 of 3") as error:
        data.FileSource(examples, DataConfig(), PAIR).check()
    assert "2.png is 8x8 and" in str(error.value)
    assert re.search(r"3.png is 8x8 and \S*3.png 14x8", str(error.value))


def _truncated(path):
    write_image(path, 64, 128)
    path.write_bytes(path.read_bytes()[:-200])


@pytest.mark.parametrize(
    "name, make, words",
    [
        ("cut.jpg", _truncated, "cannot be decoded"),
        ("cut.png", _truncated, "cannot be decoded"),
        ("text.png", lambda path: path.write_text("hello"), "is no picture"),
        ("empty.jpg", lambda path: path.touch(), "empty"),
        ("odd.png", lambda path: write_image(path, 8, 33), "33 pixels wide"),
        ("gone.png", lambda path: path.symlink_to("nowhere"), "No such file"),
        ("thin.png", lambda path: write_image(path, 8, 1), "1 pixels wide"),
    ],
)
def test_an_unusable_file_is_named_with_its_reason(tmp_path, name, make, words, capsys):
    write_image(tmp_path / "good.png", 8, 32)
    make(tmp_path / name)
    with pytest.raises(UsageError) as error:
        _source(tmp_path)
    message = str(error.value)
    assert name in message and words in message and "good.png" not in message
    assert "1 of 2" in message and "\n" not in message
    skipping = _source(tmp_path, config=DataConfig(on_bad_image="skip"))
    assert _names(skipping.examples) == ["good.png"]
    assert name in capsys.readouterr().out


def test_skipping_everything_is_refused(tmp_path):
    _touch(tmp_path, "1.png", "2.png")
    with pytest.raises(UsageError, match="2 of 2 examples cannot be used: .*1.png"):
        _source(tmp_path, config=DataConfig(on_bad_image="skip"))


def test_an_odd_width_is_no_problem_for_colorization(tmp_path):
    write_image(tmp_path / "odd.png", 8, 33)
    assert _source(tmp_path, PairConfig(lab_colorization=True)).problems == {}


def test_an_epoch_has_each_example_once_in_a_new_order(pair_dir):
    source = _source(pair_dir)
    indices = _indices(_train_batches(source, DataConfig(), 1, 0), 20)
    epochs = [tuple(indices[start : start + 5]) for start in range(0, 20, 5)]
    assert all(sorted(epoch) == [0, 1, 2, 3, 4] for epoch in epochs)
    assert len(set(epochs)) > 1


def test_draws_depend_on_the_seed(pair_dir):
    source = _source(pair_dir)
    first, second = (
        next(iter(_train_batches(source, DataConfig(batch_size=5), seed, 0)))
        for seed in (1, 2)
    )
    assert not np.array_equal(first[1], second[1])


@pytest.mark.parametrize("lab", [False, True])
def test_starting_at_a_position_repeats_the_unbroken_run(pair_dir, lab):
    source = _source(pair_dir, PairConfig(lab))
    two = DataConfig(batch_size=2)
    unbroken = list(_train_batches(source, two, 7, 0).take(4))
    resumed = list(_train_batches(source, two, 7, 6).take(1))
    for expected, got in zip(unbroken[3], resumed[0], strict=True):
        np.testing.assert_array_equal(got, expected)


def test_train_batches_are_whole_and_run_over_the_epochs_border(pair_dir):
    source = _source(pair_dir)
    batches = _train_batches(source, DataConfig(batch_size=3), 1, 0)
    assert batches.element_spec[1].shape == (3, 256, 256, 3)
    assert sorted(_indices(batches, 5)) == sorted([0, 1, 2, 3, 4] * 3)


def test_both_sides_get_the_same_flip_and_crop():
    ramp = tf.reshape(tf.range(40 * 50, dtype=tf.float32), [40, 50, 1])
    for seed in range(8):
        inputs, targets = batches.augment(ramp, 2 * ramp, DataConfig(), 256, [seed, 0])
        np.testing.assert_allclose(targets, 2 * inputs)


def test_flip_and_crop_take_all_their_values_and_no_others():
    ramp = tf.broadcast_to(tf.range(286, dtype=tf.float32)[:, tf.newaxis], [286, 286])
    image = tf.stack([ramp, tf.transpose(ramp)], axis=-1)
    rows, columns, flips = set(), set(), set()

    @tf.function
    def corner(seed):
        both = batches.augment(image[..., :1], image[..., 1:], DataConfig(), 256, seed)
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
        inputs, _ = batches.augment(image, image, plain, 256, [seed, 0])
        np.testing.assert_array_equal(inputs, image)


def test_sides_are_scaled_and_cropped_each_by_its_own_size():
    rows = tf.broadcast_to(tf.range(60.0)[:, tf.newaxis, tf.newaxis], [60, 40, 1])
    plain = DataConfig(scale_size=(60, 40), flip=False)
    for seed in range(9):
        image, _ = batches.augment(rows, rows, plain, (32, 40), [seed, 0])
        assert image.shape == (32, 40, 1)
        assert 0 <= float(image[0, 0, 0]) <= 28


def test_test_batches_have_each_example_once_in_order(pair_dir):
    dataset = data.ordered_batches(
        _source(pair_dir), PAIR, DataConfig(batch_size=2), 256
    )
    assert _indices(dataset, 100) == [0, 1, 2, 3, 4]
    assert [len(batch[0]) for batch in dataset] == [2, 2, 1]


def test_lab_is_split_before_resizing(photo_dir):
    pair = PairConfig(lab_colorization=True)
    source = _source(photo_dir, pair)
    _, inputs, targets = next(
        iter(data.ordered_batches(source, pair, DataConfig(), 256))
    )
    assert inputs.shape == (1, 256, 256, 1) and targets.shape == (1, 256, 256, 2)
    (image,) = source.read(0)
    lightness, _ = kinds.from_photograph(image, pair)
    resized = pixels.resize_area(lightness, (256, 256))
    np.testing.assert_allclose(inputs[0], resized, atol=1e-6)


def test_without_a_size_examples_keep_their_own(photo_dir):
    pair = PairConfig(lab_colorization=True)
    dataset = data.ordered_batches(_source(photo_dir, pair), pair, DataConfig(), None)
    assert [batch[1].shape[1:3] for batch in dataset] == [(60, 90), (91, 61)]


def test_the_source_gives_what_tensorflow_reads_as_in_the_original(pair_dir):
    source = _source(pair_dir)
    for index, example in enumerate(source.examples):
        whole = tf.image.convert_image_dtype(
            tf.io.decode_image(example.paths[0].read_bytes()), tf.float32
        )
        a, b = source.read(index)
        np.testing.assert_array_equal(a, whole[:, :64])
        np.testing.assert_array_equal(b, whole[:, 64:])


def _damage_after_checking(folder, config):
    source = _source(folder, config=config)
    path = source.examples[3].paths[0]
    path.write_bytes(path.read_bytes()[:100])
    return source, path


def test_a_file_damaged_later_is_named_when_it_is_reached(pair_dir, tmp_path):
    folder = shutil.copytree(pair_dir, tmp_path / "pairs")
    source, path = _damage_after_checking(folder, DataConfig())
    with pytest.raises(tf.errors.OpError):
        list(data.ordered_batches(source, PAIR, DataConfig(), 256))
    assert path.name in str(source.error())


def test_a_file_damaged_later_is_skipped_and_named_where_that_is_asked(
    pair_dir, tmp_path, capsys
):
    folder = shutil.copytree(pair_dir, tmp_path / "pairs")
    config = DataConfig(on_bad_image="skip", batch_size=5)
    source, path = _damage_after_checking(folder, config)

    tested = list(data.ordered_batches(source, PAIR, config, 256))
    assert tested[0][0].numpy().tolist() == [0, 1, 2, 4]
    trained = _train_batches(source, config, 1, 0).take(3)
    assert [len(batch[0]) for batch in trained] == [5, 5, 5]  # another took its place
    assert source.count_problems() == "1 of 5 examples"
    printed = capsys.readouterr().out
    assert printed.count("skipped: ") == 1 and path.name in printed


def test_several_channels_come_from_arrays(tmp_path):
    for folder, channels in [("a", 5), ("b", 1)]:
        (tmp_path / folder).mkdir()
        np.save(tmp_path / folder / "1.npy", np.full((8, 8, channels), 51, np.uint8))
    pair = PairConfig(input_channels=5, target_channels=1)
    config = DataConfig(input_dir="a", target_dir="b")
    examples = data.find_examples(tmp_path / "a", tmp_path / "b")
    source = data.FileSource(examples, config, pair)
    _, inputs, targets = next(iter(data.ordered_batches(source, pair, config, 8)))
    assert inputs.shape == (1, 8, 8, 5) and targets.shape == (1, 8, 8, 1)
    np.testing.assert_allclose(inputs, 0.2 * 2 - 1, atol=1e-6)
