"""Weights of pytorch-CycleGAN-and-pix2pix: same outputs here as there; refusals."""

import os
import sys
from collections import OrderedDict

import numpy as np
import pytest
import tensorflow as tf

from pix2pix_tf.interop import pytorch

torch = pytest.importorskip(
    "torch", reason="needs PyTorch (pip install torch) to write the files it reads"
)

NGF = 4
NDF = 6
EPSILON = 1e-5
# Sixteen layers of sums in another order: outputs in [-1, 1] agree to about 1e-6.
TOLERANCE = 1e-4


class _Level(torch.nn.Module):
    """One U-Net level around the next; its keys are those of that project."""

    def __init__(self, norm, outside, width, channels_in, channels_out, inner):
        super().__init__()
        outermost, innermost = outside is None, inner is None
        biased = norm is torch.nn.InstanceNorm2d
        down = torch.nn.Conv2d(channels_in, width, 4, 2, 1, bias=biased)
        up = torch.nn.ConvTranspose2d(
            width * (1 if innermost else 2), channels_out, 4, 2, 1, bias=biased
        )
        before, after = [torch.nn.LeakyReLU(0.2, True), down], [torch.nn.ReLU(), up]
        if outermost:
            up.bias = torch.nn.Parameter(torch.zeros(channels_out))
            before, after = before[1:], after + [torch.nn.Tanh()]
        else:
            after = after + [norm(channels_out)]
        if not outermost and not innermost:
            before = before + [norm(width)]
        middle = [] if innermost else [inner]
        self.model = torch.nn.Sequential(*before, *middle, *after)
        self.outermost = outermost

    def forward(self, x):
        return self.model(x) if self.outermost else torch.cat([x, self.model(x)], 1)


class _Unet(torch.nn.Module):
    def __init__(self, norm, channels_in=3, channels_out=2, num_levels=8):
        super().__init__()
        widths = [NGF * min(2**level, 8) for level in range(num_levels)]
        level = None
        for width, outside in zip(widths[:0:-1], widths[-2::-1], strict=True):
            level = _Level(norm, outside, width, outside, outside, level)
        self.model = _Level(norm, None, NGF, channels_in, channels_out, level)

    def forward(self, x):
        return self.model(x)


def _patch_discriminator(norm, num_strided=3):
    """A module whose keys are those of that project's `basic` discriminator."""
    conv, biased = torch.nn.Conv2d, norm is torch.nn.InstanceNorm2d
    widths = [NDF * min(2**level, 8) for level in range(num_strided + 1)]
    layers = [conv(5, NDF, 4, 2, 1), torch.nn.LeakyReLU(0.2)]
    for before, after in zip(widths, widths[1:], strict=False):
        stride = 1 if after == widths[-1] else 2
        layers += [conv(before, after, 4, stride, 1, bias=biased), norm(after)]
        layers += [torch.nn.LeakyReLU(0.2)]
    layers += [conv(widths[-1], 1, 4, 1, 1)]
    return torch.nn.Sequential(OrderedDict(model=torch.nn.Sequential(*layers)))


def _randomise(network):
    """Gives every parameter a value of its own, so that no two can be confused."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.normal_(0, 0.1, generator=generator)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.weight.data += 1
    return network


NORMS = {"batch": torch.nn.BatchNorm2d, "instance": torch.nn.InstanceNorm2d}


def _saved_generator(folder, norm="batch", **sizes):
    """Returns a U-Net and the path of its saved weights."""
    network = _randomise(_Unet(NORMS[norm], **sizes))
    torch.save(network.state_dict(), folder / "latest_net_G.pth")
    return network, folder / "latest_net_G.pth"


def _images(channels):
    values = np.random.default_rng(1).uniform(-1, 1, [2, 256, 256, channels])
    return values.astype(np.float32)


def _run_in_torch(network, images):
    """Runs with batch statistics: float32 [batch, height, width, channels] in, out."""
    network.train()
    with torch.no_grad():
        outputs = network(torch.from_numpy(images).permute(0, 3, 1, 2))
    return outputs.permute(0, 2, 3, 1).numpy()


def _normalise(variables, scope, x, norm):
    if f"{scope}/gamma" not in variables:
        return x
    axes = [0, 1, 2] if norm == "batch" else [1, 2]
    mean, variance = tf.nn.moments(x, axes, keepdims=True)
    gamma, beta = variables[f"{scope}/gamma"], variables[f"{scope}/beta"]
    return tf.nn.batch_normalization(x, mean, variance, beta, gamma, EPSILON)


def _forward(variables, inputs, norm):
    """The original's generator without dropout, in plain operations."""
    x, skips = inputs, []
    for level in range(1, 9):
        scope = f"generator/encoder_{level}"
        x = x if level == 1 else tf.nn.leaky_relu(x, 0.2)
        x = tf.nn.conv2d(x, variables[f"{scope}/conv2d/kernel"], 2, "SAME")
        x = x + variables[f"{scope}/conv2d/bias"]
        x = _normalise(variables, f"{scope}/batch_normalization", x, norm)
        skips.append(x)
    for level in range(8, 0, -1):
        scope = f"generator/decoder_{level}"
        x = x if level == 8 else tf.concat([x, skips[level - 1]], axis=3)
        kernel = variables[f"{scope}/conv2d_transpose/kernel"]
        shape = [x.shape[0], 2 * x.shape[1], 2 * x.shape[2], kernel.shape[2]]
        x = tf.nn.conv2d_transpose(tf.nn.relu(x), kernel, shape, 2, "SAME")
        x = x + variables[f"{scope}/conv2d_transpose/bias"]
        x = _normalise(variables, f"{scope}/batch_normalization", x, norm)
    return tf.tanh(x)


