"""The processes that train together, as the environment variable TF_CONFIG lists them.

An example for the first of two processes:

    {"cluster": {"worker": ["a:2222", "b:2222"]},
     "task": {"type": "worker", "index": 0}}

The chief is the process of the job "chief" or, without one, the first worker.
"""

import concurrent.futures
import dataclasses
import json
import os
import socket

from pix2pix_tf.runtime.errors import UsageError

VARIABLE = "TF_CONFIG"
JOBS = ("chief", "worker")
CONNECT_SECONDS = 5


@dataclasses.dataclass(frozen=True)
class Cluster:
    """The processes, the chief first."""

    addresses: dict[str, str]  # {name, such as "worker 1": "host:port"}
    own: str  # the name of this process

    @property
    def is_chief(self) -> bool:
        return self.own == next(iter(self.addresses))

    def describe(self, name: str) -> str:
        """Returns a process's name and address."""
        return f"{name} ({self.addresses[name]})"

    def find_lost(self) -> list[str]:
        """Returns the names of the other processes that accept no connection."""
        others = [name for name in self.addresses if name != self.own]
        with concurrent.futures.ThreadPoolExecutor(len(others) or 1) as pool:
            answers = pool.map(_answers, map(self.addresses.get, others))
        return [name for name, has in zip(others, answers, strict=True) if not has]


def read_cluster(text: str | None = None) -> Cluster:
    """Returns the Cluster that a text describes (default: that of TF_CONFIG).

    Raises:
        UsageError: the text is missing, or is not as TensorFlow wants it.
    """
    text = os.environ.get(VARIABLE) if text is None else text
    if not text:
        raise UsageError(
            "--strategy multi_worker needs the environment variable TF_CONFIG, which "
            "lists the processes: see docs/distributed.md"
        )
    try:
        values = json.loads(text)
        jobs, task = values["cluster"], values["task"]
        addresses = {
            f"{job} {number}": _checked(address)
            for job in sorted(jobs, key=JOBS.index)
            for number, address in enumerate(jobs[job])
        }
        own = f"{task['type']} {int(task['index'])}"
        if own not in addresses:
            raise ValueError(f"the task {own} is not in the cluster")
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise UsageError(
            f"TF_CONFIG {text!r} cannot be used ({error!r}): wanted "
            '{"cluster": {"worker": ["HOST:PORT", ...]}, '
            '"task": {"type": "worker", "index": NUMBER}}'
        ) from None
    return Cluster(addresses, own)


def _checked(address):
    host, _, port = address.rpartition(":")
    if not (host and port.isdecimal() and 0 < int(port) < 2**16):
        raise ValueError(f"{address} is not HOST:PORT")
    return address


def _answers(address):
    host, _, port = address.rpartition(":")
    try:
        with socket.create_connection((host.strip("[]"), int(port)), CONNECT_SECONDS):
            return True
    except OSError:
        return False
