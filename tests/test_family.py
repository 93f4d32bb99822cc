"""Every kind of generator, discriminator and loss: shapes, counts, fields, training."""

import dataclasses
import itertools

import numpy as np
import pytest
import tensorflow as tf

from pix2pix_tf import checkpoints, networks, train
from pix2pix_tf.inference import export
from pix2pix_tf.networks import discriminators, parts
from pix2pix_tf.options import LossConfig, ModelConfig, from_dict, parse
from pix2pix_tf.runtime.errors import UsageError
from pix2pix_tf.training import step
from tests.conftest import read_image

UNET = 54_420_483  # parameters of the original's generator


def _level(channels, filters, norm=2):
    """Parameters of a 4x4 convolution with bias, gamma and beta."""
    return 16 * channels * filters + filters + norm * filters


@pytest.mark.parametrize(
    "flags, count",
    [
        ({}, UNET),
        # encoder_8 and decoder_8 go, and decoder_7 takes 512 channels, not 1024.
        ({"num_downs": 7}, UNET - 2 * _level(512, 512) - 16 * 512 * 512),
        # decoder_7 to decoder_1 take half as many channels.
        (
            {"generator": "encoder_decoder"},
            UNET - 16 * (3 * 512 * 512 + 512 * 256 + 256 * 128 + 128 * 64 + 64 * 3),
        ),
        ({"innermost_norm": "none"}, UNET - 2 * 512),
        ({"norm": "instance"}, UNET),
        # gamma and beta of encoder_2..8 and decoder_8..2
        ({"norm": "none"}, UNET - 2 * (128 + 256 + 5 * 512 + 4 * 512 + 256 + 128 + 64)),
        # Zhu et al. 2017: 7x7 3->64, 3x3 64->128->256, 9 blocks of two 3x3 256->256,
        # 3x3 256->128->64, 7x7 64->3; every convolution but the last with a norm.
        (
            {"generator": "resnet"},
            (49 * 3 * 64 + 3 * 64)
            + (9 * 64 * 128 + 3 * 128)
            + (9 * 128 * 256 + 3 * 256)
            + 9 * 2 * (9 * 256 * 256 + 3 * 256)
            + (9 * 256 * 128 + 3 * 128)
            + (9 * 128 * 64 + 3 * 64)
            + (49 * 64 * 3 + 3),
        ),
    ],
)
def test_generators_have_the_parameters_that_their_layers_add_up_to(flags, count):
    generator = networks.build_generator((3, 3), ModelConfig(**flags))
    assert networks.count_parameters(generator) == count
    assert generator.output.shape == (None, 256, 256, 3)


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

    plain = kernels(ModelConfig(ngf=4))
    other = kernels(ModelConfig(ngf=4, upsample=upsample))
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
def test_fields_and_grids_are_computed_from_the_layers(flags, field, grid):
    model = ModelConfig(ndf=1, **flags)
    convs = discriminators.conv_table(model)
    assert discriminators.receptive_field(convs) == field
    assert discriminators.output_grid(convs, 256) == grid
    built = networks.build_discriminator((3, 3), model)
    assert built.output.shape == (None, grid, grid, 1)


def _measured_field(network, inputs, place):
    """Returns [[first, end] of rows, and of columns] that one output depends on."""
    with tf.GradientTape() as tape:
        tape.watch(inputs[-1])
        output = network(inputs if len(inputs) > 1 else inputs[0])[0, place, place, 0]
    gradient = tape.gradient(output, inputs[-1])[0]
    places = np.argwhere(np.abs(gradient).sum(axis=-1) > 0)
    return np.stack([places.min(axis=0), places.max(axis=0) + 1], axis=1)


def _averaging(network):
    """Makes every kernel a mean, so that no path to a pixel cancels or vanishes."""
    for name, variable in networks.variables_by_name(network).items():
        if name.endswith("conv2d_transpose/kernel"):
            variable.assign(tf.ones_like(variable) / np.prod(variable.shape[:-2]))
        elif name.endswith("kernel"):
            variable.assign(tf.ones_like(variable) / np.prod(variable.shape[:-1]))


# At n_layers 5 and 6, and for the whole image, the border cuts the field.
@pytest.mark.parametrize(
    "flags", [{"discriminator": "pixel"}, *({"n_layers": n} for n in range(1, 7))]
)
def test_a_discriminators_field_measured_by_gradient_is_the_computed_one(flags):
    # No norm: its statistics see the whole image.
    model = ModelConfig(ndf=1, norm="none", **flags)
    network = networks.build_discriminator((1, 1), model)
    _averaging(network)
    convs = discriminators.conv_table(model)
    place = discriminators.output_grid(convs, 256) // 2
    start = discriminators.field_start(convs, place)
    end = start + discriminators.receptive_field(convs)
    inputs = [tf.ones([1, 256, 256, 1]), tf.ones([1, 256, 256, 1])]
    measured = _measured_field(network, inputs, place)
    np.testing.assert_array_equal(measured, [[max(start, 0), min(end, 256)]] * 2)


