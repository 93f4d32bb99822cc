"""Examples from the records of prepared data sets, alone and in whole commands."""

import numpy as np
import pytest
import tensorflow_datasets as tfds

from pix2pix_tf import data, datasets, train
from pix2pix_tf.datasets import __main__ as command
from pix2pix_tf.datasets.source import Records, to_file_names
from pix2pix_tf.images import kinds
from pix2pix_tf.options import DataConfig, PairConfig
from pix2pix_tf.runtime.errors import UsageError
from tests.conftest import TINY

PAIRS = kinds.kind_of(PairConfig())


def _source(builder, split="train", kind=PAIRS, **flags):
    channels = kind.image_channels
    config = DataConfig(dataset=builder.name, **flags)
    return data.Source(Records(builder, split, config, len(channels)), channels)


def _batches(source, position, count):
    config = DataConfig(scale_size=40)
    batches = data.train_batches(source, PAIRS, config, 32, 7, position)
    return [[part.numpy() for part in batch] for batch in batches.take(count)]


def _assert_same(batches, others):
    for batch, other in zip(batches, others, strict=True):
        for part, other_part in zip(batch, other, strict=True):
            np.testing.assert_array_equal(part, other_part)


@pytest.fixture(scope="module")
def prepared_dir(tmp_path_factory, pair_dir):
    """pair_dir as a data set of each kind of file."""
    folder = tmp_path_factory.mktemp("prepared")
    for file_format in datasets.FILE_FORMATS:
        arguments = ["--input_dir", str(pair_dir), "--name", file_format]
        arguments += ["--data_dir", str(folder), "--file_format", file_format]
        assert command.main(arguments) == 0
    return folder


def test_training_from_array_records_equals_training_from_the_files(
    prepared_dir, pair_dir
):
    source = _source(datasets.load("array_record", prepared_dir))
    files = data.Source(data.Files(data.find_examples(pair_dir)), PAIRS.image_channels)
    _assert_same(_batches(source, 3, 9), _batches(files, 3, 9))
    assert source.count_sizes() == files.count_sizes() == {"128x64, 3 channels": 5}


def test_training_from_tfrecords_goes_on_at_any_position(prepared_dir):
    source = _source(datasets.load("tfrecord", prepared_dir))
    unbroken = _batches(source, 0, 15)
    epochs = [[int(batch[0][0]) for batch in unbroken[n : n + 5]] for n in (0, 5, 10)]
    assert all(sorted(epoch) == [0, 1, 2, 3, 4] for epoch in epochs)
    assert len(set(map(tuple, epochs))) > 1
    for position in (3, 5, 12):
        resumed = _batches(source, position, 3)
        _assert_same(resumed, unbroken[position : position + 3])


@pytest.mark.parametrize("file_format", datasets.FILE_FORMATS)
def test_testing_reads_each_record_once_in_order(prepared_dir, file_format):
    source = _source(datasets.load(file_format, prepared_dir), "train[1:4]")
    batches = list(data.ordered_batches(source, PAIRS, DataConfig(), None))
    assert [int(batch[0][0]) for batch in batches] == [0, 1, 2]
    assert len(source) == 3 and source.name(np.int64(2)) == "000002"
    assert batches[0][1].shape == (1, 64, 64, 3)


def _build(data_dir, features, *examples):
    """Prepares a data set of others' making, and returns its builder."""

    class Given(tfds.core.GeneratorBasedBuilder, skip_registration=True):
        VERSION = tfds.core.Version("1.0.0")

        def _info(self):
            return tfds.core.DatasetInfo(
                builder=self,
                features=tfds.features.FeaturesDict(features),
                disable_shuffling=True,
            )

        def _split_generators(self, dl_manager):
            return {"train": self._generate_examples()}

        def _generate_examples(self):
            yield from enumerate(examples)

    builder = Given(data_dir=data_dir)
    builder.download_and_prepare()
    return builder


