"""The comparison of combinations of flags: which runs, and what is done again."""

import csv
import json
import signal
import sys
import threading

import ablate
import numpy as np
import pytest

from pix2pix_tf import checkpoints
from pix2pix_tf.options import parse, write_options
from tests.conftest import read_image, write_image


@pytest.fixture
def tiny_dir(tmp_path):
    """A folder of two pairs."""
    folder = tmp_path / "pairs"
    folder.mkdir()
    for number in (1, 2):
        write_image(folder / f"{number}.png", 32, 64, seed=number)
    return folder


def _plan(*arguments):
    argv = ["--input_dir", "x", "--max_steps", "3", *arguments]
    return ablate.plan(ablate.parse(argv))


def test_vary_gives_the_product_and_run_adds_single_ones():
    runs = _plan(
        "--vary", "gan_weight=0,1", "--vary", "unconditional=true,false",
        "--run", "l1_weight=0", "--run", "defaults", "--ngf", "2",
    )  # fmt: skip
    assert [run.name for run in runs] == [
        "gan_weight=0,unconditional=true",
        "gan_weight=0,unconditional=false",
        "gan_weight=1,unconditional=true",
        "gan_weight=1,unconditional=false",
        "l1_weight=0",
        "defaults",
    ]
    assert [run.folder.name for run in runs] == [run.name for run in runs]
    shared = ["--seed=0", "--ngf", "2"]
    assert runs[0].flags == [*shared, "--gan_weight=0", "--unconditional"]
    assert runs[1].flags == [*shared, "--gan_weight=0"]
    assert runs[4].options.loss.l1_weight == 0
    assert all(run.options.model.ngf == 2 for run in runs)


def test_false_turns_a_flag_off_that_is_on_by_default():
    assert _plan("--vary", "flip=true,false")[1].options.data.flip is False


