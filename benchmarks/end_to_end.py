"""What training costs as a whole command, beside its step alone.

    python benchmarks/end_to_end.py --input_dir facades/train --val_dir facades/val

Runs `python -m pix2pix_tf.train --mode train` on JPEG pairs (default: the embedded
sample facades) in float32, and reads the times of its lines. What follows is done
`--rounds` times in turn; the table has medians:

- step: images/s of the compiled step in a process of its own on one random batch;
- bare: images/s of `--num_steps` steps after `--warm_up`, without summaries, pictures
  and saves; bare_of_step is its share of the step's rate: the rest is the input
  pipeline and the loop;
- default: the same with the default frequencies; what is due is so after the last step,
  which is not counted;
- watched: the same with `--val_dir` too;
- summary_s, picture_s, save_s, validation_s: how long one of each takes, of
  validation_pictures; a validation saves first, and twice where it is the
  best, as here. Their shares are of all time at the default frequencies, and
  everything_share is their sum; pictures have no default, theirs is of every 100th
  step. The save is the command's first, which prepares for later ones: its share is
  the most that it can be;
- first_step_s: from the start of the command to the end of its first step;
- peak_mb: of the command's process.

At the defaults it takes ten to fifteen minutes on two cores. `--progress_freq` is 1,
so that each step has its line. On a busy machine no figure counts.
"""

import argparse
import statistics
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # without an installation too

from pix2pix_tf.runtime.start import start_tensorflow

start_tensorflow()
from benchmarks import commands, timing
from pix2pix_tf import data
from pix2pix_tf.data import samples
from pix2pix_tf.options import RunConfig

STEP_CALLS = 10
NEVER = 10**9  # steps; what is due after so many is due after the last step only
# Of the lines that say what is done now; a validation's comes after it.
BEGINNINGS = ("progress", "recording", "saving", "validation")
PICTURE_FREQ = 100  # steps, for the share of pictures, which have no default


def main(argv=None):
    """Runs all measurements, prints them, and writes them where `--json` says."""
    given = parse(argv)
    machine = timing.describe_machine(["float32"])
    timing.print_machine(machine)
    rates, runs = take_turns(given)
    results = {"ngf": given.ngf, "batch_size": given.batch_size}
    results["step_images_per_s"] = statistics.median(rates)
    for name, of_kind in runs.items():
        results |= describe_runs(name, of_kind, given)
    bare = results["bare_images_per_s"]
    results["bare_of_step"] = bare / results["step_images_per_s"]
    results["validation_pictures"] = len(data.find_examples(val_dir(given)))
    results |= measure_events(runs)
    results |= share_out(results, given.batch_size / bare)
    for name, value in results.items():
        print(f"{name:<36}{value:>12.4g}")
    if given.json:
        timing.write_json(given.json, {"machine": machine, "results": results})


def parse(argv):
    """Returns the flags."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--input_dir", help="of JPEG pairs (default: the samples)")
    parser.add_argument("--val_dir", help="of pairs to validate on (the samples)")
    parser.add_argument("--ngf", type=int, default=64, help="filters of both networks")
    parser.add_argument("--batch_size", type=int, default=1)
    parser.add_argument("--num_steps", type=int, default=50, help="counted (50)")
    parser.add_argument("--warm_up", type=int, default=5, help="steps before (5)")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--json", metavar="FILE")
    given = parser.parse_args(argv)
    if given.warm_up < 1:
        parser.error("--warm_up takes 1 or more: the first step compiles")
    return given


def val_dir(given):
    """Returns the folder of the pairs to validate on."""
    return given.val_dir or str(samples.sample_dir(False, "test"))


def take_turns(given):
    """Runs the step alone and the three kinds of command in turn.

    Returns:
        (list of images a second of the step, {kind: list of commands.Run}).
    """
    folder = given.input_dir or str(samples.sample_dir(False, "train"))
    flags = ["--mode", "train", "--input_dir", folder, "--progress_freq", "1"]
    flags += ["--ngf", str(given.ngf), "--ndf", str(given.ngf), "--seed", "1"]
    flags += ["--batch_size", str(given.batch_size)]
    flags += ["--max_steps", str(given.warm_up + given.num_steps + 1)]
    pictures = f"--display_freq={NEVER}"
    kinds = {
        "bare": [f"--{name}_freq=0" for name in ("summary", "display", "save")],
        "default": [pictures],
        "watched": [pictures, "--val_dir", val_dir(given)],
    }
    rates, runs = [], {name: [] for name in kinds}
    calls = min(STEP_CALLS, given.num_steps)
    with timing.Worker("step", "project", "float32", given.ngf) as worker:
        worker.run(given.batch_size, 1)  # compiles
        for _ in range(given.rounds):
            seconds = worker.run(given.batch_size, calls)
            rates.append(given.batch_size * calls / sum(seconds))
            for name, extra in kinds.items():
                runs[name].append(run_training([*flags, *extra]))
    return rates, runs


def run_training(flags):
    """Returns the commands.Run of one training, its folder deleted."""
    with tempfile.TemporaryDirectory() as folder:
        return commands.run_command([*flags, "--output_dir", folder])


def describe_runs(name, runs, given):
    """Returns what training commands of one kind did, {figure: median}."""
    first, last = given.warm_up - 1, given.warm_up + given.num_steps - 1
    stamps = [
        [second for second, line in run.lines if line.startswith("progress")]
        for run in runs
    ]
    seconds = statistics.median(each[last] - each[first] for each in stamps)
    return {
        f"{name}_images_per_s": given.num_steps * given.batch_size / seconds,
        f"{name}_first_step_s": statistics.median(each[0] for each in stamps),
        f"{name}_peak_mb": statistics.median(run.peak_mb for run in runs),
    }


def measure_events(runs):
    """Returns how long one of each takes beside the steps, {event: seconds}."""
    # The save is the last that is done; what ends the process is in both runs. Where
    # there is a validation, it follows a save, and saves the best in turn.
    ending_s = _median_duration(runs["bare"], "progress")
    return {
        "summary_s": _median_duration(runs["default"], "recording summary"),
        "picture_s": _median_duration(runs["default"], "saving display images"),
        "save_s": _median_duration(runs["default"], "saving model") - ending_s,
        "validation_s": _median_duration(runs["watched"], "saving model"),
    }


def _median_duration(runs, beginning):
    return statistics.median(_last_duration(run, beginning) for run in runs)


def _last_duration(run, beginning):
    """Returns the seconds from the last line that begins so to what came next.

    Other lines, of losses or a library, are no end.
    """
    lines = [
        (second, line) for second, line in run.lines if line.startswith(BEGINNINGS)
    ]
    ends = [second for second, _ in lines[1:]] + [run.seconds]
    return next(
        end - second
        for (second, line), end in reversed(list(zip(lines, ends, strict=True)))
        if line.startswith(beginning)
    )


def share_out(results, step_s):
    """Returns the shares of all time that is spent beside the steps."""
    run = RunConfig()
    spent = {  # seconds of each a step
        "summary_share": results["summary_s"] / run.summary_freq,
        "save_share": results["save_s"] / run.save_freq,
        "validation_share": results["validation_s"] / run.val_freq,
    }
    total = step_s + sum(spent.values())
    picture = results["picture_s"] / PICTURE_FREQ
    shares = {name: seconds / total for name, seconds in spent.items()}
    shares["everything_share"] = sum(shares.values())
    return shares | {"picture_share_if_every_100": picture / (total + picture)}


if __name__ == "__main__":
    main()
