"""Whole training commands on tiny images."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams.metadata import parse_session_start_info_plugin_data

from pix2pix_tf import checkpoints, train
from tests.conftest import TINY, read_image, write_image


@pytest.fixture(scope="module")
def events(trained_dir):
    """What TensorBoard reads from the run: all of every kind."""
    sizes = {"tensors": 0, "graph": 1}
    accumulator = EventAccumulator(str(trained_dir), size_guidance=sizes)
    return accumulator.Reload()


@pytest.mark.parametrize(
    "module, flag",
    [
        ("pix2pix_tf.train", "--which_direction {AtoB,BtoA}"),
        ("pix2pix_tf.dcgan.__main__", "--dataset"),
    ],
)
def test_help_answers_without_tensorflow(module, flag):
    code = (
        f"import sys; from {module} import main\n"
        "try: main(['--help'])\n"
        "except SystemExit as error: assert error.code == 0\n"
        "assert 'tensorflow' not in sys.modules"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert shown.returncode == 0, shown.stderr
    assert flag in shown.stdout
    assert ("--mode" in shown.stdout) == (module == "pix2pix_tf.train")


def test_training_leaves_options_checkpoint_and_pictures(trained_dir):
    options = json.loads((trained_dir / "options.json").read_text())
    assert options["which_direction"] == "BtoA" and options["seed"] == 5
    assert checkpoints.find_latest(trained_dir) == str(trained_dir / "model-3")
    pictures = sorted(path.name for path in (trained_dir / "images").iterdir())
    assert len(pictures) == 6  # at step 2, and at step 3, the last
    assert pictures[0].startswith("00000002-") and pictures[3].startswith("00000003-")
    for name in pictures:
        assert read_image(trained_dir / "images" / name).shape == (32, 32, 3)
        assert name in (trained_dir / "index.html").read_text()


def test_summaries_have_the_originals_tags(events):
    tags = set(events.Tags()["tensors"])
    images = {"inputs", "targets", "outputs", "predict_real", "predict_fake"}
    assert {f"{name}_summary/{name}" for name in images} <= tags
    scalars = {"discriminator_loss", "generator_loss_GAN", "generator_loss_L1"}
    assert scalars <= tags
    variable = "generator/encoder_2/batch_normalization/gamma"
    assert {f"{variable}/values", f"{variable}/gradients"} <= tags
    assert (
        sum(tag.endswith("/gradients") for tag in tags) == 36 + 16
    )  # of two networks, at five levels
    assert events.Tags()["graph"]
    steps = [event.step for event in events.Tensors("discriminator_loss")]
    assert steps == [2, 3]


def _scalars(events, tag):
    return [float(tf.make_ndarray(event.tensor_proto)) for event in events.Tensors(tag)]


def test_summaries_say_more_than_the_originals(events):
    for name in ("generator", "discriminator"):
        assert _scalars(events, f"learning_rate/{name}") == [np.float32(0.0002)] * 2
        assert min(_scalars(events, f"gradient_norm/{name}")) > 0
    shares = ["discriminator_accuracy/real", "discriminator_accuracy/fake"]
    for tag in (*shares, "speed/input_wait_share"):
        assert all(0 <= value <= 1 for value in _scalars(events, tag))
    assert min(_scalars(events, "speed/images_per_second")) > 0
    [precision] = events.Tensors("run/precision")
    assert tf.make_ndarray(precision.tensor_proto) == b"float32"
    assert events.Tensors("run/device")


def test_tensorboard_compares_runs_by_their_options(events):
    content = events.SummaryMetadata("_hparams_/session_start_info").plugin_data.content
    hparams = parse_session_start_info_plugin_data(content).hparams
    assert hparams["ngf"].number_value == 2
    assert hparams["which_direction"].string_value == "BtoA"
    assert hparams["flip"].bool_value and hparams["seed"].number_value == 5
    assert not {"summary_freq", "output_dir", "mode", "d_lr"} & set(hparams)


def test_a_trial_is_named_after_its_folder(events, trained_dir):
    content = events.SummaryMetadata("_hparams_/session_start_info").plugin_data.content
    assert parse_session_start_info_plugin_data(content).group_name == str(trained_dir)


def test_rates_fall_over_a_run_and_callbacks_and_tensorboard_see_it(
    tmp_path, pair_dir, trained_dir
):
    seen = []
    arguments = ["--mode", "train", "--checkpoint", str(trained_dir)]
    arguments += ["--input_dir", str(pair_dir), "--output_dir", str(tmp_path / "run")]
    arguments += ["--lr_policy", "linear", "--d_lr", "0.001", "--max_steps", "2"]
    arguments += ["--summary_freq", "1", "--summary_histograms", "none"]
    assert train.main(arguments, [lambda *given: seen.append(given)]) == 0
    assert [step for step, _ in seen] == [4, 5]  # three were done before this run
    rates = [scalars["learning_rate/discriminator"] for _, scalars in seen]
    np.testing.assert_allclose(rates, [0.0005, 0], rtol=1e-6)
    events = EventAccumulator(str(tmp_path / "run"), size_guidance={"tensors": 0})
    for tag, value in seen[-1][1].items():
        assert _scalars(events.Reload(), tag)[-1] == np.float32(value)
    tags = events.Tags()["tensors"]
    assert not [tag for tag in tags if tag.endswith(("/gradients", "/values"))]


def test_a_histogram_counts_every_value(events):
    event = events.Tensors("generator/encoder_3/conv2d/kernel/values")[-1]
    buckets = tf.make_ndarray(event.tensor_proto)
    assert buckets.shape == (30, 3)
    assert buckets[:, 2].sum() == 4 * 4 * 4 * 8
    assert np.all(buckets[:, 0] < buckets[:, 1])


def test_the_profiler_leaves_its_trace(trained_dir):
    assert list(trained_dir.glob("plugins/profile/*/*.xplane.pb"))


def _train(capsys, folder, *arguments):
    status = train.main(
        ["--mode", "train", *TINY, "--output_dir", str(folder), "--summary_freq", "0"]
        + [str(argument) for argument in arguments]
    )
    captured = capsys.readouterr()
    return status, captured.out, captured.err


def test_a_profile_names_the_plugin_that_shows_it(capsys, tmp_path, pair_dir):
    flags = ["--input_dir", pair_dir, "--max_steps", 2, "--trace_freq", 2]
    status, out, _ = _train(capsys, tmp_path / "run", *flags)
    assert status == 0 and out.count("pip install tensorboard-plugin-profile") == 1


def test_progress_has_the_originals_figures(capsys, tmp_path, pair_dir):
    status, out, _ = _train(
        capsys, tmp_path / "run", "--input_dir", pair_dir, "--batch_size", 2,
        "--max_epochs", 1, "--progress_freq", 3, "--ndf", 3,
    )  # fmt: skip
    assert status == 0
    lines = out.splitlines()
    assert (
        "  The data: input_dir = " in out
        and "batch_size = 2" in out
        and "examples count = 5" in lines
    )
    [progress] = [line for line in lines if line.startswith("progress ")]
    assert progress.startswith("progress  epoch 1  step 3  image/sec ")
    assert progress.endswith("  remaining 0m")
    losses = lines[lines.index(progress) + 1 :][:3]
    names = ["discrim_loss", "gen_loss_GAN", "gen_loss_L1"]
    assert [line.split()[0] for line in losses] == names
    assert all(float(line.split()[1]) > 0 for line in losses)
    assert "saving model" in lines
    assert lines[-4] == f"saved {tmp_path / 'run' / 'model-3'}"
    for line, words in zip(
        lines[-3:], ("--mode test", "--mode export", "tensorboard"), strict=True
    ):
        assert line.startswith("next: ") and words in line


def test_going_on_keeps_the_true_step_and_counts_new_steps(
    capsys, trained_dir, tmp_path, pair_dir
):
    folder = tmp_path / "more"
    status, out, _ = _train(
        capsys, folder, "--input_dir", pair_dir, "--max_steps", 2,
        "--checkpoint", trained_dir,
    )  # fmt: skip
    assert status == 0 and "loading model from checkpoint" in out
    reader = tf.train.load_checkpoint(checkpoints.find_latest(folder))
    assert reader.get_tensor("global_step") == 5
    assert reader.get_tensor("position") == 5
    options = json.loads((folder / "options.json").read_text())
    assert options["which_direction"] == "BtoA"


def test_the_same_seed_trains_to_the_same_weights(capsys, tmp_path, pair_dir):
    generators = []
    for name in ("first", "second"):
        arguments = ["--input_dir", pair_dir, "--max_steps", 2, "--seed", 8]
        assert _train(capsys, tmp_path / name, *arguments)[0] == 0
        reader = tf.train.load_checkpoint(str(tmp_path / name))
        generators.append(
            reader.get_tensor("generator/decoder_1/conv2d_transpose/kernel")
        )
    np.testing.assert_allclose(*generators, atol=1e-5)


def test_without_folders_the_sample_data_and_a_fresh_folder_are_used(
    capsys, tmp_path, monkeypatch, photo_dir
):
    monkeypatch.chdir(tmp_path)
    from pix2pix_tf.data import samples

    monkeypatch.setattr(samples, "sample_dir", lambda lab, split: photo_dir)
    arguments = ["--mode", "train", "--lab_colorization", *TINY, "--max_steps", "1"]
    assert train.main([*arguments, "--summary_freq", "0"]) == 0
    assert "using the embedded sample data" in capsys.readouterr().out
    [folder] = (tmp_path / "runs").iterdir()
    assert folder.name.startswith("train-") and (folder / "checkpoint").exists()


def test_untouched_by_a_bad_checkpoint(capsys, tmp_path, pair_dir, trained_dir):
    """Nothing is written where the checkpoint does not fit its options."""
    wrong = shutil.copytree(trained_dir, tmp_path / "wrong")
    options = json.loads((wrong / "options.json").read_text())
    (wrong / "options.json").write_text(json.dumps(options | {"ngf": 5}))
    status = train.main(
        ["--mode", "train", "--input_dir", str(pair_dir), "--checkpoint", str(wrong)]
        + ["--output_dir", str(tmp_path / "run")]
    )
    error = capsys.readouterr().err
    assert status == 2 and "does not fit" in error and "encoder_1" in error
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("name", ["model-3", "model-3.data-00000-of-00001"])
def test_one_checkpoint_of_a_folder_can_be_named(
    trained_dir, pair_dir, tmp_path, capsys, name
):
    flags = ["--mode", "test", "--input_dir", str(pair_dir / "2.png"), "--checkpoint"]
    output = ["--output_dir", str(tmp_path / "test")]
    assert train.main([*flags, str(trained_dir / name), *output]) == 0
    assert (tmp_path / "test" / "images" / "2-outputs.png").is_file()
    capsys.readouterr()
    wrong = str(trained_dir / name.replace("3", "4"))
    assert train.main([*flags, wrong, "--output_dir", str(tmp_path / "other")]) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert line.endswith(f"does not exist: {trained_dir} has model-3")


def test_a_path_that_is_a_pattern_is_a_path_to_train_test_and_convert(
    tmp_path, pair_dir, capsys
):
    folder = tmp_path / "p[1] *?" / "run{a}'\\n"
    flags = ["--mode", "train", "--input_dir", str(pair_dir), *TINY, "--max_steps", "1"]
    flags += ["--summary_freq", "0", "--output_dir", str(folder)]
    assert train.main(flags) == 0
    assert train.main([*flags[:-2], "--resume", "auto", *flags[-2:]]) == 0
    test = ["--mode", "test", "--checkpoint", str(folder), "--input_dir", str(pair_dir)]
    assert train.main([*test, "--output_dir", str(tmp_path / "[test]")]) == 0
    assert len(list((tmp_path / "[test]" / "images").iterdir())) == 15
    export = ["--mode", "export", "--checkpoint", str(folder), "--output_dir"]
    assert train.main([*export, str(tmp_path / "m")]) == 0
    capsys.readouterr()
    assert train.main([*export, str(tmp_path / "m[1]")]) == 2
    assert "m[1] has [ in its path" in capsys.readouterr().err
    assert not (tmp_path / "m[1]").exists()


def test_a_path_that_is_not_utf8_is_read_but_not_written_to(
    tmp_path, pair_dir, trained_dir, capsys
):
    odd = Path(os.fsdecode(bytes(tmp_path) + b"/\xff\xfe"))
    shutil.copytree(pair_dir, odd / "pairs")
    shutil.copytree(trained_dir, odd / "model")
    train_flags = ["--mode", "train", "--input_dir", str(odd / "pairs"), *TINY]
    train_flags += ["--max_steps", "1", "--output_dir"]
    assert train.main([*train_flags, str(tmp_path / "run")]) == 0
    test = ["--mode", "test", "--checkpoint", str(odd / "model")]
    test += ["--input_dir", str(odd / "pairs"), "--output_dir", str(tmp_path / "test")]
    assert train.main(test) == 0
    capsys.readouterr()
    assert train.main([*train_flags, str(odd / "run")]) == 2
    assert "is not valid UTF-8" in capsys.readouterr().err
    assert not (odd / "run").exists()


def test_one_line_of_error_without_a_traceback(tmp_path):
    write_image(tmp_path / "odd.png", 8, 33)
    command = [sys.executable, "-m", "pix2pix_tf.train", "--mode", "train"]
    command += ["--input_dir", str(tmp_path), "--output_dir", str(tmp_path / "run")]
    environment = {k: v for k, v in os.environ.items() if k != "TF_CPP_MIN_LOG_LEVEL"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 2
    [line] = done.stderr.splitlines()
    assert line.startswith("pix2pix-tf: error: ") and "odd.png" in line
    assert not (tmp_path / "run").exists()
