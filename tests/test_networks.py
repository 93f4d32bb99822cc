import itertools
import types

import numpy as np
import psutil
import pytest
import tensorflow as tf

from pix2pix_tf import networks
from pix2pix_tf.options import ModelConfig

TINY = ModelConfig(ngf=2, ndf=2)


@pytest.fixture(scope="module")
def generator():
    return networks.build_generator((3, 3), TINY)


@pytest.fixture(scope="module")
def inputs():
    return tf.random.stateless_uniform([1, 256, 256, 3], [0, 1], -1, 1)


# The original prints 57190084 at its defaults; the others follow from its shapes.
@pytest.mark.parametrize(
    "channels, model, generator_count, total",
    [
        ((3, 3), ModelConfig(), 54_420_483, 57_190_084),
        ((1, 2), ModelConfig(), 54_416_386, 57_182_915),
        ((3, 3), ModelConfig(separable_conv=True), 3_544_691, 6_314_292),
    ],
)
def test_parameter_counts_are_the_originals(channels, model, generator_count, total):
    generator = networks.build_generator(channels, model)
    discriminator = networks.build_discriminator(channels, model)
    assert networks.count_parameters(generator) == generator_count
    assert networks.count_parameters(generator, discriminator) == total


def test_a_kernel_that_free_memory_does_not_hold_is_refused(monkeypatch):
    machine = types.SimpleNamespace(available=10_000_000)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: machine)
    with pytest.raises(MemoryError, match="4 x 4 x 256 x 512 needs .* are free"):
        networks.build_generator((3, 3), ModelConfig())


@pytest.mark.parametrize("separable", [False, True])
def test_generator_layers_have_the_originals_names_and_shapes(separable):
    model = ModelConfig(ngf=2, separable_conv=separable)
    generator = networks.build_generator((3, 2), model)
    widths = {1: 2, 2: 4, 3: 8, 4: 16, 5: 16, 6: 16, 7: 16, 8: 16}
    for level, width in widths.items():
        size = 256 // 2**level
        layer = generator.get_layer(f"encoder_{level}")
        assert layer.output.shape == (None, size, size, width)
    widths = {8: 16, 7: 16, 6: 16, 5: 16, 4: 8, 3: 4, 2: 2, 1: 2}
    for level, width in widths.items():
        size = 512 // 2**level
        layer = generator.get_layer(f"decoder_{level}")
        assert layer.output.shape == (None, size, size, width)
    assert generator.output.shape == (None, 256, 256, 2)


def test_discriminator_layers_have_the_originals_names_and_shapes():
    discriminator = networks.build_discriminator((1, 2), TINY)
    sizes = {1: (128, 2), 2: (64, 4), 3: (32, 8), 4: (31, 16), 5: (30, 1)}
    for level, (size, width) in sizes.items():
        layer = discriminator.get_layer(f"layer_{level}")
        assert layer.output.shape == (None, size, size, width)
    assert [tuple(side.shape) for side in discriminator.inputs] == [
        (None, 256, 256, 1),
        (None, 256, 256, 2),
    ]


def test_skips_join_the_decoder_before_the_encoder(generator):
    for level in range(1, 8):
        decoder, encoder = generator.get_layer(f"skip_{level}").input
        assert decoder.shape[1:3] == encoder.shape[1:3]
        assert encoder is (
            generator.get_layer(f"encoder_{level}_batch_normalization").output
            if level > 1
            else generator.get_layer("encoder_1").output
        )


def test_each_kernel_starts_with_numbers_of_its_own(generator):
    kernels = [
        variable.numpy()
        for name, variable in networks.variables_by_name(generator).items()
        if name.endswith("/kernel")
    ]
    firsts = {float(kernel.ravel()[0]) for kernel in kernels}
    assert len(firsts) == len(kernels) == 16


def test_initial_values_have_the_papers_distribution():
    generator = networks.build_generator((3, 3), ModelConfig(ngf=8))
    for name, variable in networks.variables_by_name(generator).items():
        values = variable.numpy()
        if name.endswith("bias") or name.endswith("beta"):
            assert np.all(values == 0), name
        elif name.endswith("kernel") and values.size > 5000:
            assert abs(values.std() - 0.02) < 0.001, name
            assert np.abs(values).max() > 0.05, f"{name} is truncated"
        elif name.endswith("gamma"):
            assert 0.9 < values.mean() < 1.1 and values.std() > 0, name


