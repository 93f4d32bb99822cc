"""The parity tool, on recordings that these tests make from the code as it is."""

import json
import os
import pickle

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import check_parity
from pix2pix_tf import networks
from pix2pix_tf.interop import parity
from pix2pix_tf.options import LossConfig, ModelConfig, PairConfig
from pix2pix_tf.training import losses, step

LOSS_KEYS = ("discrim_loss", "gen_loss_GAN", "gen_loss_L1")
META = {
    "ngf": 1,
    "ndf": 1,
    "batch_size": 1,
    "lab_colorization": False,
    "separable_conv": False,
    "which_direction": "AtoB",
    "lr": 0.0002,
    "beta1": 0.5,
    "beta2": 0.999,
    "epsilon": 1e-8,
    "l1_weight": 100.0,
    "gan_weight": 1.0,
}


def _record(path, **changes):
    """Writes a file of the golden format from our code; returns its path."""
    meta = META | changes
    pair = PairConfig(meta["lab_colorization"], meta["which_direction"])
    model = ModelConfig(
        ngf=meta["ngf"],
        ndf=meta["ndf"],
        separable_conv=meta["separable_conv"],
        no_dropout=True,
    )
    loss = LossConfig(
        **{name: meta[name] for name in ("l1_weight", "gan_weight", "lr", "beta1")}
    )
    keras.utils.set_random_seed(3)
    state = step.make_state(pair.channels, model, loss)
    both = (state.generator, state.discriminator)
    variables = {
        name: variable
        for network in both
        for name, variable in networks.variables_by_name(network).items()
        if variable.trainable
    }
    names = {id(variable): name for name, variable in variables.items()}
    rng = np.random.default_rng(4)
    inputs, targets = (
        rng.uniform(-1, 1, [meta["batch_size"], 256, 256, n]).astype(np.float32)
        for n in pair.channels
    )
    arrays = {"meta": json.dumps(meta), "inputs": inputs, "targets": targets}
    arrays |= {f"var/{name}": v.numpy() for name, v in variables.items()}
    train_step = step.make_train_step(state, loss, seed=0)
    averages = []
    for number in range(10):
        result = train_step(tf.constant(inputs), tf.constant(targets))
        averages.append([float(state.ema[name]) for name in step.LOSS_NAMES])
        if number > 0:
            continue
        for key in ("outputs", "predict_real", "predict_fake"):
            arrays[key] = getattr(result, key).numpy()
        for name, key in zip(step.LOSS_NAMES, LOSS_KEYS, strict=True):
            arrays[f"loss/{key}"] = result.losses[name].numpy()
        trained = [v for network in both for v in network.trainable_variables]
        gradients = [*result.g_gradients, *result.d_gradients]
        for variable, gradient in zip(trained, gradients, strict=True):
            arrays[f"grad/{names[id(variable)]}"] = gradient.numpy()
        arrays |= {f"after1/{name}": v.numpy() for name, v in variables.items()}
    arrays["ema_losses"] = np.array(averages, np.float32)
    arrays["outputs10"] = state.generator(inputs).numpy()
    for name, variable in variables.items():
        arrays[f"norm10/{name}"] = np.linalg.norm(variable.numpy())
    np.savez(path, **arrays)
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
        for check in (
            [
                "outputs  ",
                "predict_real",
                "predict_fake",
                "worst gradient",
                "worst norm",
            ]
            + ["worst variable after 1 step", "worst entry after 1 step"]
            + [f"loss/{key}" for key in LOSS_KEYS]
            + [f"EMA after step {number}," for number in range(1, 11)]
            + ["outputs after 10 steps"]
        ):
            assert sum(line.startswith(check) for line in lines) == 1, check
    assert "ndf 2" in second and "which_direction BtoA" in second
    [gradient] = [line for line in first.splitlines() if "worst gradient" in line]
    assert "generator/" in gradient or "discriminator/" in gradient
    assert "2 of 2 files agree" in out


def _same_padding(x, filters, strides, name, init):
    return networks.parts.conv(x, filters, 4, strides, "same", name, init)


def _set_adam(monkeypatch, name, value):
    original = tf.raw_ops.ResourceApplyAdam

    def apply(**arguments):
        return original(**(arguments | {name: value}))

    monkeypatch.setattr(tf.raw_ops, "ResourceApplyAdam", apply)


