"""`pix2pix_tf.fit`: training in Python on a `tf.data.Dataset`."""

import json
import signal
import subprocess
import sys
import threading

import keras
import numpy as np
import pytest
import tensorflow as tf

import pix2pix_tf
from pix2pix_tf import checkpoints, train
from pix2pix_tf.runtime.errors import UsageError
from tests.conftest import assert_equal_values

# As `small_model`.
SMALL = {"ngf": 1, "ndf": 1, "n_layers": 1, "summary_freq": 0, "seed": 3}


def _dataset(count=4, channels=(3, 3), first=0):
    """Examples of 32 x 32 pixels, always the same."""

    def example(number):
        draws = tf.random.stateless_uniform([32, 32, sum(channels)], [1, number], -1, 1)
        return draws[..., : channels[0]], draws[..., channels[0] :]

    return tf.data.Dataset.range(first, first + count).map(example)


def _values(folder):
    """Returns {name: array} of a run's newest checkpoint."""
    reader, shapes = checkpoints.open_reader(checkpoints.find_latest(folder))
    return checkpoints.read(reader, shapes, folder)


def test_the_result_is_what_load_gives_of_the_folder(tmp_path):
    seen = []
    translate = pix2pix_tf.fit(
        _dataset(),
        tmp_path / "run",
        callbacks=[lambda step, scalars: seen.append((step, scalars))],
        **SMALL | {"max_epochs": 2, "summary_freq": 4},
    )
    assert [step for step, _ in seen] == [4, 8]
    assert seen[0][1]["generator_loss_L1"] > 0
    image = np.random.default_rng(1).integers(0, 256, [50, 40, 3], np.uint8)
    loaded = pix2pix_tf.load(tmp_path / "run")
    np.testing.assert_array_equal(translate(image), loaded(image))
    assert loaded.options.model.crop_size == 32
    assert int(_values(tmp_path / "run")["global_step"]) == 8


def test_other_channels_and_validation(tmp_path):
    pix2pix_tf.fit(
        _dataset(channels=(5, 1)),
        tmp_path,
        val_dataset=_dataset(2, (5, 1), first=9),
        **SMALL | {"max_steps": 4, "val_freq": 2, "patience": 9},
    )
    history = json.loads((tmp_path / "validation.json").read_text())
    assert [entry["step"] for entry in history] == [2, 4]
    translate = pix2pix_tf.load(tmp_path / "model-best")
    outputs = translate(np.zeros([2, 32, 32, 5]))
    assert outputs.shape == (2, 32, 32, 1)


@pytest.mark.parametrize("is_batched", [False, True])
def test_a_resumed_run_equals_an_unbroken_one(tmp_path, is_batched):
    def train_to(max_steps, folder):
        dataset = _dataset(6).shuffle(6, seed=4)  # another order in each epoch
        dataset = dataset.batch(2, drop_remainder=True) if is_batched else dataset
        flags = SMALL | {"max_steps": max_steps, "resume": "auto"}
        pix2pix_tf.fit(dataset, tmp_path / folder, **flags)

    train_to(7, "unbroken")
    for max_steps in (2, 5, 7):
        train_to(max_steps, "resumed")
    unbroken, resumed = (_values(tmp_path / name) for name in ("unbroken", "resumed"))
    assert int(unbroken["position"]) == (14 if is_batched else 7)
    assert_equal_values(resumed, unbroken)


def test_a_generator_whose_length_is_unknown(tmp_path, capsys):
    shape = tf.TensorSpec([None, None, None], tf.float32)
    dataset = tf.data.Dataset.from_generator(
        lambda: iter(_dataset(3)), output_signature=(shape, shape)
    )
    flags = SMALL | {"max_steps": 5, "progress_freq": 5}
    pix2pix_tf.fit(dataset, tmp_path, batch_size=2, **flags)
    assert "progress  step 5" in capsys.readouterr().out
    assert int(_values(tmp_path)["position"]) == 10
    with pytest.raises(UsageError, match="max_epochs needs a dataset of known length"):
        pix2pix_tf.fit(dataset, tmp_path / "x", max_epochs=1)


def _pairs(values):
    return tf.data.Dataset.from_tensors((values, values))


