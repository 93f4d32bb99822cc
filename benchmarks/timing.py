"""Times variants in turn, each in a process of its own.

It imports no TensorFlow, so that command lines are checked at once.
"""

import contextlib
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from pix2pix_tf.runtime.errors import RunError

PRECISIONS = ("float32", "mixed_bfloat16")


class Worker:
    """A process that runs variants.py: one variant of a task.

    Args:
        task: "step" or "forward".
        variant: str, such as "plain" or "project".
        precision: one of PRECISIONS.
        ngf: int, filters in the first layer of both networks.
        python: path of the Python to run.
        crop_size: int, pixels; other sizes than 256 for the project's step only.
        threads: int, of TensorFlow; 0 for as many as there are processors.

    Attributes:
        peak_mb: the process's peak memory after the last `run`, as `read_peak_mb`.
    """

    def __init__(
        self,
        task,
        variant,
        precision,
        ngf,
        python=sys.executable,
        crop_size=256,
        threads=0,
    ):
        self.variant, self.precision = variant, precision
        self.peak_mb = None
        script = str(Path(__file__).with_name("variants.py"))
        names = ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS")
        environment = dict.fromkeys(names, str(threads)) if threads else {}
        self._errors = tempfile.TemporaryFile("w+")
        self._process = subprocess.Popen(
            [python, script, task, variant, precision, str(ngf), str(crop_size)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            env=os.environ | environment,
        )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._process.kill()
        self._process.communicate()  # waits, and closes the pipes
        self._errors.close()

    def run(self, batch_size, calls):
        """Returns the seconds of each call, a list of float.

        Raises:
            RunError: the process has ended. The message has its last line.
        """
        request = json.dumps({"batch_size": batch_size, "calls": calls})
        with contextlib.suppress(BrokenPipeError):  # then there is no answer either
            print(request, file=self._process.stdin, flush=True)
        answer = self._process.stdout.readline()
        if not answer:
            status = self._process.wait()
            self._errors.seek(0)
            last = self._errors.read().strip().rpartition("\n")[2]
            raise RunError(f"{self.variant}, {self.precision}: status {status}: {last}")
        self.peak_mb = read_peak_mb(self._process.pid)
        return json.loads(answer)


def read_peak_mb(pid):
    """Returns the most memory that a process has held so far, in MB.

    It is read from Linux's /proc. psutil does not give it, and the `ru_maxrss` of a
    child process starts from the memory of its parent.

    Returns:
        float, or None if the process has ended or the system is not Linux.
    """
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    found = re.search(r"VmHWM:\s*(\d+) kB", status)
    return int(found.group(1)) * 1024 / 1e6 if found else None


def take_turns(workers, batch_size, rounds, budget, calls=1):
    """Times the workers in turn, A B A B ..., after a first call each that compiles.

    Args:
        workers: list of Worker.
        batch_size: int.
        rounds: int, the most rounds for each worker.
        budget: float, seconds for each worker after its first call. One round is done
            in any case, unless the first call took more than twice the budget: then
            that call is the result.
        calls: int, calls in a round.

    Returns:
        For each worker the list of the seconds of its calls.
    """
    for worker in workers:  # all start before the first call, which they would disturb
        worker.run(batch_size, 0)
    firsts = [sum(worker.run(batch_size, 1)) for worker in workers]
    found = [[first] if first > 2 * budget else [] for first in firsts]
    for _ in range(rounds):
        for worker, times in zip(workers, found, strict=True):
            if times and sum(times) + calls * statistics.median(times) > budget:
                continue
            times += worker.run(batch_size, calls)
    return found


def summarize(worker, batch_size, times, calls=1):
    """Returns one worker's result for a table and --json, as a dict.

    Args:
        worker: Worker.
        batch_size: int.
        times: list of float, the seconds of its calls.
        calls: int, calls in a round.
    """
    median_s = statistics.median(times)
    return {
        "variant": worker.variant,
        "precision": worker.precision,
        "batch_size": batch_size,
        "rounds": -(-len(times) // calls),
        "median_s": median_s,
        "min_s": min(times),
        "max_s": max(times),
        "images_per_s": batch_size / median_s,
        "peak_mb": worker.peak_mb,
    }


def add_ratios(results):
    """Adds `ratio_to_plain` to results: speed relative to plain in float32.

    It compares results of the same batch size; without such a one it is None.
    """
    plain_s = {
        result["batch_size"]: result["median_s"]
        for result in results
        if (result["variant"], result["precision"]) == ("plain", "float32")
    }
    for result in results:
        reference = plain_s.get(result["batch_size"])
        ratio = reference / result["median_s"] if reference else None
        result["ratio_to_plain"] = ratio
