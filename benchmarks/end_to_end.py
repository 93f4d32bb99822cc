"""What training costs as a whole command, beside its step alone.

    python benchmarks/end_to_end.py --input_dir facades/train

Runs `python -m pix2pix_tf.train --mode train` on JPEG pairs (default: the embedded
sample facades) in float32, and reads the times of its lines. The table has

- step: images/s of the compiled step in a process of its own on one random batch;
- bare: images/s of `--num_steps` steps after `--warm_up`, without summaries, pictures
  and saves; bare_of_step is its share of the step's rate: the rest is the input
  pipeline and the loop;
- default: the same with the default frequencies; default_of_bare is its share of
  bare's rate. With 100 steps, one summary is among them;
- summary_s, picture_s, save_s: how long one of each takes, after the last step, which
  is not counted above. Their shares are of all time at the default frequencies; of
  pictures, which have none, at every 100th step. The save is the command's first, which
  prepares for later ones: its share is the most that it can be;
- first_step_s: from the start of the command to the end of its first step;
- peak_mb: of the command's process.

At the defaults it takes about four minutes on two quiet cores. `--progress_freq` is 1,
so that each step has its line. On a busy machine no figure counts.
"""

import argparse
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # without an installation too

from pix2pix_tf.train import quiet_stderr

with quiet_stderr():
    from benchmarks import commands, timing
    from pix2pix_tf import config, samples

STEP_CALLS = 10
NEVER = 10**9  # steps; what is due after so many is due after the last step only
PICTURE_FREQ = 100  # steps, for the share of pictures, which have no default
# {what: how its line begins}; it lasts until the next line, or the command's end.
EVENTS = {
    "summary_s": "recording summary",
    "picture_s": "saving display images",
    "save_s": "saving model",
}


def main(argv=None):
    """Runs all measurements, prints them, and writes them where `--json` says."""
    given = parse(argv)
    machine = timing.describe_machine(["float32"])
    timing.print_machine(machine)
    folder = given.input_dir or str(samples.sample_dir(False, "train"))
    flags = ["--mode", "train", "--input_dir", folder, "--progress_freq", "1"]
    flags += ["--ngf", str(given.ngf), "--ndf", str(given.ngf), "--seed", "1"]
    flags += ["--batch_size", str(given.batch_size)]
    flags += ["--max_steps", str(given.warm_up + given.num_steps + 1)]
    results = {"ngf": given.ngf, "batch_size": given.batch_size}
    results["step_images_per_s"] = measure_step(given)
    off = [f"--{name}_freq=0" for name in ("summary", "display", "save")]
    bare_run = run_training([*flags, *off])
    default_run = run_training([*flags, f"--display_freq={NEVER}"])
    results |= describe_run("bare", bare_run, given)
    results |= describe_run("default", default_run, given)
    results |= {
        name: _last_duration(default_run, beginning)
        for name, beginning in EVENTS.items()
    }
    # The save is the last that is done; what ends the process is in both runs.
    results["save_s"] -= _last_duration(bare_run, "progress")
    bare = results["bare_images_per_s"]
    results["bare_of_step"] = bare / results["step_images_per_s"]
    results["default_of_bare"] = results["default_images_per_s"] / bare
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
    parser.add_argument("--ngf", type=int, default=64, help="filters of both networks")
    parser.add_argument("--batch_size", type=int, default=1)
    parser.add_argument("--num_steps", type=int, default=100, help="counted (100)")
    parser.add_argument("--warm_up", type=int, default=10, help="steps before (10)")
    parser.add_argument("--json", metavar="FILE")
    return parser.parse_args(argv)


def measure_step(given):
    """Returns the images a second of the project's step alone."""
    with timing.Worker("step", "project", "float32", given.ngf) as worker:
        worker.run(given.batch_size, 1)  # compiles
        times = worker.run(given.batch_size, min(STEP_CALLS, given.num_steps))
    return given.batch_size * len(times) / sum(times)


def run_training(flags):
    """Returns the commands.Run of one training, its folder deleted."""
    with tempfile.TemporaryDirectory() as folder:
        return commands.run_command([*flags, "--output_dir", folder])


def describe_run(name, run, given):
    """Returns what one training command did, {figure: value}."""
    stamps = [second for second, line in run.lines if line.startswith("progress")]
    seconds = stamps[given.warm_up + given.num_steps - 1] - stamps[given.warm_up - 1]
    return {
        f"{name}_images_per_s": given.num_steps * given.batch_size / seconds,
        f"{name}_first_step_s": stamps[0],
        f"{name}_peak_mb": run.peak_mb,
    }


def _last_duration(run, beginning):
    """Returns the seconds from the last line that begins so to what came next.

    The lines of losses belong to the line of progress before them.
    """
    lines = [
        (second, line)
        for second, line in run.lines
        if not line.startswith(("gen_", "discrim_"))
    ]
    ends = [second for second, _ in lines[1:]] + [run.seconds]
    return next(
        end - second
        for (second, line), end in reversed(list(zip(lines, ends, strict=True)))
        if line.startswith(beginning)
    )


def share_out(results, step_s):
    """Returns the shares of all time that summaries, saves and pictures take."""
    run = config.RunConfig()
    spent = {  # seconds of each a step
        "summary_share": results["summary_s"] / run.summary_freq,
        "save_share": results["save_s"] / run.save_freq,
    }
    total = step_s + sum(spent.values())
    picture = results["picture_s"] / PICTURE_FREQ
    shares = {name: seconds / total for name, seconds in spent.items()}
    return shares | {"picture_share_if_every_100": picture / (total + picture)}


if __name__ == "__main__":
    main()
