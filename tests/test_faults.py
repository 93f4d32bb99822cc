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
from pix2pix_tf.options import LossConfig, parse
from pix2pix_tf.runtime import signals
from pix2pix_tf.runtime.errors import RunError
from pix2pix_tf.training import faults, losses, step
from tests.conftest import SMALL, assert_equal_values, small_model, values_of


@pytest.fixture
def run_dir(tmp_path):
    return tmp_path / "run"


@pytest.fixture
def run(pair_dir, run_dir, capsys):
    """A function that trains 4 steps; it returns (exit status, its error or output)."""

    def train_with(*flags, folder=run_dir, callbacks=()):
        arguments = ["--mode", "train", "--input_dir", pair_dir, *SMALL, "--seed", 5]
        arguments += ["--output_dir", folder, "--max_steps", 4, "--summary_freq", 0]
        status = train.main([str(one) for one in [*arguments, *flags]], callbacks)
        captured = capsys.readouterr()
        if status == 0:
            return status, captured.out
        *warnings, line = captured.err.splitlines()
        assert all(text.startswith("warning: ") for text in warnings)
        assert line.startswith("pix2pix-tf: error: ")
        return status, line

    return train_with


@pytest.fixture(scope="module")
def state():
    return step.make_state((3, 3), small_model(), LossConfig())


@pytest.fixture(scope="module")
def train_step(state):
    return step.make_train_step(state, LossConfig(), seed=1)


def test_an_update_that_is_not_finite_is_left_out_and_named(
    state, train_step, small_pair
):
    assert train_step(*small_pair).is_finite.numpy().all()
    before = values_of(state)
    targets = small_pair[1] * [1, 1, np.nan]
    is_finite = train_step(small_pair[0], targets).is_finite.numpy()
    names = np.array(step.checked_names(state))
    assert {"generator_loss_L1", "discriminator_loss"} <= set(names[~is_finite])
    for name in ("global_step", "position"):  # only these go on
        before[name] += 1
    assert_equal_values(values_of(state), before)


def test_one_infinite_gradient_is_enough_and_the_next_step_learns(
    state, train_step, small_pair, tmp_path
):
    result = step.forward(state, *small_pair, LossConfig())
    (first, *others), d_gradients = result.gradients
    first = first.numpy()
    first.flat[-1] = np.inf
    bad = result._replace(gradients=[[tf.constant(first), *others], d_gradients])
    before, kernel = values_of(state), "generator/encoder_1/conv2d/kernel"
    is_finite = step.update(state, bad, 1).is_finite.numpy()
    [name] = np.array(step.checked_names(state))[~is_finite]
    assert name == f"the gradient of {kernel}"
    np.testing.assert_array_equal(values_of(state)[kernel], before[kernel])
    train_step(*small_pair)
    assert not np.array_equal(values_of(state)[kernel], before[kernel])
    # Updates that were left out are not counted after a restore either.
    assert int(state.g_optimizer.iterations) < int(state.global_step)
    checkpoints.save(state, tmp_path, keep=1)
    restored = step.make_state((3, 3), small_model(), LossConfig())
    checkpoints.restore(restored, checkpoints.find_latest(tmp_path))
    assert int(restored.g_optimizer.iterations) == int(state.g_optimizer.iterations)


@pytest.fixture
def nan_at(monkeypatch):
    """Makes the L1 loss of some steps not finite."""

    def poison(steps):
        l1_loss, count = losses.l1_loss, tf.Variable(0)

        def poisoned(targets, outputs):
            is_bad = tf.reduce_any(tf.equal(count.assign_add(1), steps))
            return tf.where(is_bad, np.nan, l1_loss(targets, outputs))

        monkeypatch.setattr(losses, "l1_loss", poisoned)

    return poison


def test_training_stops_at_what_is_not_finite(nan_at, run, run_dir):
    nan_at([3])
    status, line = run("--save_freq", 2)
    assert status == 1 and "step 3: not finite: generator_loss_L1; " in line
    assert line.endswith(f"; the last good checkpoint is {run_dir / 'model-2'}")
    assert checkpoints.find_latest(run_dir).endswith("model-2")


def test_the_last_step_is_looked_at_too(nan_at, run):
    nan_at([1])
    status, line = run("--max_steps", 1)
    assert status == 1
    assert "step 1: not finite" in line and "there is no checkpoint yet" in line


