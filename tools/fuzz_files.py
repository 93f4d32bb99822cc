"""The fuzzer's files: images of every kind, and what is done to them.

In: damage to bytes and to JSON, and TIFF, BMP and CSV files as they are drawn.
"""

import contextlib
import io
import itertools
import json
import os
import shutil
import struct
import zlib
from pathlib import Path

import numpy as np
import tifffile
from hypothesis import strategies as st
from PIL import Image

HEIGHT, WIDTH = 32, 64
IMAGES = {  # {folder: the file in it}
    "jpg": "1.jpg",
    "png": "1.png",
    "png16": "1.png",
    "palette": "1.png",
    "bmp": "1.bmp",
    "gif": "1.gif",
    "webp": "1.webp",
    "tif": "1.tif",
    "tif16": "1.tif",
    "npy": "1.npy",
    "ppm": "1.ppm",
    "avif": "1.avif",
}
_TAGS = {  # {TIFF tag: values that are put in afterwards, whatever the file holds}
    "BitsPerSample": [1, 7, 10, 12, 32, 64, 65535],
    "Compression": [0, 2, 4, 5, 6, 7, 32773, 34712, 50000, 65535],
    "PhotometricInterpretation": [0, 1, 2, 3, 4, 5, 6, 8, 9, 32803, 65535],
    "SamplesPerPixel": [0, 1, 2, 4, 65535],
    "PlanarConfiguration": [0, 1, 2, 3],
    "RowsPerStrip": [0, 1, 2**31],
    "ImageWidth": [0, 1, 65, 2**31],
    "ImageLength": [0, 33, 2**31],
    "StripOffsets": [0, 2**31],
    "StripByteCounts": [0, 1, 2**31],
    "SampleFormat": [0, 1, 2, 3, 4, 5, 6],
    "ExtraSamples": [0, 1, 2, 3],
    "Predictor": [0, 1, 2, 3, 34892],
}
_CELLS = (
    "0 255 256 -1 17O 1e2 0x10 wall \u7a93 \ufeff # \" '' ; \t \0 name,r,g,b".split(" ")
)
_CELLS += [""]
_LINES = [
    "wall,0,0,170",
    "a window,1,2,3",
    "door,255,0,0",
    "wall,0,0,17O",
    "name,red,green,blue",
    "",
]
# {what kind of file: {what is drawn for it: how}}
DRAWN = {
    "tiff": {
        "dtype": st.sampled_from("uint8 uint8 uint16 int8 float16 float32".split()),
        "samples": st.integers(1, 6),
        "photometric": st.sampled_from(
            "miniswhite minisblack rgb palette separated ycbcr cielab".split()
        ),
        "planarconfig": st.sampled_from(["contig", "separate"]),
        "compression": st.sampled_from(
            [None, None, "lzw", "deflate", "zstd", "packbits", "lzma", "jpeg", "webp"]
        ),
        "predictor": st.sampled_from([None, None, True]),
        "extra": st.sampled_from([None, "unspecified", "assocalpha", "unassalpha"]),
        "byteorder": st.sampled_from("<>"),
        "num_pages": st.integers(1, 2),
        "tags": st.dictionaries(
            st.sampled_from(sorted(_TAGS)), st.integers(0, 15), max_size=2
        ),
    },
    "bmp": {
        "bits": st.sampled_from([1, 2, 4, 8, 16, 24, 32, 0, 64]),
        "compression": st.sampled_from([0, 0, 0, 1, 2, 3, 4, 5, 6, 99]),
        "header": st.sampled_from([12, 40, 52, 56, 108, 124, 64, 0]),
        "height": st.sampled_from([HEIGHT, HEIGHT, -HEIGHT, 0, 2**31 - 1, -(2**31)]),
        "num_colors": st.sampled_from([0, 2, 16, 256, 2**20]),
        "masks": st.sampled_from(
            [(0xF800, 0x7E0, 0x1F, 0), (0xFF0000, 0xFF00, 0xFF, 0xFF000000), (0,) * 4]
        ),
    },
    "palette": {
        "lines": st.lists(
            st.sampled_from(_LINES)
            | st.sampled_from(_LINES)
            | st.lists(st.sampled_from(_CELLS), max_size=5).map(",".join),
            max_size=5,
        ),
        "end": st.sampled_from(["\n", "\r\n", "\r"]),
        "encoding": st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "latin-1"]),
    },
}


def write_images(folder: Path) -> None:
    """Writes an image of every kind of IMAGES, in a folder of its own."""
    import tensorflow as tf

    pixels = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
    deep = pixels.astype(np.uint16) * 257
    image = Image.fromarray(pixels)
    for name, file in IMAGES.items():
        path = folder / name / file
        path.parent.mkdir(parents=True)
        if name == "npy":
            np.save(path, pixels)
        elif name == "tif16":
            tifffile.imwrite(path, deep)
        elif name == "png16":
            path.write_bytes(tf.io.encode_png(deep).numpy())
        elif name == "palette":
            image.convert("P", palette=Image.Palette.ADAPTIVE).save(path)
        else:
            image.save(path)


