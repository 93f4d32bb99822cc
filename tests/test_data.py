"""What reading examples refuses or leaves out, their order, and the batches."""

import shutil
import tracemalloc

import numpy as np
import pytest
import tensorflow as tf

from pix2pix_tf import data
from pix2pix_tf.data import batches
from pix2pix_tf.images import kinds, pixels
from pix2pix_tf.options import DataConfig, PairConfig
from pix2pix_tf.runtime.errors import UsageError
from tests.conftest import read_image, write_image

PAIRS, LAB = kinds.kind_of(PairConfig()), kinds.kind_of(PairConfig(True))


def _source(folder, kind=PAIRS, on_bad_image="error"):
    files = data.Files(data.find_examples(folder))
    source = data.Source(files, kind.image_channels, on_bad_image)
    source.check()
    return source


def _train_batches(source, seed, position, kind=PAIRS, **flags):
    config = DataConfig(scale_size=36, **flags)
    return data.train_batches(source, kind, config, 32, seed, position)


def _indices(dataset, count):
    return [int(index) for batch, *_ in dataset.take(count) for index in batch]


def _names(source):
    return [source.name(index) for index in range(len(source))]


def test_partners_of_differing_sizes_are_all_named_at_once(tmp_path):
    for folder in ("A", "B"):
        (tmp_path / folder).mkdir()
        for number in (1, 2, 3):
            width = 8 + 2 * number * (folder == "B") * (number > 1)
            write_image(tmp_path / folder / f"{number}.png", 8, width)
    files = data.Files(data.find_examples(tmp_path / "A", tmp_path / "B"))
    with pytest.raises(UsageError, match="2 of 3") as error:
        data.Source(files, (3, 3)).check()
    message = str(error.value).replace(f"{tmp_path}/", "")
    assert (
        "A/2.png and B/2.png (likewise A/3.png and B/3.png) are 8x8 and 12x8" in message
    )


def test_many_files_with_one_problem_are_told_in_one_short_line(tmp_path):
    photo = write_image(tmp_path / "0.png", 8, 33)
    for number in range(1, 200):
        shutil.copy(photo, tmp_path / f"{number}.png")
    with pytest.raises(UsageError) as error:
        _source(tmp_path)
    message = str(error.value).replace(f"{tmp_path}/", "")
    assert message.startswith(
        "200 of 200 examples cannot be used: 0.png (likewise 1.png, 10.png and 197 "
        "more) is 33 pixels wide and 8 high: "
    )
    assert "--lab_colorization" in message and message.count(".png") == 3


def _truncated(path):
    write_image(path, 64, 128)
    path.write_bytes(path.read_bytes()[:-200])