def test_features_are_chosen_by_name_and_labels_are_spread_over_all_grays(tmp_path):
    features = {
        "photo": tfds.features.Image(shape=(None, None, 3)),
        "mask": tfds.features.LabeledImage(labels=5, shape=(None, None, 1)),
        "depth": tfds.features.Tensor(shape=(4, 6, 1), dtype=np.float32),
        "count": tfds.features.Scalar(np.int64),
    }
    example = {
        "photo": np.full((4, 6, 3), 51, np.uint8),
        "mask": np.full((4, 6, 1), 3, np.uint8),
        "depth": np.full((4, 6, 1), 0.25, np.float32),
        "count": 1,
    }
    builder = _build(tmp_path, features, example)

    def means(pair=None, **names):
        kind = kinds.kind_of(pair or PairConfig())
        _, *images = next(iter(_source(builder, kind=kind, **names).ordered()))
        return [float(image.numpy().mean()) for image in images]

    two = {"input_feature": "photo", "target_feature": "mask"}
    np.testing.assert_allclose(means(**two), [0.2, 0.75], atol=1e-6)
    depth = PairConfig(target_channels=1)
    two["target_feature"] = "depth"
    np.testing.assert_allclose(means(depth, **two), [0.2, 0.25], atol=1e-6)
    lab = PairConfig(lab_colorization=True)
    np.testing.assert_allclose(means(lab, input_feature="photo"), [0.2], atol=1e-6)
    with pytest.raises(UsageError, match="--input_feature image is not an image of"):
        means()
    with pytest.raises(UsageError, match="--target_feature count.*photo"):
        means(input_feature="photo", target_feature="count")


def test_a_record_that_cannot_be_used_is_named_with_its_data_set(tmp_path):
    image = tfds.features.Image(shape=(None, None, 3))
    small, wide = np.zeros([4, 6, 3], np.uint8), np.zeros([4, 8, 3], np.uint8)
    builder = _build(
        tmp_path,
        {"input": image, "target": image},
        {"input": small, "target": small},
        {"input": small, "target": wide},
    )
    source = _source(builder)
    source.check()  # of the first only
    batches = data.ordered_batches(source, PAIRS, DataConfig(), 8)
    with pytest.raises(UsageError) as error:
        list(data.iterate(batches, source))
    assert str(error.value) == (
        "given/1.0.0: 1 of 2 examples cannot be used: input of record 1 and target of "
        "record 1 are 6x4 and 8x4: wanted one size"
    )


def test_the_train_and_test_commands_take_a_data_set(
    prepared_dir, tmp_path, monkeypatch, capsys
):
    monkeypatch.setenv("TFDS_DATA_DIR", str(prepared_dir))
    flags = ["--dataset", "array_record", "--output_dir", str(tmp_path / "run")]
    flags += ["--max_steps", "1", "--summary_freq", "0", "--crop_size", "32"]
    flags += ["--n_layers", "1", *TINY]
    assert train.main(["--mode", "train", *flags]) == 0
    test = ["--mode", "test", "--dataset", "array_record", "--checkpoint"]
    test += [str(tmp_path / "run"), "--output_dir", str(tmp_path / "out"), "--split"]
    assert train.main([*test, "train[:2]"]) == 0
    assert (tmp_path / "out/images/2-outputs.png").exists()  # 2.png in the folder
    capsys.readouterr()
    assert train.main([*test[:-1], "--max_steps", "1"]) == 0
    assert "has no split test: taking train" in capsys.readouterr().out
    assert train.main([*test, "val"]) == 2
    assert "no split val" in capsys.readouterr().err
    assert train.main([*test, "val", "--input_dir", "x"]) == 2
    assert "--input_dir cannot be used with --dataset" in capsys.readouterr().err


@pytest.mark.parametrize(
    "stored, wanted",
    [
        (["1.jpg", "cats/a.b"], ["1", "cats/a.b"]),
        (["1.jpg", "1.png"], ["1.jpg", "1.png"]),
        (["\u2028", "b"], ["\ufffd", "b"]),
        (["a", "A"], None),
        (["\u00e9", "e\u0301"], None),
        (["\u2028", "\u2029"], None),
        *[([name], None) for name in ("../a", "/a", "a/../b", "a/", "..", "")],
    ],
)
def test_stored_names_are_used_where_files_can_have_them(stored, wanted):
    assert to_file_names(stored) == wanted


def test_records_of_single_images_bring_a_warning(
    capsys, tmp_path, photo_dir, monkeypatch
):
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    assert command.main(["--input_dir", str(photo_dir), "--name", "photos"]) == 0
    for lab, wanted in ((False, 1), (True, 0)):
        channels = kinds.kind_of(PairConfig(lab_colorization=lab)).image_channels
        datasets.open_source(DataConfig(dataset="photos"), channels, "train")
        assert capsys.readouterr().err.count("may be single images") == wanted
