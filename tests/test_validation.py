"""Validation: its figures are test mode's, the best is kept, and all is resumed."""

import json
import os
import shutil
import signal
import types

import numpy as np
import psutil
import pytest
import tensorflow as tf
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from pix2pix_tf import checkpoints, metrics, networks, train
from pix2pix_tf.options import parse
from pix2pix_tf.runtime import files
from pix2pix_tf.runtime.errors import UsageError

TINY = ["--ngf", "1", "--ndf", "1", "--crop_size", "32", "--n_layers", "1"]


def _train(pair_dir, folder, *flags, callbacks=()):
    arguments = ["--mode", "train", "--input_dir", pair_dir, *TINY, "--seed", "5"]
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


def _history(folder):
    return json.loads((folder / "validation.json").read_text())


def test_every_validation_is_kept_and_the_best_step_is_the_lowest_l1(validated):
    folder, _ = validated
    history = _history(folder)
    assert [entry["step"] for entry in history] == [2, 4, 5]  # and after the last
    best = min(history, key=lambda entry: entry["l1"])
    found = json.loads((folder / "model-best" / "metrics.json").read_text())
    assert (found["count"], found["step"]) == (5, best["step"])
    assert {"step": found["step"], **found["mean"], **found["set"]} == best
    prefix = checkpoints.find_latest(folder / "model-best")
    assert prefix.endswith(f"model-{best['step']}")


def test_the_best_model_tested_again_gives_its_figures_to_the_digit(
    validated, pair_dir, tmp_path
):
    folder, _ = validated
    arguments = ["--mode", "test", "--no_dropout"]
    arguments += ["--checkpoint", str(folder / "model-best")]
    arguments += ["--input_dir", str(pair_dir), "--output_dir", str(tmp_path / "test")]
    assert train.main(arguments) == 0
    tested = json.loads((tmp_path / "test" / "metrics.json").read_text())
    recorded = json.loads((folder / "model-best" / "metrics.json").read_text())
    assert tested["mean"] == recorded["mean"]
    assert tested["set"] == recorded["set"]


def test_tensorboard_has_a_curve_of_each_figure_and_the_pictures(validated):
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
    width, height, picture = tf.make_ndarray(strips[0].tensor_proto)
    assert (int(width), int(height)) == (96, 32)  # input, output, target
    assert tf.io.decode_png(picture).shape == (32, 96, 3)


def test_a_resumed_run_knows_what_was_best_and_when_to_stop(
    validated, pair_dir, tmp_path, capsys
):
    folder = tmp_path / "run"
    shutil.copytree(validated[0], folder)
    history = _history(folder)
    perfect = {**history[-1], "l1": 0.0}  # nothing will be better
    (folder / "validation.json").write_text(json.dumps([*history[:-1], perfect]))
    flags = ["--resume", "auto", "--max_steps", "20", "--patience", "2"]
    flags += ["--display_freq", "100"]
    assert _train(pair_dir, folder, *flags) == 0
    out = capsys.readouterr().out
    assert "stopping: no better l1 in 2 validations: the best is 0, after step 5" in out
    assert [entry["step"] for entry in _history(folder)] == [2, 4, 5, 6, 8]
    assert checkpoints.find_latest(folder).endswith("model-8")
    pictures = {path.name[:8] for path in (folder / "images").iterdir()}
    assert pictures == {"00000008"}  # that --patience ended it makes it the last step
    assert "the best so far" not in out
    assert _train(pair_dir, folder, *flags) == 0
    assert "nothing to do: no better l1 in 2" in capsys.readouterr().out


def test_what_was_found_after_the_last_checkpoint_is_found_again(
    validated, pair_dir, tmp_path
):
    folder = tmp_path / "run"
    shutil.copytree(validated[0], folder)
    history = _history(folder)
    lost = [{**history[0], "step": step, "l1": 0.0} for step in (6, 9)]
    (folder / "validation.json").write_text(json.dumps([*history, *lost]))
    assert _train(pair_dir, folder, "--resume", "auto", "--max_steps", "6") == 0
    found = _history(folder)
    assert [entry["step"] for entry in found] == [2, 4, 5, 6]
    assert found[:3] == history and found[3]["l1"] > 0


def _send_signal_at(monkeypatch, count):
    """Makes SIGTERM come after so many pictures of a validation."""
    add, seen = metrics.Scores.add, []

    def add_and_send(scores, *picture):
        add(scores, *picture)
        seen.append(picture)
        if len(seen) == count:
            os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(metrics.Scores, "add", add_and_send)
    return seen


