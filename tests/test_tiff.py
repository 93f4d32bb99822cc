"""TIFF files: each combination of tags is read as it is meant, or refused by name."""

import struct
import zlib

import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image

from pix2pix_tf.images import codecs
from tests.conftest import upright

RNG = np.random.default_rng(5)
SIZE = (6, 4)
BYTES = RNG.integers(0, 256, (*SIZE, 5), dtype=np.uint8)
WORDS = RNG.integers(0, 65536, (*SIZE, 5), dtype=np.uint16)
FLOATS = RNG.random((*SIZE, 5)).astype(np.float32)
HALVES = FLOATS.astype(np.float16)
BILEVEL = BYTES[..., 0] > 127
SMOOTH = np.uint8(np.linspace([0, 60, 255], [255, 90, 30], 32 * 16)).reshape(32, 16, 3)
RGB = {"photometric": "rgb"}
GRAY = {"photometric": "minisblack"}
WHITE = {"photometric": "miniswhite"}
CMYK = {"photometric": "separated"}
NAMED = 65000  # a private tag, to be renamed to one that tifffile does not write


def write(folder, numbers, patch=None, rename=None, **settings):
    """Writes a TIFF by tifffile, then changes tags.

    Args:
        patch: {code: new value}.
        rename: (code, new code).
    """
    path = folder / "a.tif"
    tifffile.imwrite(path, numbers, metadata=None, **settings)
    with tifffile.TiffFile(path, mode="r+b") as tiff:
        tags = tiff.pages.first.tags
        for code, value in (patch or {}).items():
            tags[code].overwrite(value)
        if rename:
            tiff.filehandle.seek(tags[rename[0]].offset)
            tiff.filehandle.write(struct.pack("<H", rename[1]))
    return path


def check(path, expected, atol=1e-6):
    """Compares what is read, and the size that is probed, with numbers by hand."""
    expected = np.asarray(expected)
    found = codecs.read(path, expected.shape[2])
    np.testing.assert_allclose(found, expected, atol=atol)
    assert found.dtype == np.float32 and codecs.probe(path) == expected.shape


def low(bits, *shape):
    """Returns random numbers of so many bits."""
    dtype = np.uint8 if bits <= 8 else np.uint16
    return RNG.integers(0, 2**bits, shape or SIZE).astype(dtype)