def _three_calls(generator, inputs):
    """The ways of calling a Keras model, each of which sets `training` differently."""
    return [
        generator(inputs, training=False).numpy(),
        generator(inputs, training=True).numpy(),
        generator.predict(inputs, verbose=0),
    ]


def test_dropout_is_on_whatever_training_says(generator, inputs):
    outputs = _three_calls(generator, inputs) + _three_calls(generator, inputs)
    for first, second in itertools.combinations(outputs, 2):
        assert np.abs(first - second).mean() > 0


def test_without_dropout_every_call_gives_the_same(inputs):
    model = ModelConfig(ngf=2, no_dropout=True)
    first, *others = _three_calls(networks.build_generator((3, 3), model), inputs)
    for other in others:
        np.testing.assert_allclose(other, first, atol=1e-6)


def test_dropout_keyed_alike_repeats_and_keyed_otherwise_does_not(generator, inputs):
    def outputs(seed, position):
        networks.seed_dropout(generator, seed, tf.constant(position, tf.int64))
        return generator(inputs).numpy()

    first = outputs(3, 10)
    np.testing.assert_array_equal(outputs(3, 10), first)
    assert np.abs(outputs(3, 11) - first).mean() > 0
    assert np.abs(outputs(4, 10) - first).mean() > 0


def test_batch_statistics_are_used_in_every_mode():
    discriminator = networks.build_discriminator((3, 3), TINY)
    pair = tf.random.stateless_uniform([2, 2, 256, 256, 3], [2, 3], -1, 1)
    for training in (False, True):
        both = discriminator([pair[0], pair[1]], training=training)
        alone = discriminator([pair[0][:1], pair[1][:1]], training=training)
        assert np.abs(both[:1] - alone).max() > 1e-4


def test_moving_statistics_are_never_touched(generator, inputs):
    _three_calls(generator, inputs)
    moving = {
        name: variable.numpy()
        for name, variable in networks.variables_by_name(generator).items()
        if "/moving_" in name
    }
    assert len(moving) == 28
    for name, values in moving.items():
        assert np.all(values == ("variance" in name)), name


def test_at_batch_1_the_innermost_norm_passes_no_input_on(inputs):
    model = ModelConfig(ngf=2, no_dropout=True)
    generator = networks.build_generator((3, 3), model)
    norm = generator.get_layer("encoder_8_batch_normalization")
    norm.beta.assign(np.arange(16))
    ones = tf.random.stateless_uniform([1, 1, 1, 16], [5, 6])
    np.testing.assert_allclose(norm(ones)[0, 0, 0], np.arange(16), atol=1e-5)


def test_variables_have_the_originals_names(generator):
    names = set(networks.variables_by_name(generator))
    assert {
        "generator/encoder_1/conv2d/kernel",
        "generator/encoder_8/batch_normalization/gamma",
        "generator/decoder_8/conv2d_transpose/bias",
    } < names
    assert len(names) == 16 * 2 + 14 * 4
    model = ModelConfig(ngf=2, separable_conv=True)
    names = networks.variables_by_name(networks.build_generator((3, 3), model))
    assert "generator/encoder_2/separable_conv2d/depthwise_kernel" in names


def test_outputs_stay_in_their_ranges(generator, inputs):
    outputs = generator(inputs)
    assert np.abs(outputs).max() <= 1 and outputs.dtype == tf.float32
    discriminator = networks.build_discriminator((3, 3), TINY)
    predictions = discriminator([inputs, outputs])
    assert 0 <= np.min(predictions) and np.max(predictions) <= 1


@pytest.mark.parametrize(
    "changes", [{}, {"separable_conv": True}, {"norm": "none"}, {"generator": "resnet"}]
)
def test_the_graph_optimizer_has_no_errors_with_a_frozen_network(changes, capfd):
    if changes.get("generator") != "resnet":
        changes = {"num_downs": 5} | changes
    generator = networks.build_generator(
        (3, 3), ModelConfig(ngf=4, crop_size=32, **changes)
    )
    networks.freeze(generator)
    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": False})
    try:
        tf.function(generator)(tf.zeros([1, 32, 32, 3]))
    finally:  # as in conftest.py
        tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})
    assert "remapper failed" not in capfd.readouterr().err
