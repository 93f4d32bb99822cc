"""Trains and tests one run for each combination of flags, and compares them.

    python tools/ablate.py --input_dir facades/train --test_dir facades/test \\
        --vary gan_weight=0,1 --vary n_layers=1,3,5 --max_steps 20000 --seeds 1,2,3

Each run is a process of `python -m pix2pix_tf.train` with its own folder: `train/`,
`test/`, `train.log`, `test.log` and `result.json`. Beside these folders, `table.md`,
`table.csv` and `grid.png` compare the runs (as Isola et al. 2017, figures 4 and 6).
With several seeds, `table.md` has means over them, how much they differ, and marks what
is better than the first combination by more than that; it is written when all runs with
one seed have ended. After a stop, the same command goes on. All flags except those
below are flags of pix2pix_tf.train for every run (`--seed` is 0 by default); each is
given to training, to testing, or to both (`--lpips_weights` to training only together
with `--val_dir`). Of combinations that train the same network, only one is run.
"""

import argparse
import itertools
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

import ablate_results
from pix2pix_tf import options
from pix2pix_tf.runtime import command, files, signals
from pix2pix_tf.runtime.errors import UsageError
from pix2pix_tf.runtime.start import start_tensorflow

DEFAULTS = "defaults"  # the name of the run that varies nothing
OWN_NAMES = (  # of flags that this tool sets, or that it has no use for
    "checkpoint dataset dry_run input_dir inputs_only max_epochs max_steps mode "
    "output_dir resume target_dir"
).split()
# These change the images that runs are compared on, and so cannot be varied.
SHARED_NAMES = ("aspect_ratio", "lab_colorization", "which_direction")
GAN_NAMES = "discriminator gan_mode n_layers ndf num_discriminators unconditional"
# {weight: flags that have no effect where it is 0}
UNUSED_AT_0 = {"gan_weight": GAN_NAMES.split(), "perceptual_weight": ["vgg_weights"]}


class Run(NamedTuple):
    """One combination of flags, before it is trained."""

    name: str  # such as gan_weight=0,n_layers=1
    combination: str  # its name without the seed, if there are several
    values: dict  # {flag name: value as given}
    folder: Path
    options: dict  # {flag name: value} of training, as options.json holds them
    commands: dict  # {"train" and "test": list of str, flags of the train command}
    effect: str  # the same for runs that train and test the same network


def main(argv: list[str] | None = None) -> int:
    """Runs one command line; returns the exit status, 2 if a run failed."""
    return command.run("ablate", lambda: compare(parse(argv)), "goes on from here")


def parse(argv: list[str] | None = None) -> argparse.Namespace:
    """Returns the namespace of a command line; raises UsageError for a wrong one.

    It also has `combinations`, a list of {flag name: value as given}, with each of
    `seeds`, a list of str, and `passed`, the flags of the train command for all runs, a
    list of str.
    """
    parser = command.Parser("ablate", __doc__)
    add = parser.add_argument
    add("--input_dir", type=Path, help="images to train on (default: the sample data)")
    add("--test_dir", type=Path, help="images to test on (default: --input_dir)")
    default = Path("runs", "ablate")
    add("--output_dir", type=Path, default=default, help="(default: runs/ablate)")
    add("--max_steps", type=int, required=True, help="steps of each run")
    several = {"action": "append", "default": [], "metavar": "FLAG=VALUE,..."}
    text = "a flag and its values (true or false if it takes none); several times: "
    add("--vary", **several, help=f"{text}all combinations")
    add("--run", **several, help=f"one more run ({DEFAULTS}: without any flag)")
    add("--seeds", metavar="N,...", help="make each run once with each of these seeds")
    add("--pictures", type=int, default=4, help="rows of the grid (default: 4)")
    given, given.passed = parser.parse_known_args(argv)
    if min(given.max_steps, given.pictures) < 1:
        raise UsageError("--max_steps and --pictures must be at least 1")
    given.test_dir = given.test_dir or given.input_dir
    given.combinations = _combinations(given.vary, given.run)
    varied = {name for values in given.combinations for name in values}
    shared = {_name_of(text) for text in given.passed if text.startswith("--")}
    given.seeds = [] if given.seeds is None else _split_seeds(given.seeds)
    if "seed" not in varied | shared and not given.seeds:
        given.passed.insert(0, "--seed=0")
    for name in sorted(varied | shared):
        if name in OWN_NAMES:
            raise UsageError(f"--{name} cannot be used with ablate: leave it out")
        if name not in options.FLAGS:
            raise UsageError(f"pix2pix_tf.train has no flag --{name}")
        if name in varied and name in shared.union(SHARED_NAMES):
            raise UsageError(f"--{name} is the same for all runs: it cannot be varied")
    if given.seeds:
        if "seed" in varied | shared:
            raise UsageError("--seeds gives each run its seed: leave out all others")
        given.combinations = [
            values | {"seed": seed}
            for seed in given.seeds
            for values in given.combinations
        ]
    return given


