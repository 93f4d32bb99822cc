"""The commands on images of any size, layout, format and number of channels."""

import io
import re

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from pix2pix_tf import train
from pix2pix_tf.options import read_options
from tests.conftest import TINY, read_image, write_image

SMALL = ["--n_layers", "2", "--summary_freq", "0", "--seed", "3", *TINY]


def _save(path, pixels, **settings):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, **settings)


@pytest.fixture(scope="module")
def mixed_dirs(tmp_path_factory):
    """Folders A and B of every kind of file, two of them damaged."""
    root = tmp_path_factory.mktemp("mixed")
    rng = np.random.default_rng(0)
    turned = Image.Exif()
    turned[0x0112] = 6
    for number, name in enumerate(
        ["1.png", "2.webp", "cats/3.tif", "4.bmp", "5.gif", "6.jpg"]
    ):
        size = (40 + 9 * number, 70 - 3 * number)
        for folder in ("A", "B"):
            pixels = rng.integers(0, 256, (*size, 3), dtype=np.uint8)
            _save(root / folder / name, pixels)
    gray = rng.integers(0, 256, (40, 50), dtype=np.uint8)
    _save(root / "A/7.png", gray)
    _save(root / "B/7.png", rng.integers(0, 256, (40, 50, 4), dtype=np.uint8))
    Image.fromarray(gray).convert("P").save(root / "A/8.png")
    Image.fromarray(gray).convert("CMYK").save(root / "B/8.jpg")
    _save(root / "A/9.png", np.uint16(gray) * 257)
    _save(root / "B/9.png", gray.T.copy(), exif=turned)
    for folder in ("A", "B"):
        (root / folder / "empty.png").touch()
        whole = write_image(root / folder / "cut.jpg", 64, 64).read_bytes()
        (root / folder / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    return root / "A", root / "B"


def _flags(mixed_dirs):
    input_dir, target_dir = mixed_dirs
    return ["--input_dir", str(input_dir), "--target_dir", str(target_dir)]


def test_damaged_files_are_all_named_before_the_first_step(
    mixed_dirs, tmp_path, capsys
):
    flags = ["--mode", "train", *_flags(mixed_dirs)]
    assert train.main([*flags, "--output_dir", str(tmp_path / "x")]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and "2 of 11 examples cannot be used" in error
    assert "A/empty.png is empty" in error and "A/cut.jpg cannot be decoded" in error
    assert not (tmp_path / "x").exists()


@pytest.fixture(scope="module")
def wide_dir(mixed_dirs, tmp_path_factory):
    """A run of two steps at 64x96 pixels, that skipped what is damaged."""
    folder = tmp_path_factory.mktemp("wide") / "run"
    flags = ["--mode", "train", *_flags(mixed_dirs), "--output_dir", str(folder)]
    flags += ["--crop_size", "64", "96", "--max_steps", "2", "--display_freq", "1"]
    flags += ["--on_bad_image", "skip"]
    assert train.main([*SMALL, *flags]) == 0
    return folder


def test_a_run_of_its_own_size_says_so_in_its_options(wide_dir):
    stored = read_options(wide_dir / "options.json")
    assert stored["crop_size"] == (64, 96) and stored["scale_size"] == (72, 107)
    assert stored["num_downs"] == 5
    pictures = list((wide_dir / "images").rglob("*-outputs.png"))
    assert len(pictures) == 2
    assert {read_image(path).shape for path in pictures} == {(64, 96, 3)}


def test_test_mode_keeps_size_and_sub_folders_and_counts_the_skipped(
    wide_dir, mixed_dirs, tmp_path, capsys
):
    flags = ["--mode", "test", *_flags(mixed_dirs), "--checkpoint", str(wide_dir)]
    flags += ["--output_dir", str(tmp_path / "out"), "--on_bad_image", "skip"]
    assert train.main(flags) == 0
    images = tmp_path / "out/images"
    assert read_image(images / "cats/3-targets.png").shape == (64, 96, 3)
    assert len(list(images.rglob("*-outputs.png"))) == 9
    printed = capsys.readouterr().out
    assert len(re.findall(r"^skipped: .*(empty.png|cut.jpg)", printed, re.M)) == 2
    assert printed.splitlines()[-1] == "skipped 2 of 11 examples"


def test_full_size_gives_a_single_odd_picture_back_at_its_size(wide_dir, tmp_path):
    path = write_image(tmp_path / "odd.png", 45, 131, channels=1)
    flags = ["--mode", "test", "--inputs_only", "--full_size", "--no_dropout"]
    flags += ["--input_dir", str(path), "--checkpoint", str(wide_dir)]
    assert train.main([*flags, "--output_dir", str(tmp_path / "out")]) == 0
    images = tmp_path / "out/images"
    assert sorted(p.name for p in images.iterdir()) == [
        "odd-inputs.png",
        "odd-outputs.png",
    ]
    gray = read_image(path)
    np.testing.assert_array_equal(
        read_image(images / "odd-inputs.png"), np.repeat(gray, 3, axis=2)
    )
    outputs = read_image(images / "odd-outputs.png")
    assert outputs.shape == (45, 131, 3) and outputs.std() > 0
    page = (tmp_path / "out/index.html").read_text()
    assert "<th>output</th>" in page and "<th>target</th>" not in page

    flags = ["--mode", "export", "--full_size", "--no_dropout", "--checkpoint"]
    assert train.main([*flags, str(wide_dir), "--output_dir", str(tmp_path / "m")]) == 0
    model = tf.saved_model.load(str(tmp_path / "m"))
    contents = tf.constant([path.read_bytes()])
    answer = model.signatures["serving_default"](image_bytes=contents)["output_bytes"]
    served = np.asarray(Image.open(io.BytesIO(answer[0].numpy())))
    np.testing.assert_allclose(served.astype(int), outputs, atol=1)


def test_any_number_of_channels_comes_in_and_goes_out(tmp_path, capsys):
    rng = np.random.default_rng(1)
    for folder, channels in [("A", 5), ("B", 2)]:
        (tmp_path / folder).mkdir()
        np.save(tmp_path / folder / "1.npy", rng.random((40, 40, channels)))
    flags = ["--input_dir", str(tmp_path / "A"), "--target_dir", str(tmp_path / "B")]
    shape = ["--input_channels", "5", "--target_channels", "2", "--crop_size", "32"]
    run = str(tmp_path / "run")
    train_flags = ["--mode", "train", *flags, *shape, "--max_steps", "1", *SMALL]
    assert train.main([*train_flags, "--output_dir", run]) == 0
    test_flags = ["--mode", "test", *flags, "--checkpoint", run, "--output_dir"]
    assert train.main([*test_flags, str(tmp_path / "out")]) == 0
    outputs = np.load(tmp_path / "out/images/1-outputs.npy")
    assert outputs.shape == (32, 32, 2) and 0 <= outputs.min() < outputs.max() <= 1
    shown = read_image(tmp_path / "out/images/1-outputs.png")
    np.testing.assert_allclose(shown[..., :2] / 255, outputs, atol=1 / 255)
    assert not shown[..., 2].any()
    assert not (tmp_path / "out/metrics.json").exists()
    assert "no metrics: outputs of 2 channels are not RGB" in capsys.readouterr().out
    export_flags = ["--mode", "export", "--checkpoint", run, "--output_dir"]
    assert train.main([*export_flags, str(tmp_path / "model")]) == 0
    signatures = tf.saved_model.load(str(tmp_path / "model")).signatures
    assert list(signatures) == ["generate"]
    assert signatures["generate"](inputs=tf.zeros([1, 32, 32, 5]))["outputs"].shape == (
        1, 32, 32, 2,
    )  # fmt: skip


def test_a_dry_run_shows_everything_and_trains_nothing(pair_dir, tmp_path, capsys):
    flags = ["--mode", "train", "--dry_run", "--input_dir", str(pair_dir), *TINY]
    folder = tmp_path / "run"
    assert train.main([*flags, "--output_dir", str(folder)]) == 0
    assert [path.name for path in folder.iterdir()] == ["dry_run.png"]
    assert read_image(folder / "dry_run.png").shape == (4 * 32, 2 * 32, 3)
    printed = capsys.readouterr().out
    assert (
        "examples count = 5" in printed and "5 images of 128x64, 3 channels" in printed
    )
    assert re.search(r"^encoder_5 +1x1x16 +4,112$", printed, re.M)
    assert "discriminator judges a 2x2 grid of 70x70 pixels" in printed
    assert re.search(r"^expected memory: about 0.7 GB", printed, re.M)


@pytest.mark.parametrize(
    "flags, words",
    [
        ("train --inputs_only", "--inputs_only cannot be used in --mode train"),
        ("train --full_size", "--full_size cannot be used in --mode train"),
        ("train --target_dir x", "--target_dir needs --input_dir"),
        ("train --crop_size 1 2 3", "one or two numbers"),
        ("train --crop_size 250", "--crop_size 250 .*multiples of 32: .*224 and 256"),
        ("train --crop_size 320 --num_downs 8", "256 and 512; or give --num_downs 6"),
        ("train --crop_size 512 --scale_size 500", "--scale_size must be at least"),
        ("train --lab_colorization --input_channels 1", "--input_channels cannot be"),
        (
            "train --lab_colorization --input_dir a --target_dir b",
            "--target_dir cannot be used with --lab_colorization",
        ),
    ],
)  # fmt: skip
def test_what_does_not_go_together_is_refused(flags, words, capsys):
    try:
        status = train.main(["--mode", *flags.split()])
    except SystemExit as stop:
        status = stop.code
    assert status == 2
    assert re.search(words, capsys.readouterr().err)