def test_names_of_folders_suit_every_file_system():
    assert ablate.folder_name("lr=1e-4,beta1=0.5") == "lr=1e-4,beta1=0.5"
    names = ["vgg_weights=a/b", "vgg_weights=a:b", "lr=1.", "a" * 300]
    safe = [ablate.folder_name(name) for name in names]
    assert len(set(safe)) == len(names)
    assert all(len(name) < 200 and not set(name) & set('/\\:*?"<>|') for name in safe)
    assert not any(name.endswith(".") for name in safe)


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--vary", "n_layers=1,9"], "n_layers=9: --n_layers must be below 7, got 9"),
        (["--vary", "n_layers=1,x"], "n_layers=x: argument --n_layers: invalid int"),
        (["--run", "generator=resnet,num_downs=7"], "generator=resnet,num_downs=7: "),
        (["--vary", "unconditional=1"], "must be true or false"),
        (["--vary", "depth=1"], "no flag --depth"),
        (["--vary", "mode=test"], "mode is the same for all runs"),
        (["--vary", "which_direction=AtoB,BtoA"], "once, for all runs"),
        (["--vary", "ngf=2,"], "must be FLAG=VALUE,VALUE"),
        (["--run", "ngf"], "must be FLAG=VALUE"),
        (["--vary", "ngf=2", "--ngf", "3"], "--ngf is varied too"),
        (["--vary", "ngf=2", "--vary", "ngf=3"], "given twice"),
        (["--run", "ngf=2", "--checkpoint", "y"], "--checkpoint does not go"),
        (["--run", "ngf=2", "--unknown", "3"], "unrecognized arguments: --unknown"),
        (["--run", "ngf=2", "--save_freq", "0"], "nothing to test"),
        (["--run", "ngf=2", "--pictures", "0"], "--pictures must be at least 1"),
        ([], "nothing to compare"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_trained(
    capsys, monkeypatch, tmp_path, tiny_dir, arguments, message
):
    monkeypatch.setattr(ablate, "run_logged", None)
    out = tmp_path / "out"
    argv = ["--input_dir", str(tiny_dir), "--max_steps", "1", "--output_dir", str(out)]
    assert ablate.main([*argv, *arguments]) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith("ablate: error: ") and message in line
    assert not out.exists()


class _Trainer:
    """Stands in for the train command: writes what it would, and keeps the flags."""

    def __init__(self):
        self.commands = []
        self.fails = None  # part of the path of a log

    def __call__(self, command, log_path):
        values = dict(
            text.removeprefix("--").split("=", 1) for text in command[3:] if "=" in text
        )
        self.commands.append(values)
        log_path.parent.mkdir(parents=True, exist_ok=True)
        log_path.write_text("options\nit broke\n")
        if self.fails and self.fails in str(log_path):
            return 1
        options = parse(command[3:])
        write_options(options)
        if options.run.mode == "train":
            self._train(options.run)
        else:
            self._test(options)
        return 0

    def _train(self, run):
        before = 0 if run.checkpoint is None else ablate.steps_done(run.checkpoint)
        step = before + run.max_steps
        tensors = {
            "global_step": np.int64(step),
            "generator/a/kernel": np.zeros([2, 3], np.float32),
            "generator/a/kernel/Adam": np.zeros([2, 3], np.float32),
            "generator/a/moving_mean": np.zeros([5], np.float32),
        }
        checkpoints.write(tensors, run.output_dir, step)

    def _test(self, options):
        from pathlib import Path

        folder = Path(options.run.output_dir)
        (folder / "images").mkdir()
        for path in Path(options.data.input_dir).iterdir():
            for number, kind in enumerate(ablate.KINDS):
                name = folder / "images" / f"{path.stem}-{kind}.png"
                write_image(name, 16, 16, seed=number)
        (folder / "index.html").write_text("")
        means = {"l1": 0.5, "psnr": 10.0, "ssim": None, "ms_ssim": None}
        (folder / "metrics.json").write_text(json.dumps({"mean": means}))

    def take(self):
        """Returns [(mode, steps to do), ...] since the last call."""
        done = [(values["mode"], values.get("max_steps")) for values in self.commands]
        self.commands = []
        return done


@pytest.fixture
def trainer(monkeypatch):
    stub = _Trainer()
    monkeypatch.setattr(ablate, "run_logged", stub)
    return stub


@pytest.fixture
def arguments(tmp_path, tiny_dir):
    out = str(tmp_path / "out")
    return ["--input_dir", str(tiny_dir), "--output_dir", out, "--vary", "ngf=1,2"]


def _contents(folder):
    return {
        path: (path.stat().st_mtime_ns, path.read_bytes())
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_only_what_is_missing_is_done(trainer, arguments, tmp_path, capsys):
    out = tmp_path / "out"
    whole = [("train", "5"), ("test", None)]
    assert ablate.main([*arguments, "--max_steps", "5"]) == 0
    assert trainer.take() == whole * 2
    before = _contents(out)

    assert ablate.main([*arguments, "--max_steps", "5"]) == 0
    assert trainer.take() == [] and _contents(out) == before

    (out / "ngf=1" / "test" / "images" / "1-outputs.png").unlink()  # half a test
    (out / "ngf=2" / "train" / "checkpoint").unlink()
    (out / "ngf=2" / "train" / "model-5.index").unlink()  # half a training
    assert ablate.main([*arguments, "--max_steps", "5"]) == 0
    assert trainer.take() == [("test", None), *whole]

    assert ablate.main([*arguments, "--max_steps", "7"]) == 0  # goes on
    assert trainer.commands[0]["checkpoint"] == str(out / "ngf=1" / "train")
    assert trainer.take() == [("train", "2"), ("test", None)] * 2
    assert ablate.steps_done(out / "ngf=2" / "train") == 7

    capsys.readouterr()
    assert ablate.main([*arguments, "--max_steps", "6"]) == 2
    assert "has 7 steps, more than --max_steps 6" in capsys.readouterr().err
    assert ablate.main([*arguments, "--max_steps", "7", "--seed", "1"]) == 2
    assert "was trained with seed 0, and not 1" in capsys.readouterr().err
    assert trainer.take() == []


def test_a_failing_run_is_named_with_its_log_and_the_others_go_on(
    trainer, arguments, tmp_path, capsys
):
    trainer.fails = "ngf=1"
    assert ablate.main([*arguments, "--max_steps", "5"]) == 2
    [line] = capsys.readouterr().err.splitlines()
    log_path = tmp_path / "out" / "ngf=1" / "train.log"
    assert "1 of 2 runs failed: ngf=1: exit status 1 (it broke)" in line
    assert str(log_path) in line and log_path.is_file()
    assert len((tmp_path / "out" / "table.csv").read_text().splitlines()) == 2
    trainer.fails = None
    trainer.take()
    assert ablate.main([*arguments, "--max_steps", "5"]) == 0
    assert trainer.take() == [("train", "5"), ("test", None)]


def test_a_signal_reaches_the_run_which_ends_before_we_do(tmp_path):
    code = (
        "import signal, sys\n"
        "signal.signal(signal.SIGINT, lambda *_: sys.exit(print('saved') or 130))\n"
        "print('progress ', flush=True)\n"
        "signal.pause()\n"
    )
    log_path = tmp_path / "x.log"
    main_thread = threading.main_thread().ident

    def interrupt_at_progress():
        while not log_path.exists() or b"progress" not in log_path.read_bytes():
            pass
        signal.pthread_kill(main_thread, signal.SIGINT)

    watcher = threading.Thread(target=interrupt_at_progress)
    watcher.start()
    with pytest.raises(ablate.StoppedError) as stop:
        ablate.run_logged([sys.executable, "-c", code], log_path)
    watcher.join()
    assert stop.value.args == (signal.SIGINT,)
    assert log_path.read_text().splitlines()[-1] == "saved"


def test_two_real_runs_make_a_table_and_a_grid(tmp_path, tiny_dir, capsys):
    out = tmp_path / "out"
    argv = ["--input_dir", str(tiny_dir), "--output_dir", str(out), "--max_steps", "1"]
    argv += ["--vary", "gan_weight=0,1", "--ngf", "1", "--ndf", "1"]
    argv += ["--num_downs", "5", "--n_layers", "1", "--summary_freq", "0"]
    assert ablate.main(argv) == 0
    assert "[2/2] gan_weight=1: training to step 1" in capsys.readouterr().out
    with open(out / "table.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["gan_weight"] for row in rows] == ["0", "1"]
    assert rows[0]["discriminator_parameters"] == "0"
    assert int(rows[1]["discriminator_parameters"]) > 0
    assert all(row["steps"] == "1" and 0 < float(row["l1"]) < 2 for row in rows)
    assert all(float(row["psnr"]) > 0 and -1 < float(row["ssim"]) < 1 for row in rows)
    assert "| gan_weight=1 |" in (out / "table.md").read_text()
    height, width, _ = read_image(out / "grid.png").shape
    assert width > 1.5 * height  # two rows of four pictures
