"""`--preprocess`: what training, validation, test mode, export and load see.

Images hold the number of their row and of their column, so that each window tells where
it was cut. Expected numbers are computed by NumPy.
"""

import json
import re

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.python.framework import config as tf_config

import pix2pix_tf
from pix2pix_tf import data, train
from pix2pix_tf.images import codecs, kinds
from pix2pix_tf.options import DataConfig, PairConfig, parse, read_options
from pix2pix_tf.runtime.errors import UsageError
from tests.conftest import (
    SMALL,
    assert_equal_values,
    export,
    read_image,
    write_image,
)

TWO = kinds.kind_of(PairConfig(input_channels=2, target_channels=1))
LAB = kinds.kind_of(PairConfig(lab_colorization=True))
STEPS = 1024  # the numbers of rows and columns are divided by this, exactly


def _ramp(height, width):
    """Returns float32 [height, width, 2]: the numbers of the row and the column."""
    return np.stack(np.mgrid[:height, :width], axis=-1).astype(np.float32) / STEPS


class _Store(data.Files):
    """Examples of one size: a ramp, and the sum of its channels."""

    def __init__(self, height, width):
        super().__init__([data.Example(str(number), ()) for number in range(3)])
        self._ramp = _ramp(height, width)

    def read(self, channels, index):
        return [self._ramp, self._ramp.sum(-1, keepdims=True)]


def _trained_on(store, count=30, crop_size=32, multiple=1, **flags):
    """Returns (inputs, targets), in [0, 1], of the first examples of training."""
    config = DataConfig(**({"flip": False} | flags))
    source = data.Source(store, TWO.image_channels)
    batches = data.train_batches(source, TWO, config, crop_size, 3, 0, multiple)
    return [
        ((inputs.numpy()[0] + 1) / 2, (targets.numpy()[0] + 1) / 2)
        for _, inputs, targets in data.iterate(batches.take(count), source)
    ]


def _start(window):
    """Returns the row and the column that the first pixel of a ramp's window has."""
    return tuple(np.rint(window[0, 0] * STEPS).astype(int).tolist())


def _cut(image, start, size=32):
    return image[start[0] : start[0] + size, start[1] : start[1] + size]


def test_crop_cuts_windows_at_the_own_resolution_everywhere():
    image, starts = _ramp(35, 70), set()
    for inputs, targets in _trained_on(_Store(35, 70), 400, preprocess="crop"):
        start = _start(inputs)
        np.testing.assert_allclose(inputs, _cut(image, start), atol=1e-6)
        np.testing.assert_allclose(targets[..., 0], inputs.sum(-1), atol=1e-6)
        starts.add(start)
    assert {row for row, _ in starts} == set(range(4))
    assert {column for _, column in starts} == set(range(39))


def test_crop_pads_what_is_smaller_by_reflection():
    image = np.pad(_ramp(20, 40), [(0, 12), (0, 0), (0, 0)], mode="reflect")
    for inputs, _ in _trained_on(_Store(20, 40), preprocess="crop"):
        start = _start(inputs)
        assert start[0] == 0
        np.testing.assert_allclose(inputs, _cut(image, start), atol=1e-6)


