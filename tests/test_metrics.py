"""Figures against scikit-image, TensorFlow, SciPy, and examples counted by hand."""

import concurrent.futures
import json

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy import linalg
from skimage import metrics as skimage_metrics

from pix2pix_tf import metrics, train
from pix2pix_tf.metrics import features, histograms, label_maps
from pix2pix_tf.runtime.errors import UsageError
from tests.conftest import TINY, read_image, write_image


def _pair(folder, height, width, noise=40):
    """Returns (output, target), both as decoded from PNG files."""
    target = read_image(write_image(folder / "target.png", height, width))
    draw = np.random.default_rng(1).integers(-noise, noise + 1, target.shape)
    output = np.clip(target + draw, 0, 255).astype(np.uint8)
    (folder / "output.png").write_bytes(tf.io.encode_png(output).numpy())
    return read_image(folder / "output.png"), target


@pytest.mark.parametrize("size", [(256, 256), (45, 131)])
@pytest.mark.parametrize("noise", [1, 40, 255])
def test_l1_psnr_and_ssim_are_scikit_images(tmp_path, size, noise):
    output, target = _pair(tmp_path, *size, noise)
    found = metrics.score(output, target)
    assert found["l1"] == pytest.approx(
        np.abs(output / 127.5 - target / 127.5).mean(), abs=1e-6
    )
    psnr = skimage_metrics.peak_signal_noise_ratio(target, output, data_range=255)
    assert found["psnr"] == pytest.approx(psnr, abs=1e-4)
    ssim = skimage_metrics.structural_similarity(
        target, output, channel_axis=2, data_range=255
    )
    assert found["ssim"] == pytest.approx(ssim, abs=1e-5)


@pytest.mark.parametrize("size, noise", [((161, 203), 40), ((256, 256), 255)])
def test_ms_ssim_is_tensorflows(tmp_path, size, noise):
    output, target = _pair(tmp_path, *size, noise)
    wanted = float(tf.image.ssim_multiscale(output, target, 255))
    assert metrics.score(output, target)["ms_ssim"] == pytest.approx(wanted, abs=1e-4)


def test_equal_and_opposite_pictures(tmp_path):
    _, target = _pair(tmp_path, 176, 176)
    equal = metrics.score(target, target)
    assert equal == {"l1": 0, "psnr": 100, "ssim": 1, "ms_ssim": 1}
    black = np.zeros([176, 176, 3], np.uint8)
    opposite = metrics.score(black, ~black)
    assert (opposite["l1"], opposite["psnr"]) == (2, 0)
    assert opposite["ssim"] < 1e-3 and 0 <= opposite["ms_ssim"] < 1


@pytest.mark.parametrize("size, ssim", [((160, 300), 1), ((6, 30), None)])
def test_small_images_have_no_metric_that_needs_larger_ones(size, ssim):
    image = np.zeros([*size, 3], np.uint8)
    found = metrics.score(image, image)
    assert (found["ssim"], found["ms_ssim"]) == (ssim, None)


def test_histograms_count_known_colours():
    # sRGB blue is L 32.30, a 79.19, b -107.86; white is L 100, a and b 0 but for
    # rounding (CIE 15; D65).
    blue = np.full([2, 3, 3], (0, 0, 255), np.uint8)
    counts = histograms.count(blue)
    assert counts.sum(axis=1).tolist() == [6, 6, 6]
    assert [int(row.argmax()) for row in counts] == [32, 79 + 128, -108 + 128]


def test_histograms_share_everything_with_themselves_and_less_with_swapped_channels(
    tmp_path,
):
    output, target = _pair(tmp_path, 64, 64)
    counts = [histograms.count(p) for p in (target, target[..., ::-1], output)]
    np.testing.assert_allclose(histograms.intersect(counts[0], counts[0]), 1)
    assert (histograms.intersect(counts[0], counts[1])[1:] < 0.95).all()
    np.testing.assert_allclose(histograms.intersect(counts[0], 5 * counts[0]), 1)
    halves = np.zeros([2, 3, histograms.BINS], int)
    halves[0, :, 0], halves[1, :, :2] = 7, 4
    np.testing.assert_allclose(histograms.intersect(*halves), 0.5)


def _features(count, noise=0.0):
    rng = np.random.default_rng(3)
    return rng.normal(size=[count, 12]) + noise * rng.normal(size=12)


@pytest.mark.parametrize("count", [5, 12, 40])  # fewer, as many, more than features
def test_fid_of_a_set_with_itself_is_0_and_grows_with_noise(count):
    a = _features(count)
    assert abs(features.frechet_distance(a, a)) < 1e-3
    noise = np.random.default_rng(4).normal(size=a.shape)
    noisy = [features.frechet_distance(a, a + step * noise) for step in (0.5, 1, 2)]
    assert 1e-3 < noisy[0] < noisy[1] < noisy[2]


