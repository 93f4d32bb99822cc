"""Training on two devices, as two logical CPUs: tests/conftest.py makes them."""

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.python.framework import config as tf_config

import pix2pix_tf
from pix2pix_tf import checkpoints, networks, train
from pix2pix_tf.options import ExecutionConfig, LossConfig
from pix2pix_tf.runtime import precision
from pix2pix_tf.runtime.errors import UsageError
from pix2pix_tf.training import step, strategy
from tests.conftest import SMALL, assert_equal_values, small_model, values_of

MIRRORED = ["--strategy", "mirrored", "--num_devices", "2"]
TOLERANCE = 1e-4  # a sum's order differs, and Adam enlarges what is near 0


@pytest.fixture
def replicas():
    return strategy.make(ExecutionConfig(strategy="mirrored", num_devices=2))


@pytest.fixture
def train_in(pair_dir, tmp_path):
    """Trains in a folder of a name; returns the folder, and the scalars by step."""

    def run(name, *flags):
        seen = {}
        arguments = ["--mode", "train", "--input_dir", str(pair_dir), *SMALL]
        arguments += ["--seed", "5", "--batch_size", "4", "--summary_freq", "1"]
        arguments += ["--output_dir", str(tmp_path / name), "--max_steps", "6"]
        assert train.main([*arguments, *flags], [seen.__setitem__]) == 0
        return tmp_path / name, seen

    return run


def _saved(folder):
    """Returns {name: array} of a run's newest checkpoint."""
    reader, shapes = checkpoints.open_reader(checkpoints.find_latest(folder))
    return checkpoints.read(reader, shapes, folder)


def _assert_near(got, wanted, norm):
    """Compares two checkpoints.

    A bias before a norm has the gradient 0 but for rounding, of which Adam makes steps
    of any size, and which changes no output: such biases are left out.
    """
    assert set(got) == set(wanted)
    for name, values in wanted.items():
        layer = name.split("/conv2d")[0]
        is_normed = any(other.startswith(f"{layer}/{norm}_norm") for other in wanted)
        if not (is_normed and "/bias" in name):
            np.testing.assert_allclose(
                got[name], values, rtol=0, atol=TOLERANCE, err_msg=name
            )


@pytest.mark.parametrize("norm", ["none", "instance"])
def test_two_replicas_train_as_one_with_the_whole_batch(train_in, norm):
    flags = ["--norm", norm, "--innermost_norm", "none", "--dropout", "0"]
    one, one_seen = train_in("one", *flags)
    two, two_seen = train_in("two", *flags, *MIRRORED)
    assert list(two_seen) == [1, 2, 3, 4, 5, 6]
    for number, scalars in one_seen.items():
        for tag in scalars:
            if tag.startswith(("discriminator_loss", "generator_", "gradient_norm/")):
                other = two_seen[number][tag]
                wanted = pytest.approx(scalars[tag], rel=TOLERANCE, abs=TOLERANCE)
                assert other == wanted, tag
    _assert_near(_saved(two), _saved(one), norm)


def test_with_equal_shards_batch_norm_trains_as_one_with_a_shard(tmp_path):
    pairs = tf.random.stateless_uniform([2, 2, 32, 32, 3], [1, 2], -1, 1)
    shard = tf.data.Dataset.from_tensor_slices((pairs[0], pairs[1]))
    known = {"ngf": 1, "ndf": 1, "n_layers": 1, "dropout": 0.0, "seed": 3}
    known |= {"max_steps": 4, "summary_freq": 0}
    pix2pix_tf.fit(shard, tmp_path / "one", batch_size=2, **known)
    twice = shard.concatenate(shard)
    mirrored = {"strategy": "mirrored", "num_devices": 2}
    pix2pix_tf.fit(twice, tmp_path / "two", batch_size=4, **known, **mirrored)
    one, two = _saved(tmp_path / "one"), _saved(tmp_path / "two")
    assert two.pop("position") == 2 * one.pop("position")
    _assert_near(two, one, "batch")


def test_a_mirrored_run_resumes_to_the_bit_and_goes_on_with_one(train_in):
    flags = ["--deterministic", "--resume", "auto"]
    try:
        unbroken, _ = train_in("unbroken", *flags, *MIRRORED)
        train_in("cut", *flags, *MIRRORED, "--max_steps", "3")
        cut, seen = train_in("cut", *flags, *MIRRORED)
    finally:
        tf_config.disable_op_determinism()
    assert list(seen) == [4, 5, 6]
    assert_equal_values(_saved(cut), _saved(unbroken))
    _, seen = train_in("cut", *flags, "--strategy", "one", "--max_steps", "8")
    assert list(seen) == [7, 8]