@pytest.mark.parametrize(
    "name, make, words",
    [
        ("cut.jpg", _truncated, "cannot be decoded"),
        ("cut.png", _truncated, "cannot be decoded"),
        ("text.png", lambda path: path.write_text("hello"), "is not an image"),
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
    assert message.endswith("; --on_bad_image skip leaves them out")
    skipping = _source(tmp_path, on_bad_image="skip")
    assert _names(skipping) == ["good"]
    assert skipping.skipped() == "1 of 2 examples"
    assert name in capsys.readouterr().out


def test_skipping_everything_is_refused(tmp_path):
    for name in ("1.png", "2.png"):
        (tmp_path / name).touch()
    with pytest.raises(UsageError, match="2 of 2 examples cannot be used: .*1.png"):
        _source(tmp_path, on_bad_image="skip")


def test_an_odd_width_is_no_problem_for_one_image_a_file(tmp_path):
    write_image(tmp_path / "odd.png", 8, 33)
    assert _source(tmp_path, LAB).problems == {}


def test_an_epoch_has_each_example_once_in_a_new_order(pair_dir):
    indices = _indices(_train_batches(_source(pair_dir), 1, 0), 20)
    epochs = [tuple(indices[start : start + 5]) for start in range(0, 20, 5)]
    assert all(sorted(epoch) == [0, 1, 2, 3, 4] for epoch in epochs)
    assert len(set(epochs)) > 1


def test_draws_depend_on_the_seed(pair_dir):
    source = _source(pair_dir)
    first, second = (
        next(iter(_train_batches(source, seed, 0, batch_size=5))) for seed in (1, 2)
    )
    assert not np.array_equal(first[1], second[1])


@pytest.mark.parametrize("kind", [PAIRS, LAB])
def test_starting_at_a_position_repeats_the_unbroken_run(pair_dir, kind):
    source = _source(pair_dir, kind)
    unbroken = list(_train_batches(source, 7, 0, kind, batch_size=2).take(4))
    [resumed] = _train_batches(source, 7, 6, kind, batch_size=2).take(1)
    for expected, got in zip(unbroken[3], resumed, strict=True):
        np.testing.assert_array_equal(got, expected)


def test_train_batches_are_whole_and_run_over_the_epochs_border(pair_dir):
    batches = _train_batches(_source(pair_dir), 1, 0, batch_size=3)
    assert batches.element_spec[1].shape == (3, 32, 32, 3)
    assert sorted(_indices(batches, 5)) == sorted([0, 1, 2, 3, 4] * 3)


def test_nothing_delays_the_end_of_an_iterator(pair_dir):
    batches = _train_batches(_source(pair_dir), 1, 0)
    assert batches.options().autotune.enabled is False


def test_both_sides_get_the_same_flip_and_crop():
    ramp = tf.reshape(tf.range(40 * 50, dtype=tf.float32), [40, 50, 1])
    for seed in range(8):
        inputs, targets = batches.augment(ramp, 2 * ramp, DataConfig(), 256, [seed, 0])
        np.testing.assert_allclose(targets, 2 * inputs)


def test_flip_and_crop_take_all_their_values_and_no_others():
    """40 pixels leave a crop of 10 the 31 places that 286 leave one of 256."""
    ramp = tf.broadcast_to(tf.range(40.0)[:, tf.newaxis], [40, 40])
    image = tf.stack([ramp, tf.transpose(ramp)], axis=-1)
    config = DataConfig(scale_size=40)
    rows, columns, flips = set(), set(), set()

    @tf.function
    def corner(seed):
        both = batches.augment(image[..., :1], image[..., 1:], config, 10, seed)
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
    config = DataConfig(batch_size=2)
    dataset = data.ordered_batches(_source(pair_dir), PAIRS, config, 32)
    assert _indices(dataset, 100) == [0, 1, 2, 3, 4]
    assert [len(batch[0]) for batch in dataset] == [2, 2, 1]


def test_lab_is_split_before_resizing(photo_dir):
    source = _source(photo_dir, LAB)
    _, inputs, targets = next(iter(data.ordered_batches(source, LAB, DataConfig(), 32)))
    assert inputs.shape == (1, 32, 32, 1) and targets.shape == (1, 32, 32, 2)
    lightness, _ = LAB.to_tensors(*source.read(0))
    resized = pixels.resize_area(lightness, (32, 32))
    np.testing.assert_allclose(inputs[0], resized, atol=1e-6)


def test_without_a_size_examples_keep_their_own(photo_dir):
    dataset = data.ordered_batches(_source(photo_dir, LAB), LAB, DataConfig(), None)
    assert [batch[1].shape[1:3] for batch in dataset] == [(60, 90), (91, 61)]


def test_the_source_gives_the_halves_of_each_image(pair_dir):
    source = _source(pair_dir)
    for index, example in enumerate(data.find_examples(pair_dir)):
        whole = pixels.to_float(read_image(example.paths[0]))
        a, b = source.read(index)
        np.testing.assert_array_equal(a, whole[:, :64])
        np.testing.assert_array_equal(b, whole[:, 64:])


def test_several_channels_come_from_arrays(tmp_path):
    for folder, channels in [("a", 5), ("b", 1)]:
        (tmp_path / folder).mkdir()
        np.save(tmp_path / folder / "1.npy", np.full((8, 8, channels), 51, np.uint8))
    kind = kinds.kind_of(PairConfig(input_channels=5, target_channels=1))
    files = data.Files(data.find_examples(tmp_path / "a", tmp_path / "b"))
    source = data.Source(files, kind.image_channels)
    _, inputs, targets = next(iter(data.ordered_batches(source, kind, DataConfig(), 8)))
    assert inputs.shape == (1, 8, 8, 5) and targets.shape == (1, 8, 8, 1)
    np.testing.assert_allclose(inputs, 0.2 * 2 - 1, atol=1e-6)
    assert source.count_sizes() == {"8x8, 5 channels": 1, "8x8, 1 channel": 1}


class _Store(data.Files):
    """Five examples of gray images, each as light as its index; some raise errors."""

    def __init__(self, errors):
        super().__init__([data.Example(f"image_{index}", ()) for index in range(5)])
        self._errors = errors

    def read(self, channels, index):
        if index in self._errors:
            raise self._errors[index]
        return [np.full((8, 8, count), index / 10, np.float32) for count in channels]


def _damaged(index):
    return kinds.ExampleError(f"{index}.png", "is empty")


def _read(source, batches):
    return list(data.iterate(batches, source))


def test_a_file_damaged_later_is_named_when_it_is_reached():
    source = data.Source(_Store({3: _damaged(3)}), (3, 3), "error")
    found = data.iterate(data.ordered_batches(source, PAIRS, DataConfig(), 8), source)
    assert [int(next(found)[0][0]) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(UsageError, match="1 of 5 examples cannot be used: 3.png is"):
        next(found)
    assert source.skipped() is None


def test_a_file_damaged_later_is_skipped_and_named_once_where_that_is_asked(capsys):
    source = data.Source(_Store({3: _damaged(3)}), (3, 3), "skip")
    config = DataConfig(batch_size=5)
    tested = _read(source, data.ordered_batches(source, PAIRS, config, 8))
    assert [batch[0].numpy().tolist() for batch in tested] == [[0, 1, 2, 4]]
    trained = _read(source, _train_batches(source, 1, 0, batch_size=5).take(3))
    for indices, inputs, _ in trained:
        assert len(indices) == 5  # another took its place, under its own name
        lightness = (inputs[:, 0, 0, 0] + 1) / 2
        np.testing.assert_allclose(lightness, indices.numpy() / 10, atol=1e-6)
        assert 3 not in indices
    assert source.skipped() == "1 of 5 examples"
    assert capsys.readouterr().out == "skipped: 3.png is empty\n"


@pytest.mark.parametrize("on_bad_image", ["error", "skip"])
def test_other_errors_than_damaged_files_are_never_skipped_or_renamed(on_bad_image):
    store = _Store({3: MemoryError(), 4: _damaged(4)})
    source = data.Source(store, (3,), on_bad_image)
    with pytest.raises(kinds.ExampleError):
        source.read(4)  # as reading ahead does
    with pytest.raises(tf.errors.ResourceExhaustedError, match="MemoryError"):
        _read(source, source.ordered())


def test_files_of_8_bits_are_not_deep_whatever_is_made_of_them(tmp_path):
    write_image(tmp_path / "a.png", 4, 8)
    deep = np.full([4, 8, 3], 257, np.uint16)  # 1 / 255: 8 bits would hold it
    (tmp_path / "b.png").write_bytes(tf.io.encode_png(deep).numpy())
    files = data.Files(data.find_examples(tmp_path))
    source = data.Source(files, (1, 1))  # luma has other values than RGB
    list(source.ordered())
    assert source.deep == {1}


def test_a_folder_of_many_files_takes_little_memory(tmp_path):
    count = 5000
    for number in range(count):
        (tmp_path / f"photograph-{number:06d}.jpg").touch()
    tracemalloc.start()
    examples = data.find_examples(tmp_path)
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert kept < 120 * count  # an Example with its Path has over 400 bytes
    path = tmp_path / "photograph-004999.jpg"
    assert examples[-1] == ("photograph-004999", (path,)) == list(examples[4990:])[-1]
    assert data.Files(examples).name(7) == "photograph-000007"


def test_files_of_one_stem_are_called_by_their_whole_names(tmp_path):
    for name in ("2.png", "10.png", "2.jpg", "1.PNG"):
        (tmp_path / name).touch()
    examples = data.find_examples(tmp_path)
    names = [example.name for example in examples]
    assert names == ["1", "2.jpg", "2.png", "10"] == _names(data.Files(examples))
    assert [example.name for example in examples[2:]] == ["2.png", "10"]
