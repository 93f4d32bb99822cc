"""The parity tool, on recordings that these tests make from the code as it is."""

import functools
import json

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import check_parity
from parity import checks
from parity.recording import LOSSES
from pix2pix_tf import networks
from pix2pix_tf.options import from_dict
from pix2pix_tf.training import losses, step

META = {"ngf": 1, "ndf": 1, "batch_size": 1, "l1_weight": 100.0, "gan_weight": 1.0}
META |= {"lab_colorization": False, "separable_conv": False, "which_direction": "AtoB"}
META |= {"lr": 0.0002, "beta1": 0.5, "beta2": 0.999, "epsilon": 1e-8}


def _record(path, **changes):
    """Writes a file of the golden format from our code; returns its path."""
    meta = META | changes
    known = {name: meta[name] for name in meta if name not in ("beta2", "epsilon")}
    options = from_dict(known | {"no_dropout": True})
    keras.utils.set_random_seed(3)
    state = step.make_state(
        options.pair.channels, options.model, options.loss, options.optimizer
    )
    variables = {}
    for network, _ in state.trained:
        variables |= networks.trainable_by_name(network)
    rng = np.random.default_rng(4)
    inputs, targets = (
        tf.constant(rng.uniform(-1, 1, [meta["batch_size"], 256, 256, n]), tf.float32)
        for n in options.pair.channels
    )
    arrays = {"meta": json.dumps(meta), "inputs": inputs, "targets": targets}
    arrays |= {f"var/{name}": v.numpy() for name, v in variables.items()}
    train_step = step.make_train_step(state, options.loss, seed=0)
    first, averages = train_step(inputs, targets), []
    arrays |= {f"after1/{name}": v.numpy() for name, v in variables.items()}
    for number in range(10):
        averages.append([float(state.ema[name]) for name in LOSSES.values()])
        if number < 9:
            train_step(inputs, targets)
    for key in ("outputs", "predict_real", "predict_fake"):
        arrays[key] = getattr(first, key)
    arrays |= {f"loss/{key}": first.losses[name] for key, name in LOSSES.items()}
    gradients = [gradient for own in first.gradients for gradient in own]
    for name, gradient in zip(variables, gradients, strict=True):
        arrays[f"grad/{name}"] = gradient
    arrays["ema_losses"] = np.array(averages, np.float32)
    arrays["outputs10"] = state.generator(inputs)
    arrays |= {f"norm10/{n}": np.linalg.norm(v) for n, v in variables.items()}
    np.savez(path, **{key: np.asarray(array) for key, array in arrays.items()})
    return path


@pytest.fixture(scope="module")
def recording(tmp_path_factory):
    return _record(tmp_path_factory.mktemp("parity") / "pairs.npz")


def _run(capsys, *paths):
    status = check_parity.main([str(path) for path in paths])
    captured = capsys.readouterr()
    return status, captured.out, captured.err


def test_what_the_code_itself_recorded_passes_line_by_line(capsys, recording, tmp_path):
    other = _record(
        tmp_path / "lab.npz",
        **{"ndf": 2, "lab_colorization": True, "which_direction": "BtoA"},
        **{"separable_conv": True, "lr": 0.001, "l1_weight": 10.0},
    )
    status, out, err = _run(capsys, recording, other)
    assert (status, err) == (0, "")
    first, second = out.split("\n\n")[:2]
    for table in (first, second):
        lines = table.splitlines()[2:]
        assert all(" pass" in line or " info" in line for line in lines), table
        wanted = ["outputs  ", "predict_real", "predict_fake", "outputs after 10 steps"]
        wanted += [f"worst {name}" for name in ("gradient", "norm", "variable after 1")]
        wanted += ["worst entry after 1", *(f"loss/{key}" for key in LOSSES)]
        wanted += [f"EMA after step {number}," for number in range(1, 11)]
        for check in wanted:
            assert sum(line.startswith(check) for line in lines) == 1, check
    assert "ndf 2" in second and "which_direction BtoA" in second
    [gradient] = [line for line in first.splitlines() if "worst gradient" in line]
    assert "generator/" in gradient or "discriminator/" in gradient
    assert "2 of 2 files agree" in out