def _discriminate(variables, pairs, norm):
    """The original's discriminator before its sigmoid, in plain operations."""
    x = pairs
    for number in range(1, 6):
        scope = f"discriminator/layer_{number}"
        x = x if number == 1 else tf.nn.leaky_relu(x, 0.2)
        x = tf.pad(x, [[0, 0], [1, 1], [1, 1], [0, 0]])
        stride = 2 if number < 4 else 1
        x = tf.nn.conv2d(x, variables[f"{scope}/conv2d/kernel"], stride, "VALID")
        x = x + variables[f"{scope}/conv2d/bias"]
        x = _normalise(variables, f"{scope}/batch_normalization", x, norm)
    return x


@pytest.mark.parametrize("norm", NORMS)
def test_the_generator_gives_the_outputs_it_gave_in_pytorch(tmp_path, norm):
    network, path = _saved_generator(tmp_path, norm)
    weights = pytorch.read_generator(path)
    assert (weights.norm, weights.innermost_norm, weights.ngf) == (norm, "none", NGF)
    assert (weights.input_channels, weights.output_channels) == (3, 2)

    expected = _run_in_torch(network, _images(3))
    got = _forward(weights.variables, _images(3), norm)
    assert expected.std() > 0.2  # so that a kernel in the wrong place would show
    np.testing.assert_allclose(got, expected, atol=TOLERANCE)


@pytest.mark.parametrize("norm", NORMS)
def test_the_discriminator_gives_the_outputs_it_gave_in_pytorch(tmp_path, norm):
    network = _randomise(_patch_discriminator(NORMS[norm]))
    torch.save(network.state_dict(), tmp_path / "latest_net_D.pth")
    weights = pytorch.read_discriminator(tmp_path / "latest_net_D.pth")
    assert (weights.norm, weights.ndf, weights.pair_channels) == (norm, NDF, 5)

    expected = _run_in_torch(network, _images(5))
    got = _discriminate(weights.variables, _images(5), norm)
    assert got.shape == (2, 30, 30, 1) and expected.std() > 0.2
    np.testing.assert_allclose(got, expected, atol=TOLERANCE)


def test_the_variables_have_the_originals_names_and_layouts(tmp_path):
    _, path = _saved_generator(tmp_path)
    variables = pytorch.read_generator(path).variables
    scopes = [f"generator/encoder_{level}/conv2d" for level in range(1, 9)]
    scopes += [f"generator/decoder_{level}/conv2d_transpose" for level in range(1, 9)]
    names = {f"{scope}/{part}" for scope in scopes for part in ("kernel", "bias")}
    for coder in [f"encoder_{n}" for n in range(2, 8)] + [
        f"decoder_{n}" for n in range(2, 9)
    ]:
        scope = f"generator/{coder}/batch_normalization"
        parts = ("gamma", "beta", "moving_mean", "moving_variance")
        names |= {f"{scope}/{part}" for part in parts}
    assert set(variables) == names
    assert {array.dtype for array in variables.values()} == {np.dtype(np.float32)}
    shape = variables["generator/decoder_2/conv2d_transpose/kernel"].shape
    assert shape == (4, 4, NGF, 4 * NGF)
    assert not variables["generator/encoder_2/conv2d/bias"].any()


