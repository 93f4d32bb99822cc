"""`--ema_generator`: the moving average of the generator, kept, resumed and used."""

import json
import shutil
import signal

import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorflow.python.framework import config as tf_config

import pix2pix_tf
import run_files
from pix2pix_tf import checkpoints, networks, train
from pix2pix_tf.commands import convert as convert_command
from pix2pix_tf.interop import pict
from pix2pix_tf.options import (
    LossConfig,
    OptimizerConfig,
    PairConfig,
    from_dict,
    write_options,
)
from pix2pix_tf.runtime.errors import UsageError
from pix2pix_tf.training import step
from tests.conftest import SMALL, assert_equal_values, small_model

DECAY = 0.5


@pytest.fixture(scope="module", autouse=True)
def deterministic():
    """Ends what `--deterministic` begins, which has no public end."""
    yield
    tf_config.disable_op_determinism()


def _train(pair_dir, folder, *flags, callbacks=()):
    arguments = ["--mode", "train", "--input_dir", str(pair_dir), *SMALL, "--seed", "5"]
    arguments += ["--output_dir", str(folder), "--deterministic", "--lr", "0.01"]
    arguments += ["--summary_freq", "1", "--display_freq", "3"]
    return train.main([*arguments, *flags], callbacks)


@pytest.fixture(scope="module")
def averaged_dir(pair_dir, tmp_path_factory):
    """A run of six steps with the average, validated at the end."""
    folder = tmp_path_factory.mktemp("averaged") / "run"
    flags = ["--max_steps", "6", "--ema_generator", str(DECAY)]
    flags += ["--val_dir", str(pair_dir), "--val_freq", "6"]
    assert _train(pair_dir, folder, *flags) == 0
    return folder


@pytest.fixture(scope="module")
def plain_dir(pair_dir, tmp_path_factory):
    """The same run without it."""
    folder = tmp_path_factory.mktemp("plain") / "run"
    assert _train(pair_dir, folder, "--max_steps", "6") == 0
    return folder


def _values(folder):
    reader, shapes = checkpoints.open_reader(checkpoints.find_latest(folder))
    return {name: reader.get_tensor(name) for name in shapes}


def _split(values):
    """Returns (the entries of the average, by variable; all other entries)."""
    prefix = "generator_average/"
    averages = {
        name.replace(prefix, "generator/"): values[name]
        for name in values
        if name.startswith(prefix)
    }
    return averages, {n: v for n, v in values.items() if not n.startswith(prefix)}


@pytest.mark.parametrize("decay", [0.3, 0.999])
def test_the_average_follows_the_weights_as_the_formula_says(small_pair, decay):
    optimizer = OptimizerConfig(lr=0.01, ema_generator=decay)
    channels, loss = PairConfig().channels, LossConfig()
    state = step.make_state(channels, small_model(), loss, optimizer)

    def weights():
        named = networks.trainable_by_name(state.generator)
        return {name: variable.numpy() for name, variable in named.items()}

    wanted = {name: value.astype(np.float64) for name, value in weights().items()}
    train_step = step.make_train_step(state, loss, seed=1)
    for number in range(1, 6):
        train_step(*small_pair)
        own = min(decay, (1 + number) / (10 + number))
        for name, value in weights().items():
            wanted[name] = own * wanted[name] + (1 - own) * value
    assert set(state.average.variables) == set(wanted)
    for name, average in state.average.variables.items():
        got = average.numpy()
        np.testing.assert_allclose(got, wanted[name], atol=1e-6, err_msg=name)
    kernel = "generator/decoder_1/conv2d_transpose/kernel"
    assert abs(wanted[kernel] - weights()[kernel]).max() > 1e-3


