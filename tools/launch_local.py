"""Trains in several processes of this machine, by `--strategy multi_worker`.

    python tools/launch_local.py 2 --mode train --seed 1 --batch_size 2 --output_dir a

starts two processes of `python -m pix2pix_tf.train` with these flags, and lists them
for each in TF_CONFIG. Where there are GPUs, each process has one.
"""

import argparse
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time

from pix2pix_tf.runtime import command, signals

GRACE_SECONDS = 60  # for the others, when a process has failed


def main(argv: list[str] | None = None) -> int:
    """Runs one command line; returns the status of the process that failed first."""
    return command.run("launch_local", lambda: _run(parse(argv)))


def environments(count: int) -> list[dict[str, str]]:
    """Returns the environment variables of each process, with ports that are free."""
    with contextlib.ExitStack() as opened:
        listeners = [
            opened.enter_context(socket.create_server(("127.0.0.1", 0)))
            for _ in range(count)
        ]
        workers = [f"127.0.0.1:{one.getsockname()[1]}" for one in listeners]
    tasks = [{"type": "worker", "index": index} for index in range(count)]
    return [
        {
            "TF_CONFIG": json.dumps({"cluster": {"worker": workers}, "task": task}),
            "CUDA_VISIBLE_DEVICES": str(task["index"]),
        }
        for task in tasks
    ]


def parse(argv: list[str] | None = None) -> argparse.Namespace:
    """Returns the namespace of a command line; raises UsageError for a wrong one."""
    parser = command.Parser("launch_local", __doc__)
    parser.add_argument("count", type=int, help="the number of processes")
    parser.add_argument("flags", nargs=argparse.REMAINDER, help="of the training")
    args = parser.parse_args(argv)
    if args.count < 1:
        parser.error(f"the number of processes must be at least 1, got {args.count}")
    return args


def _run(args):
    train = [sys.executable, "-m", "pix2pix_tf.train", "--strategy", "multi_worker"]
    with _passing_on() as running:
        for one in environments(args.count):
            # In sessions of their own: the terminal's Ctrl-C reaches each only once.
            running.append(
                subprocess.Popen(
                    [*train, *args.flags], env=os.environ | one, start_new_session=True
                )
            )
        return _wait(running)


def _wait(running):
    """Returns the exit status: 0, or that of the process that failed first."""
    failed, ended_at = 0, None
    while None in (statuses := [process.poll() for process in running]):
        failed = failed or next(filter(None, statuses), 0)
        ended_at = ended_at or (time.monotonic() if failed else None)
        if ended_at and time.monotonic() - ended_at > GRACE_SECONDS:
            for process in running:
                process.kill()
        time.sleep(0.1)
    failed = failed or next(filter(None, statuses), 0)
    return failed if failed >= 0 else 128 - failed  # as a shell has it


@contextlib.contextmanager
def _passing_on():
    """Yields a list of processes, to which signals are passed on meanwhile."""
    running = []

    def send(number, _):
        for process in running:
            process.send_signal(number)

    before = {number: signal.signal(number, send) for number in signals.NUMBERS}
    try:
        yield running
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


if __name__ == "__main__":
    sys.exit(main())
