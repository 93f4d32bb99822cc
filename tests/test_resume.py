"""Runs that are cut, damaged or refused, and go on with `--resume auto`.

One unbroken run, and runs of the same command that are cut in different ways: all must
end with the same bits. The sums' order is fixed (`--deterministic`), for this process.
"""

import json
import os
import shutil
import signal
from pathlib import Path

import pytest
from tensorflow.python.framework import config as tf_config

import run_files
from pix2pix_tf import checkpoints, train
from pix2pix_tf.options import MonitorConfig, is_resumed, parse
from pix2pix_tf.runtime.errors import UsageError
from pix2pix_tf.training.due import find_due
from tests.conftest import SMALL

NUM_STEPS = 8  # batches of 2 of five pairs: three epochs and a half


@pytest.fixture(scope="module", autouse=True)
def deterministic():
    """Ends what `--deterministic` begins, which has no public end."""
    yield
    tf_config.disable_op_determinism()


@pytest.fixture(scope="module")
def command(pair_dir):
    """The flags of every run here, but for --output_dir and how far."""
    flags = ["--mode", "train", "--input_dir", str(pair_dir), *SMALL, "--seed", "5"]
    flags += ["--batch_size", "2", "--deterministic", "--lr_policy", "cosine"]
    flags += ["--resume", "auto", "--summary_freq", "1", "--display_freq", "4"]
    return [*flags, "--save_freq", "3"]


def _train(command, folder, *flags, callback=None):
    """Trains; the callback is called with each step's number."""
    arguments = [*command, "--output_dir", folder, "--max_steps", NUM_STEPS, *flags]
    callbacks = [lambda step, _: callback(step)] if callback else []
    return train.main([str(argument) for argument in arguments], callbacks)


class Killed(BaseException):
    """Ends a run as SIGKILL does: nothing is saved."""


def _stop(number):
    """Sends a signal to this process."""
    os.kill(os.getpid(), number)


@pytest.fixture(scope="module")
def unbroken_dir(command, tmp_path_factory):
    folder = tmp_path_factory.mktemp("unbroken") / "run"
    assert _train(command, folder) == 0
    return folder


@pytest.fixture(scope="module")
def cut_dir(command, tmp_path_factory):
    """A run that was cut after its fifth step, in mid-epoch."""
    folder = tmp_path_factory.mktemp("cut") / "run"

    def stop(step):
        if step == 5:
            _stop(signal.SIGTERM)

    assert _train(command, folder, callback=stop) == 143
    return folder


@pytest.fixture
def cut(cut_dir, tmp_path):
    """A copy of it."""
    return Path(shutil.copytree(cut_dir, tmp_path / "run"))


def test_a_run_cut_in_mid_epoch_ends_as_the_unbroken_one(
    command, cut, unbroken_dir, capsys
):
    without_seed = [flag for flag in command if flag not in ("--seed", "5")]
    assert _train(without_seed, cut) == 0
    assert "resuming after step 5" in capsys.readouterr().out
    assert run_files.compare(unbroken_dir, cut) == []
    assert _train(command, cut, "--save_freq", 9) == 0
    out = capsys.readouterr().out
    assert "nothing to do: 8 of 8 steps are done" in out and "saving" not in out
    options = json.loads((cut / "options.json").read_text())
    assert options["save_freq"] == 9 and options["seed"] == 5


def test_a_signal_saves_and_the_same_command_ends_the_run(
    command, tmp_path, unbroken_dir, capsys
):
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # pytest may run under nohup
    numbers, statuses = [signal.SIGHUP, signal.SIGINT], []

    def stop(_):
        if numbers:
            _stop(numbers.pop(0))

    while not statuses or statuses[-1]:
        statuses.append(_train(command, tmp_path / "run", callback=stop))
    assert statuses == [129, 130, 0]
    assert capsys.readouterr().out.count("saving model") == 5  # steps 1, 2, 3, 6, 8
    assert run_files.compare(unbroken_dir, tmp_path / "run") == []


def test_an_error_in_a_callback_saves_first(command, tmp_path):
    def fail(step):
        if step == 5:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        _train(command, tmp_path / "run", callback=fail)
    assert run_files.newest_step(tmp_path / "run") == 5


def test_what_was_written_after_the_last_save_counts_for_nothing(
    command, tmp_path, unbroken_dir
):
    folder = tmp_path / "run"

    def die(step):
        if step == 5:
            raise Killed

    with pytest.raises(Killed):
        _train(command, folder, callback=die)
    assert run_files.newest_step(folder) == 3
    (folder / ".model-5.partial.index.tempstate1").write_bytes(b"half")
    for number, path in enumerate(sorted(folder.glob("events.*"))):  # of long ago
        path.rename(folder / f"events.out.tfevents.000000000{number}")
    assert _train(command, folder) == 0
    assert not list(folder.glob(".*"))
    assert run_files.compare(unbroken_dir, folder) == []


