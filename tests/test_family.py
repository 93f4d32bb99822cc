"""Every kind of generator, discriminator and loss: shapes, counts, fields, training."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from pix2pix_tf import checkpoints, networks
from pix2pix_tf.inference import saved_model
from pix2pix_tf.networks import discriminators, parts
from pix2pix_tf.options import LossConfig, ModelConfig, from_dict, parse
from pix2pix_tf.runtime.errors import UsageError
from pix2pix_tf.training import losses, step
from tests.conftest import assert_equal_values, small_model, values_of

NGF = 4
W = 8 * NGF  # filters of the inner levels


def _count(**flags):
    """Returns the parameters of a generator with W filters in its inner levels."""
    generator = networks.build_generator((3, 3), ModelConfig(ngf=NGF, **flags))
    assert generator.output.shape == (None, 256, 256, 3)
    return networks.count_parameters(generator)


@pytest.mark.parametrize(
    "flags, fewer",
    [
        # encoder_8 and decoder_8 go (kernel, bias, gamma and beta), and decoder_7 takes
        # W channels, not 2 W.
        ({"num_downs": 7}, 2 * (16 * W * W + 3 * W) + 16 * W * W),
        # decoder_7 to decoder_1 take half as many channels.
        (
            {"generator": "encoder_decoder"},
            16 * (3 * W * W + W * W // 2 + W * W // 8 + W * W // 32 + W // 8 * 3),
        ),
        ({"innermost_norm": "none"}, 2 * W),
        ({"norm": "instance"}, 0),
        # gamma and beta of encoder_2..8 and decoder_8..2
        ({"norm": "none"}, 2 * (W // 4 + W // 2 + 9 * W + W // 2 + W // 4 + W // 8)),
    ],
)
def test_generators_differ_from_the_unet_by_what_their_layers_add_up_to(flags, fewer):
    assert _count(**flags) == _count() - fewer


def test_the_resnet_has_the_parameters_that_its_layers_add_up_to():
    # Zhu et al. 2017: 7x7 3->n, 3x3 n->2n->4n, 9 blocks of two 3x3 4n->4n, 3x3
    # 4n->2n->n, 7x7 n->3; every convolution but the last with a norm.
    n = NGF
    assert _count(generator="resnet") == (
        (49 * 3 * n + 3 * n)
        + 2 * (9 * n * 2 * n + 9 * 2 * n * 4 * n)
        + 3 * (2 * n + 4 * n + 2 * n + n)
        + 9 * 2 * (9 * 4 * n * 4 * n + 3 * 4 * n)
        + (49 * n * 3 + 3)
    )


# Kernels differ by 3x3 against 4x4, and by 4 times the filters.
@pytest.mark.parametrize("upsample, factor", [("resize", 9 / 16), ("subpixel", 9 / 4)])
def test_upsampling_changes_the_decoders_kernels_only(upsample, factor):
    def kernels(model):
        named = networks.variables_by_name(networks.build_generator((3, 3), model))
        return {
            name.split("/")[1]: np.prod(variable.shape)
            for name, variable in named.items()
            if name.endswith("kernel")
        }

    plain, other = kernels(small_model()), kernels(small_model(upsample=upsample))
    for layer, size in plain.items():
        assert other[layer] == size * (factor if "decoder" in layer else 1)


@pytest.mark.parametrize(
    "flags, field, grid",
    [
        ({"discriminator": "pixel"}, 1, 256),
        ({"n_layers": 1}, 16, 126),
        ({"n_layers": 2}, 34, 62),
        ({"n_layers": 3}, 70, 30),
        ({"n_layers": 4}, 142, 14),
        ({"n_layers": 5}, 286, 6),
        ({"n_layers": 6}, 574, 2),
        ({"discriminator": "image"}, 382, 1),
    ],
)
def test_fields_and_grids_are_those_of_the_network(flags, field, grid):
    # No norm: its statistics see the whole image.
    model = ModelConfig(ndf=1, norm="none", **flags)
    convs = discriminators.conv_table(model)
    assert discriminators.receptive_field(convs) == field
    assert discriminators.output_grid(convs, 256) == grid
    network = networks.build_discriminator((1, 1), model)
    assert network.output.shape == (None, grid, grid, 1)
    _average(network)
    place = grid // 2
    start = discriminators.field_start(convs, place)
    inside = min(start + field, 256) - max(start, 0)  # the border cuts large fields
    inputs = [tf.ones([1, 256, 256, 1]), tf.ones([1, 256, 256, 1])]
    assert _measured_field(network, inputs, place) == (inside, inside)


def _average(network):
    """Makes every kernel a mean, so that no path to a pixel cancels or vanishes."""
    for name, variable in networks.variables_by_name(network).items():
        if name.endswith("kernel"):
            # A transposed kernel has its filters before its channels.
            sizes = variable.shape[: -2 if "transpose" in name else -1]
            variable.assign(tf.ones_like(variable) / np.prod(sizes))


def _measured_field(network, inputs, place):
    """Returns (rows, columns) of the pixels that one output's gradient reaches."""
    with tf.GradientTape() as tape:
        tape.watch(inputs[-1])
        output = network(inputs if len(inputs) > 1 else inputs[0])[0, place, place, 0]
    gradient = tape.gradient(output, inputs[-1])[0]
    touched = np.abs(gradient).sum(axis=-1) > 0
    rows, columns = np.where(touched.any(axis=1))[0], np.where(touched.any(axis=0))[0]
    return rows[-1] - rows[0] + 1, columns[-1] - columns[0] + 1