def test_batch_norm_brings_its_running_statistics(tmp_path):
    network = _randomise(_Unet(torch.nn.BatchNorm2d))
    _run_in_torch(network, _images(3))
    torch.save(network.state_dict(), tmp_path / "net.pth")
    variables = pytorch.read_generator(tmp_path / "net.pth").variables
    scope = "generator/encoder_2/batch_normalization"
    norm = network.model.model[1].model[2]
    np.testing.assert_array_equal(variables[f"{scope}/moving_mean"], norm.running_mean)
    np.testing.assert_array_equal(
        variables[f"{scope}/moving_variance"], norm.running_var
    )


def test_instance_norm_gets_gamma_one_beta_zero_and_no_statistics(tmp_path):
    _, path = _saved_generator(tmp_path, "instance")
    variables = pytorch.read_generator(path).variables
    scope = "generator/encoder_2/batch_normalization"
    np.testing.assert_array_equal(variables[f"{scope}/gamma"], np.ones(2 * NGF))
    np.testing.assert_array_equal(variables[f"{scope}/beta"], np.zeros(2 * NGF))
    assert not [name for name in variables if "moving" in name]


def _assert_same_variables(path, expected_path):
    got = pytorch.read_generator(path).variables
    expected = pytorch.read_generator(expected_path).variables
    assert got.keys() == expected.keys()
    for name, array in expected.items():
        np.testing.assert_array_equal(got[name], array)


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "module._orig_mod."])
def test_wrapped_networks_are_read_alike(tmp_path, prefix):
    network, path = _saved_generator(tmp_path)
    state = {f"{prefix}{key}": value for key, value in network.state_dict().items()}
    torch.save(state, tmp_path / "wrapped.pth")
    _assert_same_variables(tmp_path / "wrapped.pth", path)


def test_safetensors_are_read_alike_and_without_pytorch(tmp_path, monkeypatch):
    reason = "needs safetensors (pip install safetensors) to write the file it reads"
    save_file = pytest.importorskip("safetensors.torch", reason=reason).save_file
    network, path = _saved_generator(tmp_path)
    save_file(network.state_dict(), tmp_path / "net.safetensors")
    _assert_same_variables(tmp_path / "net.safetensors", path)
    monkeypatch.setitem(sys.modules, "torch", None)
    assert pytorch.read_generator(tmp_path / "net.safetensors").ngf == NGF


def test_files_of_before_pytorch_1_6_are_read_alike(tmp_path):
    network, path = _saved_generator(tmp_path)
    torch.save(
        network.state_dict(),
        tmp_path / "early.pth",
        _use_new_zipfile_serialization=False,
    )
    _assert_same_variables(tmp_path / "early.pth", path)


def test_unused_statistics_of_early_instance_norms_are_left_out(tmp_path):
    network, path = _saved_generator(tmp_path, "instance")
    state = network.state_dict()
    state["model.model.1.model.2.running_mean"] = torch.zeros(2 * NGF)
    torch.save(state, tmp_path / "early.pth")
    _assert_same_variables(tmp_path / "early.pth", path)


def test_early_files_with_biases_before_a_batch_norm_keep_them(tmp_path):
    network, path = _saved_generator(tmp_path)
    state = network.state_dict()
    for key, value in network.state_dict().items():
        if value.ndim == 4:
            is_up = key[-8] in "35"  # the index before .weight
            filters = value.shape[1 if is_up else 0]
            state[f"{key.removesuffix('weight')}bias"] = torch.full([filters], 0.5)
    torch.save(state, path)
    variables = pytorch.read_generator(path).variables
    biases = [array for name, array in variables.items() if name.endswith("/bias")]
    np.testing.assert_array_equal(np.concatenate(biases), 0.5)


class _Code:
    """Unpickled the unsafe way, it makes a folder."""

    def __init__(self, folder):
        self.folder = str(folder)

    def __reduce__(self):
        return os.mkdir, (self.folder,)


@pytest.mark.parametrize("read", [pytorch.read_generator, pytorch.read_discriminator])
def test_a_file_with_code_in_it_is_refused_and_the_code_does_not_run(tmp_path, read):
    torch.save({"model.model.0.weight": _Code(tmp_path / "ran")}, tmp_path / "bad.pth")
    with pytest.raises(ValueError, match="or one with code .* in it") as error_info:
        read(tmp_path / "bad.pth")
    assert str(tmp_path / "bad.pth") in str(error_info.value)
    assert "\n" not in str(error_info.value)
    assert not (tmp_path / "ran").exists()
    torch.load(tmp_path / "bad.pth", weights_only=False)  # the code is real
    assert (tmp_path / "ran").exists()