def _halved(image):
    """Scales by area to half the height and width."""
    height, width, channels = image.shape
    return image.reshape(height // 2, 2, width // 2, 2, channels).mean((1, 3))


def test_scale_width_and_crop_keeps_the_proportions():
    flags = {"preprocess": "scale_width_and_crop", "scale_size": 40}
    image, starts = _halved(_ramp(120, 80)), set()
    for inputs, _ in _trained_on(_Store(120, 80), **flags):
        # The mean of rows 2 n and 2 n + 1 is 2 n + 0.5.
        start = tuple(((inputs[0, 0] * STEPS - 0.5) / 2).round().astype(int))
        np.testing.assert_allclose(inputs, _cut(image, start), atol=1e-6)
        starts.add(start)
    assert max(row for row, _ in starts) > 8 >= max(column for _, column in starts)


def test_a_scaled_image_that_is_too_flat_is_padded():
    flags = {"preprocess": "scale_width_and_crop", "scale_size": 32}
    image = np.pad(_halved(_ramp(40, 64)), [(0, 12), (0, 0), (0, 0)], mode="reflect")
    [(inputs, _)] = _trained_on(_Store(40, 64), 1, **flags)
    np.testing.assert_allclose(inputs, image, atol=1e-6)


def _whole(image, size):
    """Pads at the bottom and the right by reflection to a size."""
    sides = [(0, new - old) for new, old in zip(size, image.shape[:2], strict=True)]
    return np.pad(image, [*sides, (0, 0)], mode="reflect")


@pytest.mark.parametrize(
    "preprocess, size, wanted",
    [
        ("none", (64, 96), (64, 96)),
        ("none", (40, 70), (64, 96)),
        ("none", (20, 60), (32, 64)),
        ("scale_width", (120, 80), (64, 64)),
    ],
)
def test_without_a_window_whole_images_are_padded_to_a_multiple(
    preprocess, size, wanted
):
    scale = {"scale_size": 40} if preprocess == "scale_width" else {}
    image = _ramp(*size)
    image = _whole(_halved(image) if scale else image, wanted)
    for inputs, targets in _trained_on(
        _Store(*size), 3, multiple=32, preprocess=preprocess, **scale
    ):
        np.testing.assert_allclose(inputs, image, atol=1e-6)
        np.testing.assert_allclose(targets[..., 0], inputs.sum(-1), atol=1e-6)
    for inputs, _ in _trained_on(
        _Store(*size), 9, multiple=32, preprocess=preprocess, rotate90=True, **scale
    ):
        turned = [np.rot90(image, turns) for turns in range(4)]
        assert any(
            one.shape == inputs.shape and np.allclose(one, inputs, atol=1e-6)
            for one in turned
        )


def test_lab_is_cut_before_it_is_converted_to_the_same_numbers(photo_dir):
    source = data.Source(data.Files(data.find_examples(photo_dir)), (3,))
    config = DataConfig(preprocess="crop", flip=False)
    for index, lightness, colour in data.train_batches(
        source, LAB, config, 32, 3, 0
    ).take(4):
        whole = [part.numpy() for part in LAB.to_tensors(*source.read(int(index[0])))]
        found = np.concatenate([lightness[0], colour[0]], axis=-1)
        windows = np.lib.stride_tricks.sliding_window_view(
            np.concatenate(whole, axis=-1), (32, 32), axis=(0, 1)
        )
        distances = np.abs(windows - found.transpose(2, 0, 1)).max((2, 3, 4))
        assert distances.min() < 1e-5


SYMMETRIES = [
    (turns, is_mirrored) for is_mirrored in (False, True) for turns in range(4)
]


@pytest.mark.parametrize(
    "flags, wanted",
    [
        ({}, {(0, False)}),
        ({"flip": True}, {(0, False), (0, True)}),
        # Upside down is mirrored and turned by 180 degrees.
        ({"flip_vertical": True}, {(0, False), (2, True)}),
        ({"rotate90": True}, {(turns, False) for turns in range(4)}),
        ({"flip": True, "flip_vertical": True, "rotate90": True}, set(SYMMETRIES)),
    ],
)
@pytest.mark.parametrize("preprocess", ["crop", "resize_and_crop"])
def test_each_flip_and_turn_comes_and_no_other(preprocess, flags, wanted):
    scale = {"scale_size": 32} if preprocess == "resize_and_crop" else {}
    image, found = _ramp(32, 32), set()
    alike = {
        (turns, is_mirrored): np.rot90(image[:, ::-1] if is_mirrored else image, turns)
        for turns, is_mirrored in SYMMETRIES
    }
    for inputs, targets in _trained_on(
        _Store(32, 32), 60, preprocess=preprocess, **scale, **flags
    ):
        found |= {k for k, v in alike.items() if np.allclose(v, inputs, atol=1e-6)}
        np.testing.assert_allclose(targets[..., 0], inputs.sum(-1), atol=1e-6)
    assert found == wanted


def test_the_new_draws_leave_flip_and_window_as_they_were():
    plain = _trained_on(_Store(40, 50), 12, preprocess="crop", flip=True)
    turned = _trained_on(
        _Store(40, 50), 12, preprocess="crop", flip=True, flip_vertical=True
    )
    num_upright = 0
    for (a, _), (b, _) in zip(plain, turned, strict=True):
        assert np.array_equal(a, b) or np.array_equal(a[::-1], b)
        num_upright += np.array_equal(a, b)
    assert 0 < num_upright < 12


@pytest.mark.parametrize(
    "preprocess, scale_size, words",
    [
        ("crop", 286, "2 is 31x40: wanted at least --crop_size, 32x32"),
        ("scale_width_and_crop", 36, "1 is 64x32, scaled 36x18: wanted at least"),
    ],
)
def test_small_images_can_be_refused_or_left_out(
    tmp_path, preprocess, scale_size, words, capsys
):
    for number, size in enumerate([(32, 64), (40, 31), (64, 64)], start=1):
        write_image(tmp_path / f"{number}.png", *size)
    flags = ["--mode", "train", "--input_dir", str(tmp_path), "--lab_colorization"]
    flags += ["--preprocess", preprocess, "--scale_size", str(scale_size), "--dry_run"]
    flags += ["--output_dir", str(tmp_path / "run"), *SMALL]
    assert train.main([*flags, "--small_images", "refuse"]) == 2
    message = capsys.readouterr().err
    assert words in message and "1 of 3 examples cannot be used" in message
    flags += ["--on_bad_image", "skip"]
    assert train.main([*flags, "--small_images", "refuse"]) == 0
    assert "skipped 1 of 3 examples" in capsys.readouterr().out
    assert train.main([*flags, "--small_images", "pad"]) == 0
    assert "examples count = 3" in capsys.readouterr().out


@pytest.fixture(scope="module")
def odd_dir(tmp_path_factory):
    """A folder of two pairs of different, odd sizes."""
    folder = tmp_path_factory.mktemp("odd")
    write_image(folder / "1.png", 45, 2 * 70, seed=1)
    write_image(folder / "2.png", 50, 2 * 33, seed=2)
    return folder


def _train(folder, odd_dir, *flags):
    start = ["--mode", "train", "--input_dir", str(odd_dir), *SMALL, "--seed", "5"]
    flags = [*start, "--summary_freq", "0", "--output_dir", str(folder), *flags]
    assert train.main(list(flags)) == 0


@pytest.fixture(scope="module", params=["crop", "scale_width"])
def run(request, odd_dir, tmp_path_factory):
    """(--preprocess, a validated run of it)."""
    folder = tmp_path_factory.mktemp("runs") / request.param
    scale = ["--scale_size", "36"] if "scale_width" in request.param else []
    flags = ["--preprocess", request.param, *scale, "--max_steps", "2"]
    _train(folder, odd_dir, *flags, "--val_dir", str(odd_dir), "--display_freq", "1")
    return request.param, folder


@pytest.fixture
def deterministic():
    """Ends what `--deterministic` begins, which has no public end."""
    yield
    tf_config.disable_op_determinism()


def _assert_resumes(odd_dir, tmp_path, *flags):
    """Trains 3 steps at once, and 2 and then the third; the results are equal."""
    flags = [*flags, "--flip_vertical", "--rotate90", "--deterministic"]
    flags += ["--display_freq", "3", "--resume", "auto"]
    for name, steps in [("unbroken", "3"), ("cut", "2"), ("cut", "3")]:
        _train(tmp_path / name, odd_dir, *flags, "--max_steps", steps)
    found = []
    for name in ("unbroken", "cut"):
        reader = tf.train.load_checkpoint(str(tmp_path / name / "model-3"))
        names = reader.get_variable_to_shape_map()
        values = {one: reader.get_tensor(one) for one in names}
        for path in sorted((tmp_path / name / "images").rglob("*3-*.png")):
            values[path.name] = read_image(path)
        found.append(values)
    assert any(name.endswith(".png") for name in found[0])
    assert_equal_values(found[1], found[0])


def test_a_resumed_run_sees_the_same_windows_flips_and_turns(
    odd_dir, tmp_path, deterministic
):
    _assert_resumes(odd_dir, tmp_path, "--preprocess", "crop", "--batch_size", "2")


def test_a_resumed_run_of_whole_images_computes_the_same(
    odd_dir, tmp_path, deterministic
):
    _assert_resumes(odd_dir, tmp_path, "--preprocess", "none")


def test_images_of_several_sizes_need_batches_of_one(odd_dir, tmp_path, capsys):
    flags = ["--mode", "train", "--input_dir", str(odd_dir), *SMALL, "--batch_size"]
    flags += ["2", "--output_dir", str(tmp_path / "run"), "--max_steps", "1"]
    flags += ["--summary_freq", "0", "--preprocess"]
    assert train.main([*flags, "none"]) == 2
    message = capsys.readouterr().err
    assert "--batch_size 2" in message and "64x64 and 96x64" in message
    assert not (tmp_path / "run/options.json").exists()
    # 45 x 70 and 50 x 33 pixels are 32 wide and 20 and 48 high: 32x32 and 32x64.
    assert train.main([*flags, "scale_width", "--scale_size", "32"]) == 2
    assert "32x32 and 32x64" in capsys.readouterr().err
    assert train.main([*flags, "crop"]) == 0


def test_images_of_one_size_make_batches(pair_dir, tmp_path):
    flags = ["--preprocess", "none", "--batch_size", "2", "--max_steps", "1"]
    _train(tmp_path / "run", pair_dir, *flags, "--display_freq", "1")
    [shape] = {
        read_image(path).shape for path in (tmp_path / "run/images").rglob("*.png")
    }
    assert shape == (64, 64, 3)


def test_a_dry_run_shows_the_networks_of_the_largest_image(odd_dir, tmp_path, capsys):
    flags = ["--mode", "train", "--input_dir", str(odd_dir), *SMALL, "--dry_run"]
    flags += ["--preprocess", "none", "--output_dir", str(tmp_path / "run")]
    assert train.main(flags) == 0
    printed = capsys.readouterr().out
    assert "of the largest images, 96x64 with their padding:" in printed
    assert re.search(r"^decoder_1 +64x96x3 ", printed, re.M)


def _test(run_dir, odd_dir, folder, *flags):
    flags = ["--checkpoint", str(run_dir), "--output_dir", str(folder), *flags]
    start = ["--mode", "test", "--input_dir", str(odd_dir), "--no_dropout"]
    assert train.main([*start, *flags]) == 0
    return {p.name: read_image(p) for p in sorted((folder / "images").iterdir())}


def test_every_mode_but_training_sees_whole_images(run, odd_dir, tmp_path):
    preprocess, run_dir = run
    stored = read_options(run_dir / "options.json")
    assert stored["preprocess"] == preprocess
    images = _test(run_dir, odd_dir, tmp_path / "out")
    at_own_size = _test(run_dir, odd_dir, tmp_path / "own", "--full_size")
    sizes = [images[f"{number}-outputs.png"].shape[:2] for number in (1, 2)]
    if "scale" in preprocess:  # 45 * 36 / 70 and 50 * 36 / 33, rounded down
        assert sizes == [(23, 36), (54, 36)]
    else:
        assert sizes == [(45, 70), (50, 33)]
        for name, image in images.items():
            np.testing.assert_array_equal(at_own_size[name], image)
    assert at_own_size["1-outputs.png"].shape[:2] == (45, 70)

    _test(run_dir / "model-best", odd_dir, tmp_path / "best")
    validated, tested = (
        json.loads((folder / "metrics.json").read_text())
        for folder in (run_dir / "model-best", tmp_path / "best")
    )
    assert (tested["mean"], tested["set"]) == (validated["mean"], validated["set"])


def test_load_and_export_give_the_images_of_test_mode(run, odd_dir, tmp_path):
    _, run_dir = run
    wanted = _test(run_dir, odd_dir, tmp_path / "out")
    translate = pix2pix_tf.load(run_dir)
    assert translate.size is None
    exported_dir = export(run_dir, tmp_path / "model")
    exported = pix2pix_tf.load(exported_dir)
    answer = tf.saved_model.load(str(exported_dir)).signatures["serving_default"]
    for number in (1, 2):
        half = codecs.read(odd_dir / f"{number}.png", 3)
        half = half[:, : half.shape[1] // 2]
        output = wanted[f"{number}-outputs.png"].astype(int)
        for model in (translate, exported):
            found = model((half * 255).round().astype(np.uint8))
            np.testing.assert_allclose(found, output, atol=1)
        png = tf.io.encode_png((half * 255).round().astype(np.uint8))
        served = tf.io.decode_png(answer(image_bytes=png[None])["output_bytes"][0])
        np.testing.assert_allclose(served, output, atol=1)
    assert translate(half, full_size=False).shape == (32, 32, 3)
    any_size = np.zeros([64, 96, 3], np.float32)
    assert translate.generate(any_size).shape == any_size.shape


def test_the_checkpoint_decides_it(run, tmp_path):
    preprocess, run_dir = run
    for mode in ("train", "test", "export"):
        flags = ["--mode", mode, "--checkpoint", str(run_dir)]
        flags += ["--output_dir", str(tmp_path)]
        found = parse(flags)
        assert found.data.preprocess == preprocess
        assert found.data.scale_size == (36 if "scale" in preprocess else 286)
        with pytest.raises(UsageError, match="contradicts the checkpoint"):
            parse([*flags, "--preprocess", "resize_and_crop"])
    litert = parse([*flags, "--export_format", "litert"])
    assert litert.image_size == (32, 32)


@pytest.mark.parametrize(
    "flags, size",
    [
        ("", (32, 32)),
        ("--preprocess crop", (None, None)),
        ("--preprocess scale_width --scale_size 50", (None, 50)),
        ("--preprocess scale_width_and_crop --scale_size 50", (None, 50)),
        ("--preprocess none", (None, None)),
    ],
)
def test_validation_scales_to_this_size(flags, size, tmp_path):
    flags = f"--mode train --crop_size 32 --output_dir {tmp_path} {flags}"
    assert parse(flags.split()).image_size == size


def _refusal(flags):
    with pytest.raises(UsageError) as error:
        parse(["--mode", *flags.split()])
    return str(error.value)


def test_one_batch_of_test_mode_cannot_hold_several_sizes(run):
    _, run_dir = run
    for flag in ("--batch_size 2", "--aspect_ratio 2"):
        message = _refusal(f"test --checkpoint {run_dir} {flag}")
        assert flag.split()[0] in message and "--preprocess" in message


@pytest.mark.parametrize(
    "flags, words",
    [
        ("crop --scale_size 300", "--scale_size cannot be used with --preprocess crop"),
        ("scale_width_and_crop --scale_size 300 400", "size must be one number"),
        ("scale_width_and_crop --scale_size 200", "at least the --crop_size, 256"),
        ("resize_and_crop --small_images refuse", "--small_images cannot be used with"),
        ("crop --rotate90 --crop_size 256 512", "--rotate90 needs a square"),
        ("none --scale_size 300", "--scale_size cannot be used with --preprocess none"),
        ("scale_width --scale_size 200", "at least the --crop_size, 256"),
        ("none --discriminator image", "--discriminator image cannot be used with"),
        ("none --xla", "--xla cannot be used with --preprocess none"),
        ("none --aspect_ratio 2", "--aspect_ratio cannot be used with"),
        ("none --rotate90 --batch_size 2", "--rotate90 cannot be used with"),
        ("squash", "--preprocess"),
    ],
)  # fmt: skip
def test_what_means_nothing_is_refused_by_name(flags, words):
    assert words in _refusal(f"train --preprocess {flags}")


def test_scale_size_follows_the_width_of_the_crop(tmp_path):
    flags = ["--mode", "train", "--preprocess", "scale_width_and_crop"]
    flags += ["--crop_size", "256", "512", "--output_dir", str(tmp_path)]
    assert parse(flags).data.scale_size == 572
    flags[flags.index("scale_width_and_crop")] = "scale_width"
    assert parse(flags).data.scale_size == 512
