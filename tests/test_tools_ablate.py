"""The comparison of combinations of flags: which runs, and what is done again."""

import contextlib
import csv
import json
import shutil
import signal
import sys
import threading

import pytest
from tensorflow.python.framework import config as tf_config

import ablate
import ablate_results
import run_files
from pix2pix_tf import metrics, options, train
from pix2pix_tf.runtime import files
from pix2pix_tf.runtime.errors import UsageError
from tests.conftest import TINY, read_image, write_image
from tests.test_tools_ablate_results import read_rows

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


def test_lpips_is_given_to_training_only_if_that_validates():
    weights = ["--lpips_weights", "lpips.npz"]
    [run] = _plan("--run", "ngf=2", *weights)
    assert not {*weights} & {*run.commands["train"]}
    assert {*weights} < {*run.commands["test"]}
    [run] = _plan("--run", "val_dir=v", *weights)
    assert {"--val_dir=v", *weights} < {*run.commands["train"]}


def test_seeds_make_all_runs_with_one_seed_and_then_with_the_next():
    combinations = ["--vary", "lr=1,2", "--run", "defaults"]
    runs = _plan(*combinations, "--seeds", "5,1")
    of_one = [
        [f"lr=1,seed={seed}", f"lr=2,seed={seed}", f"seed={seed}"] for seed in (5, 1)
    ]
    assert [run.name for run in runs] == of_one[0] + of_one[1]
    assert [run.combination for run in runs] == 2 * ["lr=1", "lr=2", "defaults"]
    assert [run.options["seed"] for run in runs] == [5, 5, 5, 1, 1, 1]
    given_by_hand = _plan(*(f"--run={run.name}" for run in runs))
    assert [run.commands for run in given_by_hand] == [run.commands for run in runs]
    assert [run.combination for run in given_by_hand] == [run.name for run in runs]
    assert _plan(*combinations, "--seeds", "5") == given_by_hand[:3]


def test_of_combinations_that_train_the_same_network_one_is_run(capsys):
    runs = _plan("--vary", "gan_weight=0,1", "--vary", "n_layers=1,3", "--run=defaults")
    assert [run.values["n_layers"] for run in runs] == ["1", "1", "3"]
    first, second = capsys.readouterr().out.splitlines()
    assert first == f"left out: gan_weight=0,n_layers=3 {SAME} gan_weight=0,n_layers=1"
    assert second == f"left out: defaults {SAME} gan_weight=1,n_layers=3"
    assert len(_plan("--vary", "no_dropout=true,false")) == 2  # tested otherwise


def test_a_run_that_decided_what_was_left_open_is_the_same_run(tmp_path, capsys):
    flags = ["--output_dir", str(tmp_path), "--precision", "mixed_bfloat16"]
    flags += ["--vary", "gan_weight=0", "--vary", "n_layers=1,3"]
    [before] = _plan(*flags)
    (before.folder / "train").mkdir(parents=True)
    decided = before.options | {"emulate_16bit": "off"}
    (before.folder / "train/options.json").write_text(json.dumps(decided))
    (before.folder / "train/checkpoint").touch()
    assert _plan(*flags) == [before]
    with pytest.raises(UsageError, match="--emulate_16bit on contradicts"):
        _plan(*flags, "--emulate_16bit", "on")


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
        ("--run ngf=2 --seeds 1,2 --seed 3", "--seeds gives each run its seed"),
        ("--run ngf=2,seed=1 --seeds 1,2", "--seeds gives each run its seed"),
        ("--run ngf=2 --seeds 1,01", "--seeds must be different whole numbers"),
        ("--run ngf=2 --seeds 1,-2", "--seeds must be different whole numbers"),
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

    table = (compare.folder / "table.csv").read_text()
    result = json.loads((run_dir / "result.json").read_text())
    wanted = metrics.read_report(run_dir / "test")
    assert result["histogram_a"] == wanted["histogram_a"] and result["lpips"] is None
    assert result["period 4"] is None and rows[1]["period 4"] == ""  # 32 pixels
    older = {name: result[name] for name in ("asked", *ablate_results.COUNTS, "l1")}
    (run_dir / "result.json").write_text(json.dumps(older))
    assert compare() == (0, [])
    assert json.loads((run_dir / "result.json").read_text()) == result
    assert (compare.folder / "table.csv").read_text() == table
    assert compare("--seed", "1") == (2, [])
    assert "--seed 1 contradicts the run in" in capsys.readouterr().err


