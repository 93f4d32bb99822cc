import platform
import re

import pytest
import tensorflow as tf

from pix2pix_tf.training import meters


def test_a_meter_counts_images_and_waiting_since_its_last_read():
    ticks = iter([10.0, 11.0, 12.0, 14.0, 15.0, 15.0, 16.0])
    meter = meters.Meter(lambda: next(ticks))  # starts at 10
    with meter.waiting(6):  # 11 to 12
        pass
    read = meter.read()  # at 14; anew from 15
    assert read == {
        "speed/images_per_second": pytest.approx(6 / 4),
        "speed/input_wait_share": pytest.approx(1 / 4),
    }
    with meter.waiting(1):  # 15 to 16
        pass
    ticks = iter([17.0, 18.0])
    assert meter.read()["speed/input_wait_share"] == pytest.approx(1 / 2)


def test_each_gpu_tells_its_memory(monkeypatch):
    gpus = [tf.config.LogicalDevice(f"/device:GPU:{n}", "GPU") for n in (0, 1)]
    held = {"GPU:0": {"current": 1e9, "peak": 3e9}, "GPU:1": {"current": 0, "peak": 0}}
    monkeypatch.setattr(tf.config, "list_logical_devices", lambda kind: gpus)
    monkeypatch.setattr(tf.config.experimental, "get_memory_info", held.get)
    scalars = meters.memory()
    assert len(scalars) == 4
    assert scalars["memory/gpu_0_current_gb"] == 1
    assert scalars["memory/gpu_0_peak_gb"] == 3


def test_without_a_gpu_the_process_tells_or_nothing(monkeypatch, tmp_path):
    statm = tmp_path / "statm"
    monkeypatch.setattr(meters, "_STATM_PATH", statm)
    assert meters.memory() == {}
    statm.write_text("9000 1000 5 6 0 7 0\n")
    [(tag, value)] = meters.memory().items()
    assert tag == "memory/process_gb" and value * 1e9 % 1000 == 0 < value


def test_the_device_has_a_name():
    assert re.fullmatch("(CPU|GPU): .+", meters.describe_device())


def test_a_processor_is_named_by_its_model_where_linux_tells(tmp_path, monkeypatch):
    cpuinfo = tmp_path / "cpuinfo"
    monkeypatch.setattr(meters, "_CPUINFO_PATH", cpuinfo)
    assert meters.processor_name() == platform.machine()
    cpuinfo.write_text("processor\t: 0\nmodel name\t: Ours 9000\nflags\t: fpu\n")
    assert meters.processor_name() == "Ours 9000"
