"""The format `.pict`: a generator in 8 bits, for the web page of the original.

It has three sections. Each follows its length in bytes, a big-endian uint32:

1. shapes: JSON, `[{"name": "generator/decoder_1/...", "shape": [3]}, ...]`, by name;
2. codebook: 256 little-endian float32;
3. codes: one uint8 for each weight, the index of its value in the codebook. Variables
   are in the order of the shapes, their weights in row-major order.

The original's demo page, ml5.js and keijiro/Pix2Pix (Unity) read it. All three find
weights by name, and expect eight levels with a batch norm in encoder_8, no separable
convolutions, and no dropout; ml5.js ignores the biases of the encoders.

Source: server/tools/export-checkpoint.py and server/static/index.html of
affinelayer/pix2pix-tensorflow.
"""

import json
import math
import os
import reprlib
from pathlib import Path

import numpy as np

from pix2pix_tf.runtime import files

NUM_CODES = 256
MU = 255


def write(path: Path | str, variables: dict[str, np.ndarray]) -> None:
    """Writes the generator's trainable variables to a file.

    Args:
        path: the file to write, by convention `*.pict`.
        variables: arrays by the original's names. Only the generator's are written,
            without Adam slots and moving statistics.

    Raises:
        ValueError: there is no generator variable, or one is empty or not finite.
    """
    arrays = {
        name: np.asarray(variables[name], np.float32)
        for name in sorted(variables)
        if name.startswith("generator/") and "/Adam" not in name
        # The original looks for "_moving_", so its own files may hold them.
        if "/moving_" not in name
    }
    if not arrays:
        got = reprlib.repr(sorted(variables))
        raise ValueError(f"{path}: got variables {got}, wanted some under generator/")
    for name, array in arrays.items():
        if array.ndim == 0 or array.size == 0 or not np.isfinite(array).all():
            raise ValueError(
                f"{path}: {name} has shape {list(array.shape)}, wanted at least one "
                "dimension and one weight, and all weights finite"
            )

    shapes = [{"name": name, "shape": array.shape} for name, array in arrays.items()]
    codebook = make_codebook(
        min(array.min() for array in arrays.values()),
        max(array.max() for array in arrays.values()),
    )
    codes = b"".join(_encode(array, codebook) for array in arrays.values())

    sections = (json.dumps(shapes).encode(), codebook.tobytes(), codes)
    contents = (len(each).to_bytes(4, "big") + each for each in sections)
    files.write_whole(path, b"".join(contents))


def read(path: Path | str) -> dict[str, np.ndarray]:
    """Returns the variables of a `.pict` file: float32 arrays by name.

    Raises:
        ValueError: the file is damaged or has another format; the message is one line.
    """
    with open(path, "rb") as file:
        shapes = _parse_shapes(_read_section(file, "shapes", path), path)
        num_weights = sum(math.prod(shape) for shape in shapes.values())
        codebook = _read_section(file, "codebook", path, wanted=4 * NUM_CODES)
        codes = _read_section(file, "codes", path, wanted=num_weights)
        if file.read(1):
            raise ValueError(f"{path}: got more bytes after the codes, wanted the end")
    codebook = np.frombuffer(codebook, "<f4").astype(np.float32)
    if not np.isfinite(codebook).all():
        raise ValueError(f"{path}: the codebook has a NaN or infinity, wanted numbers")

    variables, offset = {}, 0
    for name, shape in shapes.items():
        part = np.frombuffer(codes, np.uint8, math.prod(shape), offset)
        variables[name] = codebook[part].reshape(shape)
        offset += part.size
    return variables


def make_codebook(lowest: float, highest: float) -> np.ndarray:
    """Returns the codebook for weights in [`lowest`, `highest`].

    Its values are the centres of 256 bins of equal width on a mu-law scale, so that
    they are denser near zero, where most weights are.

    Returns:
        Little-endian float32 [256], ascending.
    """
    scale = max(abs(float(lowest)), abs(float(highest)))
    if scale == 0:
        return np.zeros(NUM_CODES, "<f4")
    ends = np.array([lowest, highest], np.float64) / scale
    ends = np.sign(ends) * np.log1p(MU * np.abs(ends)) / np.log1p(MU)
    edges = np.histogram_bin_edges(ends, bins=NUM_CODES)
    centres = (edges[:-1] + edges[1:]) / 2
    sizes = np.expm1(np.abs(centres) * np.log1p(MU)) / MU
    return (np.sign(centres) * sizes * scale).astype("<f4")


def _encode(array, codebook):
    """Returns the codes of an array: the index of each weight's nearest entry."""
    wide = codebook.astype(np.float64)
    between = (wide[:-1] + wide[1:]) / 2
    return np.searchsorted(between, array.reshape(-1)).astype(np.uint8).tobytes()


def _read_section(file, part, path, wanted=None):
    """Returns the bytes of the next section; its length must be `wanted`, if given."""
    header = file.read(4)
    if len(header) < 4:
        raise ValueError(f"{path}: the file ends before its {part} section")
    length = int.from_bytes(header, "big")
    left = os.fstat(file.fileno()).st_size - file.tell()
    if length > left:
        raise ValueError(f"{path}: got {left} bytes of {part}, wanted {length}")
    if wanted not in (None, length):
        raise ValueError(f"{path}: got {length} bytes of {part}, wanted {wanted}")
    return file.read(length)


def _parse_shapes(section, path):
    """Returns {name: shape} in the file's order, from the bytes of the JSON."""
    try:
        entries = json.loads(section.decode())
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path}: got shapes that are not JSON") from error
    if not isinstance(entries, list) or not entries:
        got = reprlib.repr(entries)
        raise ValueError(f"{path}: got {got} for shapes, wanted a list with entries")
    shapes = {}
    for entry in entries:
        match entry:
            case {"name": str(name), "shape": [_, *_] as shape} if (
                name not in shapes
                and len(shape) <= 4
                and all(type(size) is int and size > 0 for size in shape)
            ):
                shapes[name] = tuple(shape)
            case _:
                raise ValueError(
                    f"{path}: got {reprlib.repr(entry)} for a variable, wanted a "
                    "unique name and a shape of one to four integers above 0"
                )
    return shapes
