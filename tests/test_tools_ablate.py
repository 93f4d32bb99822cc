"""The comparison of combinations of flags: which runs, and what is done again."""

import contextlib
import csv
import signal
import sys
import threading

import pytest
from tensorflow.python.framework import config as tf_config

import ablate
import run_files
from pix2pix_tf import train
from pix2pix_tf.runtime import files
from tests.conftest import read_image, write_image

FLAGS = (
    "--ngf 2 --ndf 2 --crop_size 32 --n_layers 1 --deterministic --lr_policy linear "
    "--max_steps 4 --summary_freq 2 --summary_histograms none --display_freq 2"
).split()
SAME = "trains the same network as"


def _plan(*arguments):
    return ablate.plan(ablate.parse(["--max_steps", "3", *arguments]))


def test_vary_gives_the_product_and_run_adds_single_ones():
    runs = _plan("--vary", "lr=1,2", "--vary", "flip=true,false", "--run=defaults")
    names = ["lr=1,flip=true", "lr=1,flip=false", "lr=2,flip=true", "lr=2,flip=false"]
    assert [run.folder.name for run in runs] == [*names, "defaults"]
    assert [run.options["flip"] for run in runs] == [True, False, True, False, True]


def test_a_run_of_a_long_name_has_a_folder_of_its_own():
    values = [f"1.{'0' * 250}{digit}" for digit in (1, 2)]
    folders = {
        run.folder.name for run in _plan("--vary", f"lr={values[0]},{values[1]}")
    }
    assert len(folders) == 1  # both are 1, and train the same network
    [name] = folders
    assert name.startswith("lr=1.0") and len(name) == files.MAX_NAME_BYTES


def test_each_flag_is_given_only_to_the_modes_that_know_it():
    flags = ["--val_dir", "v", "--xla", "--no_dropout", "--batch_size", "2"]
    [run] = _plan("--run", "ngf=2", *flags)
    train_flags, test_flags = set(run.commands["train"]), set(run.commands["test"])
    assert {"--val_dir", "v", "--xla", "--ngf=2"} < train_flags - test_flags
    assert "--no_dropout" in test_flags - train_flags
    assert "--batch_size" in train_flags & test_flags


def test_of_combinations_that_train_the_same_network_one_is_run(capsys):
    runs = _plan("--vary", "gan_weight=0,1", "--vary", "n_layers=1,3", "--run=defaults")
    assert [run.values["n_layers"] for run in runs] == ["1", "1", "3"]
    first, second = capsys.readouterr().out.splitlines()
    assert first == f"left out: gan_weight=0,n_layers=3 {SAME} gan_weight=0,n_layers=1"
    assert second == f"left out: defaults {SAME} gan_weight=1,n_layers=3"
    assert len(_plan("--vary", "no_dropout=true,false")) == 2  # tested otherwise


@pytest.mark.parametrize(
    "arguments, message",
    [
        ("--vary n_layers=1,9", "n_layers=9: --n_layers must be at most 6, got 9"),
        ("--vary depth=1", "no flag --depth"),
        ("--vary which_direction=AtoB,BtoA", "is the same for all runs"),
        ("--vary ngf=2 --ngf 3", "--ngf is the same for all runs"),
        ("--run ngf", "--run must be FLAG=VALUE"),
        ("--run ngf=2 --checkpoint y", "--checkpoint cannot be used with ablate"),
        ("--run ngf=2 --full_size --batch_size 2", "--full_size"),
        ("", "nothing to compare"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(capsys, arguments, message):
    assert ablate.main(["--max_steps", "1", *arguments.split()]) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith("ablate: error: ") and message in line


@pytest.fixture(scope="module")
def compare(tmp_path_factory):
    """Runs the tool, with the train command in this process; returns (status, calls).

    A run of `gan_weight=1` gets SIGTERM after its step `stop_after`.
    """
    folder = tmp_path_factory.mktemp("compared")
    (folder / "pairs").mkdir()
    for number in (1, 2):
        write_image(folder / "pairs" / f"{number}.png", 32, 64, seed=number)

    def compare(*flags, stop_after=None):
        calls = []

        def stop(step, _):
            if step == stop_after and "gan_weight=1" in calls[-1]:
                signal.raise_signal(signal.SIGTERM)

        def run_logged(command, log_path):
            calls.append(f"{log_path.stem} {log_path.parent.name}")
            log_path.parent.mkdir(parents=True, exist_ok=True)
            with open(log_path, "a") as log, contextlib.redirect_stdout(log):
                return train.main(command[3:], [stop])

        argv = ["--input_dir", str(folder / "pairs"), "--output_dir", str(folder)]
        argv += ["--vary", "gan_weight=0,1", *FLAGS, *flags]
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(ablate, "run_logged", run_logged)
            return ablate.main(argv), calls

    compare.folder = folder
    yield compare
    tf_config.disable_op_determinism()  # which has no public end


def test_a_stopped_comparison_goes_on_and_ends_as_an_unbroken_one(compare, capsys):
    rest = ["train gan_weight=1", "test gan_weight=1"]
    status, calls = compare(stop_after=2)
    assert status == 2 and calls == ["train gan_weight=0", "test gan_weight=0", rest[0]]
    message = "1 of 2 runs failed: gan_weight=1: exit status 143 (to continue: "
    assert message in capsys.readouterr().err
    assert len((compare.folder / "table.csv").read_text().splitlines()) == 2
    run_dir = compare.folder / "gan_weight=1"
    assert (run_dir / "train" / "model-2.index").exists()

    assert compare() == (0, rest)
    argv = ["--mode", "train", "--input_dir", str(compare.folder / "pairs"), *FLAGS]
    argv += ["--seed", "0", "--output_dir", str(run_dir / "unbroken")]
    assert train.main(argv) == 0
    assert run_files.compare(run_dir / "unbroken", run_dir / "train") == []

    with open(compare.folder / "table.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["discriminator_parameters"] == "0" for row in rows] == [True, False]
    assert all(row["steps"] == "4" and 0 < float(row["l1"]) < 2 for row in rows)
    assert "| gan_weight=1 |" in (compare.folder / "table.md").read_text()
    height, width, _ = read_image(compare.folder / "grid.png").shape
    assert width > 1.5 * height  # two rows of four images

    assert compare() == (0, [])
    assert compare("--seed", "1") == (2, [])
    assert "--seed 1 contradicts the run in" in capsys.readouterr().err


def test_a_signal_reaches_the_run_which_ends_before_we_do(tmp_path):
    code = (
        "import signal, sys\n"
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(print('saved') or 143))\n"
        "print('progress ', flush=True)\n"
        "signal.pause()\n"
    )
    log_path = tmp_path / "run" / "x.log"

    def stop_at_progress():
        while not log_path.exists() or b"progress" not in log_path.read_bytes():
            pass
        signal.pthread_kill(threading.main_thread().ident, signal.SIGTERM)

    threading.Thread(target=stop_at_progress).start()
    with pytest.raises(SystemExit) as stop:
        ablate.run_logged([sys.executable, "-c", code], log_path)
    assert stop.value.code == 128 + signal.SIGTERM
    assert log_path.read_text().splitlines() == ["progress ", "saved"]
