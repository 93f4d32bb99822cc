"""Training in two processes of this machine: lost, stopped, resumed."""

import re
import signal

import numpy as np
import pytest

import check_kills
import launch_local
from pix2pix_tf import checkpoints
from pix2pix_tf.runtime import cluster

STEPS = ["--max_steps", "40"]


@pytest.fixture(scope="module")
def unbroken_dir(tmp_path_factory):
    """The folder of a run of two processes, that of the run of one beside it."""
    folder = tmp_path_factory.mktemp("unbroken")
    pair = check_kills.Pair(folder, *STEPS)
    pair.wait()
    return folder


def test_a_killed_process_is_named_and_the_same_command_goes_on(unbroken_dir, tmp_path):
    pair = check_kills.Pair(tmp_path, *STEPS)
    pair.wait_for_step()
    status, seconds = pair.kill(0)
    assert seconds < check_kills.MAX_SECONDS
    check_kills.check_told(pair, 0, status)

    pair = check_kills.Pair(tmp_path, *STEPS)
    pair.wait_for_step()
    pair.processes[1].send_signal(signal.SIGTERM)
    pair.processes[0].wait(), pair.processes[1].wait()
    assert pair.statuses() == [143, 143]  # after the same step, which is saved
    assert list((tmp_path / "run").glob("model-*.index"))

    check_kills.Pair(tmp_path, *STEPS).wait()
    assert check_kills.bits_of(tmp_path) == check_kills.bits_of(unbroken_dir)


def test_the_chief_alone_prints_and_writes(unbroken_dir):
    assert "saved" in (unbroken_dir / "0.log").read_text()
    assert (unbroken_dir / "1.log").read_text() == ""
    events = (unbroken_dir / "run").glob("events.out.tfevents.*")
    writers = {re.search(r"\.(\d+)(?:-start|\.0\.v2)$", one.name)[1] for one in events}
    assert len(writers) == 1
    prefix = checkpoints.find_latest(unbroken_dir / "run")
    reader, shapes = checkpoints.open_reader(prefix)
    values = checkpoints.read(reader, shapes, prefix)
    assert values["global_step"] == 40 and values["position"] == 80
    assert all(np.isfinite(value).all() for value in values.values())


def test_the_launcher_lists_all_processes_for_each(monkeypatch):
    found = []
    for one in launch_local.environments(3):
        found.append(cluster.read_cluster(one["TF_CONFIG"]))
    assert [one.own for one in found] == ["worker 0", "worker 1", "worker 2"]
    assert len(set(found[0].addresses.values())) == 3
    assert all(one.addresses == found[0].addresses for one in found)


def test_the_launcher_has_the_status_of_the_processes(capfd):
    assert launch_local.main(["2", "--mode", "train", "--xla"]) == 2
    assert "--xla cannot be used with --strategy multi_worker" in capfd.readouterr().err