def test_a_step_that_is_left_out_does_not_move_it(small_pair):
    optimizer = OptimizerConfig(ema_generator=0.9)
    state = step.make_state(
        PairConfig().channels, small_model(), LossConfig(), optimizer
    )
    train_step = step.make_train_step(state, LossConfig(), seed=1)
    train_step(*small_pair)
    before = {name: v.numpy() for name, v in state.average.variables.items()}
    train_step(small_pair[0], tf.fill(small_pair[1].shape, np.nan))
    after = {name: v.numpy() for name, v in state.average.variables.items()}
    assert_equal_values(after, before)


def test_it_changes_nothing_else_and_is_not_there_by_default(averaged_dir, plain_dir):
    averages, others = _split(_values(averaged_dir))
    none, plain = _split(_values(plain_dir))
    assert none == {} and averages
    assert_equal_values(others, plain)
    # All that is trained has an average; what batch norm never uses has none.
    trained = {n.removesuffix("/Adam") for n in plain if n.endswith("/Adam")}
    assert set(averages) == {n for n in trained if n.startswith("generator/")}


def test_a_run_that_is_stopped_and_resumed_ends_with_the_same_bits(
    averaged_dir, pair_dir, tmp_path
):
    def stop(number, scalars):
        if number == 3 and "validation/l1" not in scalars:
            signal.raise_signal(signal.SIGTERM)

    flags = ["--max_steps", "6", "--ema_generator", str(DECAY), "--resume", "auto"]
    flags += ["--val_dir", str(pair_dir), "--val_freq", "6"]
    assert _train(pair_dir, tmp_path / "run", *flags, callbacks=[stop]) == 143
    assert _train(pair_dir, tmp_path / "run", *flags) == 0
    assert run_files.compare(averaged_dir, tmp_path / "run") == []


def test_a_run_that_began_without_it_refuses_it_and_a_new_one_begins_at_its_weights(
    plain_dir, pair_dir, tmp_path, capsys
):
    flags = ["--max_steps", "9", "--ema_generator", str(DECAY)]
    copy = shutil.copytree(plain_dir, tmp_path / "run")
    assert _train(pair_dir, copy, *flags, "--resume", "auto") == 2
    assert "--ema_generator 0.5 contradicts the run" in capsys.readouterr().err

    stored = json.loads((copy / "options.json").read_text())
    del stored["ema_generator"]  # as an earlier version wrote it
    (copy / "options.json").write_text(json.dumps(stored))
    assert _train(pair_dir, copy, *flags, "--resume", "auto") == 0
    said = "does not have the moving average of the generator"
    assert said in capsys.readouterr().out

    begun = ["--checkpoint", str(plain_dir), "--ema_generator", str(DECAY)]
    assert _train(pair_dir, tmp_path / "new", *begun, "--max_steps", "1") == 0
    assert said in capsys.readouterr().out
    before, (averages, after) = _values(plain_dir), _split(_values(tmp_path / "new"))
    for name, average in averages.items():  # the seventh update: its decay is 8 / 17
        wanted = 8 / 17 * before[name] + 9 / 17 * after[name]
        np.testing.assert_allclose(average, wanted, atol=1e-6, err_msg=name)


def test_an_average_that_lacks_a_variable_is_refused(averaged_dir, tmp_path, capsys):
    values = _values(averaged_dir)
    lost = "generator_average/encoder_1/conv2d/bias"
    del values[lost]
    checkpoints.write(values, tmp_path, step=6)
    optimizer = OptimizerConfig(ema_generator=DECAY)
    state = step.make_state(
        PairConfig().channels, small_model(), LossConfig(), optimizer
    )
    with pytest.raises(UsageError, match=f"missing .*{lost}"):
        checkpoints.restore(state, checkpoints.find_latest(tmp_path))


def _test(checkpoint, pair_dir, folder, *flags):
    arguments = ["--mode", "test", "--no_dropout", "--input_dir", str(pair_dir)]
    arguments += ["--checkpoint", str(checkpoint), "--output_dir", str(folder)]
    assert train.main([*arguments, *flags]) == 0
    return json.loads((folder / "metrics.json").read_text())