def test_fid_is_the_formula_with_scipys_square_root():
    a, b = _features(40), _features(60, noise=1.0)
    covariances = [np.cov(x, rowvar=False) for x in (a, b)]
    root = linalg.sqrtm(covariances[0] @ covariances[1]).real
    wanted = np.square(a.mean(0) - b.mean(0)).sum()
    wanted += np.trace(covariances[0] + covariances[1] - 2 * root)
    assert features.frechet_distance(a, b) == pytest.approx(wanted, rel=1e-6)


def test_kid_is_the_mean_over_pairs_and_near_0_for_one_distribution(monkeypatch):
    a, b = _features(3), _features(4)[1:] + 1
    kernel = [[(x @ y / 12 + 1) ** 3 for y in [*a, *b]] for x in [*a, *b]]
    within = sum(kernel[i][j] for i in range(3) for j in range(3) if i != j) / 6
    within += sum(kernel[i][j] for i in range(3, 6) for j in range(3, 6) if i != j) / 6
    across = sum(kernel[i][j] for i in range(3) for j in range(3, 6)) / 9
    wanted = within - 2 * across
    assert features.kernel_distance(a, b) == pytest.approx(wanted)
    many = _features(400)
    assert abs(features.kernel_distance(many[:200], many[200:])) < 0.05
    assert features.kernel_distance(many[:200], many[200:] + 1) > 1
    monkeypatch.setattr(features, "KID_BLOCK", 50)
    assert abs(features.kernel_distance(many[:200], many[200:])) < 0.1


def test_features_are_of_pictures_scaled_to_one_size_in_minus_1_to_1(extractor_path):
    extractor = features.open_extractor(extractor_path)
    assert extractor_path in extractor.name
    picture = np.zeros([40, 60, 3], np.uint8)
    picture[:, 30:] = (255, 0, 0)
    found = features.extract(extractor, [picture, ~picture] * 9)  # more than a batch
    assert found.shape == (18, 12) and found.dtype == np.float64
    np.testing.assert_allclose(found[0, 2:3], -1)  # blue, top left
    np.testing.assert_allclose(found[0, 3], 1, atol=0.02)  # red, top right
    np.testing.assert_allclose(found[0], -found[1], atol=1e-6)