@pytest.mark.parametrize("num_blocks", [6, 9])
def test_the_resnets_field_measured_by_gradient_is_the_computed_one(num_blocks):
    model = ModelConfig(
        generator="resnet", num_blocks=num_blocks, ngf=1, norm="none", no_dropout=True
    )
    network = networks.build_generator((1, 1), model)
    _average(network)
    # Of an even pixel: 7x7, two doublings by 3x3 that leave 3 at a quarter of the size,
    # two 3x3 a block, two halvings by 3x3, 7x7.
    at_a_quarter = 3 + 4 * num_blocks
    field = 2 * (2 * at_a_quarter + 1) + 1 + 6
    inputs = [tf.fill([1, 256, 256, 1], 1e-4)]  # each block doubles it, before the tanh
    assert _measured_field(network, inputs, 128) == (field, field)


def test_an_unconditional_discriminator_does_not_see_the_inputs():
    sides = tf.random.stateless_uniform([3, 1, 32, 32, 3], [1, 2], -1, 1)
    for unconditional in (False, True):
        model = small_model(unconditional=unconditional)
        network = networks.build_discriminator((3, 3), model)
        first, second = (network([side, sides[2]]) for side in sides[:2])
        assert np.array_equal(first, second) == unconditional


def test_several_discriminators_judge_at_halved_sizes():
    alone, several = (
        networks.build_discriminator((3, 3), ModelConfig(ndf=1, num_discriminators=n))
        for n in (1, 3)
    )
    grids = [tuple(output.shape[1:3]) for output in several.outputs]
    assert grids == [(30, 30), (14, 14), (6, 6)]
    assert networks.count_parameters(several) == 3 * networks.count_parameters(alone)


@pytest.mark.parametrize("init", ["normal", "xavier", "kaiming", "orthogonal"])
def test_kernels_start_as_the_sources_say(init):
    values = parts.kernel_initializer(init)([4, 4, 64, 128]).numpy()
    expected = {
        "normal": 0.02,
        "xavier": np.sqrt(2 / (16 * 64 + 16 * 128)),
        "kaiming": np.sqrt(2 / (16 * 64)),
    }
    if init == "orthogonal":
        matrix = values.reshape(-1, 128)
        np.testing.assert_allclose(matrix.T @ matrix, np.eye(128), atol=1e-4)
    else:
        np.testing.assert_allclose(values.std(), expected[init], rtol=0.02)
    assert not np.array_equal(parts.kernel_initializer(init)([4, 4, 64, 128]), values)


def test_dropout_takes_the_share_that_it_is_given():
    layer = parts.Dropout(0.25)
    kept = np.mean(layer(tf.ones([1, 64, 64, 8])) > 0)
    assert abs(kept - 0.75) < 0.02
    generator = networks.build_generator((3, 3), small_model(dropout=0.0))
    assert not any(isinstance(layer, parts.Dropout) for layer in generator.layers)


# Network flags, and loss flags: each kind once, and those that touch each other.
RESNET = {"generator": "resnet", "num_downs": 8, "num_blocks": 6}
IMAGE, PIXEL = ({"discriminator": kind, "n_layers": 3} for kind in ("image", "pixel"))
ENCODER = {"generator": "encoder_decoder", "innermost_norm": "none"}
COMBINATIONS = [
    ({"separable_conv": True}, {}),
    (ENCODER | {"upsample": "resize"}, {"gan_mode": "lsgan"}),
    (RESNET | IMAGE, {"gan_mode": "hinge", "l2_weight": 1.0}),
    ({"upsample": "subpixel"}, {"gan_weight": 0.0, "tv_weight": 1.0}),
    (
        {"norm": "instance", "num_discriminators": 2, "crop_size": 64},
        {"feature_weight": 10.0, "label_smoothing": 0.1},
    ),
    (PIXEL | {"norm": "none", "init": "kaiming"}, {"gan_mode": "wgangp"}),
]
CHANNELS = (1, 2)