def test_validation_test_and_load_use_it_and_a_flag_chooses_the_latest(
    averaged_dir, plain_dir, pair_dir, tmp_path
):
    tested = _test(averaged_dir, pair_dir, tmp_path / "average")
    [validated] = json.loads((averaged_dir / "validation.json").read_text())
    assert {"step": 6, **tested["mean"], **tested["set"]} == validated
    flags = ["--generator_weights", "latest"]
    latest = _test(averaged_dir, pair_dir, tmp_path / "latest", *flags)
    assert latest["images"] != tested["images"]
    plain = _test(plain_dir, pair_dir, tmp_path / "plain")
    assert latest["images"] == plain["images"]

    averages, _ = _split(_values(averaged_dir))
    loaded = networks.variables_by_name(pix2pix_tf.load(averaged_dir).generator)
    for name, average in averages.items():
        np.testing.assert_array_equal(loaded[name].numpy(), average, name)


def test_what_fit_returns_is_what_load_reads(small_pair, tmp_path):
    dataset = tf.data.Dataset.from_tensors(tuple(small_pair))
    flags = {"ngf": 1, "ndf": 1, "n_layers": 1, "max_steps": 2, "seed": 1, "lr": 0.01}
    fitted = pix2pix_tf.fit(dataset, tmp_path / "run", ema_generator=DECAY, **flags)
    loaded = pix2pix_tf.load(tmp_path / "run")
    wanted = networks.variables_by_name(loaded.generator)
    for name, variable in networks.variables_by_name(fitted.generator).items():
        np.testing.assert_array_equal(variable.numpy(), wanted[name].numpy(), name)
    averages, _ = _split(_values(tmp_path / "run"))
    name = "generator/decoder_1/conv2d_transpose/kernel"
    np.testing.assert_array_equal(wanted[name].numpy(), averages[name])


# Keras' own of NumPy 2.
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_exports_hold_what_the_flag_says(averaged_dir, tmp_path):
    averages, others = _split(_values(averaged_dir))
    for weights, wanted in (("average", averages), ("latest", others)):
        out = tmp_path / weights
        arguments = ["--mode", "export", "--checkpoint", str(averaged_dir)]
        arguments += ["--output_dir", str(out), "--export_format", "keras"]
        arguments += ["--generator_weights", weights, "--no_dropout"]
        assert train.main(arguments) == 0
        model = keras.models.load_model(next(out.glob("*.keras")))
        kernel = wanted["generator/encoder_1/conv2d/kernel"]
        found = [variable.numpy() for variable in model.variables]
        assert any(np.array_equal(variable, kernel) for variable in found)


def test_converted_models_keep_it_or_are_it(tmp_path):
    options = from_dict(
        {"output_dir": str(tmp_path / "run"), "ngf": 1, "ndf": 1, "ema_generator": 0.9}
    )
    parts = options.pair.channels, options.model, options.loss, options.optimizer
    state = step.make_state(*parts)
    for average in state.average.variables.values():
        average.assign_add(tf.ones_like(average))
    write_options(options)
    checkpoints.save(state, tmp_path / "run", keep=1)

    def convert(name, kind):
        arguments = [str(tmp_path / "run"), str(tmp_path / name), "--to", kind]
        assert convert_command.main(arguments) == 0
        return tmp_path / name

    saved = _values(tmp_path / "run")
    assert_equal_values(_values(convert("ours", "checkpoint")), saved)
    averages, others = _split(saved)
    none, latest = _split(_values(convert("theirs", "tf1")))
    name = "generator/encoder_1/conv2d/kernel"
    assert none == {}
    np.testing.assert_array_equal(latest[name], others[name])
    got = pict.read(convert("model.pict", "pict"))[name]  # 8 bits
    np.testing.assert_allclose(got, averages[name], atol=0.02)
