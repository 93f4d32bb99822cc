"""Validation: its metrics are test mode's, the best is kept, and all is resumed."""

import json
import os
import shutil
import signal
import types
from pathlib import Path

import numpy as np
import psutil
import pytest
import tensorflow as tf
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from pix2pix_tf import checkpoints, metrics, networks, train
from pix2pix_tf.options import parse
from pix2pix_tf.runtime import files
from pix2pix_tf.runtime.errors import UsageError
from tests.conftest import SMALL


def _train(pair_dir, folder, *flags, callbacks=()):
    arguments = ["--mode", "train", "--input_dir", pair_dir, *SMALL, "--seed", "5"]
    arguments += ["--output_dir", folder, "--summary_freq", "0", "--batch_size", "2"]
    arguments += ["--val_dir", pair_dir, "--val_freq", "2", "--best_metric", "l1"]
    return train.main([str(argument) for argument in [*arguments, *flags]], callbacks)


@pytest.fixture(scope="module")
def validated(pair_dir, tmp_path_factory):
    """(the folder of a run of five steps, what its callback was told)."""
    folder, seen = tmp_path_factory.mktemp("validated") / "run", []
    callbacks = [lambda *given: seen.append(given)]
    assert _train(pair_dir, folder, "--max_steps", "5", callbacks=callbacks) == 0
    return folder, seen


@pytest.fixture
def copied(validated, tmp_path):
    """A copy of that folder."""
    return Path(shutil.copytree(validated[0], tmp_path / "run"))


def _history(folder):
    return json.loads((folder / "validation.json").read_text())


def _write_history(folder, history):
    (folder / "validation.json").write_text(json.dumps(history))


def _best(folder):
    """Returns (the metrics of the best model, its step)."""
    found = json.loads((folder / "model-best" / "metrics.json").read_text())
    prefix = checkpoints.find_latest(folder / "model-best")
    assert prefix.endswith(f"model-{found['step']}")
    return found, found["step"]


def test_every_validation_is_kept_and_the_best_step_is_the_lowest_l1(validated):
    folder, _ = validated
    history = _history(folder)
    assert [entry["step"] for entry in history] == [2, 4, 5]  # and after the last
    found, step = _best(folder)
    assert found["count"] == 5
    best = min(history, key=lambda entry: entry["l1"])
    assert {"step": step, **found["mean"], **found["set"]} == best


def test_the_best_model_tested_again_gives_its_metrics_to_the_digit(
    validated, pair_dir, tmp_path
):
    arguments = ["--mode", "test", "--no_dropout", "--input_dir", str(pair_dir)]
    arguments += ["--checkpoint", str(validated[0] / "model-best")]
    assert train.main([*arguments, "--output_dir", str(tmp_path / "test")]) == 0
    tested = json.loads((tmp_path / "test" / "metrics.json").read_text())
    recorded, _ = _best(validated[0])
    assert (tested["mean"], tested["set"]) == (recorded["mean"], recorded["set"])


def test_tensorboard_has_a_curve_of_each_metric_and_the_images(validated):
    folder, seen = validated
    events = EventAccumulator(str(folder), size_guidance={"tensors": 0}).Reload()
    for tag, value in seen[-1][1].items():
        curve = events.Tensors(tag)
        assert [event.step for event in curve] == [2, 4, 5]
        assert tf.make_ndarray(curve[-1].tensor_proto) == np.float32(value)
    names = {tag.removeprefix("validation/") for tag in seen[-1][1]}
    assert {"l1", "psnr", "ssim", "histogram_l"} <= names <= set(metrics.METRICS)
    strips = events.Tensors("validation/pictures/1")
    assert [event.step for event in strips] == [2, 4, 5]
    *_, image = tf.make_ndarray(strips[0].tensor_proto)
    assert tf.io.decode_png(image).shape == (32, 96, 3)  # input, output, target


def test_a_resumed_run_knows_what_was_best_and_when_to_stop(copied, pair_dir, capsys):
    # Nothing will be better than the last; what is of a later step is found again.
    history = _history(copied)
    perfect = {**history[-1], "l1": 0.0}
    _write_history(copied, [*history[:-1], perfect, {**perfect, "step": 9}])
    flags = ["--resume", "auto", "--max_steps", "20", "--patience", "2"]
    flags += ["--display_freq", "100"]
    assert _train(pair_dir, copied, *flags) == 0
    out = capsys.readouterr().out
    assert "stopping: no better l1 in 2 validations: the best is 0, after step 5" in out
    assert "the best so far" not in out
    found = _history(copied)
    assert [entry["step"] for entry in found] == [2, 4, 5, 6, 8]
    assert found[:3] == [*history[:-1], perfect] and found[3]["l1"] > 0
    assert checkpoints.find_latest(copied).endswith("model-8")
    images = {path.name[:8] for path in (copied / "images").iterdir()}
    assert images == {"00000008"}  # that --patience ended it makes it the last step
    assert _train(pair_dir, copied, *flags) == 0
    assert "nothing to do: no better l1 in 2" in capsys.readouterr().out