def rows_of(numbers, bits):
    """Packs [height, width] numbers, the highest bit first, each row in whole bytes."""
    rows = ("".join(f"{number:0{bits}b}" for number in row) for row in numbers)
    padded = (row + "0" * (-len(row) % 8) for row in rows)
    return b"".join(int(row, 2).to_bytes(len(row) // 8) for row in padded)


def extra(*kinds):
    return {"extrasamples": kinds}


def tag(code, *values, dtype="H"):
    return {"extratags": [(code, dtype, len(values), values, True)]}


def unblend(pixels, largest):
    """Divides colours that were multiplied by their alpha, the last channel."""
    pixels = pixels / largest
    color, alpha = pixels[..., :-1], pixels[..., -1:]
    color = np.where(alpha > 0, np.minimum(color / np.maximum(alpha, 1e-9), 1), 0)
    return np.concatenate([color, alpha], axis=-1)


def cmyk(pixels, largest):
    c_m_y, k = pixels[..., :3] / largest, pixels[..., 3:4] / largest
    return (1 - c_m_y) * (1 - k)


UINT32 = WORDS[..., 0].astype(np.uint32) * 65537
TINTED = np.concatenate([BYTES[..., :3] // 4, BYTES[..., 3:4] // 2 + 64], axis=-1)
TINTED[0, 0] = 0
PALETTE = RNG.integers(0, 65536, (3, 256), dtype=np.uint16)
INDICES = BYTES[..., 0]
TILED = np.tile(WORDS[..., :3], (4, 5, 1))
PLANES = {"planarconfig": "separate"}
COMPRESSIONS = ("lzw", "adobe_deflate", "deflate", "packbits", "lzma", "zstd")

# Floats, and integers that are divided by the largest of their type.
PLAIN = {
    "minisblack 32": (UINT32, GRAY),
    "rgb 16 big-endian": (WORDS[..., :3], RGB | {"byteorder": ">"}),
    "rgb 16 bigtiff": (WORDS[..., :3], RGB | {"bigtiff": True}),
    "gray + alpha": (BYTES[..., :2], GRAY | extra("unassalpha")),
    "rgb + band + alpha": (BYTES, RGB | extra("unspecified", "unassalpha")),
    "tiles": (TILED, RGB | {"tile": (16, 16)}),
    "strips": (BYTES[..., :3], RGB | {"rowsperstrip": 1, "compression": "lzw"}),
    "webp": (
        BYTES[..., :4], RGB | extra("unassalpha")
        | {"compression": "webp", "compressionargs": {"lossless": True}},
    ),
}  # fmt: skip
for numbers in (BYTES, WORDS, HALVES, FLOATS, np.float64(FLOATS)):
    PLAIN[f"minisblack {numbers.dtype}"] = numbers[..., 0], GRAY
for numbers in (BYTES, WORDS, FLOATS):
    PLAIN[f"rgb {numbers.dtype}"] = numbers[..., :3], RGB
    PLAIN[f"bands 4 {numbers.dtype}"] = numbers[..., :4], GRAY | extra(0, 0, 0)
for numbers in (BYTES, WORDS):
    for kind in ("unassalpha", "unspecified"):  # the latter: near infrared, say
        PLAIN[f"rgb + {kind} {numbers.dtype}"] = numbers[..., :4], RGB | extra(kind)
for bands in (2, 3, 5):
    PLAIN[f"bands {bands}"] = BYTES[..., :bands], GRAY | extra(*[0] * (bands - 1))
for compression in COMPRESSIONS:
    for predictor in (1, 2):
        settings = RGB | {"compression": compression, "predictor": predictor}
        PLAIN[f"rgb 8 {compression} predictor {predictor}"] = BYTES[..., :3], settings
        PLAIN[f"rgb 16 {compression} predictor {predictor}"] = WORDS[..., :3], settings
    settings = RGB | {"compression": compression, "predictor": 3}
    PLAIN[f"rgb float32 {compression} predictor 3"] = FLOATS[..., :3], settings


@pytest.mark.parametrize("name", PLAIN)
def test_numbers_are_divided_by_the_largest_of_their_type(name, tmp_path):
    numbers, settings = PLAIN[name]
    is_float = np.issubdtype(numbers.dtype, np.floating)
    largest = 1 if is_float else np.iinfo(numbers.dtype).max

    check(write(tmp_path, numbers, **settings), np.atleast_3d(numbers) / largest)


MEANT = {
    "miniswhite 1": (BILEVEL, WHITE, ~BILEVEL[..., None]),
    "miniswhite 8": (BYTES[..., 0], WHITE, (255 - BYTES[..., :1]) / 255),
    "miniswhite 16": (WORDS[..., 0], WHITE, (65535 - WORDS[..., :1]) / 65535),
    "minisblack 1": (BILEVEL, GRAY, BILEVEL[..., None]),
    "gray + blended alpha": (
        TINTED[..., 2:], GRAY | extra("assocalpha"), unblend(TINTED[..., 2:], 255)
    ),
    "white + alpha": (
        BYTES[..., :2], WHITE | extra("unassalpha"),
        np.stack([255 - BYTES[..., 0], BYTES[..., 1]], axis=-1) / 255,
    ),
    "rgb + blended alpha 8": (TINTED, RGB | extra("assocalpha"), unblend(TINTED, 255)),
    "rgb + blended alpha 16": (
        TINTED * np.uint16(257), RGB | extra("assocalpha"), unblend(TINTED, 255)
    ),
    "cmyk 8": (BYTES[..., :4], CMYK, cmyk(BYTES, 255)),
    "cmyk 16": (WORDS[..., :4], CMYK, cmyk(WORDS, 65535)),
    "cmyk 8 with its ink set": (BYTES[..., :4], CMYK | tag(332, 1), cmyk(BYTES, 255)),
    "cmyk 8 + alpha": (
        BYTES, CMYK | extra("unassalpha"),
        np.concatenate([cmyk(BYTES, 255), BYTES[..., 4:] / 255], axis=-1),
    ),
    "palette": (INDICES, {"colormap": PALETTE}, PALETTE.T[INDICES] / 65535),
    "rgb in planes": (
        np.moveaxis(BYTES[..., :3], -1, 0), RGB | PLANES, BYTES[..., :3] / 255
    ),
    "rgb in planes 16": (
        np.moveaxis(WORDS[..., :3], -1, 0),
        RGB | PLANES | {"compression": "lzw", "predictor": 2},
        WORDS[..., :3] / 65535,
    ),
    "cmyk in planes": (
        np.moveaxis(WORDS[..., :4], -1, 0), CMYK | PLANES, cmyk(WORDS, 65535)
    ),
}  # fmt: skip
for factor in (257, 256, 1):  # palettes of bytes, in each way that programs widen them
    settings = {"colormap": PALETTE // 256 * factor}
    expected = (PALETTE // 256).T[INDICES] / 255
    MEANT[f"palette of bytes * {factor}"] = INDICES, settings, expected
for bits in (2, 3, 4, 6, 7, 9, 10, 12, 14, 15):
    low_bits = {"bitspersample": bits}
    numbers, colors = low(bits, 6, 5), low(bits, 6, 5, 3)
    share = numbers[..., None] / (2**bits - 1)
    MEANT[f"minisblack {bits}"] = numbers, GRAY | low_bits, share
    MEANT[f"miniswhite {bits}"] = numbers, WHITE | low_bits, 1 - share
    MEANT[f"rgb {bits}"] = colors, RGB | low_bits, colors / (2**bits - 1)


@pytest.mark.parametrize("name", MEANT)
def test_numbers_are_read_as_the_tags_mean_them(name, tmp_path):
    numbers, settings, expected = MEANT[name]

    check(write(tmp_path, numbers, **settings), expected)


def write_strip(folder, strip, dtype, patch=None, rename=None, **settings):
    """Writes a TIFF of SIZE whose only strip is already compressed, by deflate."""
    settings = {"shape": SIZE, "rowsperstrip": SIZE[0], **GRAY} | settings
    settings = {"compression": "adobe_deflate"} | settings
    return write(folder, iter([bytes(strip)]), patch, rename, dtype=dtype, **settings)


@pytest.mark.parametrize("bits", [1, 2, 4, 10, 12])
@pytest.mark.parametrize(
    "compression, compress",
    [("lzw", imagecodecs.lzw_encode), ("adobe_deflate", zlib.compress)],
)
def test_packed_bits_are_read_compressed_too(bits, compression, compress, tmp_path):
    numbers = low(bits)
    strip = compress(rows_of(numbers, bits))
    path = write_strip(tmp_path, strip, "u1", {258: bits}, compression=compression)

    check(path, numbers[..., np.newaxis] / (2**bits - 1))


@pytest.mark.parametrize("bits", [1, 2, 4, 16])
def test_palettes_of_other_sizes(bits, tmp_path):
    indices, colors = low(bits), low(16, 3, 2**bits)
    strip = zlib.compress(indices.tobytes() if bits == 16 else rows_of(indices, bits))
    table = tag(NAMED, *colors.ravel().tolist())
    patch = {258: bits, 262: 3}
    path = write_strip(tmp_path, strip, indices.dtype, patch, (NAMED, 320), **table)

    check(path, colors.T[indices] / 65535)


@pytest.mark.parametrize("kind", ["group3", "group4", "tiff_ccitt"])
def test_faxes_are_read(kind, tmp_path):
    path = tmp_path / "a.tif"
    Image.fromarray(BILEVEL).save(path, compression=kind)

    check(path, BILEVEL[..., np.newaxis])


@pytest.mark.parametrize("numbers, largest", [(BYTES, 255), (WORDS, 65535)])
def test_bits_in_the_other_order(numbers, largest, tmp_path):
    numbers = numbers[..., 0]
    reversed_bits = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))
    strip = zlib.compress(numbers.tobytes()).translate(reversed_bits)
    fill_order = tag(NAMED, 2)
    path = write_strip(tmp_path, strip, numbers.dtype, None, (NAMED, 266), **fill_order)

    check(path, numbers[..., np.newaxis] / largest)


@pytest.mark.parametrize(
    "numbers, settings, expected",
    [
        (SMOOTH, RGB, SMOOTH),  # tifffile stores it as YCbCr, 2x2 subsampled
        (SMOOTH, RGB | {"subsampling": (1, 1)}, SMOOTH),
        (SMOOTH, RGB | {"tile": (16, 16)}, SMOOTH),
        (SMOOTH, RGB | {"rowsperstrip": 16}, SMOOTH),
        (SMOOTH[..., 0], GRAY, SMOOTH[..., :1]),
        (SMOOTH[..., 0], WHITE, 255 - SMOOTH[..., :1]),
        (np.moveaxis(SMOOTH, -1, 0), RGB | {"planarconfig": "separate"}, SMOOTH),
        (
            np.concatenate([SMOOTH, SMOOTH[..., :1]], axis=-1),
            CMYK,
            255 * cmyk(SMOOTH[..., [0, 1, 2, 0]], 255),
        ),
    ],
)
def test_jpeg_in_tiff_has_the_colours_that_were_written(
    numbers, settings, expected, tmp_path
):
    best = {"level": 100}  # its own, as tifffile adds to it
    path = write(
        tmp_path, numbers, compression="jpeg", compressionargs=best, **settings
    )

    check(path, expected / 255, atol=7 / 255)


def test_jpeg_in_tiff_that_stays_rgb(tmp_path):
    args = {"compressionargs": {"outcolorspace": "rgb", "level": 100}}
    path = write(tmp_path, SMOOTH, compression="jpeg", **RGB, **args)
    with tifffile.TiffFile(path) as tiff:
        assert tiff.pages.first.photometric == tifffile.PHOTOMETRIC.RGB

    check(path, SMOOTH / 255, atol=2 / 255)


@pytest.mark.parametrize("mode", ["RGB", "YCbCr", "L", "CMYK"])
def test_jpeg_in_tiff_of_another_program(mode, tmp_path):
    image = Image.fromarray(SMOOTH).convert(mode)
    image.save(tmp_path / "a.tif", compression="jpeg", quality=100)
    expected = np.asarray(image if mode == "L" else image.convert("RGB")) / 255

    check(tmp_path / "a.tif", expected.reshape(*SMOOTH.shape[:2], -1), atol=5 / 255)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("numbers", [BYTES[..., :3], WORDS[..., 0]])
def test_orientation_turns_upright(numbers, orientation, tmp_path):
    path = write(
        tmp_path, numbers, **tag(274, orientation), **RGB if numbers.ndim == 3 else GRAY
    )
    pixels = numbers.reshape(*SIZE, -1) / np.iinfo(numbers.dtype).max

    check(path, upright(pixels, orientation))


REFUSED = {
    "int8": (np.int8(BILEVEL), GRAY, "SampleFormat 2 (INT)"),
    "int16": (np.int16(BILEVEL), GRAY, "SampleFormat 2 (INT)"),
    "complex": (np.complex64(BILEVEL), GRAY, "SampleFormat 6 (COMPLEXIEEEFP)"),
    "uint64": (np.uint64(BILEVEL), GRAY, "BitsPerSample 64"),
    "24 bits": (UINT32 >> 8, GRAY | {"bitspersample": 24}, "BitsPerSample 24"),
    "1 bit rgb": (
        BILEVEL[..., None].repeat(3, -1), RGB, "BitsPerSample 1 with SamplesPerPixel 3"
    ),
    "white floats": (
        FLOATS[..., 0], WHITE,
        "SampleFormat 3 (IEEEFP) with PhotometricInterpretation 0 (MINISWHITE)",
    ),
    "large floats": (FLOATS[..., 0] + 1, GRAY, "wanted them in [0, 1]"),
    "blended alpha beside CMYK": (
        BYTES, CMYK | extra("assocalpha"), "ExtraSamples (1 (ASSOCALPHA))"
    ),
    "inks that are not CMYK": (BYTES[..., :4], CMYK | tag(332, 2), "InkSet 2"),
    "dots from white to black": (
        BYTES[..., :4], CMYK | tag(336, 255, 0), "DotRange (255, 0)"
    ),
    "jpeg 2000": (
        BYTES[..., 0], GRAY | {"compression": "jpeg2000"}, "Compression 34712 ("
    ),
    "lerc": (BYTES[..., 0], GRAY | {"compression": "lerc"}, "Compression 34887 (LERC)"),
    "jpeg of 12 bits": (
        low(12, 16, 16), GRAY | {"compression": "jpeg", "bitspersample": 12},
        "Compression 7 (JPEG) with BitsPerSample 12",
    ),
    "jpeg of bands": (
        BYTES[..., :3], GRAY | extra(0, 0) | {"compression": "jpeg"},
        "Compression 7 (JPEG) with ExtraSamples (0 (UNSPECIFIED), 0 (UNSPECIFIED))",
    ),
    "previews": (BYTES[..., 0], GRAY | {"subfiletype": 1}, "NewSubfileType 1"),
    "volumes": (
        np.zeros((16, 16, 16), "u1"), GRAY | {"tile": (16, 16, 16), "volumetric": True},
        "ImageDepth 16",
    ),
}  # fmt: skip
for photometric in ("CIELAB", "ICCLAB", "CFA", "LINEAR_RAW", "MASK", "LOGLUV"):
    number = tifffile.PHOTOMETRIC[photometric]
    REFUSED[photometric] = (
        BYTES[..., :3], RGB | {"patch": {262: number}},
        f"PhotometricInterpretation {number:d} ({photometric})",
    )  # fmt: skip
for name, patch, reason in (
    ("unknown extra samples", {338: 7}, "ExtraSamples (7)"),
    ("unknown colours", {262: 4711}, "PhotometricInterpretation 4711"),
    (
        "two samples of RGB", {277: 2, 258: 8},
        "SamplesPerPixel 2 with PhotometricInterpretation 2 (RGB)",
    ),
    ("bits that differ", {258: (5, 6, 5, 8)}, "BitsPerSample (5, 6, 5, 8)"),
    (
        "YCbCr without JPEG", {262: 6},
        "PhotometricInterpretation 6 (YCBCR) with Compression 1 (NONE)",
    ),
    ("old JPEG", {259: 6}, "Compression 6 (OJPEG)"),
    ("unknown compression", {259: 4711}, "Compression 4711"),
    ("unknown planes", {284: 3}, "PlanarConfiguration 3"),
):  # fmt: skip
    settings = RGB | extra("unassalpha") | {"patch": patch}
    REFUSED[name] = BYTES[..., :4], settings, reason


@pytest.mark.parametrize("name", REFUSED)
def test_other_tags_are_refused_with_their_values(name, tmp_path):
    numbers, settings, reason = REFUSED[name]
    path = write(tmp_path, numbers, **settings)

    for function in (codecs.read, codecs.probe):
        if "floats" not in name or function == codecs.read:
            with pytest.raises(codecs.ImageError) as caught:
                function(path)
            assert reason in str(caught.value)


@pytest.mark.parametrize(
    "settings, rename, reason",
    [
        (tag(NAMED, 7), (NAMED, 317), "has Predictor 7"),
        (tag(NAMED, 1, 1, 3), (NAMED, 339), "a SampleFormat that differs between the"),
        ({}, (262, 263), "PhotometricInterpretation None"),
    ],
)
def test_tags_that_tifffile_does_not_write(settings, rename, reason, tmp_path):
    path = write(tmp_path, BYTES[..., :3], rename=rename, **RGB, **settings)

    with pytest.raises(codecs.ImageError, match=reason):
        codecs.read(path)


def test_numbers_of_no_declared_format_are_unsigned(tmp_path):
    settings = RGB | tag(NAMED, 4, 4, 4)
    path = write(tmp_path, BYTES[..., :3], rename=(NAMED, 339), **settings)

    check(path, BYTES[..., :3] / 255)


@pytest.mark.parametrize(
    "settings, channels",
    [
        (GRAY | extra(0), (1, 3, 4)),
        (GRAY | extra(0, 0), (1, 4)),
        (GRAY | extra(0, 0, 0), (1, 3)),
        (RGB | extra(0, "unassalpha"), (1, 3, 4)),
    ],
)
def test_bands_are_not_taken_for_colours(settings, channels, tmp_path):
    num = len(settings["extrasamples"]) + (3 if settings["photometric"] == "rgb" else 1)
    path = write(tmp_path, BYTES[..., :num], **settings)

    for wanted in channels:
        with pytest.raises(codecs.ImageError, match=f"{num} channels, wanted {wanted}"):
            codecs.read(path, wanted)


def test_rgb_with_one_more_sample_is_rgb_where_three_channels_are_wanted(tmp_path):
    for kind in ("unspecified", "unassalpha"):
        path = write(tmp_path, BYTES[..., :4], **RGB, **extra(kind))
        np.testing.assert_allclose(codecs.read(path), BYTES[..., :3] / 255, atol=1e-6)


@pytest.mark.parametrize("compression", ["jpeg", "lzw", "zstd", "lzma", "packbits"])
def test_what_is_cut_or_lies_about_its_size_is_refused(compression, tmp_path):
    path = write(tmp_path, SMOOTH, compression=compression, **RGB)
    with tifffile.TiffFile(path) as tiff:
        page = tiff.pages.first
        start, length = page.dataoffsets[0], page.databytecounts[0]
    whole = path.read_bytes()
    half = start + length // 2
    for contents in (whole[:half], whole[:half] + bytes(len(whole) - half)):
        path.write_bytes(contents)
        with pytest.raises(codecs.ImageError, match="cannot be decoded"):
            codecs.read(path)


def test_a_jpeg_that_is_larger_than_its_strip_is_not_decoded(tmp_path):
    large = bytes(imagecodecs.jpeg_encode(np.zeros((64, 64), np.uint8)))
    path = write_strip(tmp_path, large, "u1", compression="jpeg")

    with pytest.raises(codecs.ImageError, match="64x64 pixels, wanted 4x6"):
        codecs.read(path)


def test_pages_are_counted_without_previews(tmp_path):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, np.zeros((12, 8, 8), np.uint8), **GRAY)
    assert codecs.count_pages(path) == 12
    with tifffile.TiffWriter(path) as tiff:
        tiff.write(BYTES[..., 0], **GRAY)
        tiff.write(BYTES[::2, ::2, 0], subfiletype=1, **GRAY)
    assert codecs.count_pages(path) == 1
    check(path, BYTES[..., :1] / 255)


def test_a_ring_of_pages_is_counted_once(tmp_path):
    path = tmp_path / "a.tif"
    for big in (False, True):
        tifffile.imwrite(path, np.zeros((3, 8, 8), np.uint8), bigtiff=big, **GRAY)
        assert codecs.count_pages(path) == 3
        with tifffile.TiffFile(path) as tiff:
            offsets = [page.offset for page in tiff.pages]
        size = 8 if big else 4
        contents = path.read_bytes()
        second, first = (place.to_bytes(size, "little") for place in offsets[1::-1])
        path.write_bytes(contents.replace(second, first))
        assert codecs.count_pages(path) == 1