def test_a_new_run_in_an_old_folder_validates_anew_and_a_signal_need_not_wait(
    validated, pair_dir, tmp_path, capsys
):
    folder = tmp_path / "run"
    shutil.copytree(validated[0], folder)
    history = [{**entry, "l1": 0.0} for entry in _history(folder)]
    (folder / "validation.json").write_text(json.dumps(history))
    best = checkpoints.find_latest(folder / "model-best")
    flags = ["--max_steps", "4", "--patience", "1"]  # the old history would end it
    with pytest.MonkeyPatch.context() as monkeypatch:
        seen = _send_signal_at(monkeypatch, 2)
        status = _train(pair_dir, folder, "--checkpoint", folder, *flags)
    assert status == 128 + signal.SIGTERM
    assert len(seen) == 2
    assert "validation left by signal 15" in capsys.readouterr().out
    assert not (folder / "validation.json").exists()
    assert checkpoints.find_latest(folder).endswith("model-7")  # saved before
    assert checkpoints.find_latest(folder / "model-best") == best
    assert _train(pair_dir, folder, "--resume", "auto", "--max_steps", "2") == 0
    assert [entry["step"] for entry in _history(folder)] == [7]
    assert checkpoints.find_latest(folder / "model-best").endswith("model-7")


def test_a_run_that_is_killed_while_its_best_is_written_writes_it_again(
    validated, pair_dir, tmp_path, monkeypatch, capsys
):
    folder = tmp_path / "run"
    shutil.copytree(validated[0], folder)
    *earlier, last = _history(folder)
    earlier = [{**entry, "l1": 1e9} for entry in earlier]
    (folder / "validation.json").write_text(json.dumps(earlier))
    flags = ["--resume", "auto", "--max_steps", "5"]
    write_whole = files.write_whole

    def write_or_die(path, contents):
        if path.name == "metrics.json":
            raise KeyboardInterrupt
        write_whole(path, contents)

    with monkeypatch.context() as killing:
        killing.setattr(files, "write_whole", write_or_die)
        assert _train(pair_dir, folder, *flags) == 128 + signal.SIGINT
    assert not (folder / "model-best" / "metrics.json").exists()
    assert _history(folder) == earlier
    assert _train(pair_dir, folder, *flags) == 0
    assert json.loads((folder / "model-best" / "metrics.json").read_text())["step"] == 5
    assert checkpoints.find_latest(folder / "model-best").endswith("model-5")
    assert _history(folder) == [*earlier, last]
    assert _train(pair_dir, folder, *flags) == 0
    assert "nothing to do: 5 of 5 steps are done" in capsys.readouterr().out


@pytest.mark.parametrize(
    "text, words",
    [
        ('[{"step": 2}]', "KeyError('l1')"),
        ('[{"step": 2, "l1": "low"}]', "l1 is 'low', not a number"),
        ('[{"step": null, "l1": 1}]', "step is None, not a number"),
        ("[2]", "TypeError"),
        ("3", "TypeError"),
        ("{", "JSONDecodeError"),
    ],
)
def test_a_damaged_history_is_named(validated, pair_dir, text, words, capsys):
    folder, _ = validated
    path = folder / "validation.json"
    whole = path.read_text()
    path.write_text(text)
    assert _train(pair_dir, folder, "--resume", "auto", "--max_steps", "5") == 2
    path.write_text(whole)
    [line] = capsys.readouterr().err.splitlines()
    assert f"{path} is damaged" in line and words in line


@pytest.mark.parametrize(
    "arguments, words",
    [
        ("--patience 3", "--patience needs --val_dir"),
        ("--val_target_dir x", "--val_target_dir needs --val_dir"),
        ("--val_dir x --val_freq 0", "--val_freq must be at least 1"),
        (
            "--val_dir x --target_channels 5",
            "--val_dir needs targets that are",
        ),
        (
            "--val_dir x --lab_colorization --val_target_dir y",
            "does not go with",
        ),
        ("--val_dir x --crop_size 128 --best_metric ms_ssim", "sides of 161 pixels"),
    ],
)
def test_validation_that_cannot_be_is_refused(arguments, words):
    with pytest.raises(UsageError, match=words):
        parse(["--mode", "train", *arguments.split()])


def test_a_dry_run_counts_the_pictures_and_the_memory_of_validation(
    pair_dir, tmp_path, monkeypatch, capsys
):
    machine = types.SimpleNamespace(total=4_000_000_000, available=4_000_000_000)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: machine)
    val_dir = tmp_path / "val"
    val_dir.mkdir()
    for name in ("1.jpg", "2.png"):
        shutil.copy(pair_dir / name, val_dir)
    monkeypatch.setattr(networks, "count_parameters", lambda *many: 10**8 * len(many))
    assert _train(pair_dir, tmp_path / "run", "--dry_run", "--val_dir", val_dir) == 0
    printed = capsys.readouterr().out
    assert "\nvalidation examples count = 2\n" in printed
    assert "expected memory: about 4.7 GB (3.20 weights, " in printed
    assert ", 0.80 validation, 0.7 TensorFlow)" in printed
    assert "warning: this machine has 4.0 GB, so training will end for" in printed


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
