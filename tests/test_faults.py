"""Faults of a run, each caused: what is kept, and the one line that is said."""

import os
import shutil
import signal
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from pix2pix_tf import checkpoints, data, train
from pix2pix_tf.inference import gallery
from pix2pix_tf.options import LossConfig, ModelConfig, parse
from pix2pix_tf.runtime import signals
from pix2pix_tf.runtime.errors import RunError
from pix2pix_tf.training import faults, loop, step

TINY = ["--ngf", "1", "--ndf", "1", "--crop_size", "32", "--n_layers", "1"]
MODEL = ModelConfig(crop_size=32, num_downs=5, ngf=1, ndf=1, n_layers=1)


def _train(folder, pair_dir, *flags):
    arguments = ["--mode", "train", "--input_dir", pair_dir, *TINY, "--seed", 5]
    arguments += ["--output_dir", folder, "--max_steps", 4, "--summary_freq", 0]
    return train.main([str(argument) for argument in [*arguments, *flags]])


def _error(capsys):
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith("pix2pix-tf: error: ")
    return line


@pytest.fixture(scope="module")
def state():
    return step.make_state((3, 3), MODEL, LossConfig())


@pytest.fixture(scope="module")
def train_step(state):
    return step.make_train_step(state, LossConfig(), seed=1)


SIDES = tf.random.stateless_uniform([2, 1, 32, 32, 3], [1, 1], -1, 1)


def _values(state):
    return {n: v.numpy() for n, v in checkpoints._variables(state).items()}


def test_an_update_that_is_not_finite_is_left_out_and_named(state, train_step):
    assert train_step(*SIDES).is_finite.numpy().all()
    before = _values(state)
    targets = SIDES[1] * [1, 1, np.nan]
    is_finite = train_step(SIDES[0], targets).is_finite.numpy()
    names = np.array(step.checked_names(state))
    assert {"generator_loss_L1", "discriminator_loss"} <= set(names[~is_finite])
    after = _values(state)
    for name in ("global_step", "position"):
        assert after.pop(name) == before.pop(name) + 1
    for name, values in before.items():
        np.testing.assert_array_equal(after[name], values, name)


def test_one_infinite_gradient_is_enough_and_the_next_step_learns(state, train_step):
    result = step.forward(state, *SIDES, LossConfig())
    first = result.g_gradients[0].numpy()
    first.flat[-1] = np.inf
    bad = result._replace(g_gradients=[tf.constant(first), *result.g_gradients[1:]])
    before = _values(state)
    is_finite = step.update(state, bad, 1).is_finite.numpy()
    [name] = np.array(step.checked_names(state))[~is_finite]
    assert name == "the gradient of generator/encoder_1/conv2d/kernel"
    kernel = "generator/encoder_1/conv2d/kernel"
    np.testing.assert_array_equal(_values(state)[kernel], before[kernel])
    train_step(*SIDES)
    assert not np.array_equal(_values(state)[kernel], before[kernel])


def test_updates_that_were_left_out_are_not_counted_after_a_restore(state, tmp_path):
    updates = int(state.g_optimizer.iterations)
    assert updates == int(state.global_step) - 2
    checkpoints.save(state, tmp_path, keep=1)
    restored = step.make_state((3, 3), MODEL, LossConfig())
    checkpoints.restore(restored, checkpoints.find_latest(tmp_path))
    assert int(restored.g_optimizer.iterations) == updates


@pytest.fixture
def nan_at(monkeypatch):
    """Makes some steps' loss not finite."""

    def poison(steps):
        find_finite = step._find_finite

        def find(state, result):
            is_bad = tf.reduce_any(tf.equal(state.global_step + 1, steps))
            first = tf.one_hot(0, len(step.checked_names(state))) > 0
            return find_finite(state, result) & ~(is_bad & first)

        monkeypatch.setattr(step, "_find_finite", find)

    return poison


def test_training_stops_at_what_is_not_finite(nan_at, tmp_path, pair_dir, capsys):
    nan_at([3])
    assert _train(tmp_path / "run", pair_dir, "--save_freq", 2) == 1
    line = _error(capsys)
    assert "step 3: not finite: discriminator_loss; the last good" in line
    assert line.endswith(str(tmp_path / "run" / "model-2"))
    assert checkpoints.find_latest(tmp_path / "run").endswith("model-2")


def test_the_last_step_is_looked_at_too(nan_at, tmp_path, pair_dir, capsys):
    nan_at([4])
    assert _train(tmp_path / "run", pair_dir) == 1
    line = _error(capsys)
    assert "step 4: not finite" in line and "there is no checkpoint yet" in line


def test_steps_that_are_not_finite_can_be_skipped(nan_at, tmp_path, pair_dir, capsys):
    nan_at([2, 4])
    assert _train(tmp_path / "run", pair_dir, "--on_nan", "skip") == 0
    out = capsys.readouterr().out
    assert "skipped step 2: not finite: discriminator_loss" in out
    assert out.splitlines()[-1] == "skipped 2 steps whose numbers were not finite"
    reader = tf.train.load_checkpoint(str(tmp_path / "run"))
    assert reader.get_tensor("global_step") == 4
    assert reader.get_tensor("updates/generator") == 2


def test_too_many_in_a_row_end_the_run():
    watch = faults.FiniteWatch(["a", "b", "c", "d", "e"], "skip")
    bad, good = tf.zeros([5], tf.bool), tf.ones([5], tf.bool)
    for number in range(faults.MAX_SKIPPED - 1):
        watch.see(number, bad)
    watch.see(98, good)
    with pytest.raises(RunError, match="20 steps in a row"):
        for number in range(faults.MAX_SKIPPED + 1):
            watch.see(100 + number, bad)
    with pytest.raises(RunError, match="step 7: not finite: a, b, c and 2 more$"):
        watch = faults.FiniteWatch(["a", "b", "c", "d", "e"], "stop")
        watch.see(7, bad)
        watch.look()


