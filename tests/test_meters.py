import re

import numpy as np
import pytest
import tensorflow as tf

from pix2pix_tf.runtime import processor
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


def test_without_a_gpu_it_is_the_process_that_holds_memory():
    before = meters.memory()["memory/process_gb"]
    held = np.ones(100_000_000, np.uint8)
    assert meters.memory()["memory/process_gb"] - before == pytest.approx(0.1, abs=0.02)
    del held


def test_device_and_processor_have_names_of_one_line():
    assert re.fullmatch("(CPU|GPU): .+", meters.describe_device())
    assert re.fullmatch(".+", processor.model_name())
