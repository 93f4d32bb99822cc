"""Validation: its figures are test mode's, the best is kept, and all is resumed."""

import json
import shutil

import numpy as np
import pytest
import tensorflow as tf
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from pix2pix_tf import checkpoints, config, metrics, train
from pix2pix_tf.config import UsageError

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
    found = json.loads((folder / "best" / "metrics.json").read_text())
    assert found == {"count": 5, "figures": best}
    prefix = checkpoints.find_latest(folder / "best")
    assert prefix.endswith(f"model-{best['step']}")


def test_the_best_model_tested_again_gives_its_figures_to_the_digit(
    validated, pair_dir, tmp_path
):
    folder, _ = validated
    arguments = ["--mode", "test", "--checkpoint", str(folder / "best"), "--no_dropout"]
    arguments += ["--input_dir", str(pair_dir), "--output_dir", str(tmp_path / "test")]
    assert train.main(arguments) == 0
    tested = json.loads((tmp_path / "test" / "metrics.json").read_text())
    recorded = json.loads((folder / "best" / "metrics.json").read_text())["figures"]
    for name in ("l1", "psnr", "ssim", "ms_ssim"):
        assert tested["mean"][name] == recorded[name], name
    for name, value in tested["set"].items():
        assert value == recorded[name], name


def test_tensorboard_has_a_curve_of_each_figure_and_the_pictures(validated):
    folder, seen = validated
    events = EventAccumulator(str(folder), size_guidance={"tensors": 0}).Reload()
    for tag, value in seen[-1][1].items():
        curve = events.Tensors(tag)
        assert [event.step for event in curve] == [2, 4, 5]
        assert tf.make_ndarray(curve[-1].tensor_proto) == np.float32(value)
    names = {tag.removeprefix("validation/") for tag in seen[-1][1]}
    assert {"l1", "psnr", "ssim", "histogram_l"} <= names <= set(metrics.FIGURES)
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
    assert _train(pair_dir, folder, *flags) == 0
    out = capsys.readouterr().out
    assert "stopping: no better l1 in 2 validations: the best is 0, after step 5" in out
    assert [entry["step"] for entry in _history(folder)] == [2, 4, 5, 6, 8]
    assert checkpoints.find_latest(folder).endswith("model-8")
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
        config.parse(["--mode", "train", *arguments.split()])


def test_a_folder_that_cannot_be_validated_on_is_named(capsys, pair_dir, tmp_path):
    missing = str(tmp_path / "none")
    assert _train(pair_dir, tmp_path / "run", "--val_dir", missing) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert f"--val_dir {missing}" in line
    assert not (tmp_path / "run" / "checkpoint").exists()
