"""Hands wrong flags and damaged files to the command, and says where it ends badly.

A case is a command line and what is done to the files that it meets, drawn by
hypothesis from a seed (tools/fuzz_cases.py). It holds where the command ends with 0, 1,
2, 130 or 143; where it refuses, with one clear line; soon; and with every earlier file
as it was. One that does not is printed with the command that repeats it.
"""

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path

import fuzz_cases
from pix2pix_tf.runtime import command
from pix2pix_tf.runtime.errors import UsageError

TIMEOUT = 60  # seconds a case may take, the start of its process included
MAX_BYTES = 12 * 2**30  # of addresses a process may use: no case brings a machine down
CASES_PER_PROCESS = 100  # TensorFlow frees little of a run before its process ends
BATCH_NAME = "cases.json"
MARK = "ending "  # what a child process's lines start with


def main(argv=None):
    """Runs a command line; returns 0, 1 where a case ended badly, or 2."""
    return command.run("fuzz", lambda: _run(_parse(argv)))


def _parse(argv):
    parser = command.Parser("fuzz", __doc__)
    parser.add_argument("--cases", type=int, default=2000)
    parser.add_argument("--minutes", type=float, default=60, help="stop after so many")
    parser.add_argument("--seed", type=int, help="default: a random one")
    parser.add_argument("--case", type=json.loads, help="one, as it was printed")
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args(argv)
    if options.cases < 1 or not options.minutes > 0:
        raise UsageError("--cases and --minutes must be above 0")
    if options.seed is None:
        options.seed = random.SystemRandom().randrange(2**31)
    return options


def _run(options):
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"  # as the command sets it for itself
    if options.child:
        return _run_child(options.child)
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
        folder = Path(folder)
        os.environ["TFDS_DATA_DIR"] = str(folder / "data")
        if options.case:
            fuzz_cases.make_template(folder)
            ending, problem = fuzz_cases.run(options.case, folder)
            print(problem or f"ended well, with {ending}")
            return 1 if problem else 0
        print(f"seed = {options.seed}", flush=True)
        fuzz_cases.make_template(folder)
        cases = fuzz_cases.draw(options.cases, options.seed)
        return _run_all(cases, folder, options.minutes)


def _run_all(cases, folder, minutes):
    """Runs cases in processes of their own, each until it dies or is done."""
    started = time.monotonic()
    endings, done = Counter(), 0
    while done < len(cases) and time.monotonic() < started + 60 * minutes:
        batch = cases[done : done + CASES_PER_PROCESS]
        for case, (ending, problem) in _run_batch(batch, folder):
            done += 1
            endings["bad" if problem else f"ending {ending}"] += 1
            if problem:
                text = json.dumps(case).replace("'", r"\u0027")
                print(
                    f"BAD: {problem}\n  python tools/fuzz.py --case '{text}'",
                    flush=True,
                )
            if time.monotonic() > started + 60 * minutes:
                break
        print(f"{done} cases", flush=True)
    counts = ", ".join(f"{count} {name}" for name, count in sorted(endings.items()))
    seconds = time.monotonic() - started
    print(f"{done} of {len(cases)} cases in {seconds:.0f} s: {counts}")
    return 1 if endings["bad"] else 0


def _run_batch(cases, folder):
    """Yields (case, (exit status, problem or None)) from one process."""
    (folder / BATCH_NAME).write_text(json.dumps(cases))
    child = subprocess.Popen(
        [sys.executable, __file__, "--child", str(folder)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        for case in cases:
            line = _next_line(child)
            if line is None:
                yield case, (None, f"its process died with {child.wait()}, or hung")
                return
            yield case, json.loads(line.removeprefix(MARK))
    finally:
        child.kill()
        child.communicate()


def _next_line(child):
    """Returns a child's next ending; None where it died, or hung and was ended."""
    timer = threading.Timer(TIMEOUT, child.kill)
    timer.start()
    try:
        return next((line for line in child.stdout if line.startswith(MARK)), None)
    finally:
        timer.cancel()


def _run_child(folder):
    """Runs the cases of a file, and prints a line for each ending."""
    import resource

    import tensorflow as tf

    tf.config.list_logical_devices()  # what it says of GPUs belongs to no case
    resource.setrlimit(resource.RLIMIT_DATA, (MAX_BYTES, MAX_BYTES))
    for case in json.loads((folder / BATCH_NAME).read_text()):
        print(MARK + json.dumps(fuzz_cases.run(case, folder)), flush=True)


if __name__ == "__main__":
    sys.exit(main())
