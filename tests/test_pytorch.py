"""Weights of pytorch-CycleGAN-and-pix2pix: same outputs here as there; refusals."""

import sys
from collections import OrderedDict

import numpy as np
import pytest
import tensorflow as tf

import pix2pix_tf
from pix2pix_tf import checkpoints, networks, train
from pix2pix_tf.commands import convert as convert_command
from pix2pix_tf.interop import pytorch
from pix2pix_tf.options import ModelConfig, read_options
from tests.conftest import assert_equal_values, read_image

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
    assert weights[1:] == (norm, NGF, (3, 2))

    expected = _run_in_torch(network, _images(3))
    model = ModelConfig(ngf=NGF, no_dropout=True, norm=norm, innermost_norm="none")
    generator = networks.build_generator((3, 2), model)
    got = _assigned(generator, weights.variables)(_images(3))
    assert expected.std() > 0.2  # so that a kernel in the wrong place would show
    np.testing.assert_allclose(got, expected, atol=TOLERANCE)


@pytest.mark.parametrize("ending", ["pth", "safetensors"])
def test_load_translates_by_a_file_of_pytorch(tmp_path, ending):
    network, path = _saved_generator(tmp_path, channels_out=3)
    if ending == "safetensors":
        path = path.with_suffix(".safetensors")
        safetensors = pytest.importorskip("safetensors.torch")
        safetensors.save_file(network.state_dict(), path)
    translate = pix2pix_tf.load(path)
    images = np.random.default_rng(2).random([2, 256, 256, 3], np.float32)
    for image in images:  # batch norm is over each image alone
        expected = _run_in_torch(network, image[np.newaxis] * 2 - 1)[0] / 2 + 0.5
        np.testing.assert_allclose(translate(image), expected, atol=TOLERANCE)


@pytest.mark.parametrize("norm", NORMS)
def test_the_discriminator_gives_the_outputs_it_gave_in_pytorch(tmp_path, norm):
    network = _randomise(_patch_discriminator(NORMS[norm]))
    torch.save(network.state_dict(), tmp_path / "latest_net_D.pth")
    weights = pytorch.read_discriminator(tmp_path / "latest_net_D.pth")
    assert weights[1:] == (norm, NDF, (5,))

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
    status = convert_command.main([str(source), str(folder), *arguments])
    captured = capsys.readouterr()
    [line] = (captured.err if status else captured.out).splitlines()
    return status, line


def _command(mode, *arguments):
    assert train.main([str(part) for part in ("--mode", mode, *arguments)]) == 0


def test_a_converted_generator_is_tested_with_the_same_images(
    capsys, tmp_path, pair_dir
):
    network, path = _saved_generator(tmp_path, channels_out=3)
    ours, tested = tmp_path / "ours", tmp_path / "tested"
    status, line = _converted(capsys, path, ours, "--which_direction", "BtoA")
    assert status == 0 and "generator only" in line and line.endswith("from pytorch")
    flags = ["--no_dropout", "--checkpoint", ours, "--input_dir", pair_dir]
    _command("test", *flags, "--output_dir", tested, "--max_steps", 1)
    inputs, outputs = (
        read_image(tested / "images" / f"1-{kind}.png")
        for kind in ("inputs", "outputs")
    )
    inputs = inputs[np.newaxis].astype(np.float32) / 127.5 - 1
    [expected] = _run_in_torch(network, inputs)
    difference = np.abs((expected + 1) * 127.5 - outputs)
    # The image of the inputs is rounded to 8 bits, the network's inputs are not.
    assert difference.mean() < 2


def test_a_converted_pair_of_networks_is_trained_further(capsys, tmp_path, photo_dir):
    """A colorization: one channel in, two out."""
    network, _ = _saved_generator(tmp_path, channels_in=1)
    patches = _randomise(_patch_discriminator(torch.nn.BatchNorm2d, channels=3))
    torch.save(patches.state_dict(), tmp_path / "latest_net_D.pth")
    ours, run = tmp_path / "ours", tmp_path / "run"
    status, line = _converted(capsys, tmp_path, ours)
    assert status == 0 and "everything that training continues from" in line
    reader = tf.train.load_checkpoint(str(ours))
    assert reader.get_tensor("global_step") == 0
    kernel = network.model.model[0].weight.detach().permute(2, 3, 1, 0)
    name = "generator/encoder_1/conv2d/kernel"
    np.testing.assert_array_equal(reader.get_tensor(name), kernel)
    assert not reader.get_tensor(f"{name}/Adam").any()
    flags = ["--checkpoint", ours, "--input_dir", photo_dir, "--output_dir", run]
    _command("train", *flags, "--max_steps", 1, "--summary_freq", 0)
    options = read_options(run / "options.json")
    assert options["lab_colorization"] and options["innermost_norm"] == "none"
    assert (options["ngf"], options["ndf"], options["norm"]) == (NGF, NDF, "batch")
    assert checkpoints.find_latest(run).endswith("model-1")
    for kind in ("tf1", "pict"):
        status, line = _converted(capsys, run, tmp_path / "a", "--to", kind)
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


def test_batch_norm_brings_its_running_statistics(tmp_path):
    network = _randomise(_Unet(torch.nn.BatchNorm2d))
    _run_in_torch(network, _images(3))
    torch.save(network.state_dict(), tmp_path / "net.pth")
    variables = pytorch.read_generator(tmp_path / "net.pth").variables
    assert {array.dtype for array in variables.values()} == {np.dtype(np.float32)}
    norm = network.model.model[1].model[2]
    for name, values in (("mean", norm.running_mean), ("variance", norm.running_var)):
        got = variables[f"generator/encoder_2/batch_normalization/moving_{name}"]
        np.testing.assert_array_equal(got, values)