@pytest.fixture
def small_disk(tmp_path):
    """A folder on a file system of two megabytes."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder)]
    if shutil.which("mount") is None or subprocess.run(mount, stderr=-3).returncode:
        pytest.skip("a small file system cannot be mounted here")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_a_full_disk_ends_the_run_and_the_last_checkpoint_is_whole(
    small_disk, pair_dir, capsys
):
    folder = small_disk / "run"
    assert _train(folder, pair_dir, "--max_steps", 1) == 0
    room = shutil.disk_usage(small_disk).free - 20_000
    (small_disk / "ballast").write_bytes(bytes(room))
    flags = ["--resume", "auto", "--save_freq", 2]
    assert _train(folder, pair_dir, *flags) == 2
    line = _error(capsys)
    assert "model-2 cannot be written" in line and "No space left" in line
    checkpoints.verify(checkpoints.find_latest(folder))
    assert not list(folder.glob(".*"))
    (small_disk / "ballast").unlink()
    assert _train(folder, pair_dir, *flags) == 0
    assert checkpoints.find_latest(folder).endswith("model-4")


def test_a_full_disk_at_a_picture_saves_first(tmp_path, pair_dir, monkeypatch, capsys):
    def refuse(*_):
        raise OSError(28, "No space left on device", "1-inputs.png")

    monkeypatch.setattr(gallery, "write_images", refuse)
    assert _train(tmp_path / "run", pair_dir, "--display_freq", 3) == 2
    assert "No space left on device: '1-inputs.png'" in _error(capsys)
    assert checkpoints.find_latest(tmp_path / "run").endswith("model-3")


def test_where_nothing_can_be_saved_the_first_fault_is_told(
    tmp_path, pair_dir, monkeypatch, capsys
):
    def refuse(*_):
        raise OSError("the picture")

    def refuse_too(*_):
        raise OSError("the checkpoint")

    monkeypatch.setattr(gallery, "write_images", refuse)
    monkeypatch.setattr(checkpoints, "save", refuse_too)
    assert _train(tmp_path / "run", pair_dir, "--display_freq", 3) == 2
    captured = capsys.readouterr()
    assert captured.err.endswith("error: the picture\n")
    assert "warning: the checkpoint" in captured.out


def test_a_removed_output_folder_is_made_anew(tmp_path, pair_dir, monkeypatch):
    folder = tmp_path / "run"
    report = loop._report

    def report_and_remove(task, *arguments):
        report(task, *arguments)
        if int(task.state.global_step) == 2:
            shutil.rmtree(folder)

    monkeypatch.setattr(loop, "_report", report_and_remove)
    flags = ["--progress_freq", 1, "--summary_freq", 1, "--display_freq", 1]
    assert _train(folder, pair_dir, *flags) == 0
    checkpoints.verify(checkpoints.find_latest(folder))
    assert (folder / "options.json").exists() and (folder / "index.html").exists()


def test_an_image_removed_in_mid_epoch_saves_first(
    tmp_path, pair_dir, monkeypatch, capsys
):
    folder = shutil.copytree(pair_dir, tmp_path / "pairs")
    monkeypatch.setattr(data.source, "MAX_CHECKED", 0)
    report = loop._report

    def report_and_remove(*arguments):
        report(*arguments)
        for path in folder.iterdir():
            path.unlink()

    monkeypatch.setattr(loop, "_report", report_and_remove)
    run = tmp_path / "run"
    assert _train(run, folder, "--progress_freq", 1, "--max_steps", 400) == 2
    assert "No such file" in _error(capsys)
    checkpoints.verify(checkpoints.find_latest(run))


@pytest.mark.parametrize("allocate", [tf.zeros, np.zeros])
def test_too_little_memory_names_the_flags(allocate):
    options = parse(["--mode", "train", "--ngf", "70"])
    words = (
        r"^out of memory: lower --batch_size \(1\), --crop_size \(256\), --ngf \(70\)"
    )
    with pytest.raises(RunError, match=words) as error, faults.explain_memory(options):
        allocate([10**7, 10**7])
    assert "\n" not in str(error.value)


SECOND = """
import os, signal, sys, time
from pix2pix_tf.runtime import signals
with signals.catch_signals() as caught:
    os.kill(os.getpid(), signal.SIGINT)
    print(caught, flush=True)
    os.kill(os.getpid(), signal.SIGINT)
    print("not reached")
"""


def test_a_second_ctrl_c_leaves_at_once():
    done = subprocess.run(
        [sys.executable, "-c", SECOND], capture_output=True, text=True
    )
    assert done.returncode == -signal.SIGINT
    assert done.stdout == f"[{signal.SIGINT!r}]\n" or done.stdout == "[2]\n"


def test_a_sighup_that_is_ignored_stays_ignored():
    previous = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with signals.catch_signals() as caught:
            os.kill(os.getpid(), signal.SIGHUP)
        assert caught == []
    finally:
        signal.signal(signal.SIGHUP, previous)


def test_a_save_that_is_cut_leaves_the_one_before(state, tmp_path, monkeypatch):
    state.global_step.assign(1)
    checkpoints.save(state, tmp_path, keep=1)
    before = sorted(tmp_path.iterdir())
    state.global_step.assign(2)

    def cut(_):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", cut)
    with pytest.raises(KeyboardInterrupt):
        checkpoints.save(state, tmp_path, keep=1)
    assert sorted(tmp_path.iterdir()) == before
    assert checkpoints.find_latest(tmp_path).endswith("model-1")
