"""The `.pict` weight file: its bytes, its precision, its readers, damage."""

import json
import struct

import numpy as np
import pytest

from pix2pix_tf.interop import pict
from tests.conftest import assert_equal_values

BIAS = "generator/decoder_1/conv2d_transpose/bias"
TINY = {BIAS: np.array([-1, 0, 1], np.float32)}
TINY_SHAPES = b'[{"name": "generator/decoder_1/conv2d_transpose/bias", "shape": [3]}]'
# With weights from -1 to 1, bin i's middle on the log scale is (2i + 1) / 256 - 1,
# and 256 ** ((2j + 1) / 256) = 2 ** ((2j + 1) / 32).
TINY_UPPER_HALF = [(2 ** ((2 * j + 1) / 32) - 1) / 255 for j in range(128)]
TINY_CODEBOOK = [-value for value in TINY_UPPER_HALF[::-1]] + TINY_UPPER_HALF


def _generator_variables():
    """A few variables with the names, layouts and spread of a trained generator."""
    random = np.random.default_rng(0)
    shapes = {
        "generator/encoder_1/conv2d/kernel": (4, 4, 3, 16),
        "generator/encoder_2/batch_normalization/gamma": (32,),
        "generator/decoder_1/conv2d_transpose/kernel": (4, 4, 3, 32),
        "generator/decoder_1/conv2d_transpose/bias": (3,),
    }
    return {
        name: (random.normal(0, 0.02, shape) + name.endswith("gamma")).astype("f4")
        for name, shape in shapes.items()
    }


def _file(shapes=TINY_SHAPES, codebook=None, codes=b"\x00\x7f\xff"):
    """The bytes of a file with these sections; TINY's where nothing else is said.

    0 lies midway between codes 127 and 128: the lower one is taken.
    """
    codebook = struct.pack("<256f", *TINY_CODEBOOK) if codebook is None else codebook
    sections = (shapes, codebook, codes)
    return b"".join(struct.pack(">I", len(part)) + part for part in sections)


def _read_by_sections(contents):
    """Reads as the demo page and ml5.js do: cut by length, decode all, then slice."""
    sections = []
    while contents:
        (length,) = struct.unpack(">I", contents[:4])
        sections.append(contents[4 : 4 + length])
        contents = contents[4 + length :]
    table = struct.unpack("<256f", sections[1])
    weights = [table[code] for code in sections[2]]
    variables = {}
    for entry in json.loads(sections[0]):
        size = np.prod(entry["shape"])
        variables[entry["name"]] = np.reshape(weights[:size], entry["shape"])
        weights = weights[size:]
    return variables


def test_the_codebook_spans_the_range_of_the_weights():
    codebook = pict.make_codebook(-0.5, 2.0)
    low = -np.log(1 + 255 * 0.25) / np.log(256)
    middles = low + (1 - low) * (np.arange(256) + 0.5) / 256
    expected = np.sign(middles) * (256 ** np.abs(middles) - 1) / 255 * 2
    np.testing.assert_allclose(codebook, expected, rtol=1e-6, atol=1e-9)


def test_every_weight_gets_the_nearest_entry_of_the_codebook(tmp_path):
    variables = _generator_variables()
    pict.write(tmp_path / "generator.pict", variables)
    got = pict.read(tmp_path / "generator.pict")
    assert list(got) == sorted(variables)
    weights = np.concatenate([variables[name].ravel() for name in got])
    codebook = pict.make_codebook(weights.min(), weights.max())
    nearest = codebook[np.abs(weights[:, None] - codebook).argmin(axis=1)]
    found = np.concatenate([array.ravel() for array in got.values()])
    np.testing.assert_array_equal(found, nearest)
    assert {array.dtype for array in got.values()} == {np.dtype(np.float32)}
    # Half a bin is a factor of 256 ** (1 / 256) at most on |x| + scale / 255.
    scale = np.abs(weights).max()
    bound = (np.abs(weights) + scale / 255) * (256 ** (1 / 256) - 1)
    assert (np.abs(found - weights) <= bound * (1 + 1e-5)).all()


def test_other_readers_see_the_same_variables(tmp_path):
    pict.write(tmp_path / "generator.pict", _generator_variables())
    got = _read_by_sections((tmp_path / "generator.pict").read_bytes())
    expected = pict.read(tmp_path / "generator.pict")
    assert list(got) == list(expected) == sorted(expected)
    assert_equal_values(got, expected)


