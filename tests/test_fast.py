"""Our forms of convolutions equal the library's convolutions."""

import numpy as np
import pytest
import tensorflow as tf

from pix2pix_tf import networks
from pix2pix_tf.networks import convolutions, fast, forms
from pix2pix_tf.options import ModelConfig
from pix2pix_tf.runtime import processor


def _with_gradients(function, x, kernel):
    with tf.GradientTape() as tape:
        tape.watch([x, kernel])
        y = function(x, kernel)
    slopes = tf.reshape(tf.cos(tf.cast(tf.range(tf.size(y)), y.dtype)), y.shape)
    return y, *tape.gradient(y, [x, kernel], slopes)


def _assert_equal(ours, theirs, x, kernel):
    """Compares two functions and their gradients."""
    results = _with_gradients(ours, x, kernel), _with_gradients(theirs, x, kernel)
    for got, expected in zip(*results, strict=True):
        np.testing.assert_allclose(got, expected, atol=1e-12)


def _conv_by_library(x, kernel):
    return tf.nn.conv2d(x, kernel, 1, "VALID")


@pytest.mark.parametrize("height, width", [(1, 1), (2, 2), (1, 3), (4, 2), (8, 8)])
@pytest.mark.parametrize("batch", [1, 3])
def test_products_equal_convolutions_and_their_gradients(height, width, batch):
    rng = np.random.default_rng(height + 10 * width)
    small = tf.constant(rng.normal(size=[batch, height, width, 5]), tf.float64)
    large = tf.constant(rng.normal(size=[batch, 2 * height, 2 * width, 5]), tf.float64)
    kernel = tf.constant(rng.normal(size=[4, 4, 5, 7]), tf.float64)
    back = tf.constant(rng.normal(size=[4, 4, 7, 5]), tf.float64)

    def library_deconv(x, kernel):
        size = [batch, 2 * height, 2 * width, 7]
        return tf.nn.conv2d_transpose(x, kernel, size, 2, "SAME")

    def library_conv(x, kernel):
        return tf.nn.conv2d(x, kernel, 2, "SAME")

    laid_out = convolutions.blocks_kernel(kernel.numpy())
    blocks = convolutions.conv_blocks(large, laid_out)
    np.testing.assert_allclose(blocks, library_conv(large, kernel), atol=1e-12)
    laid_out = convolutions.blocks_deconv_kernel(back.numpy())
    blocks = convolutions.deconv_blocks(small, laid_out)
    np.testing.assert_allclose(blocks, library_deconv(small, back), atol=1e-12)
    _assert_equal(convolutions.conv, library_conv, large, kernel)
    _assert_equal(convolutions.deconv, library_deconv, small, back)


@pytest.mark.parametrize(
    "convolve, filters",
    [
        (convolutions.conv_to_one, 1),
        (convolutions.conv_by_taps, 7),
        (convolutions.conv_by_patches, 7),
    ],
)
def test_stride_1_equals_the_convolution_and_its_gradients(convolve, filters):
    rng = np.random.default_rng(0)
    x = tf.constant(rng.normal(size=[2, 9, 6, 5]), tf.float64)
    kernel = tf.constant(rng.normal(size=[4, 4, 5, filters]), tf.float64)

    _assert_equal(convolve, _conv_by_library, x, kernel)


def _halve_by_library(x, kernel):
    return tf.nn.conv2d(x, kernel, 2, "SAME")


def _double_by_library(x, kernel):
    return tf.nn.conv2d_transpose(x, kernel, [2, 12, 16, 4], 2, "SAME")


@pytest.mark.parametrize(
    "convolve, library, shape",
    [
        (convolutions.conv_to_one, _conv_by_library, [4, 4, 3, 1]),
        (convolutions.conv_by_taps, _conv_by_library, [4, 4, 3, 4]),
        (convolutions.conv_by_patches, _conv_by_library, [4, 4, 3, 4]),
        (convolutions.conv, _halve_by_library, [4, 4, 3, 4]),
        (convolutions.deconv, _double_by_library, [4, 4, 4, 3]),
    ],
)
def test_each_form_has_the_convolutions_second_gradient(convolve, library, shape):
    rng = np.random.default_rng(0)
    x = tf.constant(rng.normal(size=[2, 6, 8, 3]), tf.float64)
    kernel = tf.constant(rng.normal(size=shape), tf.float64)

    def slope_by_kernel(function):
        with tf.GradientTape() as outer:
            outer.watch(kernel)
            with tf.GradientTape() as inner:
                inner.watch(x)
                y = tf.square(function(x, kernel))
            total = tf.reduce_sum(tf.square(inner.gradient(y, x)))
        return outer.gradient(total, kernel)

    expected = slope_by_kernel(library)
    np.testing.assert_allclose(slope_by_kernel(convolve), expected, rtol=1e-10)


