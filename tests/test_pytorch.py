"""Weights of pytorch-CycleGAN-and-pix2pix: same outputs here as there; refusals."""

import os
import sys
from collections import OrderedDict

import numpy as np
import pytest
import tensorflow as tf

import convert_checkpoint
from pix2pix_tf import checkpoints, networks, train
from pix2pix_tf.interop import pytorch
from pix2pix_tf.options import ModelConfig, read_options
from tests.conftest import read_image

torch = pytest.importorskip(
    "torch", reason="needs PyTorch (pip install torch) to write the files it reads"
)

NGF = 4
NDF = 6
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


def _patch_discriminator(norm, num_strided=3, channels=5):
    """A module whose keys are those of that project's `basic` discriminator."""
    conv, biased = torch.nn.Conv2d, norm is torch.nn.InstanceNorm2d
    widths = [NDF * min(2**level, 8) for level in range(num_strided + 1)]
    layers = [conv(channels, NDF, 4, 2, 1), torch.nn.LeakyReLU(0.2)]
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


def _assigned(network, values):
    """Gives a network of ours its values: all of them, and no other."""
    variables = networks.variables_by_name(network)
    assert set(values) == set(variables)
    for name, variable in variables.items():
        variable.assign(values[name])
    return network


@pytest.mark.parametrize("norm", NORMS)
def test_the_generator_gives_the_outputs_it_gave_in_pytorch(tmp_path, norm):
    network, path = _saved_generator(tmp_path, norm)
    weights = pytorch.read_generator(path)
    assert (weights.norm, weights.innermost_norm, weights.ngf) == (norm, "none", NGF)
    assert (weights.input_channels, weights.output_channels) == (3, 2)

    expected = _run_in_torch(network, _images(3))
    model = ModelConfig(ngf=NGF, no_dropout=True, norm=norm, innermost_norm="none")
    generator = networks.build_generator((3, 2), model)
    got = _assigned(generator, weights.variables)(_images(3))
    assert expected.std() > 0.2  # so that a kernel in the wrong place would show
    np.testing.assert_allclose(got, expected, atol=TOLERANCE)


@pytest.mark.parametrize("norm", NORMS)
def test_the_discriminator_gives_the_outputs_it_gave_in_pytorch(tmp_path, norm):
    network = _randomise(_patch_discriminator(NORMS[norm]))
    torch.save(network.state_dict(), tmp_path / "latest_net_D.pth")
    weights = pytorch.read_discriminator(tmp_path / "latest_net_D.pth")
    assert (weights.norm, weights.ndf, weights.pair_channels) == (norm, NDF, 5)

    expected = _run_in_torch(network, _images(5))
    discriminator = networks.build_discriminator(
        (3, 2), ModelConfig(ndf=NDF, norm=norm)
    )
    sides = tf.split(_images(5), [3, 2], axis=3)
    got = _assigned(discriminator, weights.variables)(sides)
    assert got.shape == (2, 30, 30, 1) and expected.std() > 0.2
    # Ours ends in a sigmoid, theirs gives logits.
    np.testing.assert_allclose(got, tf.sigmoid(expected), atol=TOLERANCE)


def _converted(capsys, source, folder, *arguments):
    """Returns the exit status and the one line of the converting tool."""
    status = convert_checkpoint.main([str(source), str(folder), *arguments])
    captured = capsys.readouterr()
    [line] = (captured.err if status else captured.out).splitlines()
    return status, line


@pytest.mark.parametrize("norm", NORMS)
def test_a_converted_generator_is_tested_with_the_same_pictures(
    capsys, tmp_path, pair_dir, norm
):
    network, path = _saved_generator(tmp_path, norm, channels_out=3)
    status, line = _converted(
        capsys, path, tmp_path / "ours", "--which_direction", "BtoA"
    )
    assert status == 0 and "generator only" in line and line.endswith("from pytorch")
    arguments = ["--mode", "test", "--no_dropout", "--checkpoint", tmp_path / "ours"]
    arguments += ["--input_dir", pair_dir, "--output_dir", tmp_path / "tested"]
    assert train.main([str(part) for part in [*arguments, "--max_steps", 1]]) == 0
    pictures = {
        kind: read_image(tmp_path / "tested" / "images" / f"1-{kind}.png")
        for kind in ("inputs", "outputs")
    }
    inputs = pictures["inputs"][np.newaxis].astype(np.float32) / 127.5 - 1
    [expected] = _run_in_torch(network, inputs)
    difference = np.abs((expected + 1) * 127.5 - pictures["outputs"])
    # The picture of the inputs is rounded to 8 bits, the network's inputs are not.
    assert difference.mean() < 2


def test_a_converted_pair_of_networks_is_trained_further(capsys, tmp_path, photo_dir):
    """A colorization: one channel in, two out."""
    network, _ = _saved_generator(tmp_path, channels_in=1)
    patches = _randomise(_patch_discriminator(torch.nn.BatchNorm2d, channels=3))
    torch.save(patches.state_dict(), tmp_path / "latest_net_D.pth")
    status, line = _converted(capsys, tmp_path, tmp_path / "ours")
    assert status == 0 and "all that training goes on from" in line
    reader = tf.train.load_checkpoint(str(tmp_path / "ours"))
    assert reader.get_tensor("global_step") == 0
    kernel = network.model.model[0].weight.detach().permute(2, 3, 1, 0)
    name = "generator/encoder_1/conv2d/kernel"
    np.testing.assert_array_equal(reader.get_tensor(name), kernel)
    assert not reader.get_tensor(f"{name}/Adam").any()
    arguments = ["--mode", "train", "--checkpoint", tmp_path / "ours"]
    arguments += ["--input_dir", photo_dir, "--output_dir", tmp_path / "run"]
    arguments += ["--max_steps", 1, "--summary_freq", 0]
    assert train.main([str(part) for part in arguments]) == 0
    options = read_options(tmp_path / "run" / "options.json")
    assert options["lab_colorization"] and options["innermost_norm"] == "none"
    assert (options["ngf"], options["ndf"], options["norm"]) == (NGF, NDF, "batch")
    assert checkpoints.find_latest(tmp_path / "run").endswith("model-1")
    for kind in ("tf1", "pict"):
        status, line = _converted(
            capsys, tmp_path / "run", tmp_path / "a", "--to", kind
        )
        assert status == 2 and "--innermost_norm none" in line


def test_networks_that_do_not_belong_together_are_refused(capsys, tmp_path):
    _saved_generator(tmp_path, channels_out=3)
    patches = _patch_discriminator(torch.nn.BatchNorm2d)
    torch.save(patches.state_dict(), tmp_path / "latest_net_D.pth")
    status, line = _converted(capsys, tmp_path, tmp_path / "ours")
    assert status == 2 and "5 channels, wanted batch norm and 6 channels" in line
    _, path = _saved_generator(tmp_path, channels_in=4)
    status, line = _converted(capsys, path, tmp_path / "ours")
    assert status == 2 and "got 4 input and 2 output channels, wanted 3 and 3" in line
    assert not (tmp_path / "ours").exists()


def test_a_file_with_code_is_not_converted(capsys, tmp_path):
    path = tmp_path / "latest_net_G.pth"
    torch.save({"model.model.0.weight": _Code(tmp_path / "ran")}, path)
    status, line = _converted(capsys, path, tmp_path / "ours")
    assert status == 2 and "or one with code" in line
    assert sorted(tmp_path.iterdir()) == [path]


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
    scope = "generator/encoder_2/instance_normalization"
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
        (_set("model.model.3.bias", 1.0), "wanted only the tensors of a state_dict"),
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