def _split_seeds(text):
    """Returns the seeds of `--seeds`, a list of str."""
    seeds = text.split(",")
    if not all(map(str.isdecimal, seeds)) or len({*map(int, seeds)}) < len(seeds):
        raise UsageError(f"--seeds must be different whole numbers, got {text!r}")
    return seeds


def _combinations(vary, run):
    """Returns [{flag name: value}, ...]: the product of `vary`, then each of `run`."""
    if not vary and not run:
        raise UsageError("nothing to compare: give --vary FLAG=VALUE,... or --run")
    choices = {}
    for text in vary:
        name, _, values = text.partition("=")
        if name in choices or not all(values.split(",")):
            wanted = "FLAG=VALUE,VALUE,..., each flag once"
            raise UsageError(f"--vary must be {wanted}, got {text!r}")
        choices[name] = [(name, value) for value in values.split(",")]
    found = [dict(pairs) for pairs in itertools.product(*choices.values()) if pairs]
    for text in run:
        parts = [] if text == DEFAULTS else text.split(",")
        pairs = [part.partition("=")[::2] for part in parts]
        if len(dict(pairs)) < len(pairs) or not all(value for _, value in pairs):
            wanted = f"FLAG=VALUE,..., each flag once, or {DEFAULTS}"
            raise UsageError(f"--run must be {wanted}, got {text!r}")
        found.append(dict(pairs))
    return found


def _name_of(text):
    """Returns the name of the flag in `--name`, `--name=value` or `--no_name`."""
    name = text.removeprefix("--").partition("=")[0]
    return name if name in options.FLAGS else name.removeprefix("no_")


def plan(given: argparse.Namespace) -> list[Run]:
    """Returns the list of Run of a namespace of `parse`; raises UsageError."""
    runs = {}
    for values in given.combinations:
        name = _join(values)
        try:
            run = _make_run(given, name, values)
        except UsageError as error:
            raise UsageError(f"{name}: {error}") from None
        first = runs.setdefault(run.effect, run)
        if first.name != name:
            print(f"left out: {name} trains the same network as {first.name}")
    return list(runs.values())


def _join(values):
    """Returns the name of the run of {flag name: value}."""
    return ",".join(map("=".join, values.items())) or DEFAULTS