def _has_no_gradient(name, model, loss):
    """Returns True for the biases whose true gradient is zero.

    A norm takes away every constant before it; and a constant added to the scores of
    real and fake pairs changes neither their difference (wgangp) nor, within the
    margin, hinge.
    """
    if not name.endswith("bias"):
        return False
    last = f"layer_{len(discriminators.conv_table(model))}/"
    if last in name:
        return loss.gan_mode in ("hinge", "wgangp")
    is_first = any(part in name for part in ("encoder_1/", "decoder_1/", "layer_1/"))
    return model.norm != "none" and not is_first


@pytest.mark.parametrize("model_flags, loss_flags", COMBINATIONS)
def test_three_steps_change_every_variable_and_all_comes_back_from_disk(
    model_flags, loss_flags, tmp_path
):
    model, loss = small_model(ngf=2, ndf=2, **model_flags), LossConfig(**loss_flags)
    state = step.make_state(CHANNELS, model, loss)
    train_step = step.make_train_step(state, loss, seed=1)
    before = values_of(state)
    size = [2, model.crop_size, model.crop_size, sum(CHANNELS)]
    sides = tf.random.stateless_uniform(size, [1, 1], -1, 1)
    inputs, targets = tf.split(sides, CHANNELS, axis=3)
    for _ in range(3):
        result = train_step(inputs, targets)
    assert list(result.losses) == losses.loss_names(loss)
    assert all(np.isfinite(value) for value in result.losses.values())
    assert int(state.global_step) == 3 and int(state.position) == 6
    for network, _ in state.trained:
        for name, variable in networks.trainable_by_name(network).items():
            changed = not np.array_equal(variable, before[name])
            assert changed or _has_no_gradient(name, model, loss), name
    checkpoints.save(state, tmp_path, keep=1)
    restored = step.make_state(CHANNELS, model, loss)
    checkpoints.restore(restored, checkpoints.find_latest(tmp_path))
    assert_equal_values(values_of(restored), values_of(state))
    _check_export(model, tmp_path, inputs[:1])


def _check_export(model, folder, inputs):
    """Holds what is exported, for any size, to the generator of the trained size."""
    model = dataclasses.replace(model, no_dropout=True)
    generator, any_size = (
        networks.build_generator(CHANNELS, model, any_size)
        for any_size in (False, True)
    )
    for network in (generator, any_size):
        checkpoints.restore_generator(network, checkpoints.find_latest(folder))
    flags = {"mode": "export", "full_size": True}
    flags |= dict(zip(("input_channels", "target_channels"), CHANNELS, strict=True))
    serving = saved_model.ServingModel(any_size, from_dict(vars(model) | flags))
    generate = serving.generate.get_concrete_function(
        tf.TensorSpec([None, None, None, CHANNELS[0]], tf.float32, name="inputs")
    )
    tf.saved_model.save(serving, str(folder / "model"), {"generate": generate})
    loaded = tf.saved_model.load(str(folder / "model"))
    outputs = loaded.signatures["generate"](inputs=inputs)["outputs"]
    np.testing.assert_allclose(outputs, generator(inputs), atol=1e-4)


def test_without_a_gan_term_no_discriminator_is_built():
    loss = LossConfig(gan_weight=0.0)
    state = step.make_state((3, 3), small_model(), loss)
    assert state.discriminator is None and state.d_optimizer is None
    assert list(state.ema) == ["generator_loss_L1"]


@pytest.mark.parametrize(
    "arguments, words",
    [
        ("--num_downs 9", "--crop_size 256 must be multiples of 512"),
        ("--generator resnet --separable_conv", "--separable_conv cannot be used with"),
        ("--generator resnet --num_downs 7", "--num_downs cannot be used with"),
        ("--num_blocks 6", "--num_blocks cannot be used with"),
        ("--separable_conv --upsample resize", "--upsample resize cannot be used"),
        ("--discriminator pixel --n_layers 2", "--n_layers cannot be used with"),
        ("--discriminator image --num_discriminators 2", "--num_discriminators"),
        ("--n_layers 6 --num_discriminators 2", "leaves nothing of the 128 pixels"),
        ("--gan_mode wgangp", "--gan_mode wgangp .*: give --norm none"),
        ("--gan_mode hinge --label_smoothing 0.1", "--label_smoothing cannot be used"),
        ("--gan_weight 0 --feature_weight 1", "--feature_weight cannot be used with"),
        (
            "--gan_weight 0 --l1_weight 0 --tv_weight 1",
            "--gan_weight, --l1_weight, --l2_weight, --feature_weight and "
            "--perceptual_weight are all 0: the generator has nothing to learn from",
        ),
        ("--perceptual_weight 1 --lab_colorization", "--perceptual_weight needs RGB"),
        ("--vgg_weights /nowhere.h5", "/nowhere.h5 is not a file"),
    ],
)
def test_what_does_not_go_together_is_refused_by_name(arguments, words):
    with pytest.raises(UsageError, match=words):
        parse(["--mode", "train", *arguments.split()])