def _write_test(test_dir, seed):
    """Writes what a test leaves of the images of `pair_dir`, with random outputs."""
    (test_dir / "images").mkdir(parents=True)
    scores = metrics.Scores()
    for name in "12345":
        images = {
            kind: write_image(test_dir / f"images/{name}-{kind}.png", 64, 64, one)
            for kind, one in (("inputs", 0), ("outputs", seed), ("targets", 99))
        }
        scores.add(name, read_image(images["outputs"]), read_image(images["targets"]))
    metrics.report(test_dir, list("12345"), scores, [])


@pytest.fixture
def compare_copies(tmp_path, trained_dir, pair_dir, monkeypatch):
    """Runs the tool with runs that copy a model; returns the names of these runs.

    The first argument is {name of a run: exit status of its training}; 143 is a stop.
    """

    def compare(statuses, *flags):
        trained = []

        def run_logged(command, log_path):
            run_dir = log_path.parent
            status = statuses.get(run_dir.name, 0)
            if status == 143:
                raise SystemExit(status)
            run_dir.mkdir(exist_ok=True)
            log_path.write_text("")
            if log_path.stem == "test":
                _write_test(run_dir / "test", seed=len(run_dir.name))
            elif status == 0:
                trained.append(run_dir.name)
                decided = options.to_dict(options.parse(command[3:]))
                shutil.copytree(trained_dir, run_dir / "train")
                path = run_dir / "train" / options.OPTIONS_NAME
                path.write_text(json.dumps(decided))
            return status

        monkeypatch.setattr(ablate, "run_logged", run_logged)
        argv = ["--input_dir", str(pair_dir), "--output_dir", str(tmp_path), *TINY]
        with contextlib.suppress(SystemExit):
            ablate.main([*argv, "--max_steps", "3", *flags])
        return trained

    return compare


def test_there_is_a_table_after_each_seed(compare_copies, tmp_path):
    flags = ["--run", "defaults", "--run", "norm=instance", "--seeds", "1,2"]
    names = ["seed=1", "norm=instance,seed=1", "seed=2"]
    assert compare_copies({"norm=instance,seed=2": 143}, *flags) == names
    rows = read_rows(tmp_path / "table.md")
    assert list(rows) == ["defaults", "norm=instance", "targets"]
    assert rows["defaults"]["seeds"] == rows["norm=instance"]["seeds"] == "1"
    assert "±" not in rows["defaults"]["l1"]

    assert compare_copies({"norm=instance,seed=2": 2}, *flags) == []
    rows = read_rows(tmp_path / "table.md")
    assert [row["seeds"] for row in rows.values()] == ["2", "1", ""]
    assert "±" in rows["defaults"]["l1"] and "±" not in rows["norm=instance"]["l1"]
    with open(tmp_path / "table.csv", newline="") as file:
        runs = list(csv.DictReader(file))
    assert [run["run"] for run in runs] == [names[0], names[2], names[1]]
    assert [run["seed"] for run in runs] == ["1", "2", "1"]
    height, width, _ = read_image(tmp_path / "grid.png").shape
    assert width < height  # four rows of four images


def test_the_first_combination_is_the_first_row_though_its_first_run_failed(
    compare_copies, tmp_path
):
    flags = ["--run", "defaults", "--run", "norm=instance", "--seeds", "1,2"]
    compare_copies({"seed=1": 2}, *flags)
    assert list(read_rows(tmp_path / "table.md")) == [
        "defaults",
        "norm=instance",
        "targets",
    ]


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
