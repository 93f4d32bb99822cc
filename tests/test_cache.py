"""`--cache`: the same batches in the same order, and each example decoded once."""

import concurrent.futures
import dataclasses
import errno
import io
import os
import shutil
import tempfile

import numpy as np
import psutil
import pytest
import tensorflow as tf
import tifffile
from tensorflow.python.framework import config as tf_config

from pix2pix_tf import checkpoints, data, datasets, train
from pix2pix_tf.data import cache
from pix2pix_tf.datasets import __main__ as datasets_command
from pix2pix_tf.datasets.source import Records
from pix2pix_tf.images import codecs, kinds
from pix2pix_tf.options import DataConfig, ExecutionConfig, PairConfig
from pix2pix_tf.runtime.errors import UsageError
from pix2pix_tf.training import strategy
from tests.conftest import SMALL, assert_equal_values, write_image

PAIRS, LAB = kinds.kind_of(PairConfig()), kinds.kind_of(PairConfig(True))
THREE_EPOCHS = 15  # examples of five files


@pytest.fixture(scope="module", autouse=True)
def deterministic():
    """Ends what `--deterministic` begins, which has no public end."""
    yield
    tf_config.disable_op_determinism()


@pytest.fixture
def decoded(monkeypatch):
    """A list that gets the size of each file that is decoded."""
    sizes, decode = [], codecs.from_bytes

    def from_bytes(contents, channels=3):
        sizes.append(len(contents))
        return decode(contents, channels)

    monkeypatch.setattr(codecs, "from_bytes", from_bytes)
    return sizes


@pytest.fixture(params=["memory", "folder"])
def place(request, tmp_path):
    """The value of --cache."""
    return "memory" if request.param == "memory" else str(tmp_path / "kept" / "here")


def _source(folder, place=None, kind=PAIRS, window=None, on_bad_image="error"):
    folders = folder if isinstance(folder, tuple) else (folder,)
    kept = data.Cache(place) if place else None
    files = data.Files(data.find_examples(*folders), window, kept)
    return data.Source(files, kind.image_channels, on_bad_image)


def _batches(source, position=0, count=THREE_EPOCHS, kind=PAIRS, **flags):
    config = DataConfig(**({"scale_size": 36} | flags))
    batches = data.train_batches(source, kind, config, 32, 7, position).take(count)
    return [[part.numpy() for part in batch] for batch in data.iterate(batches, source)]


def _assert_same(batches, others):
    for batch, other in zip(batches, others, strict=True):
        for part, other_part in zip(batch, other, strict=True):
            np.testing.assert_array_equal(part, other_part)


def _write_kinds(folder, name):
    """Writes the examples of one kind; returns the folders, and the kind."""
    rng = np.random.default_rng(3)
    for side in ("a", "b"):
        (folder / side).mkdir()
        for number in range(5):
            path = folder / side / f"{number}.png"
            if name == "16 bits":
                image = rng.integers(0, 1 << 16, (40, 80, 3), dtype=np.uint16)
                path.write_bytes(tf.io.encode_png(image).numpy())
            elif name == "TIFF":
                image = rng.integers(0, 4096, (40, 80, 3), dtype=np.uint16)
                tifffile.imwrite(path.with_suffix(".tif"), image, photometric="rgb")
            elif name == "floats":
                image = rng.random((40, 80, 3), np.float32)
                image[0, :3] = -0.0
                np.save(path.with_suffix(".npy"), image)
            else:
                write_image(path, 40, 80, seed=number)
    two = (folder / "a", folder / "b")
    return two if name == "two folders" else two[0], LAB if name == "Lab" else PAIRS


@pytest.mark.parametrize(
    "name", ["pairs", "two folders", "16 bits", "TIFF", "floats", "Lab"]
)
def test_three_epochs_are_the_same_and_decode_each_file_once(
    name, place, tmp_path, decoded
):
    folders, kind = _write_kinds(tmp_path, name)
    wanted = _batches(_source(folders, kind=kind), kind=kind)
    decoded.clear()

    source = _source(folders, place, kind)
    source.check()

    num_files = 10 if name == "two folders" else 5
    assert len(decoded) == num_files
    _assert_same(_batches(source, kind=kind), wanted)
    for position in (3, 7):  # as a run that is resumed in the middle of an epoch
        resumed = _batches(source, position, 5, kind)
        _assert_same(resumed, wanted[position : position + 5])
    assert len(decoded) == num_files


def test_a_later_run_finds_the_folder(pair_dir, tmp_path, decoded):
    wanted = _batches(_source(pair_dir))
    _source(pair_dir, tmp_path).check()
    decoded.clear()
    source = _source(pair_dir, tmp_path)
    source.check()
    _assert_same(_batches(source), wanted)
    assert not decoded