@pytest.mark.parametrize("side, has_features", [(64, True), (299, False), (None, None)])
def test_what_maps_no_images_to_features_is_named(side, has_features, tmp_path):
    path = tmp_path / "x.keras"
    path.write_bytes(b"no network")
    if side is not None:
        inputs = keras.Input([side, side, 3])
        outputs = keras.layers.AveragePooling2D(side // 2)(inputs)
        if has_features:
            outputs = keras.layers.Flatten()(outputs)
        keras.Model(inputs, outputs).save(path)
    with pytest.raises(UsageError) as error:
        features.open_extractor(str(path))
    assert f"--fid_weights {path} cannot be used" in str(error.value)
    assert "from [images, 299, 299, 3] to [images, features]" in str(error.value)
    assert "\n" not in str(error.value)


def _fail_to_download(**settings):
    reason = "None -- [Errno -2] Name or service not known"  # in the words of Keras
    raise Exception(f"URL fetch failure on https://x.org/weights.h5: {reason}")


def test_without_a_network_only_fid_and_kid_are_left_out_of_a_test(
    trained_dir, pair_dir, tmp_path, capsys, monkeypatch
):
    monkeypatch.setattr(keras.applications, "InceptionV3", _fail_to_download)
    (tmp_path / "palette.csv").write_text("dark,0,0,0\nlight,255,255,255\n")
    out = tmp_path / "out"
    arguments = ["--mode", "test", "--checkpoint", trained_dir, "--input_dir", pair_dir]
    arguments += ["--output_dir", out, "--palette", tmp_path / "palette.csv"]
    assert train.main([*map(str, arguments), "--fid_weights", "imagenet"]) == 2
    assert capsys.readouterr().err == (
        "pix2pix-tf: error: no FID and KID: --fid_weights imagenet: the weights could "
        "not be downloaded ([Errno -2] Name or service not known): connect to the "
        "network, or give a file of weights\n"
    )
    assert len(list((out / "images").glob("*-outputs.png"))) == 5
    found = json.loads((out / "metrics.json").read_text())
    assert found["count"] == 5 and "class_iou" in found["set"]
    assert "fid" not in found["set"]


def test_without_a_network_training_ends_before_the_first_step(
    pair_dir, tmp_path, capsys, monkeypatch
):
    monkeypatch.setattr(keras.applications, "VGG19", _fail_to_download)
    arguments = ["--mode", "train", "--input_dir", str(pair_dir), *TINY]
    arguments += ["--perceptual_weight", "1", "--output_dir", str(tmp_path / "out")]
    assert train.main(arguments) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert "--vgg_weights imagenet: the weights could not be downloaded ([Errno" in line
    assert not list((tmp_path / "out").glob("model-*"))


RED, GREEN, BLUE = (255, 0, 0), (0, 255, 0), (0, 0, 255)
PALETTE = {"red": RED, "green": GREEN, "blue": BLUE, "white": (255, 255, 255)}


def test_label_scores_are_those_counted_by_hand():
    target = np.array([[RED, RED, RED, RED], [GREEN, GREEN, GREEN, GREEN]], np.uint8)
    output = np.array(
        [[RED, RED, RED, (9, 8, 200)], [RED, (3, 250, 9), GREEN, GREEN]], np.uint8
    )
    confusion = label_maps.confuse(output, target, PALETTE)
    assert confusion.tolist()[:2] == [[3, 0, 1, 0], [1, 3, 0, 0]]
    figures, classes = label_maps.summarise(confusion, PALETTE)
    assert figures == {
        "pixel_accuracy": 6 / 8,
        "class_accuracy": (3 / 4 + 3 / 4) / 2,
        "class_iou": pytest.approx((3 / 5 + 3 / 4 + 0 / 1) / 3),
    }
    assert classes[0] == {"name": "red", "pixels": 4, "accuracy": 0.75, "iou": 0.6}
    assert classes[2] == {"name": "blue", "pixels": 0, "accuracy": None, "iou": 0}
    assert classes[3]["iou"] is None


def test_a_palette_is_found_in_targets_that_files_blur_and_scaling_mixes():
    target = np.full([64, 64, 3], BLUE, np.uint8)
    target[:, 40:] = RED
    target[:8, :8] = GREEN
    jpeg = tf.io.encode_jpeg(target, quality=95, chroma_downsampling=False)
    found = label_maps.find_palette([tf.io.decode_jpeg(jpeg).numpy()])
    np.testing.assert_allclose(list(found.values()), [BLUE, RED, GREEN], atol=8)
    small = tf.cast(tf.image.resize(target, [43, 43], method="area"), tf.uint8)
    assert label_maps.find_palette([small.numpy()]) == {
        "#0000ff": BLUE, "#ff0000": RED, "#00ff00": GREEN,
    }  # fmt: skip
    with pytest.raises(UsageError, match="--palette targets has 1 colours"):
        label_maps.find_palette([target[:, 40:]])


def test_targets_without_a_palette_are_found_before_features_are_taken(
    extractor_path, monkeypatch
):
    scorer = metrics.SetScorer(extractor_path, "targets")
    monkeypatch.setattr(features, "extract", lambda *_: pytest.fail("too early"))
    black = np.zeros([2, 8, 8, 3], np.uint8)
    with pytest.raises(UsageError, match="--palette targets has 1 colours"):
        list(scorer.measure(lambda kind: iter(black), 2))


def test_a_palette_is_read_and_what_is_wrong_in_one_is_named(tmp_path):
    path = tmp_path / "palette.csv"
    lines = "wall, 255,0,0\n\nsky,0,0,255\n"
    for text in (lines, f"name,r,g,b\n{lines}", f"\ufeff{lines}"):  # spreadsheets' BOM
        path.write_text(text, encoding="utf-8")
        assert label_maps.read_palette(path) == {"wall": RED, "sky": BLUE}
    for text, words in (
        ("a,1,2,3\nb,1,2", "line 2: wanted NAME,R,G,B .* got 'b,1,2'"),
        ("a,1,2,3\nb,1,2,256", "line 2: wanted"),
        ("a,1,2,3\na,1,2,4", "line 2: the name or colour occurs twice"),
        ("wall,0,0,17O\nsky,0,0,255\na,1,1,1", "line 1: wanted"),  # not a heading
        ("a,1,2,3", "has 1 colours"),
    ):
        path.write_text(text)
        with pytest.raises(UsageError, match=words):
            label_maps.read_palette(path)


def test_scores_may_be_added_by_many_threads(tmp_path):
    output, target = _pair(tmp_path, 32, 32)
    scores = metrics.Scores()
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda name: scores.add(name, output, target), "01234567"))
    single = metrics.Scores()
    single.add("0", output, target)
    assert len(scores.images) == scores.count("l1") == 8
    assert scores.count("ms_ssim") == 0
    assert scores.means() == pytest.approx(single.means())
    assert scores.shared_histograms() == pytest.approx(single.shared_histograms())
