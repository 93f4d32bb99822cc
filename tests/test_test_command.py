"""Whole test-mode commands on tiny images."""

import csv
import json

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from pix2pix_tf import metrics, train
from pix2pix_tf.commands import score
from pix2pix_tf.images import color, pixels
from tests.conftest import read_image, write_image

HISTOGRAMS = {"histogram_l", "histogram_a", "histogram_b"}


def _test(checkpoint, input_dir, output_dir, *arguments):
    return train.main(
        ["--mode", "test", "--checkpoint", str(checkpoint), "--seed", "1"]
        + ["--input_dir", str(input_dir), "--output_dir", str(output_dir), *arguments]
    )


def _pictures(folder):
    return {path.name: read_image(path) for path in (folder / "images").iterdir()}


@pytest.fixture(scope="module")
def tested_dir(trained_dir, pair_dir, tmp_path_factory):
    folder = tmp_path_factory.mktemp("tested")
    assert _test(trained_dir, pair_dir, folder, "--batch_size", "2") == 0
    return folder


def _metrics(folder):
    """Returns what metrics.json holds; only strict JSON passes."""
    text = (folder / "metrics.json").read_text()
    return json.loads(text, parse_constant=pytest.fail)


def test_targets_of_16_bits_are_written_and_measured_as_such(trained_dir, tmp_path):
    rng, folder = np.random.default_rng(3), tmp_path / "deep"
    folder.mkdir()
    deep = rng.integers(0, 65536, [32, 64, 3], dtype=np.uint16)
    (folder / "a.png").write_bytes(tf.io.encode_png(deep).numpy())
    write_image(folder / "c.png", 32, 64)
    out = tmp_path / "out"
    assert _test(trained_dir, folder, out) == 0

    def read(name, dtype=tf.uint16):
        path = out / "images" / f"{name}.png"
        assert path.read_bytes()[pixels.PNG_BITS_AT] == 8 * dtype.size
        return tf.io.decode_png(path.read_bytes(), dtype=dtype).numpy()

    # BtoA: the target is the left half.
    # float32 in [-1, 1] holds steps of 16 bits, but for the last half.
    np.testing.assert_allclose(read("a-targets"), deep[:, :32].astype(int), atol=1)
    found = {image["name"]: image for image in _metrics(out)["images"]}
    difference = read("a-outputs").astype(float) - read("a-targets")
    l1 = np.abs(difference).mean() * 2 / 65535
    assert found["a"]["l1"] == pytest.approx(l1, rel=1e-5)
    mse = np.square(difference / 65535).mean()
    assert found["a"]["psnr"] == pytest.approx(-10 * np.log10(mse), rel=1e-5)
    for kind in ("inputs", "outputs", "targets"):
        read(f"c-{kind}", tf.uint8)
    scored = tmp_path / "scored"
    assert score.main([str(out), "--output_dir", str(scored)]) == 0
    assert _metrics(scored)["images"] == _metrics(out)["images"]