def change(work: Path, file: str, how: str, **rest) -> None:
    """Does one edit of a file in `work`.

    Raises:
        OSError, ValueError: it cannot be done, because of an earlier one.
    """
    path = work / file
    if not (path.is_file() or how == "palette"):
        raise ValueError(f"{path} is a folder or a pipe by now")
    match how:
        case "tiff":
            _write_tiff(path, **rest)
        case "bmp":
            _write_bmp(path, **rest)
        case "palette":
            _write_palette(path, **rest)
        case "set" | "drop" | "twice":
            path.write_text(_edit_json(json.loads(path.read_text()), how, **rest))
        case "text":
            path.write_text(rest["text"])
        case "name":
            path.rename(path.with_name(rest["to"] + path.suffix))
        case "copy":
            shutil.copyfile(path, path.with_name(rest["to"] + path.suffix))
        case "swap":
            shutil.copyfile(work / rest["other"], path)
        case "remove" | "folder" | "pipe":
            path.unlink()
            if how != "remove":
                (os.mkdir if how == "folder" else os.mkfifo)(path)
        case _:
            contents = _edit_bytes(bytearray(path.read_bytes()), how, **rest)
            path.write_bytes(contents)


def _edit_json(values, how, name, value=None):
    if how == "set":
        return json.dumps(values | {name: value})
    if how == "drop":
        values.pop(name, None)
        return json.dumps(values)
    return json.dumps(values)[:-1] + f", {json.dumps(name)}: 1, {json.dumps(name)}: 2}}"


def _edit_bytes(contents, how, at=0, bit=0, hex="", byte=0, height=0, width=0):
    place = int(at * max(len(contents) - 1, 0))
    if how == "truncate":
        del contents[place:]
    elif how == "flip" and contents:
        contents[place] ^= 1 << bit
    elif how == "insert":
        contents[place:place] = bytes.fromhex(hex)
    elif how == "poke":
        word = bytes.fromhex(hex)
        contents[byte : byte + len(word)] = word
    elif how == "resize" and contents.startswith(b"\x89PNG"):
        sides = [side % 2**32 for side in (width, height)]
        contents[16:24] = b"".join(side.to_bytes(4) for side in sides)
        contents[29:33] = zlib.crc32(contents[12:29]).to_bytes(4)
    return contents


def _write_tiff(path, dtype, samples, extra, num_pages, tags, **settings):
    shape = (HEIGHT, WIDTH, samples)
    if settings["planarconfig"] == "separate":
        shape = (samples, HEIGHT, WIDTH)
    numbers = np.random.default_rng(0).random(shape)
    if "float" not in dtype:
        numbers *= np.iinfo(dtype).max
    if settings["photometric"] == "palette":
        settings["colormap"] = np.arange(768, dtype=np.uint16).reshape(3, 256) * 85
    colors = {"rgb": 3, "ycbcr": 3, "cielab": 3, "separated": 4}
    num_extra = samples - colors.get(settings["photometric"], 1)
    if extra and num_extra > 0:
        settings["extrasamples"] = [extra] * num_extra
    byteorder, made = settings.pop("byteorder"), io.BytesIO()
    with contextlib.suppress(Exception):  # tifffile makes no such file
        with tifffile.TiffWriter(made, byteorder=byteorder) as file:
            for _ in range(num_pages):
                file.write(numbers.astype(dtype), **settings)
        path.write_bytes(made.getvalue())
        with tifffile.TiffFile(path, mode="r+") as file:
            for name, number in tags.items():
                value = _TAGS[name][number % len(_TAGS[name])]
                file.pages[0].tags[name].overwrite(value)


def _write_bmp(path, bits, compression, header, height, num_colors, masks):
    rows = np.random.default_rng(0).bytes((WIDTH * bits + 31) // 32 * 4 * HEIGHT)
    if header == 12:
        info = struct.pack("<IHHHH", 12, WIDTH, abs(height) % 2**16, 1, bits)
    else:
        numbers = header, WIDTH, height, 1, bits, compression, len(rows), 1, 1
        info = struct.pack("<IiiHHIIiiII", *numbers, num_colors, 0)
        info += struct.pack("<IIII", *masks)
        info = info.ljust(header, b"\0")[: max(header, 40)]
    colors = bytes(itertools.islice(itertools.cycle(range(256)), num_colors * 4))
    start = 14 + len(info) + len(colors)
    first = struct.pack("<2sIII", b"BM", start + len(rows), 0, start)
    path.write_bytes(first + info + colors + rows)


def _write_palette(path, lines, end, encoding):
    path.write_bytes(end.join(lines).encode(encoding, "replace"))