@pytest.mark.parametrize("num_blocks", [6, 9])
def test_the_resnets_field_measured_by_gradient_is_the_computed_one(num_blocks):
    model = ModelConfig(
        generator="resnet", num_blocks=num_blocks, ngf=1, norm="none", no_dropout=True
    )
    network = networks.build_generator((1, 1), model)
    _averaging(network)
    # Of an even pixel: 7x7, two doublings by 3x3 that leave 3 at a quarter of the size,
    # two 3x3 a block, two halvings by 3x3, 7x7.
    at_a_quarter = 3 + 4 * num_blocks
    field = 2 * (2 * at_a_quarter + 1) + 1 + 6
    inputs = [tf.fill([1, 256, 256, 1], 1e-4)]  # each block doubles it, before the tanh
    measured = _measured_field(network, inputs, 128)
    np.testing.assert_array_equal(measured[:, 1] - measured[:, 0], [field, field])


def test_an_unconditional_discriminator_does_not_see_the_inputs():
    sides = tf.random.stateless_uniform([3, 1, 256, 256, 3], [1, 2], -1, 1)
    for unconditional in (False, True):
        model = ModelConfig(ndf=2, unconditional=unconditional)
        network = networks.build_discriminator((3, 3), model)
        first, second = (network([side, sides[2]]) for side in sides[:2])
        assert np.array_equal(first, second) == unconditional


def test_several_discriminators_judge_at_halved_sizes():
    network = networks.build_discriminator((3, 3), ModelConfig(num_discriminators=3))
    grids = [tuple(output.shape[1:3]) for output in network.outputs]
    assert grids == [(30, 30), (14, 14), (6, 6)]
    alone = networks.build_discriminator((3, 3), ModelConfig())
    assert networks.count_parameters(network) == 3 * networks.count_parameters(alone)


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
    generator = networks.build_generator((3, 3), ModelConfig(ngf=1, dropout=0.0))
    assert not any(isinstance(layer, parts.Dropout) for layer in generator.layers)


# (network flags, loss flags): each kind once, and the pairs that touch each other.
COMBINATIONS = [
    (
        {
            "generator": "encoder_decoder",
            "upsample": "resize",
            "innermost_norm": "none",
        },
        {"gan_mode": "lsgan"},
    ),
    (
        {"generator": "resnet", "num_blocks": 6, "discriminator": "image"},
        {"gan_mode": "hinge", "l2_weight": 1.0},
    ),
    ({"num_downs": 7, "upsample": "subpixel"}, {"gan_weight": 0.0, "tv_weight": 1.0}),
    (
        {"num_downs": 5, "norm": "instance", "num_discriminators": 2},
        {"feature_weight": 10.0, "label_smoothing": 0.1},
    ),
    (
        {"num_downs": 6, "norm": "none", "init": "kaiming", "discriminator": "pixel"},
        {"gan_mode": "wgangp"},
    ),
]