@pytest.mark.parametrize("name", ["net.pth", "net.safetensors"])
@pytest.mark.parametrize("contents", [b"", b"junk" * 100, b"PK\x03\x04junk"])
def test_a_damaged_file_is_refused(tmp_path, name, contents):
    if name.endswith("safetensors"):
        pytest.importorskip("safetensors", reason="needs pip install safetensors")
    (tmp_path / name).write_bytes(contents)
    with pytest.raises(ValueError, match="damaged file.* wanted the tensors of a stat"):
        pytorch.read_generator(tmp_path / name)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="nothing.pth"):
        pytorch.read_generator(tmp_path / "nothing.pth")


@pytest.mark.parametrize(
    "name, package", [("net.pth", "torch"), ("net.safetensors", "safetensors")]
)
def test_a_missing_package_is_named(tmp_path, monkeypatch, name, package):
    (tmp_path / name).write_bytes(b"")
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.setitem(sys.modules, "safetensors.numpy", None)
    with pytest.raises(ImportError, match=f"{name}: .* pip install {package}$"):
        pytorch.read_generator(tmp_path / name)


def _set(key, value):
    return lambda state: state.__setitem__(key, value)


INNERMOST = "model.model.1.model." + "3.model." * 6


@pytest.mark.parametrize(
    "change, message",
    [
        (
            lambda state: state.pop("model.model.3.bias"),
            "model.model.3.bias is missing",
        ),
        (
            lambda state: state.pop(f"{INNERMOST}4.running_var"),
            f"{INNERMOST}4.running_var is missing",
        ),
        (_set("model.model.9.x\n", torch.ones(1)), r"'model.model.9.x\n' is unknown"),
        # A norm after encoder_8, as in the original, has no place in that project.
        (_set(f"{INNERMOST}2.weight", torch.ones(8 * NGF)), "2.weight' is unknown"),
        (
            _set("model.model.1.model.1.weight", torch.ones(7, NGF, 4, 4)),
            "model.model.1.model.1.weight has shape [7, 4, 4, 4], wanted [8, 4, 4, 4]",
        ),
        (
            _set("model.model.0.weight", torch.ones(NGF)),
            "got shape [4] for model.model.0.weight, wanted 4 sizes",
        ),
        (
            lambda state: state.pop("model.model.3.weight"),
            "got shape [] for model.model.3.weight, wanted 4 sizes",
        ),
        (_set("model.model.3.bias", 1.0), "wanted the tensors of a state_dict alone"),
    ],
)
def test_a_state_dict_that_does_not_fit_is_refused_by_key(tmp_path, change, message):
    network, path = _saved_generator(tmp_path)
    state = network.state_dict()
    change(state)
    torch.save(state, path)
    with pytest.raises(ValueError) as error_info:
        pytorch.read_generator(path)
    got = str(error_info.value)
    assert got.startswith(f"{path}: ") and message in got and "\n" not in got


def test_many_wrong_keys_are_counted(tmp_path):
    network, path = _saved_generator(tmp_path)
    state = network.state_dict()
    torch.save({k: v for k, v in state.items() if ".running_" not in k}, path)
    with pytest.raises(ValueError, match="running_mean is missing;.* and 21 more$"):
        pytorch.read_generator(path)


@pytest.mark.parametrize("num_levels, size", [(7, 128), (9, 512)])
def test_a_unet_of_another_depth_is_refused_by_name(tmp_path, num_levels, size):
    _, path = _saved_generator(tmp_path, num_levels=num_levels)
    message = rf"got unet_{size} \({num_levels} levels\), wanted unet_256 \(8 levels\)"
    with pytest.raises(ValueError, match=message):
        pytorch.read_generator(path)


def test_another_network_is_refused(tmp_path):
    network = _patch_discriminator(torch.nn.BatchNorm2d, num_strided=2)
    torch.save(network.state_dict(), tmp_path / "net.pth")
    with pytest.raises(ValueError, match="got no U-Net, wanted unet_256"):
        pytorch.read_generator(tmp_path / "net.pth")
    with pytest.raises(ValueError, match=r"got 4 convolutions, wanted the 5 of"):
        pytorch.read_discriminator(tmp_path / "net.pth")
