"""Runs that are cut, damaged or refused, and go on with `--resume auto`.

One unbroken run, and runs of the same command that are cut in different ways: all must
end with the same bits. The sums' order is fixed (`--deterministic`), for this process.
"""

import json
import os
import shutil
import signal
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from tensorboard.backend.event_processing.plugin_event_accumulator import (
    EventAccumulator,
)
from tensorflow.python.framework import config as tf_config

import run_files
from pix2pix_tf import checkpoints, train
from pix2pix_tf.options import MonitorConfig, RunConfig, is_resumed, parse
from pix2pix_tf.runtime.errors import UsageError
from pix2pix_tf.training import loop

NUM_STEPS = 8  # batches of 2 of five pairs: three epochs and a half
TINY = ["--ngf", "1", "--ndf", "1", "--crop_size", "32", "--n_layers", "1"]


@pytest.fixture(scope="module", autouse=True)
def deterministic():
    """Ends what `--deterministic` begins, which has no public end."""
    yield
    tf_config.disable_op_determinism()


@pytest.fixture(scope="module")
def command(pair_dir):
    """The flags of every run here, but for --output_dir and how far."""
    flags = ["--mode", "train", "--input_dir", str(pair_dir), *TINY, "--seed", "5"]
    flags += ["--batch_size", "2", "--deterministic"]
    flags += ["--resume", "auto", "--summary_freq", "2", "--display_freq", "4"]
    return [*flags, "--progress_freq", "1", "--save_freq", "3"]


