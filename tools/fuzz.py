"""Hands wrong flags and damaged files to the commands, and says where one ends badly.

A case is a command line, what is done to the files that it meets, the name of their
folder, and what its standard streams lead to, drawn by hypothesis from a seed
(tools/fuzz_cases.py). It holds where the command ends with 0, 1, 2, 130 or 143; where
it refuses, with one clear line; soon; with every earlier file as it was; and with the
same results whatever its streams do. One that does not is printed with the command that
repeats it.
"""

import argparse
import contextlib
import json
import multiprocessing
import os
import random
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import fuzz_cases
import fuzz_run
from pix2pix_tf.runtime import command
from pix2pix_tf.runtime.errors import UsageError

TIMEOUT = 60  # seconds a case may take, the start of its process included
MAX_BYTES = 12 * 2**30  # of addresses a process may use: no case brings a machine down
CASES_PER_PROCESS = 100  # TensorFlow frees little of a run before its process ends


def main(argv: list[str] | None = None) -> int:
    """Runs a command line; returns 0, 1 where a case ended badly, or 2."""
    return command.run("fuzz", lambda: _run(parse(argv)))


def parse(argv: list[str] | None = None) -> argparse.Namespace:
    """Returns the namespace of a command line; raises UsageError for a wrong one."""
    parser = command.Parser("fuzz", __doc__)
    add = parser.add_argument
    add("--cases", type=int, default=2000, help="how many (default: 2000)")
    add("--minutes", type=float, default=60, help="stop after so many (default: 60)")
    add("--seed", type=int, help="(default: a random one)")
    add("--case", type=json.loads, help="one, as it was printed")
    options = parser.parse_args(argv)
    if options.cases < 1 or not options.minutes > 0:
        raise UsageError("--cases and --minutes must be above 0")
    if options.seed is None:
        options.seed = random.SystemRandom().randrange(2**31)
    return options


def _run(options):
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"  # as the command sets it for itself
    if options.case:
        cases = [options.case]
    else:
        print(f"seed = {options.seed}", flush=True)
        cases = fuzz_cases.draw(options.cases, options.seed)
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
        os.environ["TFDS_DATA_DIR"] = str(Path(folder, "data"))
        fuzz_run.make_template(Path(folder))
        return _run_all(cases, Path(folder), options.minutes)


def _run_all(cases, folder, minutes):
    """Runs cases in processes of their own, each until it dies or is done."""
    started = time.monotonic()
    endings = Counter()
    for first in range(0, len(cases), CASES_PER_PROCESS):
        left = cases[first : first + CASES_PER_PROCESS]
        while left and time.monotonic() < started + 60 * minutes:
            left = _run_some(left, folder, started + 60 * minutes, endings)
        print(f"{endings.total()} cases", flush=True)
    counts = ", ".join(f"{count} {name}" for name, count in sorted(endings.items()))
    seconds = time.monotonic() - started
    print(f"{endings.total()} of {len(cases)} cases in {seconds:.0f} s: {counts}")
    return 1 if endings["bad"] else 0


def _run_some(cases, folder, deadline, endings):
    """Runs cases in one process until it dies or hangs; returns the cases left."""
    context = multiprocessing.get_context("spawn")
    pipe, pipe_of_child = context.Pipe()
    child = context.Process(target=_serve, args=(pipe_of_child, folder), daemon=True)
    child.start()
    pipe_of_child.close()
    try:
        for number, case in enumerate(cases, start=1):
            if time.monotonic() > deadline:
                break
            pipe.send(case)
            try:
                ending, problem = pipe.recv() if pipe.poll(TIMEOUT) else (None, "hung")
            except EOFError:
                child.join()
                ending, problem = None, f"its process died with {child.exitcode}"
            endings["bad" if problem else f"ending {ending}"] += 1
            if problem:
                text = json.dumps(case).replace("'", r"\u0027")
                repeat = f"python tools/fuzz.py --case '{text}'"
                print(f"BAD: {problem}\n  {repeat}", flush=True)
            if ending is None:
                return cases[number:]
        return []
    finally:
        pipe.close()  # which ends a child that waits
        child.join(timeout=5)
        child.kill()


def _serve(pipe, folder):
    """Runs the cases that come through a pipe, and sends back how each ended."""
    import resource

    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    import tensorflow as tf

    tf.config.list_logical_devices()  # what it says of GPUs belongs to no case
    resource.setrlimit(resource.RLIMIT_DATA, (MAX_BYTES, MAX_BYTES))
    with contextlib.suppress(EOFError):
        while True:
            pipe.send(fuzz_run.run(pipe.recv(), folder))


if __name__ == "__main__":
    sys.exit(main())