def test_metrics_are_those_of_the_pictures_as_written(tested_dir):
    pictures, found = _pictures(tested_dir), _metrics(tested_dir)
    assert found["count"] == 5
    assert [image["name"] for image in found["images"]] == list("12345")
    for image in found["images"]:
        name = image["name"]
        pair = pictures[f"{name}-outputs.png"], pictures[f"{name}-targets.png"]
        assert image == {"name": name, **metrics.score(*pair)}
    assert found["mean"]["ms_ssim"] is None  # the images are too small
    for name in ("l1", "psnr", "ssim"):
        values = [image[name] for image in found["images"]]
        assert found["mean"][name] == pytest.approx(np.mean(values))
    assert set(found["set"]) == HISTOGRAMS
    assert all(0 < value < 1 for value in found["set"].values())
    with open(tested_dir / "metrics.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [float(row["ssim"]) for row in rows] == [i["ssim"] for i in found["images"]]


def test_the_index_shows_the_metrics(tested_dir):
    page = (tested_dir / "index.html").read_text()
    for image in _metrics(tested_dir)["images"]:
        assert f'<td class="number">{image["ssim"]:.4f}</td>' in page


def test_fid_and_label_scores_are_measured_where_they_are_asked_for(
    trained_dir, pair_dir, extractor_path, tmp_path, capsys
):
    (tmp_path / "palette.csv").write_text("dark,0,0,0\nlight,255,255,255\n")
    flags = ["--fid_weights", extractor_path]
    flags += ["--palette", str(tmp_path / "palette.csv"), "--max_steps", "3"]
    assert _test(trained_dir, pair_dir, tmp_path / "out", *flags) == 0
    found = _metrics(tmp_path / "out")
    assert found["set"]["fid"] > 0 and isinstance(found["set"]["kid"], float)
    assert 0 <= found["set"]["class_iou"] <= found["set"]["pixel_accuracy"] <= 1
    assert [entry["name"] for entry in found["classes"]] == ["dark", "light"]
    assert sum(entry["pixels"] for entry in found["classes"]) == 3 * 32 * 32
    assert "stand_in.keras" in found["extractor"]
    lines = capsys.readouterr().out.splitlines()
    [fid] = [line for line in lines if line.startswith("fid ")]
    assert "3 images; the network of " in fid and "fewer than 2048" in fid
    [l1] = [line for line in lines if line.startswith("l1 ")]
    assert f"{found['mean']['l1']:.4f}  3 images" in l1


def test_sets_that_cannot_be_measured_leave_the_figures_of_the_pictures(
    trained_dir, tmp_path, capsys
):
    (tmp_path / "in").mkdir()
    Image.new("RGB", (16, 8)).save(tmp_path / "in/1.png")
    out = tmp_path / "out"
    assert _test(trained_dir, tmp_path / "in", out, "--palette", "targets") == 2
    printed = capsys.readouterr()
    [line] = printed.err.splitlines()
    assert "--palette targets has 1 colours" in line
    found = _metrics(out)
    assert found["count"] == 1 and set(found["set"]) == HISTOGRAMS
    assert f"l1 {found['mean']['l1']:>22.4f}  1 image;" in printed.out
    assert (out / "metrics.csv").read_text().count("\n") == 2


def test_inputs_alone_have_no_metrics(trained_dir, photo_dir, tmp_path, capsys):
    (tmp_path / "metrics.json").write_text("of an earlier test")
    assert _test(trained_dir, photo_dir, tmp_path, "--inputs_only") == 0
    assert not list(tmp_path.glob("metrics*"))
    assert "\nssim" not in capsys.readouterr().out
    assert 'data-sort="down"' not in (tmp_path / "index.html").read_text()


@pytest.mark.parametrize(
    "flags, words",
    [
        ("--fid_weights /nowhere", "--fid_weights /nowhere is not a file"),
        ("--palette /nowhere", "--palette /nowhere cannot be read"),
        ("--palette x --inputs_only", "--palette cannot be used with --inputs_only"),
    ],
)
def test_what_cannot_measure_is_named_before_any_picture(
    flags, words, trained_dir, pair_dir, tmp_path, capsys
):
    assert _test(trained_dir, pair_dir, tmp_path / "out", *flags.split()) == 2
    assert words in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_each_image_once_in_order(tested_dir):
    names = {
        f"{stem}-{kind}.png"
        for stem in range(1, 6)
        for kind in ("inputs", "outputs", "targets")
    }
    assert set(_pictures(tested_dir)) == names
    page = (tested_dir / "index.html").read_text()
    places = [page.index(f"images/{stem}-inputs.png") for stem in range(1, 6)]
    assert places == sorted(places) and page.count("<img") == 15


def test_inputs_and_targets_are_the_files_halves(tested_dir, pair_dir):
    pictures = _pictures(tested_dir)
    image = read_image(pair_dir / "2.png")  # trained BtoA
    for kind, half in (("targets", image[:, :64]), ("inputs", image[:, 64:])):
        resized = pixels.resize_area(pixels.to_float(half), (32, 32))
        np.testing.assert_array_equal(
            pictures[f"2-{kind}.png"], pixels.to_uint8(resized)
        )


def test_no_dropout_repeats_and_dropout_follows_the_seed(
    tested_dir, trained_dir, pair_dir, tmp_path
):
    runs = {
        "plain": ["--no_dropout", "--seed", "1"],
        "plain_again": ["--no_dropout", "--seed", "2"],
        "dropout": ["--batch_size", "2"],
        "dropout_other": ["--batch_size", "2", "--seed", "2"],
    }
    outputs = {}
    for name, arguments in runs.items():
        assert _test(trained_dir, pair_dir, tmp_path / name, *arguments) == 0
        outputs[name] = _pictures(tmp_path / name)["2-outputs.png"]
    np.testing.assert_array_equal(outputs["plain"], outputs["plain_again"])
    first = _pictures(tested_dir)["2-outputs.png"]
    np.testing.assert_array_equal(outputs["dropout"], first)
    assert not np.array_equal(outputs["dropout_other"], first)
    assert not np.array_equal(outputs["plain"], first)


def test_aspect_ratio_widens_every_picture(trained_dir, pair_dir, tmp_path):
    arguments = ["--aspect_ratio", "1.5", "--max_steps", "2"]
    assert _test(trained_dir, pair_dir, tmp_path, *arguments) == 0
    pictures = _pictures(tmp_path)
    assert len(pictures) == 6  # --max_steps bounds the batches
    assert all(picture.shape == (32, 48, 3) for picture in pictures.values())


@pytest.mark.parametrize("direction", ["AtoB", "BtoA"])
def test_colorization_writes_rgb_with_the_photographs_lightness(
    lab_trained_dirs, photo_dir, tmp_path, direction
):
    assert _test(lab_trained_dirs[direction], photo_dir, tmp_path) == 0
    pictures = _pictures(tmp_path)
    assert len(pictures) == 6
    assert all(picture.shape == (32, 32, 3) for picture in pictures.values())
    photo = pixels.to_float(read_image(photo_dir / "a.png"))
    lightness = pixels.resize_area(color.rgb_to_lab(photo), (32, 32))[..., 0]
    kinds = {"AtoB": ["inputs", "outputs", "targets"], "BtoA": ["inputs", "targets"]}
    for kind in kinds[direction]:
        lab = color.rgb_to_lab(pixels.to_float(pictures[f"a-{kind}.png"]))
        # Rounding to 8 bits, and colours clipped at the border of sRGB.
        assert np.mean(np.abs(lab[..., 0] - lightness)) < 2


def test_testing_into_the_training_folder_is_refused(capsys, trained_dir, pair_dir):
    before = (trained_dir / "options.json").read_text()
    assert _test(trained_dir, pair_dir, trained_dir) == 2
    assert "holds a train run" in capsys.readouterr().err
    assert (trained_dir / "options.json").read_text() == before


def test_testing_again_gives_the_same_index(tested_dir, trained_dir, pair_dir):
    before = (tested_dir / "index.html").read_text()
    assert _test(trained_dir, pair_dir, tested_dir, "--batch_size", "2") == 0
    assert (tested_dir / "index.html").read_text() == before


def test_files_that_share_a_stem_both_get_their_pictures(trained_dir, tmp_path):
    (tmp_path / "in").mkdir()
    write_image(tmp_path / "in" / "a.png", 8, 16, seed=1)
    write_image(tmp_path / "in" / "a.jpg", 8, 16, seed=2)
    assert _test(trained_dir, tmp_path / "in", tmp_path / "out") == 0
    assert {"a.png-outputs.png", "a.jpg-outputs.png"} < set(_pictures(tmp_path / "out"))