def test_steps_that_are_not_finite_can_be_skipped(nan_at, run, run_dir):
    nan_at([2, 4])
    status, out = run("--on_nan", "skip")
    assert status == 0 and "skipped step 2: not finite: generator_loss_L1" in out
    assert "skipped 2 steps whose numbers were not finite" in out.splitlines()
    reader = tf.train.load_checkpoint(str(run_dir))
    assert reader.get_tensor("global_step") == 4
    assert reader.get_tensor("updates/generator") == 2


def test_too_many_in_a_row_end_the_run():
    names, bad = ["a", "b", "c", "d", "e"], tf.zeros([5], tf.bool)
    watch = faults.FiniteWatch(names, "skip", lambda: "LAST")
    for number in range(faults.MAX_SKIPPED - 1):
        watch.see(number, bad)
    watch.see(98, tf.ones([5], tf.bool))
    with pytest.raises(RunError, match="this is the 20th step in a row; LAST$"):
        for number in range(faults.MAX_SKIPPED + 1):
            watch.see(100 + number, bad)
    watch = faults.FiniteWatch(names, "stop", lambda: "LAST")
    watch.see(7, bad)
    with pytest.raises(RunError, match="step 7: not finite: a, b, c and 2 more; LAST$"):
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


def test_a_full_disk_ends_the_run_and_the_last_checkpoint_is_whole(small_disk, run):
    folder = small_disk / "run"
    assert run("--max_steps", 1, folder=folder)[0] == 0
    room = shutil.disk_usage(small_disk).free - 20_000
    (small_disk / "ballast").write_bytes(bytes(room))
    status, line = run("--resume", "auto", "--max_steps", 2, folder=folder)
    assert status == 2
    assert "model-2 cannot be written" in line and "No space left" in line
    checkpoints.verify(checkpoints.find_latest(folder))
    assert not list(folder.glob(".*"))


@pytest.mark.parametrize("can_save", [True, False])
def test_a_full_disk_at_an_image_saves_first_if_that_can_be_done(
    can_save, run, run_dir, monkeypatch
):
    def refuse(*_):
        raise OSError(28, "No space left on device", "1-inputs.png")

    monkeypatch.setattr(gallery, "write_images", refuse)
    if not can_save:
        monkeypatch.setattr(checkpoints, "save", refuse)
    status, line = run("--display_freq", 3)
    assert status == 2 and "No space left on device: '1-inputs.png'" in line
    assert len(list(run_dir.glob("model-3.*"))) == (2 if can_save else 0)


def test_a_removed_output_folder_is_made_anew(run, run_dir):
    def remove(number, _):
        if number == 2:
            shutil.rmtree(run_dir)

    flags = ["--summary_freq", 1, "--display_freq", 1]
    assert run(*flags, callbacks=[remove])[0] == 0
    checkpoints.verify(checkpoints.find_latest(run_dir))
    assert (run_dir / "options.json").exists() and (run_dir / "index.html").exists()


@pytest.mark.parametrize(
    "spoil, words",
    [
        (lambda path: path.unlink(), "No such file"),
        (lambda path: path.write_bytes(b"hello"), "is not an image"),
    ],
)
def test_an_image_spoiled_in_mid_epoch_saves_first(
    spoil, words, run, run_dir, tmp_path, pair_dir, monkeypatch
):
    folder = shutil.copytree(pair_dir, tmp_path / "pairs")
    monkeypatch.setattr(data.source, "MAX_CHECKED", 0)

    def spoil_all(number, _):
        if number == 1:
            for path in folder.iterdir():
                spoil(path)

    flags = ["--input_dir", folder, "--summary_freq", 1, "--max_steps", 400]
    status, line = run(*flags, callbacks=[spoil_all])
    assert status == 2 and words in line and str(folder) in line
    checkpoints.verify(checkpoints.find_latest(run_dir))


@pytest.mark.parametrize("allocate", [tf.zeros, np.zeros])
def test_too_little_memory_names_the_flags(allocate, tmp_path):
    flags = ["--mode", "train", "--ngf", "70", "--output_dir", str(tmp_path)]
    options = parse(flags)
    words = (
        r"^out of memory: lower --batch_size \(1\), --crop_size \(256\), --ngf \(70\)"
    )
    with pytest.raises(RunError, match=words) as error, faults.explain_memory(options):
        allocate([10**7, 10**7])
    assert "\n" not in str(error.value)


SECOND = """
import os, signal
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
    assert done.stdout in (f"[{signal.SIGINT!r}]\n", "[2]\n")


def test_a_sighup_that_is_ignored_stays_ignored():
    previous = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with signals.catch_signals() as caught:
            os.kill(os.getpid(), signal.SIGHUP)
        assert caught == []
    finally:
        signal.signal(signal.SIGHUP, previous)