def test_a_new_run_in_an_old_folder_validates_anew_and_a_signal_need_not_wait(
    copied, pair_dir, monkeypatch, capsys
):
    _write_history(copied, [{**entry, "l1": 0.0} for entry in _history(copied)])
    best, add, seen = _best(copied), metrics.Scores.add, []

    def add_and_send(scores, *images):
        add(scores, *images)
        seen.append(images)
        if len(seen) == 2:
            os.kill(os.getpid(), signal.SIGTERM)

    flags = ["--max_steps", "4", "--patience", "1"]  # the old history would end it
    with monkeypatch.context() as sending:
        sending.setattr(metrics.Scores, "add", add_and_send)
        status = _train(pair_dir, copied, "--checkpoint", copied, *flags)
    assert status == 128 + signal.SIGTERM
    assert len(seen) == 2
    assert "validation left by signal 15" in capsys.readouterr().out
    assert not (copied / "validation.json").exists()
    assert checkpoints.find_latest(copied).endswith("model-7")  # saved before
    assert _best(copied) == best
    assert _train(pair_dir, copied, "--resume", "auto", "--max_steps", "2") == 0
    assert [entry["step"] for entry in _history(copied)] == [7]
    assert _best(copied)[1] == 7


def test_a_run_that_is_killed_while_its_best_is_written_writes_it_again(
    copied, pair_dir, monkeypatch, capsys
):
    *earlier, last = _history(copied)
    earlier = [{**entry, "l1": 1e9} for entry in earlier]
    _write_history(copied, earlier)
    flags = ["--resume", "auto", "--max_steps", "5"]
    write_whole = files.write_whole

    def write_or_die(path, contents):
        if path.name == "metrics.json":
            raise KeyboardInterrupt
        write_whole(path, contents)

    with monkeypatch.context() as killing:
        killing.setattr(files, "write_whole", write_or_die)
        assert _train(pair_dir, copied, *flags) == 128 + signal.SIGINT
    assert not (copied / "model-best" / "metrics.json").exists()
    assert _history(copied) == earlier
    assert _train(pair_dir, copied, *flags) == 0
    assert _best(copied)[1] == 5 and _history(copied) == [*earlier, last]
    assert _train(pair_dir, copied, *flags) == 0
    assert "nothing to do: 5 of 5 steps are done" in capsys.readouterr().out


@pytest.mark.parametrize(
    "text, words",
    [
        ('[{"step": 2}]', "KeyError('l1')"),
        ('[{"step": 2, "l1": "low"}]', "l1 is 'low', not a number"),
        ('[{"step": null, "l1": 1}]', "step is None, not a number"),
        ("3", "TypeError"),
        ("{", "JSONDecodeError"),
    ],
)
def test_a_damaged_history_is_named(copied, pair_dir, text, words, capsys):
    path = copied / "validation.json"
    path.write_text(text)
    assert _train(pair_dir, copied, "--resume", "auto", "--max_steps", "5") == 2
    [line] = capsys.readouterr().err.splitlines()
    assert f"{path} is damaged" in line and words in line


@pytest.mark.parametrize(
    "arguments, words",
    [
        ("--patience 3", "--patience needs --val_dir"),
        ("--val_target_dir x", "--val_target_dir needs --val_dir"),
        ("--val_dir x --val_freq 0", "--val_freq must be at least 1"),
        ("--val_dir x --target_channels 5", "--val_dir needs targets of 1 or 3"),
        ("--val_dir x --lab_colorization --val_target_dir y", "cannot be used with"),
        ("--val_dir x --crop_size 128 --best_metric ms_ssim", "sides of 161 pixels"),
    ],
)
def test_validation_that_cannot_be_is_refused(arguments, words):
    with pytest.raises(UsageError, match=words):
        parse(["--mode", "train", *arguments.split()])


def test_a_dry_run_counts_the_examples_and_the_memory_of_validation(
    pair_dir, tmp_path, monkeypatch, capsys
):
    machine = types.SimpleNamespace(total=4_000_000_000, available=4_000_000_000)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: machine)
    monkeypatch.setattr(networks, "count_parameters", lambda *many: 10**8 * len(many))
    (tmp_path / "val").mkdir()
    for name in ("1.jpg", "2.png"):
        shutil.copy(pair_dir / name, tmp_path / "val")
    flags = ["--dry_run", "--val_dir", tmp_path / "val"]
    assert _train(pair_dir, tmp_path / "run", *flags) == 0
    printed, warned = capsys.readouterr()
    assert "\nvalidation examples count = 2\n" in printed
    assert "expected memory: about 4.7 GB (3.20 weights, " in printed
    assert ", 0.80 validation, 0.7 TensorFlow)" in printed
    assert "4.0 GB, so training will end for lack of memory" in warned


@pytest.mark.parametrize("flags", [[], ["--dry_run"]])
def test_a_folder_that_cannot_be_validated_on_is_named(
    flags, capsys, pair_dir, tmp_path
):
    missing = str(tmp_path / "none")
    assert _train(pair_dir, tmp_path / "run", "--val_dir", missing, *flags) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert f"--val_dir {missing} is not a folder" in line
    assert "--input_dir" not in line
    assert not (tmp_path / "run" / "checkpoint").exists()