def _same_padding(x, filters, strides, name, init):
    return networks.parts.conv(x, filters, 4, strides, "same", name, init)


def _change_arguments(owner, function, **changes):
    """Returns what makes a function take other keyword arguments."""
    original = getattr(owner, function)

    def changed(*arguments, **keywords):
        return original(*arguments, **(keywords | changes))

    return owner, function, changed


SLOPE = functools.partial(lambda make, _, **known: make(0.3, **known), layers.LeakyReLU)


@pytest.mark.parametrize(
    "change, failing",
    [
        # The first three are Keras's defaults.
        (
            _change_arguments(tf.raw_ops, "ResourceApplyAdam", epsilon=1e-7),
            "Adam's step where",
        ),
        ((layers, "LeakyReLU", SLOPE), "outputs  "),
        (
            _change_arguments(tf.compat.v1.nn, "fused_batch_norm", epsilon=1e-3),
            "outputs  ",
        ),
        ((networks.parts, "pad_conv", _same_padding), "predict_real"),
        (
            _change_arguments(tf.raw_ops, "ResourceApplyAdam", beta1=0.9),
            "EMA after step 10",
        ),
        ((step, "EMA_DECAY", 0.9), "EMA after step 1,"),
        ((losses, "EPS", 1e-7), "gen_loss_GAN of predictions sure"),
    ],
    ids=["epsilon", "slope", "norm_epsilon", "padding", "beta1", "decay", "eps"],
)
def test_one_wrong_constant_fails(capsys, monkeypatch, recording, change, failing):
    monkeypatch.setattr(*change)
    monkeypatch.setattr(checks, "NUM_ROUNDED", 1)  # for speed: it excuses nothing here
    status, out, _ = _run(capsys, recording)
    assert status == 1, out
    [line] = [line for line in out.splitlines() if line.startswith(failing)]
    assert "FAIL" in line, out
    assert "0 of 1 files agree" in out


BIAS = "generator/encoder_1/conv2d/bias"


def _meta(**changes):
    return {"meta": json.dumps(META | changes)}


@pytest.mark.parametrize(
    "changes, words",
    [
        ({"meta": None}, ["meta is missing"]),
        ({"meta": "[" * 10**5}, ["meta is not JSON"]),
        ({"meta": "[1]"}, ["meta must hold a JSON object, got list"]),
        ({"meta": '{"ngf": 1}'}, ["meta lacks ndf"]),
        (_meta(ngf="4"), ["meta: ngf must be a whole"]),
        (_meta(epsilon=0), ["epsilon must be between"]),
        (_meta(dropout=True), ["recorded with dropout"]),
        (_meta(ngf=2), ["has shape [1], wanted [2]"]),
        (
            {"outputs": None, f"grad/{BIAS}": None, "var/generator/x": np.zeros(1)},
            ["outputs is missing", f"grad/{BIAS} is missing", "generator/x is unknown"],
        ),
        (
            {"outputs": np.zeros([1, 256, 256, 3], np.int32), f"var/{BIAS}": [np.nan]},
            ["outputs is int32", f"var/{BIAS} has a NaN"],
        ),
    ],
)
def test_a_file_that_does_not_fit_is_refused_in_one_line(
    capsys, recording, tmp_path, changes, words
):
    arrays = dict(np.load(recording)) | changes
    path = tmp_path / "bad.npz"
    np.savez(path, **{k: array for k, array in arrays.items() if array is not None})
    status, out, err = _run(capsys, path)
    assert status == 2 and "0 of 1 files agree" in out
    [line] = err.splitlines()
    assert line.startswith(f"check_parity: error: {path}")
    assert all(word in line for word in words), line


def test_damaged_files_are_refused_one_by_one(capsys, recording, tmp_path):
    (tmp_path / "cut.npz").write_bytes(recording.read_bytes()[:5000])
    np.save(tmp_path / "array.npy", np.zeros(3))
    paths = sorted(tmp_path.iterdir())
    status, _, err = _run(capsys, *paths, tmp_path / "absent.npz")
    *lines, absent = err.splitlines()
    assert status == 2 and "absent.npz" in absent
    for path, line in zip(paths, lines, strict=True):
        assert str(path) in line and "wanted an .npz of arrays alone" in line
