"""The list of the processes that train together, and how a lost one is found."""

import json
import socket

import pytest

from pix2pix_tf.runtime import cluster
from pix2pix_tf.runtime.errors import UsageError


def _config(jobs, kind="worker", index=0):
    return json.dumps({"cluster": jobs, "task": {"type": kind, "index": index}})


def test_the_first_worker_is_the_chief_unless_there_is_one():
    workers = {"worker": ["a:1", "b:1"]}
    assert cluster.read_cluster(_config(workers)).is_chief
    assert not cluster.read_cluster(_config(workers, index=1)).is_chief
    both = workers | {"chief": ["c:1"]}
    assert not cluster.read_cluster(_config(both)).is_chief
    found = cluster.read_cluster(_config(both, "chief"))
    assert found.is_chief and list(found.addresses)[0] == "chief 0"
    assert found.describe("worker 1") == "worker 1 (b:1)"


@pytest.mark.parametrize(
    "text, words",
    [
        ("", ["needs the environment variable TF_CONFIG"]),
        ("{", ["TF_CONFIG '{'", "HOST:PORT"]),
        ("[]", ["TF_CONFIG", "wanted"]),
        (_config({"worker": ["a"]}), ["a is not HOST:PORT"]),
        (_config({"worker": ["a:1"]}, index=1), ["worker 1 is not in the cluster"]),
        (_config({"worker": ["a:1"], "ps": ["b:1"]}), ["TF_CONFIG"]),
    ],
)
def test_a_text_that_cannot_be_used_is_refused(text, words):
    with pytest.raises(UsageError) as error:
        cluster.read_cluster(text)
    assert all(word in str(error.value) for word in words), error.value


def test_a_process_that_accepts_no_connection_is_lost():
    with socket.create_server(("127.0.0.1", 0)) as there:
        with socket.create_server(("127.0.0.1", 0)) as gone:
            ports = [one.getsockname()[1] for one in (there, there, gone)]
        workers = {"worker": [f"127.0.0.1:{port}" for port in ports]}
        assert cluster.read_cluster(_config(workers)).find_lost() == ["worker 2"]