def test_the_end_is_counted_from_where_another_checkpoint_was_left(
    command, cut_dir, tmp_path, capsys
):
    flags = ["--checkpoint", cut_dir, "--max_steps", 2]
    folder = tmp_path / "more"
    assert _train(command, folder, *flags, callback=lambda _: _stop(signal.SIGINT))
    assert _train(command, folder, *flags) == 0
    assert "resuming after step 6" in capsys.readouterr().out
    assert checkpoints.find_latest(folder) == str(folder / "model-7")


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
    assert options.monitor.save_freq == 7 and options.monitor.summary_freq == 1
    assert options.data.batch_size == 2
    assert options.model.crop_size == 32 and options.data.scale_size == 36


def test_another_folder_of_validation_is_changed_data(cut, pair_dir, tmp_path, capsys):
    first, second = (shutil.copytree(pair_dir, tmp_path / name) for name in "ab")
    flags = ["--mode", "train", "--resume", "auto", "--output_dir", str(cut)]
    flags += ["--max_steps", "6", "--val_freq", "50", "--val_dir"]
    assert train.main([*flags, str(first)]) == 0  # there was none before
    capsys.readouterr()
    assert train.main([*flags, str(second)]) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert f"--val_dir was {first} and is {second}" in line
    assert train.main([*flags, str(second), "--allow_changed_data"]) == 0


def test_weights_of_another_machine_may_be_named_anew(cut, tmp_path):
    options = json.loads((cut / "options.json").read_text())
    gone = options | {"vgg_weights": "/gone/vgg.h5"}
    flags = ["--mode", "train", "--resume", "auto", "--output_dir", str(cut)]
    (cut / "options.json").write_text(json.dumps(gone))
    assert parse(flags).loss.vgg_weights == "/gone/vgg.h5"  # which nothing needs
    (cut / "options.json").write_text(json.dumps(gone | {"perceptual_weight": 1.0}))
    with pytest.raises(UsageError, match="--vgg_weights /gone/vgg.h5 is not a file"):
        parse(flags)
    here = tmp_path / "vgg.h5"
    here.touch()
    assert parse([*flags, "--vgg_weights", str(here)]).loss.vgg_weights == str(here)


def test_data_that_changed_is_named_and_allowed_by_a_flag(
    command, cut, pair_dir, tmp_path, capsys
):
    changed = tmp_path / "pairs"
    shutil.copytree(pair_dir, changed)
    replaced = [str(changed) if one == str(pair_dir) else one for one in command]
    options = json.loads((cut / "options.json").read_text())
    (cut / "options.json").write_text(json.dumps(options | {"input_dir": str(changed)}))
    (changed / "1.jpg").rename(changed / "new name.jpg")
    before = sorted(path.name for path in cut.iterdir())
    capsys.readouterr()
    assert _train(replaced, cut) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert "training had 5 examples" in line and "--allow_changed_data" in line
    assert sorted(path.name for path in cut.iterdir()) == before
    assert _train(replaced, cut, "--allow_changed_data") == 0
    assert "warning: the data of" in capsys.readouterr().err
    assert _train(replaced, cut) == 0  # what was seen last counts
    shutil.copy(changed / "2.png", changed / "another.png")
    assert _train(replaced, cut) == 2  # what was allowed once is not allowed again
    (changed / "another.png").unlink()
    (cut / "data.json").unlink()  # as a run of an older version
    (changed / "new name.jpg").unlink()
    assert _train(replaced, cut) == 0


@pytest.mark.parametrize(
    "flags, words",
    [
        ("--mode train", "--resume auto needs --output_dir"),
        ("--mode test --checkpoint {}", "--resume cannot be used in --mode test"),
    ],
)
def test_resume_has_its_place(flags, words, cut_dir):
    with pytest.raises(UsageError, match=words):
        parse([*flags.format(cut_dir).split(), "--resume", "auto"])


def test_all_is_due_at_its_steps_and_after_the_last_and_nothing_at_0():
    monitor = MonitorConfig(
        summary_freq=2, display_freq=0, save_freq=0, save_minutes=2.0, trace_freq=3
    )

    def names(step, is_last=False, minutes=0.0):
        due = vars(find_due(monitor, 4, step, is_last, minutes))
        return {name for name, is_due in due.items() if is_due}

    assert names(1) == set()
    assert names(3) == {"trace"}
    assert names(4) == {"summary", "validation"}
    assert names(50) == {"summary", "progress"}
    assert names(5, is_last=True) == {"summary", "validation", "progress", "trace"}
    assert names(1, minutes=1.9) == set() and names(1, minutes=2.1) == {"save"}


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