def test_a_tiny_file_has_the_bytes_worked_out_by_hand(tmp_path):
    """Only the trainable variables of the generator are in it."""
    dropped = [
        f"{BIAS}/Adam",
        f"{BIAS}/Adam_1",
        "generator/encoder_2/batch_normalization/moving_mean",
        "generator_loss/ExponentialMovingAverage",
        "generator_train/beta1_power",
        "discriminator/layer_1/conv2d/bias",
        "global_step",
    ]
    pict.write(tmp_path / "tiny.pict", TINY | dict.fromkeys(dropped, np.float32(9)))
    assert (tmp_path / "tiny.pict").read_bytes() == _file()


@pytest.mark.parametrize("value", [0.0, 0.25, -3.0])
def test_weights_that_are_all_equal_survive(tmp_path, value):
    pict.write(tmp_path / "equal.pict", {BIAS: np.full(3, value, np.float32)})
    # Half a bin, 1 / 512 on the log scale, is a factor of 256 ** (1 / 512) = 1.011.
    np.testing.assert_allclose(
        pict.read(tmp_path / "equal.pict")[BIAS], np.full(3, value), rtol=0.012
    )


@pytest.mark.parametrize(
    "variables, message",
    [
        ({"discriminator/layer_1/conv2d/bias": np.ones(3)}, "wanted some under gen"),
        ({BIAS: np.array([1, np.nan])}, f"{BIAS} has shape \\[2\\], .* finite"),
        ({BIAS: np.float32(1)}, f"{BIAS} has shape \\[\\], wanted at least one dim"),
    ],
)
def test_unusable_variables_are_refused_and_the_old_file_stays(
    tmp_path, variables, message
):
    (tmp_path / "old.pict").write_bytes(b"old")
    with pytest.raises(ValueError, match=message):
        pict.write(tmp_path / "old.pict", variables)
    assert [path.name for path in tmp_path.iterdir()] == ["old.pict"]
    assert (tmp_path / "old.pict").read_bytes() == b"old"


def _shapes(*shapes):
    return json.dumps([{"name": BIAS, "shape": shape} for shape in shapes]).encode()


@pytest.mark.parametrize(
    "contents, message",
    [
        (b"", "the file ends before its shapes section"),
        (_file() + b"\x00", "got more bytes after the codes, wanted the end"),
        (_file()[:-1], "got 2 bytes of codes, wanted 3"),
        (b"\xff\xd8\xff\xe0" + b"JFIF", "got 4 bytes of shapes, wanted 4292411360"),
        (_file(codes=b"1234"), "got 4 bytes of codes, wanted 3"),
        (_file(codebook=bytes(1020)), "got 1020 bytes of codebook, wanted 1024"),
        (_file(codebook=b"\xff" * 1024), "codebook has a NaN or infinity"),
        (_file(b"not JSON"), "got shapes that are not JSON"),
        (_file(b"\xff\xfe"), "got shapes that are not JSON"),
        (_file(b"[" * 100_000), "got shapes that are not JSON"),
        (_file(b"[]"), "got [] for shapes, wanted a list with entries"),
        (_file(b'["a"]'), "got 'a' for a variable, wanted a unique name"),
        (_file(b'[{"name": 1, "shape": [3]}]'), "got {'name': 1, 'shape': [3]}"),
        (_file(_shapes(3)), "wanted a unique name and a shape of one to four"),
        (_file(_shapes([])), "a shape of one to four integers above 0"),
        (_file(_shapes([0])), "'shape': [0]} for a variable"),
        (_file(_shapes([3.0])), "'shape': [3.0]} for a variable"),
        (_file(_shapes([1] * 5)), "'shape': [1, 1, 1, 1, 1]} for a variable"),
        (_file(_shapes([1], [2])), "wanted a unique name"),
        (_file(_shapes([10**9] * 4)), f"got 3 bytes of codes, wanted {10**36}"),
    ],
)
def test_a_damaged_file_is_refused_in_one_line_with_its_path(
    tmp_path, contents, message
):
    (tmp_path / "bad.pict").write_bytes(contents)
    with pytest.raises(ValueError) as error_info:
        pict.read(tmp_path / "bad.pict")
    got = str(error_info.value)
    assert got.startswith(f"{tmp_path / 'bad.pict'}: ")
    assert message in got and "\n" not in got


def test_a_file_cut_anywhere_is_refused(tmp_path):
    contents = _file()
    for size in [*range(0, len(contents), 20), len(contents) - 1]:
        (tmp_path / "cut.pict").write_bytes(contents[:size])
        with pytest.raises(ValueError, match="cut.pict: "):
            pict.read(tmp_path / "cut.pict")
