"""Networks that compute in 16 bits: what stays float32, and that they learn."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from pix2pix_tf import checkpoints, train
from pix2pix_tf.metrics import features
from pix2pix_tf.networks import fast
from pix2pix_tf.options import LossConfig, parse
from pix2pix_tf.runtime import precision, processor
from pix2pix_tf.training import losses, step
from tests.conftest import SMALL, read_image, small_model, values_of

LOW = ["mixed_bfloat16", "mixed_float16"]


@pytest.fixture(autouse=True)
def policy_as_before():
    with precision.in_float32():
        yield


# Without a norm, which at few pixels divides by next to nothing, and dropout.
SMOOTH = small_model(ngf=4, ndf=4, norm="none", no_dropout=True, init="kaiming")


def _state(kind, model=small_model()):  # noqa: B008  frozen
    keras.config.set_dtype_policy(kind)
    keras.utils.set_random_seed(1)
    return step.make_state((3, 3), model, LossConfig(), precision=kind)


@pytest.mark.parametrize("kind", LOW)
def test_the_layers_compute_in_16_bits_and_all_else_is_float32(kind, small_pair):
    state = _state(kind)
    result = step.forward(state, *small_pair, LossConfig())
    inner = [layer.compute_dtype for layer in state.generator.layers[1:-1]]
    assert set(inner) == {precision.LOW[kind].name}
    assert {variable.dtype for variable in state.generator.weights} == {"float32"}
    tensors = [result.outputs, result.predict_fake, *result.losses.values()]
    tensors += result.gradients[0]
    assert {tensor.dtype for tensor in tensors} == {tf.float32}


@pytest.mark.parametrize("kind", LOW)
def test_losses_are_those_of_float32_to_the_precision_of_16_bits(kind, small_pair):
    # L1's gradient is a sign, which flips where outputs all but meet targets.
    loss = LossConfig(l1_weight=0.0, l2_weight=100.0)
    expected = step.forward(_state("float32", SMOOTH), *small_pair, loss)
    state, scale = _state(kind, SMOOTH), 1.0
    if kind == "mixed_float16":
        scale = 16.0
        state.g_optimizer.dynamic_scale.assign(scale)
    found = step.forward(state, *small_pair, loss)
    for name, value in expected.losses.items():
        np.testing.assert_allclose(found.losses[name], value, rtol=0.02, err_msg=name)
    ours, theirs = (
        np.concatenate([np.ravel(gradient) for gradient in each.gradients[0]])
        for each in (found, expected)
    )
    distance = np.linalg.norm(ours / scale - theirs)
    assert distance < 0.1 * np.linalg.norm(theirs)


def test_a_loss_scale_is_saved_halved_on_overflow_and_optional(small_pair, tmp_path):
    state, kernel = _state("mixed_float16"), "generator/encoder_1/conv2d/kernel"
    train_step = step.make_train_step(state, LossConfig(), seed=1)
    before = values_of(state)
    state.g_optimizer.dynamic_scale.assign(3e38)  # no gradient survives that
    train_step(*small_pair)
    assert float(state.g_optimizer.dynamic_scale) == np.float32(3e38) / 2
    for name, values in values_of(state).items():
        if name.startswith("generator/"):
            np.testing.assert_array_equal(values, before[name])
    state.g_optimizer.dynamic_scale.assign(1024.0)
    train_step(*small_pair)
    assert not np.array_equal(values_of(state)[kernel], before[kernel])
    checkpoints.save(state, tmp_path, keep=1)
    prefix = checkpoints.find_latest(tmp_path)
    again, plain = _state("mixed_float16"), _state("float32")
    checkpoints.restore(again, prefix)
    assert float(again.g_optimizer.dynamic_scale) == 1024
    checkpoints.restore(plain, prefix)  # and on in another precision
    checkpoints.save(plain, tmp_path, keep=1)
    checkpoints.restore(_state("mixed_float16"), prefix)


def test_each_command_takes_a_precision_and_resume_keeps_the_emulation(
    pair_dir, tmp_path
):
    def run(mode, name, *flags):
        arguments = ["--mode", mode, "--output_dir", str(tmp_path / name), *flags]
        assert train.main(arguments) == 0
        return tmp_path / name

    low, data = ["--precision", "mixed_bfloat16"], ["--input_dir", str(pair_dir)]
    flags = [*low, *data, *SMALL, "--max_steps", "1", "--emulate_16bit", "on"]
    flags += ["--convolutions", "library"]
    trained = run("train", "run", *flags, "--summary_freq", "1")
    again = ["--mode", "train", "--resume", "auto", "--output_dir", str(trained)]
    resumed = parse(again)
    # Also where auto would decide in another way.
    assert resumed.execution.emulate_16bit == "on"
    assert resumed.execution.convolutions == "library"
    resumed = parse([*again, "--convolutions", "auto", "--emulate_16bit", "auto"])
    assert resumed.execution.emulate_16bit == "on"  # auto is what the run decided
    assert resumed.execution.convolutions == "library"
    made = ["--checkpoint", str(trained), "--no_dropout"]
    images = []
    for kind in ("float32", "mixed_bfloat16"):
        tested = run("test", kind, *made, *data, "--precision", kind)
        images.append(read_image(tested / "images/1-outputs.png").astype(int))
    difference = np.abs(images[0] - images[1])
    assert 0 < difference.max() and difference.mean() < 2
    model = tf.saved_model.load(str(run("export", "model", *made, *low)))
    outputs = model.signatures["generate"](inputs=tf.zeros([1, 32, 32, 3]))["outputs"]
    assert outputs.dtype == tf.float32


@pytest.mark.parametrize(
    "cpuinfo, emulated",
    [
        ("flags\t: fpu avx2\n", {"mixed_bfloat16", "mixed_float16"}),
        ("flags\t: fpu avx512_bf16\n", {"mixed_float16"}),
        ("Features\t: fp asimd bf16\n", {"mixed_float16"}),
        (None, {"mixed_bfloat16", "mixed_float16"}),
    ],
)
def test_what_the_processor_has_decides_about_emulation(tmp_path, cpuinfo, emulated):
    path = tmp_path / "cpuinfo"
    if cpuinfo is not None:
        path.write_text(cpuinfo)
    features = processor.features(path)
    kinds = ("float32", "mixed_bfloat16", "mixed_float16")
    found = {kind for kind in kinds if precision.should_emulate(kind, features)}
    assert found == emulated


def _small_network(layer_names):
    """Returns a stand-in for a network of Keras's: a convolution for each name."""
    images = inputs = keras.Input([None, None, 3])
    for name in layer_names:
        images = keras.layers.Conv2D(4, 3, padding="same", name=name)(images)
    outputs = keras.layers.GlobalAveragePooling2D()(images)
    return keras.Model(inputs, outputs)