@pytest.mark.parametrize("is_larger", [True, False])
def test_a_changed_file_is_decoded_again(is_larger, tmp_path, decoded):
    folder, place = tmp_path / "pairs", tmp_path / "kept"
    folder.mkdir()
    for number in range(5):
        np.save(folder / f"{number}.npy", np.full((40, 80, 3), 0.1, np.float32))
    _source(folder, place).check()
    decoded.clear()

    path, width = folder / "2.npy", 84 if is_larger else 80
    before = path.stat()
    np.save(path, np.full((40, width, 3), 0.7, np.float32))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns + (not is_larger)))

    source = _source(folder, place)
    source.check()
    assert len(decoded) == 1
    _assert_same(_batches(source), _batches(_source(folder)))


def _cut(contents):
    return contents[: len(contents) // 2]


def _turn_a_bit(contents):
    return contents[:-500] + bytes([contents[-500] ^ 1]) + contents[-499:]


@pytest.mark.parametrize("damage", [_cut, _turn_a_bit, lambda contents: b""])
def test_a_damaged_entry_is_made_anew(damage, pair_dir, tmp_path, decoded):
    _source(pair_dir, tmp_path).check()
    entry = min(tmp_path.iterdir())
    good = entry.read_bytes()
    entry.write_bytes(damage(good))
    decoded.clear()

    source = _source(pair_dir, tmp_path)
    source.check()

    assert len(decoded) == 1
    _assert_same(_batches(source), _batches(_source(pair_dir)))
    with np.load(entry) as images, np.load(io.BytesIO(good)) as others:
        np.testing.assert_array_equal(images["arr_0"], others["arr_0"])


def test_another_version_decodes_for_itself(pair_dir, tmp_path, decoded, monkeypatch):
    _source(pair_dir, tmp_path).check()
    decoded.clear()
    monkeypatch.setattr(cache, "MADE_BY", ("another version",))
    _source(pair_dir, tmp_path).check()
    assert len(decoded) == 5


def test_two_runs_share_a_folder(pair_dir, tmp_path):
    one, two = (_source(pair_dir, tmp_path) for _ in range(2))
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        found = list(pool.map(_batches, (one, two)))
    _assert_same(found[0], _batches(_source(pair_dir)))
    _assert_same(found[1], found[0])
    assert len(list(tmp_path.iterdir())) == 5  # and no partial files


@pytest.mark.parametrize("on_bad_image", ["error", "skip"])
def test_bad_files_are_named_and_skipped_as_without(
    on_bad_image, place, pair_dir, tmp_path
):
    folder = shutil.copytree(pair_dir, tmp_path / "bad")
    (folder / "2.png").write_bytes(b"no image")
    sources = [_source(folder, own, on_bad_image=on_bad_image) for own in (None, place)]
    if on_bad_image == "error":
        messages = []
        for source in sources:
            with pytest.raises(UsageError) as error:
                source.check()
            messages.append(str(error.value))
        assert messages[0] == messages[1] and "2.png" in messages[0]
        return
    for source in sources:
        source.check()
    _assert_same(*map(_batches, sources))
    assert sources[0].skipped() == sources[1].skipped() == "1 of 5 examples"


def test_crops_of_large_images_are_cut_from_the_kept_ones(place, tmp_path, decoded):
    image = np.random.default_rng(5).random((2100, 4000, 3), np.float32)
    np.save(tmp_path / "1.npy", image)
    flags = {"preprocess": "crop", "scale_size": 286, "count": 4}
    wanted = _batches(_source(tmp_path, window=(32, 32)), **flags)
    source = _source(tmp_path, place, window=(32, 32))
    decoded.clear()
    source.check()
    _assert_same(_batches(source, **flags), wanted)
    assert len(decoded) == 1


@pytest.mark.parametrize("file_format", datasets.FILE_FORMATS)
def test_records_are_decoded_once(file_format, place, pair_dir, tmp_path, decoded):
    flags = ["--input_dir", pair_dir, "--name", "pairs", "--file_format", file_format]
    arguments = [*flags, "--data_dir", tmp_path / "prepared"]
    assert datasets_command.main(list(map(str, arguments))) == 0
    builder = datasets.load("pairs", tmp_path / "prepared")

    def source(kept=None):
        store = Records(builder, "train", DataConfig(dataset="pairs"), 2, cache=kept)
        return data.Source(store, PAIRS.image_channels)

    wanted = _batches(source())
    decoded.clear()
    cached = source(data.Cache(place))
    cached.check()
    _assert_same(_batches(cached), wanted)
    _assert_same(_batches(cached, 8, 4), wanted[8:12])
    assert len(decoded) == 5
    if place != "memory":
        again = source(data.Cache(place))
        _assert_same(_batches(again, 2, 5), wanted[2:7])
        assert len(decoded) == 5


def test_what_is_kept_has_the_fewest_bits_that_hold_it():
    bytes_ = np.arange(256, dtype=np.uint8).reshape(16, 16, 1)
    words = np.arange(1 << 16, dtype=np.uint16).reshape(256, 256, 1)
    luma = codecs.fit_channels(np.random.default_rng(1).random((8, 8, 3), "f"), 1)
    for image, kind in [(bytes_, np.uint8), (words, np.uint16), (luma, np.float32)]:
        packed = cache.pack(codecs.to_float(image).swapaxes(0, 1))
        assert packed.dtype == kind and packed.flags.c_contiguous
        np.testing.assert_array_equal(
            codecs.to_float(packed), codecs.to_float(image).swapaxes(0, 1)
        )
    negative_zero = np.full((1, 1, 1), -0.0, np.float32)
    assert np.signbit(cache.pack(negative_zero)).all()


def _leave_free(monkeypatch, num_bytes):
    """Lets memory and disk have so many bytes that the cache may use."""
    free = cache.MIN_FREE + num_bytes
    memory = type("Memory", (), {"available": free})
    disk = type("Disk", (), {"free": free})
    monkeypatch.setattr(psutil, "virtual_memory", lambda: memory)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: disk)


