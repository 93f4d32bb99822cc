"""Windows of large files equal the whole; tiled files are written from bands."""

import itertools
import re
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
import tifffile

from pix2pix_tf import data
from pix2pix_tf.images import codecs, kinds, windows
from pix2pix_tf.options import DataConfig, PairConfig
from tests.test_tiff import (
    BYTES,
    CMYK,
    GRAY,
    MEANT,
    PLAIN,
    RGB,
    SMOOTH,
    WORDS,
    extra,
    tag,
    write,
)

TILES = {"tile": (16, 16)}
LAYOUTS = {"one strip": {}, "strips": {"rowsperstrip": 7}, "tiles": TILES}
LARGE = np.tile(WORDS[..., :3], (8, 13, 1))  # 48 x 52
RNG = np.random.default_rng(3)


def enlarge(numbers, settings):
    """Repeats an image up to several tiles and strips."""
    in_planes = settings.get("planarconfig") == "separate"
    times = (1, 7, 9) if in_planes else (7, 9) + (1,) * (numbers.ndim - 2)
    return np.tile(numbers, times)


def some_windows(height, width):
    """Returns (top, left, height, width): the whole, its corners, and its inside."""
    rows = [(0, height), (0, 1), (height - 1, 1), (height // 3, height // 2)]
    columns = [(0, width), (0, 1), (width - 1, 1), (width // 3, width // 2)]
    return [
        (*sides[::2], *sides[1::2])
        for sides in ((*r, *c) for r in rows for c in columns)
    ]


def check(path, channels=None):
    """Compares windows with what is read whole."""
    channels = channels or codecs.probe(path)[2]
    whole = codecs.read(path, channels)
    with windows.open_image(path, channels) as image:
        assert (image.height, image.width) == whole.shape[:2]
        for top, left, height, width in some_windows(*whole.shape[:2]):
            window = image.read(top, left, height, width)
            assert window.dtype == np.float32
            np.testing.assert_array_equal(
                window, whole[top : top + height, left : left + width]
            )


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("name", [*PLAIN, *MEANT])
def test_windows_are_what_the_whole_has_there(name, layout, tmp_path):
    numbers, settings = (PLAIN | MEANT)[name][:2]
    settings = LAYOUTS[layout] | settings
    check(write(tmp_path, enlarge(numbers, settings), **settings))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("settings", [{}, TILES | {"compression": "lzw"}])
def test_windows_are_upright(orientation, settings, tmp_path):
    check(write(tmp_path, LARGE, **RGB, **settings, **tag(274, orientation)))


@pytest.mark.parametrize("settings", [GRAY, RGB, CMYK])
def test_windows_of_jpeg_tiles(settings, tmp_path):
    samples = [0, 1, 2, 0][
        : {"minisblack": 1, "rgb": 3}.get(settings["photometric"], 4)
    ]
    numbers = np.squeeze(np.tile(SMOOTH, (2, 3, 1))[..., samples])

    check(write(tmp_path, numbers, compression="jpeg", **TILES, **settings))


def test_windows_have_the_channels_that_are_wanted(tmp_path):
    path = write(tmp_path, LARGE, **RGB, **TILES)
    check(path, channels=4)
    with windows.open_image(path, 1) as image:  # BLAS rounds a luma by its place
        window = image.read(5, 6, 20, 30)
    whole = codecs.read(path, 1)
    np.testing.assert_allclose(window, whole[5:25, 6:36], atol=2e-7)

    path = write(tmp_path, BYTES, **GRAY, **extra(0, 0, 0, 0))
    with pytest.raises(codecs.ImageError, match="has 5 channels, wanted 3"):
        with windows.open_image(path, 3):
            pass


def test_threads_may_share_an_image(tmp_path):
    path = write(tmp_path, np.tile(LARGE, (9, 9, 1)), compression="lzw", **RGB, **TILES)
    whole = codecs.read(path)
    places = RNG.integers(0, 400, (200, 2)).tolist()
    with windows.open_image(path) as image, ThreadPoolExecutor(8) as threads:
        found = list(threads.map(lambda place: image.read(*place, 30, 40), places))
    for (top, left), window in zip(places, found, strict=True):
        np.testing.assert_array_equal(window, whole[top : top + 30, left : left + 40])


def test_a_tile_that_claims_more_bytes_than_the_file_has_is_refused(tmp_path):
    path = write(tmp_path, LARGE, {325: (65_535,) * 12}, **RGB, **TILES)
    with windows.open_image(path) as image:
        with pytest.raises(codecs.ImageError, match="its end is missing"):
            image.read(0, 0, 1, 1)


def test_windows_of_a_format_that_is_decoded_whole(photo_dir):
    for path in photo_dir.iterdir():
        check(path)


def test_the_first_level_of_a_pyramid_is_read(tmp_path):
    path = tmp_path / "a.tif"
    with tifffile.TiffWriter(path, bigtiff=True) as writer:
        writer.write(LARGE, subifds=1, **RGB, **TILES)
        writer.write(LARGE[::2, ::2], subfiletype=1, **RGB, **TILES)
        writer.write(LARGE[::2, ::2], subfiletype=1, **RGB, **TILES)

    check(path)


def segments_of(path):
    """Returns [(place, length), ...] of the tiles or strips of a file."""
    with tifffile.TiffFile(path) as tiff:
        page = tiff.pages.first
        return list(zip(page.dataoffsets, page.databytecounts, strict=True))


@pytest.mark.parametrize("compression", ["lzw", "adobe_deflate", "zstd", "jpeg"])
@pytest.mark.parametrize("layout", ["tiles", "strips"])
def test_only_what_a_window_touches_is_decoded(compression, layout, tmp_path):
    numbers = np.tile(SMOOTH, (2, 3, 1))  # 64 x 48
    layout = TILES if layout == "tiles" else {"rowsperstrip": 16}
    path = write(tmp_path, numbers, compression=compression, **layout, **RGB)
    whole = codecs.read(path)
    contents = bytearray(path.read_bytes())
    touched = 4 if layout == TILES else 1  # the one whose first row is 16
    for index, (start, length) in enumerate(segments_of(path)):
        if index != touched:
            contents[start : start + length] = b"\xaa" * length
    path.write_bytes(contents)

    with windows.open_image(path) as image:
        window = image.read(17, 18, 15, 14)
        np.testing.assert_array_equal(window, whole[17:32, 18:32])
        with pytest.raises(codecs.ImageError, match="cannot be decoded"):
            image.read(17, 18, 16, 14)


def test_a_file_that_ends_early_is_read_up_to_its_end(tmp_path):
    for settings in ({}, TILES):
        path = write(tmp_path, LARGE, **RGB, **settings)
        whole = codecs.read(path)
        contents = path.read_bytes()
        path.write_bytes(contents[: len(contents) // 2])

        with windows.open_image(path) as image:
            np.testing.assert_array_equal(image.read(1, 2, 14, 30), whole[1:15, 2:32])
            with pytest.raises(codecs.ImageError, match="cannot be decoded"):
                image.read(40, 2, 8, 30)


def crops_of(paths, window, on_bad_image=None, **pair):
    """Returns the batches of training with `--preprocess crop` on one example."""
    kind = kinds.kind_of(PairConfig(**pair))
    store = data.Files([data.Example("1", tuple(paths))], window)
    source = data.Source(store, kind.image_channels, on_bad_image)
    config = DataConfig(preprocess="crop", batch_size=2)
    batches = data.train_batches(source, kind, config, 32, 7, 0).take(4)
    return [(inputs.numpy(), targets.numpy()) for _, inputs, targets in batches]


@pytest.mark.parametrize("kind", ["pairs", "two files", "photographs"])
@pytest.mark.parametrize("on_bad_image", ["error", "skip"])
def test_training_reads_the_crops_of_large_files(kind, on_bad_image, tmp_path):
    shape = (2100, 4000, 3)
    paths = []
    for name in ("a.tif", "b.tif")[: 2 if kind == "two files" else 1]:
        numbers = np.repeat(RNG.integers(0, 256, (2100, 400, 3), dtype=np.uint8), 10, 1)
        windows.write_tiff(tmp_path / name, [numbers], shape, np.uint8)
        paths.append(tmp_path / name)
    flags = {"lab_colorization": kind == "photographs", "on_bad_image": on_bad_image}

    whole, crops = crops_of(paths, None, **flags), crops_of(paths, (32, 32), **flags)

    for wanted, found in zip(whole, crops, strict=True):
        np.testing.assert_array_equal(found[0], wanted[0])
        np.testing.assert_array_equal(found[1], wanted[1])
    assert len({inputs.tobytes() for inputs, _ in crops}) == len(crops)


def test_training_reads_crops_of_files_that_are_too_large_to_be_read_whole(tmp_path):
    path = tmp_path / "a.tif"
    write_hole(path, 10_000, 13_000, 3, **RGB)
    for inputs, targets in crops_of([path], (32, 32)):
        assert (inputs == -1).all() and (targets == -1).all()
    with pytest.raises(tf.errors.OpError, match="has 13000x10000 pixels"):
        crops_of([path], None)


def write_sparse(path, side, numbers, index, **settings):
    """Writes a square BigTIFF of which only the first tile and one other are there."""
    num_tiles = (-(-side // 256)) ** 2
    tiles = (numbers if tile in (0, index) else None for tile in range(num_tiles))
    tifffile.imwrite(
        path, tiles, shape=(side, side, 3), dtype=np.uint8, tile=(256, 256),
        bigtiff=True, metadata=None, **RGB, **settings,
    )  # fmt: skip


def test_a_file_of_100_000_pixels_a_side_needs_little_memory(tmp_path):
    path = tmp_path / "a.tif"
    numbers = RNG.integers(0, 256, (256, 256, 3), dtype=np.uint8)
    row, column = 200, 300  # of the tiles, of which a row has 391
    index = row * 391 + column
    write_sparse(path, 100_000, numbers, index, compression="adobe_deflate")

    tracemalloc.start()
    with windows.open_image(path) as image:
        assert (image.height, image.width) == (100_000, 100_000)
        window = image.read(row * 256 + 10, column * 256 + 20, 200, 100)
        with pytest.raises(codecs.ImageError, match="missing"):
            image.read(99_000, 99_000, 256, 256)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    np.testing.assert_allclose(window, numbers[10:210, 20:120] / 255, atol=1e-6)
    assert peak < 100e6  # bytes; whole, it has 30 GB


def write_hole(path, *shape, **settings):
    """Writes a TIFF of zeros, which most file systems do not store; returns these."""
    return tifffile.memmap(path, shape=shape, dtype=np.uint8, bigtiff=True, **settings)


def test_a_file_that_is_not_compressed_may_be_one_huge_strip(tmp_path):
    path = tmp_path / "a.tif"
    numbers = write_hole(path, 100_000, 100_000, **GRAY)
    numbers[70_000:70_256, 90_000:90_256] = 51
    numbers.flush()

    with windows.open_image(path, 1) as image:
        window = image.read(69_999, 89_999, 258, 258)
    expected = np.pad(np.full([256, 256], 0.2, np.float32), 1)
    np.testing.assert_allclose(window[..., 0], expected, atol=1e-6)


def test_a_huge_file_is_refused_whole_without_reading_its_bytes(tmp_path):
    path = tmp_path / "a.tif"
    write_hole(path, 10_000, 13_000, 3, **RGB)

    tracemalloc.start()
    with pytest.raises(codecs.ImageError, match="has 13000x10000 pixels"):
        codecs.read(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 10e6  # bytes; the file has 390e6


def test_the_example_of_the_page_of_formats_runs(tmp_path, monkeypatch, capsys):
    page = Path(__file__).parents[1] / "docs" / "formats.md"
    example = re.search(r"```python\n(.*?)```", page.read_text("utf-8"), re.DOTALL)[1]
    monkeypatch.chdir(tmp_path)
    write_hole("map.tif", 10_000, 13_000, 3, **RGB)
    names = {}

    exec(compile(example, "docs/formats.md", "exec"), names)

    assert capsys.readouterr().out == "10000 13000\n"
    assert names["window"].shape == (256, 256, 3)


def test_windows_and_strips_have_bounds(tmp_path):
    path = tmp_path / "a.tif"
    write_sparse(path, 20_000, np.zeros([256, 256, 3], np.uint8), 0)
    with windows.open_image(path) as image:
        with pytest.raises(codecs.ImageError, match="10000x10000 .*; ask for smaller"):
            image.read(0, 0, 10_000, 10_000)
    tifffile.imwrite(
        path, iter([b"damaged"]), shape=(20_000, 20_000), dtype=np.uint8,
        rowsperstrip=20_000, compression="lzw", **GRAY,
    )  # fmt: skip
    with windows.open_image(path, 1) as image:
        with pytest.raises(
            codecs.ImageError, match="a strip or tile of 20000x20000 .*; cut it"
        ):
            image.read(0, 0, 1, 1)


@pytest.mark.parametrize(
    "window",
    [(-1, 0, 2, 2), (0, -1, 2, 2), (47, 0, 2, 2), (0, 51, 2, 2), (0, 0, 0, 2)],
)
def test_a_window_outside_of_the_image_is_refused(window, tmp_path):
    path = write(tmp_path, LARGE, **RGB)
    with windows.open_image(path) as image:
        with pytest.raises(ValueError, match="not inside of the image of 52x48"):
            image.read(*window)


def test_what_is_not_an_image_is_refused(tmp_path):
    path = tmp_path / "a.tif"
    for contents in (b"", b"text", b"II*\0", b"II*\0" + b"\xff" * 60):
        path.write_bytes(contents)
        with pytest.raises(codecs.ImageError):
            with windows.open_image(path):
                pass
    with pytest.raises(codecs.ImageError, match="is not a file"):
        with windows.open_image(tmp_path):
            pass


def cut(numbers, *heights):
    """Yields bands of the given heights, from top to bottom."""
    ends = list(itertools.accumulate(heights, initial=0))
    for first, end in itertools.pairwise(ends):
        yield numbers[first:end]


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [1, 2, 3, 4, 6])
def test_bands_of_any_height_become_the_image(channels, dtype, tmp_path):
    path, shape = tmp_path / "a.tif", (300, 270, channels)
    largest = np.iinfo(dtype).max
    numbers = RNG.integers(0, largest, shape, dtype=dtype, endpoint=True)

    windows.write_tiff(path, cut(numbers, 1, 280, 19), shape, dtype)

    found = codecs.read(path, channels)
    np.testing.assert_allclose(found, numbers / largest, atol=1e-6)
    with tifffile.TiffFile(path) as tiff:
        assert tiff.pages.first.tile == (256, 256)
        assert not tiff.is_bigtiff


MAP = [
    (33550, "d", 3, (0.5, 0.5, 0.0), True),
    (33922, "d", 6, (0.0, 0.0, 0.0, 444720.0, 3751320.0, 0.0), True),
    (34735, "H", 8, (1, 1, 0, 1, 1024, 0, 1, 1), True),
    (34736, "d", 2, (6378137.0, 298.25), True),
    (34737, "s", 0, "WGS 84|", True),
    (42112, "s", 0, "<GDALMetadata></GDALMetadata>", True),
    (42113, "s", 0, "0", True),
]


@pytest.mark.parametrize(
    "compression", ["none", "packbits", "lzw", "adobe_deflate", "zstd", "lzma", "jpeg"]
)
def test_the_tags_of_a_tiff_are_carried_over(compression, tmp_path):
    shape = (320, 300, 3)
    numbers = np.uint8(np.linspace([0, 60, 255], [255, 90, 30], 320 * 300))
    numbers = numbers.reshape(shape)
    like = write(
        tmp_path, numbers[::-1], compression=compression, extratags=MAP,
        resolution=((300, 1), (1501, 10)), resolutionunit="centimeter", **RGB,
    )  # fmt: skip
    path = tmp_path / "b.tif"

    windows.write_tiff(path, cut(numbers, 320), shape, np.uint8, like)

    tolerance = 0.02 if compression == "jpeg" else 1e-6
    np.testing.assert_allclose(codecs.read(path), numbers / 255, atol=tolerance)
    with tifffile.TiffFile(path) as found, tifffile.TiffFile(like) as wanted:
        found, wanted = found.pages.first, wanted.pages.first
        assert found.compression == wanted.compression
        for code in (282, 283, 296, *(code for code, *_ in MAP)):
            assert found.tags.valueof(code) == wanted.tags.valueof(code), code


def test_a_map_is_not_carried_over_to_another_place(tmp_path):
    path, shape = tmp_path / "b.tif", (48, 52, 3)
    for numbers, orientation in ((LARGE[:40], 1), (LARGE, 3)):
        settings = {"extratags": [*MAP, *tag(274, orientation)["extratags"]]}
        like = write(tmp_path, numbers, **RGB, **settings)
        windows.write_tiff(path, cut(LARGE, 48), shape, np.uint16, like)
        with tifffile.TiffFile(path) as tiff:
            assert not {code for code, *_ in MAP} & set(tiff.pages.first.tags.keys())


def test_other_files_and_compressions_become_deflate(photo_dir, tmp_path):
    jpeg = write(tmp_path, SMOOTH, compression="jpeg", **RGB)
    path, shape = tmp_path / "b.tif", (48, 52, 3)
    for like in (None, photo_dir / "a.png", jpeg):
        windows.write_tiff(path, cut(LARGE, 48), shape, np.uint16, like)
        with tifffile.TiffFile(path) as tiff:
            assert tiff.pages.first.compression == tifffile.COMPRESSION.ADOBE_DEFLATE


def test_memory_does_not_grow_with_what_is_written(tmp_path):
    path, shape = tmp_path / "a.tif", (6000, 6000, 3)
    bands = (np.zeros([250, 6000, 3], np.uint8) for _ in range(24))

    tracemalloc.start()
    windows.write_tiff(path, bands, shape, np.uint8)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 50e6  # bytes; the image has 108e6


def test_a_file_of_more_than_2_gb_is_a_bigtiff(tmp_path, monkeypatch):
    path, shape = tmp_path / "a.tif", LARGE.shape
    monkeypatch.setattr(windows, "BIGTIFF_BYTES", LARGE.nbytes - 1)

    windows.write_tiff(path, cut(LARGE, 48), shape, np.uint16)

    with tifffile.TiffFile(path) as tiff:
        assert tiff.is_bigtiff
    check(path)


@pytest.mark.parametrize(
    "heights, dtype, message",
    [
        ((40,), np.uint16, "have 40 rows in all: wanted 48"),
        ((), np.uint16, "have 0 rows in all: wanted 48"),
        ((48, 48), np.uint16, "have 96 rows in all: wanted 48"),
        ((48,), np.uint8, r"a band is uint16 \[48, 52, 3\]: wanted uint8 \[rows, 52"),
    ],
)
def test_other_bands_than_were_announced_are_refused(heights, dtype, message, tmp_path):
    bands = cut(np.tile(LARGE, (2, 1, 1)), *heights)
    with pytest.raises(ValueError, match=message):
        windows.write_tiff(tmp_path / "a.tif", bands, LARGE.shape, dtype)