def _prefixed(state, prefix):
    return {f"{prefix}{key}": value for key, value in state.items()}


def _with_statistics(state):
    """Files of before PyTorch 0.4 have unused ones with instance norms."""
    return state | {"model.model.1.model.2.running_mean": torch.zeros(2 * NGF)}


@pytest.mark.parametrize(
    "norm, change, zipped",
    [
        ("batch", lambda state: _prefixed(state, "module."), True),
        ("batch", lambda state: _prefixed(state, "module._orig_mod."), True),
        ("batch", lambda state: state, False),  # before PyTorch 1.6
        ("instance", _with_statistics, True),
    ],
)
def test_wrapped_networks_and_early_files_are_read_alike(
    tmp_path, norm, change, zipped
):
    network, path = _saved_generator(tmp_path, norm)
    other = tmp_path / "other.pth"
    changed = change(network.state_dict())
    torch.save(changed, other, _use_new_zipfile_serialization=zipped)
    got, expected = (pytorch.read_generator(one).variables for one in (other, path))
    assert_equal_values(got, expected)


def test_safetensors_are_read_alike_and_without_pytorch(tmp_path, monkeypatch):
    reason = "needs safetensors (pip install safetensors) to write the file it reads"
    save_file = pytest.importorskip("safetensors.torch", reason=reason).save_file
    network, path = _saved_generator(tmp_path)
    save_file(network.state_dict(), tmp_path / "net.safetensors")
    expected = pytorch.read_generator(path).variables
    monkeypatch.setitem(sys.modules, "torch", None)
    got = pytorch.read_generator(tmp_path / "net.safetensors").variables
    assert_equal_values(got, expected)


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


@pytest.mark.parametrize("name", ["net.pth", "net.safetensors"])
@pytest.mark.parametrize("contents", [b"", b"junk" * 100, b"PK\x03\x04junk"])
def test_a_damaged_file_is_refused(tmp_path, name, contents):
    if name.endswith("safetensors"):
        pytest.importorskip("safetensors", reason="needs pip install safetensors")
    (tmp_path / name).write_bytes(contents)
    with pytest.raises(ValueError, match="damaged file.* wanted only the tensors"):
        pytorch.read_generator(tmp_path / name)


@pytest.mark.parametrize(
    "name, package", [("net.pth", "torch"), ("net.safetensors", "safetensors")]
)
def test_a_missing_file_and_a_missing_package_are_named(
    tmp_path, monkeypatch, name, package
):
    with pytest.raises(FileNotFoundError, match=name):
        pytorch.read_generator(tmp_path / name)
    (tmp_path / name).write_bytes(b"")
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.setitem(sys.modules, "safetensors.numpy", None)
    with pytest.raises(ImportError, match=f"{name}: .* pip install {package}$"):
        pytorch.read_generator(tmp_path / name)


INNERMOST = "model.model.1.model." + "3.model." * 6
SHAPE = "model.model.1.model.1.weight"


@pytest.mark.parametrize(
    "key, value, message",  # None: the key is missing
    [
        ("model.model.3.bias", None, "model.model.3.bias is missing"),
        (f"{INNERMOST}4.running_var", None, f"{INNERMOST}4.running_var is missing"),
        ("model.model.9.x\n", torch.ones(1), r"'model.model.9.x\n' is unknown"),
        # A norm after encoder_8, as in the original, has no place in that project.
        (f"{INNERMOST}2.weight", torch.ones(8 * NGF), "2.weight' is unknown"),
        (
            SHAPE,
            torch.ones(7, NGF, 4, 4),
            f"{SHAPE} has shape [7, 4, 4, 4], wanted [8, 4, 4, 4]",
        ),
        ("model.model.0.weight", torch.ones(NGF), "got shape [4] for model.model.0.w"),
        ("model.model.3.weight", None, "got shape [] for model.model.3.weight"),
        ("model.model.3.bias", 1.0, "wanted only the tensors of a state_dict"),
    ],
)
def test_a_state_dict_that_does_not_fit_is_refused_by_key(
    tmp_path, key, value, message
):
    network, path = _saved_generator(tmp_path)
    state = network.state_dict() | {key: value}
    torch.save({key: one for key, one in state.items() if one is not None}, path)
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


@pytest.mark.parametrize(
    "make, sizes, read, message",
    [
        (_Unet, {"num_levels": 7}, pytorch.read_generator, "got unet_128 .7 levels"),
        (_Unet, {"num_levels": 9}, pytorch.read_generator, "got unet_512 .9 levels"),
        (_patch_discriminator, {}, pytorch.read_generator, "got no U-Net, wanted"),
        (
            _patch_discriminator,
            {"num_strided": 2},
            pytorch.read_discriminator,
            "got 4 convolutions, wanted the 5 of",
        ),
    ],
)
def test_another_network_is_refused_by_name(tmp_path, make, sizes, read, message):
    network = make(torch.nn.BatchNorm2d, **sizes)
    torch.save(network.state_dict(), tmp_path / "net.pth")
    with pytest.raises(ValueError, match=message):
        read(tmp_path / "net.pth")