def _make_run(given, name, values):
    """Returns the Run of one combination; raises UsageError where it cannot be."""
    flags = list(given.passed)
    for flag, value in values.items():
        if value not in ("true", "false"):
            flags.append(f"--{flag}={value}")
        elif value == "true" or options.FLAGS[flag].default:
            flags.append(f"--{flag}" if value == "true" else f"--no_{flag}")
    folder = Path(
        given.output_dir, files.derive_name(quote(os.fsencode(name), safe="=,+"))
    )
    train = ["--mode=train", *_select(flags, "train"), f"--max_steps={given.max_steps}"]
    train.append(f"--output_dir={folder / 'train'}")
    train += [f"--input_dir={given.input_dir}"] if given.input_dir else []
    wanted = options.to_dict(options.parse(train)) | {"resume": "auto"}
    train.append("--resume=auto")
    found = options.to_dict(options.parse(train))
    for flag in ("convolutions", "emulate_16bit"):  # a run decides auto when it starts
        found[flag] = "auto" if wanted[flag] == "auto" else found[flag]
    # A run that goes on keeps what is not given: it must be what is wanted.
    other = ", ".join(f"--{flag}" for flag in found if found[flag] != wanted[flag])
    if other:
        what_to_do = "give the same flags, or another --output_dir"
        raise UsageError(f"{folder} was trained with another {other}: {what_to_do}")
    if found["save_freq"] == 0:
        raise UsageError("--save_freq 0 leaves nothing to test: leave it out")
    test = ["--mode=test", *_select(flags, "test")]
    with tempfile.TemporaryDirectory() as place:  # stands in for the trained model
        Path(place, options.OPTIONS_NAME).write_text(json.dumps(found))
        here = [f"--checkpoint={place}", f"--output_dir={place}/test"]
        options.parse([*test, *here])
    effect = found | {"output_dir": None}
    for weight, names in UNUSED_AT_0.items():
        effect |= dict.fromkeys(names) if effect[weight] == 0 else {}
    effect = f"{effect} {test}"
    test += [f"--checkpoint={folder / 'train'}", f"--output_dir={folder / 'test'}"]
    test += [f"--input_dir={given.test_dir}"] if given.test_dir else []
    of_any_seed = {flag: value for flag, value in values.items() if flag != "seed"}
    combination = _join(of_any_seed) if len(given.seeds) > 1 else name
    commands = {"train": train, "test": test}
    return Run(name, combination, values, folder, found, commands, effect)


def _select(flags, mode):
    """Returns the flags that a mode needs, with their values.

    What the checkpoint decides is given to training alone. Training measures LPIPS in
    its validation, and takes the weights only if there is one.
    """
    names = {_name_of(text) for text in flags if text.startswith("--")}
    unused = ["lpips_weights"] if mode == "train" and "val_dir" not in names else []
    selected, is_selected = [], True
    for text in flags:
        if text.startswith("--"):
            name = _name_of(text)
            one = options.FLAGS[name]
            modes = ("train",) if one.from_checkpoint else one.modes
            is_selected = mode in modes and name not in unused
        selected += [text] if is_selected else []
    return selected


def compare(given: argparse.Namespace) -> None:
    """Trains and tests what is missing of each run, and writes the table and the grid.

    Raises:
        UsageError: a flag or an image cannot be used, or runs failed.
    """
    runs = plan(given)
    start_tensorflow()
    test_dir, names = _find_images(given, options.from_dict(runs[0].options))
    tested = f"the images of {test_dir} ({len(names)})"
    done, problems = {}, []
    for number, run in enumerate(runs, start=1):
        try:
            label = f"[{number}/{len(runs)}] {run.name}"
            done[run.name] = _do(run, label, names)
        except UsageError as error:
            problems.append(f"{run.name}: {error}")
        is_last_of_seed = number == len(runs) or (
            given.seeds and runs[number].values["seed"] != run.values["seed"]
        )
        if is_last_of_seed and done:
            _write(given, runs, done, names, tested)
    if problems:
        count = f"{len(problems)} of {len(runs)} runs failed"
        raise UsageError(f"{count}: {'; '.join(problems)}")


def _write(given, runs, results, names, tested):
    """Writes the table and the grid of {name of a run: its result}, and prints it."""
    from pix2pix_tf.commands.plot import grid
    from pix2pix_tf.inference.gallery import Row

    combinations = list(dict.fromkeys(run.combination for run in runs))
    done = [(run, results[run.name]) for run in runs if run.name in results]
    done.sort(key=lambda pair: combinations.index(pair[0].combination))
    ablate_results.write_tables(given.output_dir, done, tested)
    folders = {}
    for run, _ in done:  # a column for each combination, with its first seed
        folders.setdefault(run.combination.replace(",", "\n"), run.folder / "test")
    rows = [Row(name) for name in names[: given.pictures]]
    contents = grid.draw_side_by_side(list(folders.items()), rows)
    files.write_whole(Path(given.output_dir, "grid.png"), contents)
    print(f"wrote table.md, table.csv and grid.png in {given.output_dir}", flush=True)