@pytest.mark.parametrize("kind", LOW)
def test_networks_that_measure_compute_in_float32_and_leave_the_policy(
    kind, small_pair, monkeypatch
):
    opened = []

    def open_network(include_top, weights, pooling=None):
        keras.utils.set_random_seed(3)
        opened.append(_small_network(losses.VGG_LAYERS))
        return opened[-1]

    monkeypatch.setattr(keras.applications, "VGG19", open_network)
    monkeypatch.setattr(keras.applications, "InceptionV3", open_network)
    pictures = [np.full([8, 8, 3], level, np.uint8) for level in (3, 250)]
    found = {}
    for policy in ("float32", kind):
        keras.config.set_dtype_policy(policy)
        perceptual_loss = losses.make_perceptual_loss("imagenet")
        extractor = features.open_extractor("imagenet")
        assert keras.config.dtype_policy().name == policy
        distance = perceptual_loss(*small_pair)
        assert distance.dtype == tf.float32
        found[policy] = distance, features.extract(extractor, pictures)
        low = [tf.cast(images, precision.LOW[kind]) for images in small_pair]
        assert perceptual_loss(*low).dtype == tf.float32
    layers = [layer for network in opened for layer in [network, *network.layers]]
    assert {layer.compute_dtype for layer in layers} == {"float32"}
    for ours, expected in zip(found[kind], found["float32"], strict=True):
        np.testing.assert_array_equal(ours, expected)


def test_the_policy_is_as_before_where_a_network_cannot_be_built():
    keras.config.set_dtype_policy("mixed_bfloat16")
    with pytest.raises(ValueError), precision.in_float32():
        raise ValueError
    assert keras.config.dtype_policy().name == "mixed_bfloat16"


@pytest.mark.parametrize("kind", LOW)
def test_activations_of_16_bits_are_compared_in_float32(kind):
    low = precision.LOW[kind]
    real, fake = tf.random.stateless_uniform([2, 1, 32, 32, 8], [1, 1])
    real, fake = tf.cast(real, low), tf.cast(fake, low)
    difference = tf.cast(real, tf.float64) - tf.cast(fake, tf.float64)
    exact = np.abs(difference).mean()
    found = losses.feature_loss([real, real], [fake, fake])
    assert found.dtype == tf.float32
    np.testing.assert_allclose(found, exact, rtol=1e-6)


@pytest.mark.parametrize("kind", LOW)
@pytest.mark.parametrize(
    "layer, size, filters, stride, padding",
    [  # the library's forms and each fast one
        (fast.Conv2D, 16, 3, 2, "same"),
        (fast.Conv2D, 4, 3, 2, "same"),
        (fast.Conv2D, 9, 3, 1, "valid"),
        (fast.Conv2D, 9, 1, 1, "valid"),
        (fast.Conv2D, 7, 3, 2, "valid"),
        (fast.Conv2DTranspose, 20, 3, 2, "same"),
        (fast.Conv2DTranspose, 4, 3, 2, "same"),
    ],
)
def test_16_bits_are_emulated_in_float32_to_the_same_numbers(
    layer, size, filters, stride, padding, kind
):
    keras.utils.set_random_seed(2)
    convolution = layer(filters, 4, stride, padding, dtype=kind)
    images = tf.random.stateless_normal([2, size, size, 5], [3, 3])
    images = tf.cast(images, precision.LOW[kind])
    convolution.build(images.shape)
    found = {}
    for is_emulated in (False, True):
        with precision.applied("float32", is_emulated), tf.GradientTape() as tape:
            tape.watch(images)
            outputs = convolution(images)
            loss = tf.reduce_sum(tf.square(tf.cast(outputs, tf.float32)))
        variables = [images, convolution.kernel.value]
        found[is_emulated] = [outputs, *tape.gradient(loss, variables)]
        assert outputs.dtype == images.dtype
    step = 2.0**-7 if kind == "mixed_bfloat16" else 2.0**-10  # of numbers near 1
    for slow, native in zip(found[True], found[False], strict=True):
        assert slow.dtype == native.dtype
        slow, native = (np.asarray(tf.cast(x, tf.float32)) for x in (slow, native))
        # TensorFlow's own form for such processors adds up in 16 bits.
        assert np.linalg.norm(slow - native) < 4 * step * np.linalg.norm(native)
