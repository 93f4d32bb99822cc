"""Times training as a whole command, beside its step alone.

    python benchmarks/end_to_end.py --input_dir facades/train --val_dir facades/val

It runs `python -m pix2pix_tf.train --mode train` in float32 and reads the times at
which the command prints its lines (--progress_freq is 1, so that each step has one).
Everything is done --rounds times in turn; the results are medians:

- step: images a second of the compiled step alone, in a process of its own, on one
  random batch;
- bare: images a second of --num_steps steps after --warm_up, without summaries, images
  and saves. bare_of_step is the ratio of both: the rest is the input pipeline and the
  loop;
- default: the same at the default frequencies. What they make due is done after the
  last step, which is not counted;
- watched: the same with --val_dir;
- summary_s, picture_s, save_s, validation_s: the seconds of one summary, of the images
  of one step, one save, and one validation on validation_pictures images. A validation
  includes the save before it and that of the best model;
- summary_share and so on: their shares of the whole time at the default frequencies,
  and everything_share, their sum. Images have no default: theirs is that of every
  100th step. The save is the first of its run, which is the slowest, so its share is
  an upper bound;
- first_step_s: from the start of the command to the end of its first step;
- peak_mb: the peak memory of the command's process.

With the default flags it takes ten to fifteen minutes on two cores. Do not trust
results from a busy machine.
"""

import argparse
import statistics
import sys
import tempfile

import commands
import printing
import shared_flags
import timing
from pix2pix_tf.options import MonitorConfig, ValidationConfig
from pix2pix_tf.runtime import command
from pix2pix_tf.runtime.start import start_tensorflow

STEP_CALLS = 10
NEVER = 10**9  # steps: something so rare is due after the last step only
# How the lines begin that say what is done next; "validation" comes after it.
BEGINNINGS = ("progress", "recording", "saving", "validation")
IMAGE_FREQ = 100  # steps, for the share of images, which have no default


def main(argv=None) -> int:
    """Runs one command line; returns the exit status."""
    return command.run("end_to_end", lambda: _run(parse(argv)))


def parse(argv: list[str] | None = None) -> argparse.Namespace:
    """Returns the namespace of a command line; raises UsageError for a wrong one."""
    parser = command.Parser("end_to_end", __doc__)
    add, positive = parser.add_argument, shared_flags.positive
    add("--input_dir", metavar="FOLDER", help="image pairs (default: the sample data)")
    add("--val_dir", metavar="FOLDER", help="held-out pairs (default: the sample data)")
    shared_flags.add_ngf(parser)
    add("--batch_size", type=positive, default=1, help="(default: 1)")
    add("--num_steps", type=positive, default=50, help="timed steps (default: 50)")
    add("--warm_up", type=positive, default=5, help="steps before them (default: 5)")
    add("--rounds", type=positive, default=2, help="(default: 2)")
    shared_flags.add_json(parser)
    return parser.parse_args(argv)


def _run(given):
    start_tensorflow()
    import machine
    from pix2pix_tf import data
    from pix2pix_tf.data import samples

    given.input_dir = given.input_dir or str(samples.sample_dir(False, "train"))
    given.val_dir = given.val_dir or str(samples.sample_dir(False, "test"))
    description = machine.describe(["float32"])
    printing.print_values(description)
    results = {"ngf": given.ngf, "batch_size": given.batch_size}
    rates, runs = _take_turns(given)
    results["step_images_per_s"] = statistics.median(rates)
    for kind, of_kind in runs.items():
        results |= describe_runs(kind, of_kind, given)
    bare = results["bare_images_per_s"]
    results["bare_of_step"] = bare / results["step_images_per_s"]
    results["validation_pictures"] = len(data.find_examples(given.val_dir))
    results |= measure_events(runs)
    results |= find_shares(results, given.batch_size / bare)
    printing.print_values(results)
    printing.write_json(given.json, {"machine": description, "results": results})


def _take_turns(given):
    """Runs the step alone and the three kinds of command in turn.

    Returns:
        (list of the step's images a second, {kind: list of commands.Run}).
    """
    arguments = ["--mode", "train", "--input_dir", given.input_dir, "--seed", "1"]
    arguments += ["--ngf", str(given.ngf), "--ndf", str(given.ngf)]
    arguments += ["--batch_size", str(given.batch_size), "--progress_freq", "1"]
    arguments += ["--max_steps", str(given.warm_up + given.num_steps + 1)]
    display = f"--display_freq={NEVER}"
    kinds = {
        "bare": [f"--{name}_freq=0" for name in ("summary", "display", "save")],
        "default": [display],
        "watched": [display, "--val_dir", given.val_dir],
    }
    rates, runs = [], {kind: [] for kind in kinds}
    calls = min(STEP_CALLS, given.num_steps)
    with timing.Worker("step", "project", "float32", given.ngf) as worker:
        worker.run(given.batch_size, 1)  # compiles
        for _ in range(given.rounds):
            seconds = worker.run(given.batch_size, calls)
            rates.append(given.batch_size * calls / sum(seconds))
            for kind, extra in kinds.items():
                with tempfile.TemporaryDirectory() as folder:
                    run = commands.run_command(
                        [*arguments, *extra, "--output_dir", folder]
                    )
                runs[kind].append(run)
    return rates, runs


def describe_runs(kind, runs, given):
    """Returns {name: median} of the training commands of one kind."""
    first, last = given.warm_up - 1, given.warm_up + given.num_steps - 1
    stamps = [
        [second for second, line in run.lines if line.startswith("progress")]
        for run in runs
    ]
    seconds = statistics.median(each[last] - each[first] for each in stamps)
    return {
        f"{kind}_images_per_s": given.num_steps * given.batch_size / seconds,
        f"{kind}_first_step_s": statistics.median(each[0] for each in stamps),
        f"{kind}_peak_mb": statistics.median(run.peak_mb for run in runs),
    }


def measure_events(runs):
    """Returns the seconds of one summary, set of images, save and validation."""
    # The save comes last, so its time includes the end of the process, which is that
    # of the bare run, too. A validation runs from its save to the line with its result.
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
    """Returns the seconds from the last line that begins so to the next event.

    Other lines, such as the losses, are not events.
    """
    lines = [
        (second, line) for second, line in run.lines if line.startswith(BEGINNINGS)
    ]
    ends = [second for second, _ in lines[1:]] + [run.seconds]
    return [
        end - second
        for (second, line), end in zip(lines, ends, strict=True)
        if line.startswith(beginning)
    ][-1]


def find_shares(results, step_s):
    """Returns the shares of the time that is spent beside the steps.

    Args:
        results: dict with the results of `measure_events`.
        step_s: float, the seconds of one step.
    """
    monitor = MonitorConfig()
    spent = {  # seconds for each step
        "summary_share": results["summary_s"] / monitor.summary_freq,
        "save_share": results["save_s"] / monitor.save_freq,
        "validation_share": results["validation_s"] / ValidationConfig().val_freq,
    }
    total = step_s + sum(spent.values())
    image = results["picture_s"] / IMAGE_FREQ
    shares = {name: seconds / total for name, seconds in spent.items()}
    shares["everything_share"] = sum(shares.values())
    return shares | {"picture_share_if_every_100": image / (total + image)}


if __name__ == "__main__":
    sys.exit(main())