def _has_no_gradient(name, model, loss):
    """Says which biases have a true gradient of zero.

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
    model, loss = ModelConfig(ngf=2, ndf=2, **model_flags), LossConfig(**loss_flags)
    state = step.make_state((3, 3), model, loss)
    train_step = step.make_train_step(state, loss, seed=1)
    before = {n: v.numpy() for n, v in checkpoints._variables(state).items()}
    sides = tf.random.stateless_uniform([2, 2, 256, 256, 3], [1, 1], -1, 1)
    for _ in range(3):
        result = train_step(*sides)
    assert list(result.losses) == step.loss_names(loss)
    assert all(np.isfinite(value) for value in result.losses.values())
    for network, _ in state.trained:
        for name, variable in networks.variables_by_name(network).items():
            changed = not np.array_equal(variable, before[name])
            assert (
                changed or not variable.trainable or _has_no_gradient(name, model, loss)
            )
    checkpoints.save(state, tmp_path, keep=1)
    restored = step.make_state((3, 3), model, loss)
    checkpoints.restore(restored, checkpoints.find_latest(tmp_path))
    networks.key_dropout(state.generator, 1, 9)
    networks.key_dropout(restored.generator, 1, 9)
    np.testing.assert_allclose(
        restored.generator(sides[0]), state.generator(sides[0]), atol=1e-5
    )
    _check_export(model, tmp_path, sides[0, :1])


def _check_export(model, folder, inputs):
    """Holds what is exported, for any size, to the generator of the trained size."""
    model = dataclasses.replace(model, no_dropout=True)
    generator, any_size = (
        networks.build_generator((3, 3), model, any_size) for any_size in (False, True)
    )
    for network in (generator, any_size):
        checkpoints.restore_generator(network, checkpoints.find_latest(folder))
    parts = {"mode": "export", "checkpoint": "", "full_size": True}
    options = from_dict(vars(model) | parts)
    serving = export.ServingModel(any_size, options)
    generate = serving.generate.get_concrete_function(
        tf.TensorSpec([None, None, None, 3], tf.float32, name="inputs")
    )
    tf.saved_model.save(serving, str(folder / "model"), {"generate": generate})
    loaded = tf.saved_model.load(str(folder / "model"))
    outputs = loaded.signatures["generate"](inputs=inputs)["outputs"]
    np.testing.assert_allclose(outputs, generator(inputs), atol=1e-5)


def test_without_a_gan_term_no_discriminator_is_built():
    loss = LossConfig(gan_weight=0.0)
    state = step.make_state((3, 3), ModelConfig(ngf=1), loss)
    assert state.discriminator is None and state.d_optimizer is None
    assert list(state.ema) == ["generator_loss_L1"]


@pytest.mark.parametrize(
    "arguments, words",
    [
        ("--num_downs 9", "--crop_size 256 must be multiples of 512"),
        ("--generator resnet --separable_conv", "--separable_conv does not go with"),
        ("--generator resnet --num_downs 7", "--num_downs does not go with"),
        ("--num_blocks 6", "--num_blocks does not go with"),
        ("--separable_conv --upsample resize", "--upsample resize does not go"),
        ("--discriminator pixel --n_layers 2", "--n_layers does not go with"),
        ("--discriminator image --num_discriminators 2", "--num_discriminators"),
        ("--n_layers 6 --num_discriminators 2", "leaves nothing of the 128 pixels"),
        ("--gan_mode wgangp", "--norm instance or none"),
        ("--gan_mode hinge --label_smoothing 0.1", "--label_smoothing does not go"),
        ("--gan_weight 0 --feature_weight 1", "--feature_weight does not go with"),
        ("--gan_weight 0 --l1_weight 0", "nothing to learn from"),
        ("--perceptual_weight 1 --lab_colorization", "--perceptual_weight needs RGB"),
        ("--vgg_weights /nowhere.h5", "/nowhere.h5 is not a file"),
    ],
)
def test_what_does_not_go_together_is_refused_by_name(arguments, words):
    with pytest.raises(UsageError, match=words):
        parse(["--mode", "train", *arguments.split()])


def test_a_whole_run_of_another_family_trains_tests_and_exports(pair_dir, tmp_path):
    kinds = "--generator resnet --num_blocks 6 --gan_mode lsgan --norm instance"
    folders = {mode: str(tmp_path / mode) for mode in ("train", "test", "export")}
    arguments = ["--input_dir", str(pair_dir), "--ngf", "2", "--ndf", "2"]
    arguments += ["--max_steps", "1", *kinds.split(), "--output_dir", folders["train"]]
    assert train.main(["--mode", "train", *arguments]) == 0
    common = ["--checkpoint", folders["train"], "--no_dropout"]
    inputs = ["--input_dir", str(pair_dir), "--output_dir", folders["test"]]
    assert train.main(["--mode", "test", *common, *inputs]) == 0
    place = ["--output_dir", folders["export"]]
    assert train.main(["--mode", "export", *common, *place]) == 0
    model = tf.saved_model.load(folders["export"])
    images = tmp_path / "test" / "images"
    contents = (images / "1-inputs.png").read_bytes()
    [served] = model.signatures["serving_default"](image_bytes=tf.constant([contents]))[
        "output_bytes"
    ].numpy()
    served = tf.io.decode_png(served).numpy().astype(int)
    tested = read_image(images / "1-outputs.png").astype(int)
    assert np.abs(served - tested).max() <= 1


def test_conditions_of_the_flags_hold_for_all_generators_and_discriminators():
    kinds = itertools.product(
        ("unet", "encoder_decoder", "resnet"), ("patch", "pixel", "image")
    )
    for generator, discriminator in kinds:
        model = ModelConfig(
            ngf=1, ndf=1, generator=generator, discriminator=discriminator
        )
        outputs = networks.build_generator((1, 2), model).output
        judged = networks.build_discriminator((1, 2), model).output
        assert outputs.shape == (None, 256, 256, 2) and judged.shape[-1] == 1
