"""Networks: counts, starting values, dropout and norms.

Names, shapes, skips and outputs are held to the recorded ones in tests/test_step.py.
"""

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
    name = "generator/encoder_2/separable_conv2d/depthwise_kernel"
    assert (name in networks.variables_by_name(generator)) == model.separable_conv


def test_a_kernel_that_free_memory_does_not_hold_is_refused(monkeypatch):
    machine = types.SimpleNamespace(available=10_000_000)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: machine)
    with pytest.raises(MemoryError, match="4 x 4 x 256 x 512 needs .* are free"):
        networks.build_generator((3, 3), ModelConfig())


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