def test_test_mode_and_export_read_its_checkpoint(train_in, pair_dir, tmp_path):
    folder, _ = train_in("run", *MIRRORED, "--max_steps", "1")
    for mode, flags in (("test", ["--input_dir", str(pair_dir)]), ("export", [])):
        arguments = ["--mode", mode, "--checkpoint", str(folder), *flags]
        assert train.main([*arguments, "--output_dir", str(tmp_path / mode)]) == 0


def test_images_of_both_replicas_are_written(train_in):
    folder, _ = train_in("run", *MIRRORED, "--max_steps", "1", "--display_freq", "1")
    assert len(list((folder / "images").glob("**/*-outputs.png"))) == 4


@pytest.mark.parametrize("kind", ["float32", "mixed_bfloat16", "mixed_float16"])
def test_the_replicas_have_equal_weights_but_their_own_dropout(kind, replicas):
    with precision.applied(kind, emulate=True):
        state = step.make_state(
            (3, 3), small_model(), LossConfig(), precision=kind, scope=replicas.scope
        )
    train_step = step.make_train_step(state, LossConfig(), 1, replicas=replicas)
    same = tf.data.Dataset.from_tensors(tf.ones([32, 32, 3])).repeat()
    pairs = tf.data.Dataset.zip(same, same)
    for _, pair in zip(
        range(3), replicas.batches(lambda size, _: pairs.batch(size), 4), strict=False
    ):
        result = train_step(*pair)
    for network, optimizer in state.trained:
        slots = [slot for both in optimizer.slots for slot in both]
        for variable in [*network.trainable_variables, *slots]:
            first, second = variable.value.values
            np.testing.assert_array_equal(first, second)
    first, second = tf.split(result.outputs, 2)
    assert np.any(first != second)
    assert int(state.global_step) == 3 and int(state.position) == 12


def test_an_overflow_on_one_replica_is_skipped_by_both(replicas):
    with precision.applied("mixed_float16", emulate=True):
        state = step.make_state(
            (3, 3),
            small_model(),
            LossConfig(),
            precision="mixed_float16",
            scope=replicas.scope,
        )
    train_step = step.make_train_step(state, LossConfig(), 1, replicas=replicas)
    state.g_optimizer.dynamic_scale.assign(3e38)  # no gradient survives that
    before = values_of(state)
    same = tf.data.Dataset.from_tensors(tf.ones([32, 32, 3])).repeat()
    pairs = tf.data.Dataset.zip(same, same)
    pair = next(iter(replicas.batches(lambda size, _: pairs.batch(size), 2)))
    assert train_step(*pair).is_finite.numpy().all()
    after = values_of(state)
    for name in networks.variables_by_name(state.generator):
        np.testing.assert_array_equal(after[name], before[name])
    assert after["updates/generator"] == 0 and after["updates/discriminator"] == 1
    assert after["loss_scale/generator/value"] == np.float32(3e38) / 2


@pytest.mark.parametrize(
    "flags, words",
    [
        (["--num_devices", "2"], ["--num_devices", "--strategy mirrored"]),
        ([*MIRRORED, "--batch_size", "3"], ["--batch_size 3", "2 replicas", "2 or 4"]),
        ([*MIRRORED, "--xla"], ["--xla", "--strategy mirrored"]),
        ([*MIRRORED, "--dry_run"], ["--dry_run", "--strategy mirrored"]),
        ([*MIRRORED, "--preprocess", "none"], ["--strategy", "--preprocess none"]),
        (["--strategy", "mirrored", "--num_devices", "3"], ["3", "started with 2"]),
        (["--strategy", "multi_worker", "--seed", "1"], ["TF_CONFIG"]),
        (["--strategy", "multi_worker"], ["--strategy multi_worker", "--seed"]),
    ],
)
def test_what_cannot_work_is_refused_by_name(
    flags, words, pair_dir, tmp_path, capsys, monkeypatch
):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    arguments = ["--mode", "train", "--input_dir", str(pair_dir), *SMALL, *flags]
    assert train.main([*arguments, "--output_dir", str(tmp_path / "run")]) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert all(word in line for word in words), line
    assert not (tmp_path / "run").exists()


def test_fit_refuses_several_processes(tmp_path):
    with pytest.raises(UsageError, match="multi_worker cannot be given to fit"):
        pix2pix_tf.fit(
            tf.data.Dataset.from_tensors((tf.zeros([32, 32, 3]),) * 2),
            tmp_path,
            strategy="multi_worker",
        )