def _find_images(given, checked):
    """Checks all images by Options; returns (test folder, names of the test images)."""
    from pix2pix_tf import data
    from pix2pix_tf.data import samples
    from pix2pix_tf.images.kinds import kind_of

    kind = kind_of(checked.pair)
    for flag, split in (("input_dir", "train"), ("test_dir", "test")):
        folder = vars(given)[flag]
        folder = folder or samples.sample_dir(kind.is_photograph, split)
        examples = data.find_examples(folder, flags=(f"--{flag}", ""))
        skip = checked.data.on_bad_image
        source = data.Source(data.Files(examples), kind.image_channels, skip)
        source.check()
    names = [source.name(index) for index in range(len(source))]
    return Path(folder).absolute(), names


def _do(run, label, names):
    """Trains and tests one run as far as that is not done; returns its result."""
    asked, result_path = run.commands | {"names": names}, run.folder / "result.json"
    result = _find_result(run, result_path)
    if result["asked"] == asked:
        print(f"{label}: done before", flush=True)
    else:
        _train_and_test(run, label)
        result = {"asked": asked} | ablate_results.count(run.folder / "train")
    if not ablate_results.is_complete(result):
        result |= ablate_results.measure(run.folder / "test", names)
        files.write_whole(result_path, json.dumps(result, indent=4) + "\n")
    return result


def _find_result(run, result_path):
    """Returns the result of a run that was trained and tested before."""
    from pix2pix_tf import metrics

    ends = (f"train/{options.CHECKPOINTS_NAME}", f"test/{metrics.JSON_NAME}")
    if all(path.is_file() for path in (result_path, *map(run.folder.joinpath, ends))):
        return json.loads(result_path.read_text(encoding="utf-8"))
    return {"asked": None}


def _train_and_test(run, label):
    """Runs the commands of a run; raises UsageError if one fails."""
    shutil.rmtree(run.folder / "test", ignore_errors=True)
    for mode, flags in run.commands.items():
        print(f"{label}: {mode}ing", flush=True)
        log_path = run.folder / f"{mode}.log"
        command = [sys.executable, "-m", "pix2pix_tf.train", *flags]
        if status := run_logged(command, log_path):
            said = log_path.read_text(encoding="utf-8", errors="replace").strip()
            last = said.rpartition("\n")[2]
            raise UsageError(f"exit status {status} ({last}), see {log_path}")


def run_logged(command: list[str], log_path: Path) -> int:
    """Runs a command, appends its output to a log, and prints its progress.

    A signal is sent on, and SystemExit is raised when the command has ended.
    """
    log_path.parent.mkdir(parents=True, exist_ok=True)
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    with (
        signals.catch_signals() as caught,
        open(log_path, "ab") as log,
        open(log_path, encoding="utf-8", errors="replace") as shown,
    ):
        shown.seek(0, os.SEEK_END)
        output = {"stdout": log, "stderr": subprocess.STDOUT, "env": environment}
        output["process_group"] = 0  # its own: else Ctrl-C would reach it twice
        process = subprocess.Popen(command, **output)
        is_running = True
        while is_running:
            time.sleep(0.1)
            if caught:
                process.send_signal(caught[0])
                process.wait()
            is_running = process.poll() is None
            for line in shown:
                if line.startswith(("progress ", "stopping")):
                    print("   ", line.rstrip(), flush=True)
    if caught:
        print("stopped: the same command goes on from here", file=sys.stderr)
        raise SystemExit(128 + caught[0])
    return process.returncode


if __name__ == "__main__":
    sys.exit(main())