@pytest.mark.parametrize("any_size", [False, True])
@pytest.mark.parametrize(
    "values",
    [
        {},
        {"separable_conv": True},
        {"upsample": "resize"},
        {"upsample": "subpixel", "generator": "encoder_decoder"},
        {"generator": "resnet", "num_blocks": 6, "norm": "instance"},
    ],
)
def test_a_frozen_generator_gives_the_same(values, any_size):
    model = ModelConfig(
        crop_size=64,
        num_downs=8 if values.get("generator") == "resnet" else 6,
        ngf=3,
        no_dropout=True,
        **values,
    )
    generator = networks.build_generator((3, 2), model, any_size=any_size)
    for name, variable in networks.variables_by_name(generator).items():
        if name.endswith("bias"):  # zeros would not show one that is missing
            variable.assign(
                tf.random.stateless_normal(variable.shape, [3, 4], stddev=0.1)
            )
    inputs = tf.random.stateless_uniform([2, 64, 64, 3], [1, 2], -1, 1)
    expected = generator(inputs)
    read = networks.freeze(generator)
    # 1e-4: sums in another order, through all layers; processors differ in it.
    np.testing.assert_allclose(generator(inputs), expected, atol=1e-4)
    graph = tf.function(generator).get_concrete_function(inputs).graph
    captured = {id(tensor) for tensor, _ in graph.captures}
    assert captured <= {id(variable.handle) for variable in read}


def test_a_generator_can_be_frozen_anew():
    model = ModelConfig(crop_size=32, num_downs=5, ngf=1, no_dropout=True)
    generator = networks.build_generator((3, 3), model)
    networks.freeze(generator)
    inputs = tf.random.stateless_uniform([1, 32, 32, 3], [1, 2], -1, 1)
    traced = tf.function(generator)
    before = traced(inputs)
    for variable in generator.trainable_variables:
        variable.assign(variable + 0.1)
    networks.freeze(generator)
    other = networks.build_generator((3, 3), model)
    other.set_weights(generator.get_weights())
    assert not np.allclose(before, traced(inputs))
    np.testing.assert_allclose(traced(inputs), other(inputs), atol=1e-4)


@pytest.mark.parametrize("name", forms.BY_CLASS)
def test_layers_of_any_size_give_the_same_and_keep_keras_variables(name, monkeypatch):
    monkeypatch.setattr(forms, "MIN_KERNEL", 0)
    with forms.applied(name):
        made = (
            fast.Conv2D(3, 4, strides=2, padding="same"),
            fast.Conv2DTranspose(3, 4, strides=2, padding="same"),
        )
    for layer in made:
        layer.build([None, None, None, 5])
        layer.bias.assign([1.0, 2.0, 3.0])
        plain = type(layer).__mro__[1].from_config(layer.get_config())
        plain.build([None, None, None, 5])
        plain.set_weights(layer.get_weights())
        for side in (2, 4, 8, 16, 32):
            x = tf.random.stateless_normal([2, side, side, 5], [side, 1])
            np.testing.assert_allclose(layer(x), plain(x), atol=1e-6)


def test_the_table_has_a_row_for_each_class_and_takes_the_newest_that_fits():
    assert set(forms.BY_CLASS) == {"library", *processor.CLASSES}
    newest = {"avx2", "avx512f", "avx512_bf16", "amx_bf16"}
    assert forms.find_class(newest) == "amx"
    assert forms.find_class(newest - {"amx_bf16"}) == "avx512"
    assert forms.find_class({"avx2"}) == "avx2"
    assert forms.find_class({"asimd"}) == "library"


@pytest.mark.parametrize("name", forms.BY_CLASS)
def test_networks_of_each_class_give_the_same(name, monkeypatch):
    monkeypatch.setattr(forms, "MIN_KERNEL", 0)  # else they would take no product
    model = ModelConfig(crop_size=64, num_downs=6, ngf=3, ndf=3, no_dropout=True)
    built = []
    for used in ("library", name):
        with forms.applied(used):
            generator = networks.build_generator((3, 2), model)
            judge = networks.build_discriminator((3, 2), model)
        built.append((generator, judge))
    for ours, theirs in zip(*built, strict=True):
        theirs.set_weights(ours.get_weights())
    images = tf.random.stateless_uniform([1, 64, 64, 3], [1, 2], -1, 1)
    outputs = [[net(images), judge([images, net(images)])] for net, judge in built]
    for ours, theirs in zip(*outputs, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-4)
    networks.freeze(built[1][0])
    np.testing.assert_allclose(built[1][0](images), outputs[0][0], atol=1e-4)