def _train(command, folder, *flags):
    arguments = [*command, "--output_dir", folder, "--max_steps", NUM_STEPS, *flags]
    return train.main([str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def unbroken_dir(command, tmp_path_factory):
    folder = tmp_path_factory.mktemp("unbroken") / "run"
    assert _train(command, folder) == 0
    return folder


@pytest.fixture(scope="module")
def cut_dir(command, tmp_path_factory):
    """A run that was cut after its fifth step, in mid-epoch."""
    folder = tmp_path_factory.mktemp("cut") / "run"
    assert _train(command, folder, "--max_steps", 5, "--keep_checkpoints", 2) == 0
    return folder


@pytest.fixture
def cut(cut_dir, tmp_path):
    """A copy of it."""
    return Path(shutil.copytree(cut_dir, tmp_path / "run"))


def _tensors(folder):
    """Returns all that a run's newest checkpoint holds."""
    reader, shapes = checkpoints.open_reader(checkpoints.find_latest(folder))
    return {name: reader.get_tensor(name) for name in shapes}


def _scalars(folder):
    """Returns {tag: {step: value}}, as TensorBoard shows them; no step twice."""
    events = EventAccumulator(str(folder), size_guidance={"tensors": 0}).Reload()
    found = {}
    for tag in events.Tags()["tensors"]:
        if "loss" in tag:
            values = [
                (e.step, tf.make_ndarray(e.tensor_proto)) for e in events.Tensors(tag)
            ]
            found[tag] = dict(values)
            assert len(values) == len(found[tag]), f"{tag} has a step twice"
    return found


def _assert_same(folder, unbroken):
    """Says that a run ended with the same bits as the unbroken one."""
    got, wanted = _tensors(folder), _tensors(unbroken)
    assert set(got) == set(wanted)
    for name, values in wanted.items():
        np.testing.assert_array_equal(got[name], values, name)
    got, wanted = _scalars(folder), _scalars(unbroken)
    assert set(got) == set(wanted) and wanted
    for tag, values in wanted.items():
        for step, value in values.items():
            assert got[tag][step] == value, (tag, step)
    for picture in (unbroken / "images").iterdir():
        assert (folder / "images" / picture.name).read_bytes() == picture.read_bytes()


def test_a_run_cut_in_mid_epoch_ends_as_the_unbroken_one(
    command, cut, unbroken_dir, capsys
):
    without_seed = [flag for flag in command if flag not in ("--seed", "5")]
    assert _train(without_seed, cut) == 0
    assert "resuming after step 5" in capsys.readouterr().out
    _assert_same(cut, unbroken_dir)
    assert _train(command, cut) == 0
    out = capsys.readouterr().out
    assert "nothing to do: 8 of 8 steps are done" in out and "saving" not in out


def test_a_signal_saves_and_the_same_command_ends_the_run(
    command, tmp_path, unbroken_dir, monkeypatch, capsys
):
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # pytest may run under nohup
    numbers = [signal.SIGHUP, signal.SIGTERM, signal.SIGINT]
    statuses, report = [], loop._report

    def report_and_stop(*arguments):
        report(*arguments)
        if numbers:
            os.kill(os.getpid(), numbers.pop(0))

    monkeypatch.setattr(loop, "_report", report_and_stop)
    while not statuses or statuses[-1]:
        statuses.append(_train(command, tmp_path / "run"))
    assert statuses == [129, 143, 130, 0]
    assert capsys.readouterr().out.count("saving model") == 5  # and at steps 6 and 8
    _assert_same(tmp_path / "run", unbroken_dir)


def test_what_was_written_after_the_last_save_counts_for_nothing(
    command, tmp_path, unbroken_dir, monkeypatch
):
    folder = tmp_path / "run"
    report = loop._report

    def report_and_die(task, *arguments):
        report(task, *arguments)
        if int(task.state.global_step) == 5:
            raise ZeroDivisionError  # nothing is saved, as by SIGKILL

    monkeypatch.setattr(loop, "_report", report_and_die)
    with pytest.raises(ZeroDivisionError):
        _train(command, folder)
    assert set(_scalars(folder)["generator_loss_L1"]) == {2, 4}
    (folder / ".model-5.partial.index.tempstate1").write_bytes(b"half")
    for number, path in enumerate(sorted(folder.glob("events.*"))):  # of long ago
        path.rename(folder / f"events.out.tfevents.000000000{number}")
    monkeypatch.setattr(loop, "_report", report)
    assert _train(command, folder) == 0
    assert not list(folder.glob(".*"))
    _assert_same(folder, unbroken_dir)


def test_the_end_is_counted_from_where_another_checkpoint_was_left(
    command, cut_dir, tmp_path, capsys
):
    flags = ["--checkpoint", cut_dir, "--summary_freq", 0]
    folder = tmp_path / "more"
    assert _train(command, folder, *flags, "--max_steps", 1) == 0
    assert _train(command, folder, *flags, "--max_steps", 3) == 0
    assert "resuming after step 6" in capsys.readouterr().out
    assert checkpoints.find_latest(folder) == str(folder / "model-8")


def test_a_run_that_never_saved_starts_anew_by_its_own_seed(tmp_path):
    (tmp_path / "options.json").write_text('{"mode": "train", "seed": 77}')
    flags = ["--mode", "train", "--resume", "auto", "--output_dir", str(tmp_path)]
    options = parse(flags)
    assert options.run.seed == 77 and not is_resumed(options.run)


@pytest.mark.parametrize(
    "flags, words",
    [
        (["--lr", "0.1"], "--lr 0.1 contradicts"),
        (["--seed", "6"], "--seed 6 contradicts"),
        (["--batch_size", "3"], "--batch_size 3 contradicts"),
        (["--input_dir", "/elsewhere"], "--input_dir /elsewhere contradicts"),
        (["--crop_size", "64"], "which has 32: leave the flag out"),
        (["--l1_weight", "1"], "--l1_weight 1.0 contradicts"),
    ],
)
def test_another_training_is_refused_by_name(command, cut_dir, flags, words):
    with pytest.raises(UsageError) as error:
        parse([*command, "--output_dir", str(cut_dir), *flags])
    assert words in str(error.value) and "\n" not in str(error.value)


def test_what_is_not_given_is_as_it_was_and_times_may_change(cut_dir):
    flags = ["--mode", "train", "--resume", "auto", "--output_dir", str(cut_dir)]
    options = parse([*flags, "--save_freq", "7", "--on_bad_image", "skip"])
    assert options.monitor.save_freq == 7 and options.monitor.summary_freq == 2
    assert options.data.batch_size == 2
    assert options.model.crop_size == 32 and options.data.scale_size == 36


@pytest.mark.parametrize(
    "flags, words",
    [
        (["--mode", "train"], "--resume auto needs --output_dir"),
        (
            ["--mode", "test", "--checkpoint", "{}", "--output_dir", "new"],
            "--resume: this has no meaning in --mode test",
        ),
    ],
)
def test_resume_has_its_place(flags, words, cut_dir):
    flags = [flag.format(cut_dir) for flag in flags]
    with pytest.raises(UsageError, match=words):
        parse([*flags, "--resume", "auto"])


@pytest.mark.parametrize("ending", ["data-00000-of-00001", "index"])
def test_the_newest_readable_checkpoint_is_taken(cut, capsys, ending):
    path = cut / f"model-5.{ending}"
    path.write_bytes(path.read_bytes()[:-20])
    assert checkpoints.find_latest(cut) == str(cut / "model-3")
    out = capsys.readouterr().out
    assert out.startswith("warning: ") and "model-5 is damaged" in out
    assert out.endswith(": taking model-3\n")


def test_a_missing_index_is_told_too(cut, capsys):
    (cut / "model-5.index").unlink()
    assert checkpoints.find_latest(cut) == str(cut / "model-3")
    assert "model-5.index is missing: taking model-3" in capsys.readouterr().out
    data = cut / "model-3.data-00000-of-00001"
    data.write_bytes(data.read_bytes()[:100])
    with pytest.raises(UsageError, match="model-3 is damaged"):
        checkpoints.verify(checkpoints.find_latest(cut))


def test_minutes_count_too(monkeypatch, cut):
    monitoring = MonitorConfig(save_freq=0, save_minutes=2.0)
    now = iter([0.0, 119.0, 121.0])
    monkeypatch.setattr(loop.time, "monotonic", lambda: next(now))
    run = RunConfig(output_dir=str(cut))
    options = type("Options", (), {"run": run, "monitor": monitoring})
    saver = loop._Saver(options, None, None)
    assert not saver.is_due(1, False) and saver.is_due(2, False)


def test_the_soak_finds_what_differs(unbroken_dir, cut_dir):
    assert run_files.compare(unbroken_dir, unbroken_dir) == []
    problems = run_files.compare(unbroken_dir, cut_dir)
    assert "generator/encoder_1/conv2d/kernel differs" in problems
    for tag in ("generator_loss_L1", "generator/encoder_1/conv2d/kernel/gradients"):
        assert any(problem.startswith(f"TensorBoard: {tag}") for problem in problems)


@pytest.mark.parametrize("place, is_found", [(-1, False), (0, True)])
def test_the_soak_reads_all_pictures_but_the_last(cut, place, is_found):
    paths = sorted((cut / "images").glob("*.png"))
    paths[place].write_bytes(paths[place].read_bytes()[:50])
    for number, path in enumerate(paths):
        os.utime(path, (number, number))
    if is_found:
        with pytest.raises(ValueError, match=paths[place].name):
            run_files.check_images(cut)
    else:
        run_files.check_images(cut)


def test_options_are_of_the_run_that_goes_on(command, cut, capsys):
    assert _train(command, cut, "--max_steps", 5, "--save_freq", 9) == 0
    options = json.loads((cut / "options.json").read_text())
    assert options["save_freq"] == 9 and options["seed"] == 5