def test_a_set_that_does_not_fit_is_refused_before_the_first_step(
    place, pair_dir, tmp_path, monkeypatch, capsys
):
    folder = tmp_path / "many"
    folder.mkdir()
    for number in range(150):  # of which 100 are looked at: 2.5 MB, and 3.7 MB in all
        shutil.copy(pair_dir / "2.png", folder / f"{number}.png")
    flags = ["--mode", "train", "--input_dir", str(folder), *SMALL]
    flags += ["--max_steps", "1", "--cache", place]
    flags += ["--output_dir", str(tmp_path / "run")]

    _leave_free(monkeypatch, 1_000_000)
    assert train.main(flags) == 2
    message = capsys.readouterr().err
    assert message.count("\n") == 1
    assert f"--cache {place} needs about 3.7 MB for 150 decoded examples" in message
    assert "and 2.0 GB are free, of which 2.0 GB are left to the run" in message
    assert "leave the flag out, or give a folder" in message
    assert not (tmp_path / "run").exists()


def test_what_was_kept_by_an_earlier_run_needs_no_room(pair_dir, tmp_path, monkeypatch):
    _source(pair_dir, tmp_path).check()
    _leave_free(monkeypatch, 0)
    _source(pair_dir, tmp_path).check()


def test_a_disk_that_fills_up_ends_no_run(
    place, pair_dir, monkeypatch, capsys, decoded
):
    wanted = _batches(_source(pair_dir), count=10)
    monkeypatch.setattr("pix2pix_tf.data.source.NUM_SAMPLED", 2)
    monkeypatch.setattr(data.Files, "num_checked", 0)
    source = _source(pair_dir, place)
    source.check()
    _leave_free(monkeypatch, 0)
    decoded.clear()

    _assert_same(_batches(source, count=10), wanted)

    assert len(decoded) >= 6  # in each epoch, the three that were not kept before
    warning = capsys.readouterr().err
    assert warning.count("\n") == 1
    assert f"--cache {place} keeps no more examples" in warning
    assert "less than 2.0 GB are left" in warning


def test_a_folder_that_cannot_be_written_to_is_refused(pair_dir, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    flags = ["--mode", "train", "--input_dir", str(pair_dir), *SMALL]
    flags += ["--max_steps", "1", "--output_dir", str(tmp_path / "run")]
    for folder, reason in [("file", "File exists"), ("file/a", "Not a directory")]:
        assert train.main([*flags, "--cache", str(tmp_path / folder)]) == 2
        message = capsys.readouterr().err
        assert f"--cache {tmp_path / folder} cannot be written to: {reason}" in message
        assert "give another folder, or memory" in message
    assert not (tmp_path / "run").exists()


def test_a_folder_without_write_permission_is_refused(tmp_path, monkeypatch):
    def refuse(**_):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    # As root, who runs some tests, may write anywhere.
    monkeypatch.setattr(tempfile, "TemporaryFile", refuse)
    with pytest.raises(UsageError, match="cannot be written to: Permission denied"):
        data.Cache(str(tmp_path))


def test_several_replicas_get_the_same_batches(place, pair_dir):
    replicas = strategy.make(ExecutionConfig(strategy="mirrored", num_devices=2))

    def batches(source):
        config = DataConfig(scale_size=36)

        def make(batch_size, shard):
            own = dataclasses.replace(config, batch_size=batch_size)
            return data.train_batches(source, PAIRS, own, 32, 7, 3, shard=shard)

        found = iter(replicas.batches(make, 4))
        return [list(map(replicas.join, next(found))) for _ in range(5)]

    _assert_same(batches(_source(pair_dir, place)), batches(_source(pair_dir)))


def test_a_resumed_run_with_a_cache_ends_as_an_unbroken_one_without(
    place, pair_dir, tmp_path
):
    def train_to(step, name, *flags):
        arguments = ["--mode", "train", "--input_dir", str(pair_dir), *SMALL]
        arguments += ["--seed", "3", "--deterministic", "--max_steps", str(step)]
        arguments += ["--output_dir", str(tmp_path / name), *flags]
        assert train.main(arguments) == 0
        reader, shapes = checkpoints.open_reader(
            checkpoints.find_latest(tmp_path / name)
        )
        return checkpoints.read(reader, shapes, tmp_path / name)

    flags = ["--resume", "auto", "--cache", place]
    train_to(3, "cached", *flags)
    assert_equal_values(train_to(7, "cached", *flags), train_to(7, "plain"))