def _set_slope(monkeypatch, slope):
    original = layers.LeakyReLU
    monkeypatch.setattr(
        layers, "LeakyReLU", lambda _, **keywords: original(slope, **keywords)
    )


def _set_norm_epsilon(monkeypatch, epsilon):
    original = tf.compat.v1.nn.fused_batch_norm

    def normalise(*arguments, **keywords):
        return original(*arguments, **(keywords | {"epsilon": epsilon}))

    monkeypatch.setattr(tf.compat.v1.nn, "fused_batch_norm", normalise)


@pytest.mark.parametrize(
    "change, failing",
    [
        # The first three are Keras's defaults.
        (lambda m: _set_adam(m, "epsilon", 1e-7), "Adam's step where"),
        (lambda m: _set_slope(m, 0.3), "outputs  "),
        (lambda m: _set_norm_epsilon(m, 1e-3), "outputs  "),
        (
            lambda m: m.setattr(networks.parts, "pad_conv", _same_padding),
            "predict_real",
        ),
        (lambda m: _set_adam(m, "beta1", 0.9), "EMA after step 10"),
        (lambda m: m.setattr(step, "EMA_DECAY", 0.9), "EMA after step 1,"),
        (lambda m: m.setattr(losses, "EPS", 1e-7), "gen_loss_GAN of predictions sure"),
    ],
    ids=["epsilon", "slope", "norm_epsilon", "padding", "beta1", "decay", "eps"],
)
def test_one_wrong_constant_fails(capsys, monkeypatch, recording, change, failing):
    change(monkeypatch)
    monkeypatch.setattr(parity, "NUM_ROUNDED", 1)  # for speed: it excuses nothing here
    status, out, _ = _run(capsys, recording)
    assert status == 1, out
    [line] = [line for line in out.splitlines() if line.startswith(failing)]
    assert "FAIL" in line, out
    assert "0 of 1 files agree" in out


class _Code:
    """Unpickled, it makes a folder."""

    def __init__(self, folder):
        self.folder = str(folder)

    def __reduce__(self):
        return os.mkdir, (self.folder,)


BIAS = "generator/encoder_1/conv2d/bias"


@pytest.mark.parametrize(
    "changes, words",
    [
        ({"meta": None}, ["meta is missing"]),
        ({"meta": "{"}, ["meta is not JSON"]),
        ({"meta": "[" * 10**5}, ["meta is not JSON"]),
        ({"meta": "[1]"}, ["meta must hold a JSON object, got list"]),
        ({"meta": '{"ngf": 1}'}, ["meta lacks ndf"]),
        ({"meta": json.dumps(META | {"ngf": "4"})}, ["meta: ngf must be a whole"]),
        ({"meta": json.dumps(META | {"epsilon": 0})}, ["epsilon must be between"]),
        ({"meta": json.dumps(META | {"dropout": True})}, ["recorded with dropout"]),
        ({"meta": json.dumps(META | {"ngf": 2})}, ["has shape [1], wanted [2]"]),
        (
            {"outputs": None, f"grad/{BIAS}": None, "var/generator/x": np.zeros(1)},
            ["outputs is missing", f"grad/{BIAS} is missing", "generator/x is unknown"],
        ),
        (
            {
                "targets": np.zeros([1, 256, 256, 2], np.float32),
                "outputs": np.zeros([1, 256, 256, 3], np.int32),
                f"var/{BIAS}": np.array([np.nan], np.float32),
            },
            ["targets has shape", "outputs is int32", f"var/{BIAS} has a NaN"],
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


def test_damaged_files_and_code_are_refused_and_the_code_does_not_run(
    capsys, recording, tmp_path
):
    code = _Code(tmp_path / "ran")
    np.savez(tmp_path / "code.npz", meta=np.array([code], dtype=object))
    (tmp_path / "pickle.npz").write_bytes(pickle.dumps(code))
    (tmp_path / "cut.npz").write_bytes(recording.read_bytes()[:5000])
    (tmp_path / "empty.npz").write_bytes(b"")
    np.save(tmp_path / "array.npy", np.zeros(3))
    paths = sorted(tmp_path.iterdir())
    status, _, err = _run(capsys, *paths, tmp_path / "absent.npz")
    assert status == 2 and not (tmp_path / "ran").exists()
    lines = err.splitlines()
    assert len(lines) == len(paths) + 1
    for path, line in zip(paths, lines, strict=False):
        assert str(path) in line and "wanted an .npz of arrays alone" in line
    assert "absent.npz" in lines[-1]