@pytest.mark.parametrize(
    ("dataset", "flags", "message"),
    [
        (_dataset(0), {}, "dataset is empty"),
        (_dataset().map(lambda x, y: x), {}, r"must give \(inputs, targets\), got Ten"),
        (_pairs(np.zeros([32, 32, 3], np.uint8)), {}, "the first inputs are uint8"),
        (_pairs(np.full([32, 32, 3], 9.0)), {}, r"from 9.0 to 9.0: wanted floats in"),
        (_pairs(np.full([32, 32, 3], np.nan)), {}, "nan: wanted floats"),
        (_pairs(np.zeros([32, 32])), {}, r"shapes \(32, 32\) and \(32, 32\): wanted"),
        (_pairs(np.zeros([33, 32, 3])), {}, "crop_size"),
        (
            _dataset(),
            {"max_stepz": 1},
            "max_stepz is not a flag: did you mean max_steps",
        ),
        (_dataset(), {"input_dir": "x"}, "input_dir cannot be given to fit"),
        (_dataset(), {"max_steps": 1.5}, "--max_steps must be a whole number, got 1.5"),
        (_dataset(), {"patience": 2}, "--patience needs --val_dir"),
    ],
)
def test_what_cannot_be_trained_is_refused_first(tmp_path, dataset, flags, message):
    with pytest.raises(UsageError, match=message):
        pix2pix_tf.fit(dataset, tmp_path / "run", **flags)
    assert not (tmp_path / "run").exists()


def test_held_out_examples_must_be_alike(tmp_path):
    with pytest.raises(UsageError, match="val_dataset has the shapes"):
        pix2pix_tf.fit(_dataset(), tmp_path, val_dataset=_dataset(channels=(1, 3)))
    with pytest.raises(UsageError, match="val_dataset has no end"):
        pix2pix_tf.fit(_dataset(), tmp_path, val_dataset=_dataset().repeat())


def test_the_command_does_not_continue_with_other_data(tmp_path, capsys):
    pix2pix_tf.fit(_dataset(), tmp_path, max_steps=1, **SMALL)
    arguments = ["--mode", "train", "--resume", "auto", "--output_dir", str(tmp_path)]
    assert train.main([*arguments, "--max_steps", "2"]) == 2
    assert "the data of" in capsys.readouterr().err


def test_the_dtype_policy_of_the_process_stays(tmp_path):
    before = keras.config.dtype_policy().name
    flags = SMALL | {"precision": "mixed_bfloat16", "emulate_16bit": "on"}
    pix2pix_tf.fit(_dataset(), tmp_path, max_steps=1, **flags)
    assert keras.config.dtype_policy().name == before == "float32"


def test_ctrl_c_saves_and_then_interrupts(tmp_path):
    def stop(step, scalars):
        if step == 2:
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        pix2pix_tf.fit(
            _dataset(), tmp_path, callbacks=[stop], **SMALL | {"summary_freq": 1}
        )
    assert int(_values(tmp_path)["global_step"]) == 2


def test_two_threads_train_at_the_same_time(tmp_path):
    def train_in(name):
        pix2pix_tf.fit(_dataset(), tmp_path / name, max_steps=2, **SMALL)

    threads = [threading.Thread(target=train_in, args=[name]) for name in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for name in "ab":
        assert int(_values(tmp_path / name)["global_step"]) == 2


SCRIPT = """
import threading, sys, tensorflow as tf, pix2pix_tf
image = tf.zeros([32, 32, 3]) - 1
dataset = tf.data.Dataset.from_tensors((image, image))
started = threading.Event()
flags = {"ngf": 1, "ndf": 1, "n_layers": 1, "summary_freq": 1}
threading.Thread(
    target=pix2pix_tf.fit,
    args=[dataset, sys.argv[1]],
    kwargs=flags | {"callbacks": [lambda *_: started.set()]},
).start()
started.wait()
"""


def test_a_thread_ends_with_a_save_when_the_main_thread_has_ended(tmp_path):
    subprocess.run([sys.executable, "-c", SCRIPT, str(tmp_path)], check=True)
    assert int(_values(tmp_path)["global_step"]) >= 1
