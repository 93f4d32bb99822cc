"""The malformed requests of tools/fuzz_server.py, each drawn from a seed.

In: the bytes of the requests, and what kind of answer is wanted. Not in: sending them.
"""

import base64
import dataclasses
import io
import json
import random
import struct
import zlib
from urllib.parse import quote

import numpy as np
from PIL import Image

PREDICT = "/v1/models/facades:predict"
MAX_BODY_MB = 2  # of the server
SECRET_NAME = "secret.txt"  # beside the models, and beside the files of one
_SIDE = 30_000  # pixels of a decompression bomb
_FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "AVIF")


@dataclasses.dataclass(frozen=True)
class Case:
    """One request, or what looks like one.

    Attributes:
        kind: name of the function that drew it.
        parts: bytes that are sent in turn.
        statuses: that the answer may have (default: any but 500).
        is_answered: False if the server may close the connection without an answer.
        is_cut: True if the client closes the connection before an answer.
    """

    kind: str
    parts: list[bytes]
    statuses: tuple[int, ...] = ()
    is_answered: bool = True
    is_cut: bool = False


def draw(seed: int, number: int) -> Case:
    """Returns a case; the same one for the same seed and number."""
    rng = random.Random(f"{seed} {number}")
    return rng.choice(_KINDS)(rng)


def make_image(rng: random.Random, format: str = "PNG") -> bytes:
    """Returns the bytes of a small image file of noise."""
    sides = rng.randint(1, 80), rng.randint(1, 80), 3
    pixels = np.frombuffer(rng.randbytes(sides[0] * sides[1] * 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels.reshape(sides)).save(file, format)
    return file.getvalue()


def make_request(
    body: bytes, path: str = PREDICT, method: str = "POST", headers: str = ""
) -> bytes:
    """Returns the bytes of a request, after which the server closes the connection."""
    head = f"{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{headers}"
    if "length" not in headers.lower() and "chunked" not in headers:
        head += f"Content-Length: {len(body)}\r\n"
    return head.encode("utf-8", "surrogateescape") + b"\r\n" + body


def make_body(*images: bytes) -> bytes:
    """Returns the body of a request to `:predict`."""
    encoded = [{"b64": base64.b64encode(one).decode()} for one in images]
    return json.dumps({"instances": encoded}).encode()


def _damage(rng, contents):
    """Cuts a file, or changes some of its bytes."""
    contents = bytearray(contents)
    if rng.random() < 0.4:
        return bytes(contents[: rng.randrange(len(contents))])
    for _ in range(rng.choice([1, 3, 30])):
        contents[rng.randrange(len(contents))] = rng.randrange(256)
    return bytes(contents)


def random_bytes(rng):
    """Bytes that are no HTTP, also after the head of a request."""
    noise = rng.randbytes(rng.choice([1, 10, 1000, 100_000]))
    openings = [
        b"",
        b"\x16\x03\x01\x02\x00\x01\x00",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ]
    start = rng.choice([*openings, b"GET / HTTP/9.9\r\n", b"GET /\r\n", b"\r\n" * 1000])
    if rng.random() < 0.5:
        return Case("random_bytes", [make_request(noise)], (400,))
    return Case("random_bytes", [start + noise + b"\r\n\r\n"], is_answered=False)


def damaged_image(rng):
    contents = _damage(rng, make_image(rng, rng.choice(_FORMATS)))
    return Case("damaged_image", [make_request(make_body(contents))], (200, 400))


def wrong_json(rng):
    """Bodies that are not JSON, or not what `:predict` takes."""
    good = make_body(make_image(rng))
    depth = rng.choice([10, 100, 900, 5000, 500_000])
    deep = b"[" * depth + b"]" * depth
    texts = [
        _damage(rng, good),
        deep,
        b'{"instances": ' + deep + b"}",
        b'{"signature_name": "generate", "instances": ' + deep + b"}",
        b'{"a":' * depth,
        b'{"instances": [1e999, -1e999, NaN, Infinity]}',
        b'{"instances": ["\\ud800", "\\udfff"], "signature_name": "\\ud800"}',
        b'{"instances": [{"b64": "\\ud800"}]}',
        b'{"\\ud800": 1}',
        '{"instances": [{"b64": "\u00e9\u4e00"}]}'.encode(),
        b'\xef\xbb\xbf{"instances": [1]}',
        '{"instances": [1]}'.encode("utf-16"),
        b'{"instances": [%s]}' % (b"9" * rng.choice([100, 4000, 100_000])),
        b"\0" * 1000,
        b'{"instances": [' + b"[]," * 400_000 + b"[]]}",
        b'{"signature_name": "%s", "instances": [1]}' % (b"x" * 10**6),
    ]
    return Case("wrong_json", [make_request(rng.choice(texts))], (200, 400, 413))


def wrong_types(rng):
    """JSON of all types in all places."""
    image = {"b64": base64.b64encode(make_image(rng)).decode()}
    values = [None, True, 0, -1, 1e308, 10**400, "", "text", "\ud800\x1b[2J", [], {}]
    values += [
        [[]],
        [None],
        [image, None],
        {"b64": None},
        {"image_bytes": image},
        image,
    ]
    values += [{"image_bytes": {"image_bytes": image}}, [[image]], {"b64": "AAA"}]
    keys = ["instances", "inputs", "signature_name", "image_bytes", "b64", "\ud800", ""]
    body = {key: rng.choice(values) for key in rng.sample(keys, rng.randint(0, 4))}
    if rng.random() < 0.5:
        body["instances"] = [rng.choice(values) for _ in range(rng.randint(0, 3))]
    request = make_request(json.dumps(body).encode())
    return Case("wrong_types", [request], (200, 400))


def wrong_numbers(rng):
    """The signature `generate` with numbers that are none, too large, too many."""
    value = rng.choice(
        ["NaN", "Infinity", "-Infinity", "1e39", "3e38", "-3e38", "1e999"]
    )
    value = rng.choice([value, "null", '"1"', "true", "1" * 400, "[]", "{}", "0.5"])
    height, width, channels = (rng.choice([0, 1, 31, 32, 32, 32, 33]) for _ in range(3))
    channels = rng.choice([channels, 3, 3, 3])
    rows = [[[0.5] * channels] * width] * height
    text = json.dumps({"signature_name": "generate", "instances": [rows]})
    body = text.replace("0.5", value, rng.choice([1, -1])).encode()
    return Case("wrong_numbers", [make_request(body)], (200, 400))


def _chunk(kind, contents):
    body = kind + contents
    return struct.pack(">I", len(contents)) + body + struct.pack(">I", zlib.crc32(body))


def _png(width, height, bits, color, data, *others):
    header = struct.pack(">IIBBBBB", width, height, bits, color, 0, 0, 0)
    chunks = [_chunk(b"IHDR", header), *others, _chunk(b"IDAT", data)]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks) + _chunk(b"IEND", b"")


def _zeros(num_bytes):
    """Returns zlib's form of so many zeros, without ever holding them."""
    packer, block = zlib.compressobj(9), bytes(10**6)
    parts = [packer.compress(block) for _ in range(num_bytes // 10**6)]
    return b"".join(parts) + packer.compress(bytes(num_bytes % 10**6)) + packer.flush()


def _tiff(width, height, samples, data, *, compression=8):
    entries = [(256, 4, width), (257, 4, height), (258, 3, 8), (259, 3, compression)]
    entries += [(262, 3, 1 if samples == 1 else 2), (273, 4, 8), (277, 3, samples)]
    entries += [(278, 4, height), (279, 4, len(data))]
    tags = b"".join(struct.pack("<HHII", tag, kind, 1, n) for tag, kind, n in entries)
    first = struct.pack("<2sHI", b"II", 42, 8 + len(data))
    return first + data + struct.pack("<H", len(entries)) + tags + bytes(4)


def bomb(rng):
    """Small files of huge images: all are refused before they are decoded."""
    side = rng.choice([_SIDE, 2**31 - 1])
    webp = struct.pack("<I", 18) + b"WEBPVP8X" + struct.pack("<IB", 10, 0) + bytes(3)
    npy = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        npy, {"descr": "|u1", "fortran_order": False, "shape": (side, side, 3)}
    )
    text = b"zTXt", b"Comment\0\0" + _zeros(10**8)
    files = [
        _png(_SIDE, _SIDE, 1, 0, _zeros(_SIDE * (_SIDE // 8 + 1))),
        _png(_SIDE, _SIDE, 8, 2, b""),
        _png(2**31 - 1, 2**31 - 1, 16, 6, _zeros(10**6)),
        _png(_SIDE, _SIDE, 8, 2, b"", _chunk(*text)),
        _tiff(_SIDE, _SIDE, 1, _zeros(_SIDE**2 // 10)),
        _tiff(side, side, 3, b""),
        _tiff(500, 500, 4000, _zeros(10**8)),
        b"RIFF" + webp + b"\xff\xff\xff" * 2,
        b"GIF89a" + b"\xff\xff" * 2 + bytes(3) + b",\0\0\0\0\xff\xff\xff\xff\0\x02\0;",
        b"P6 %d %d 255\n" % (min(side, 10**9 - 1), _SIDE),
        b"P1 90000 90000 " + b"1" * 1000,
        npy.getvalue(),
        b"BM" + struct.pack("<IIIIiiHHI", 54, 0, 54, 40, _SIDE, _SIDE, 1, 24, 0),
        b"\xff\xd8\xff\xc0\0\x11\x08\xff\xff\xff\xff\x03\1\x11\0\2\x11\1\3\x11\1\xff\xd9",
    ]
    request = make_request(make_body(rng.choice(files)))
    return Case("bomb", [request], (400,))


def many_images(rng):
    """Thousands of images in one request."""
    image = _png(1, 1, 8, 0, zlib.compress(b"\0\0"))
    count = rng.choice([65, 1000, 10_000])
    return Case("many_images", [make_request(make_body(*[image] * count))], (400,))


def path_trick(rng):
    """Paths to files that nobody may read."""
    prefixes = ["/", "/models/", "/models/facades/", "/litert/", "/v1/models/"]
    ups = ["..", "%2e%2e", "..%2f..", "%252e%252e", "..%5c..", "..\\..", "....//"]
    ups += ["..%00", "%c0%ae%c0%ae", "..;", "~", "", ".", "//", "file:///", "facades/1"]
    names = [
        SECRET_NAME,
        "options.json",
        "saved_model.pb",
        "etc/passwd",
        "%00",
        "\udcff",
    ]
    names += [SECRET_NAME + "%00.js", "app.py", "C:%5cboot.ini", quote("\u202e")]
    up = "/".join([rng.choice(ups)] * rng.randint(1, 8))
    path = rng.choice(prefixes) + up + "/" + rng.choice(names)
    path += rng.choice(["", "/metadata", ":predict", "?x=" + "../" * 5, "#" + up])
    method = rng.choice(["GET", "GET", "GET", "HEAD", "POST"])
    request = make_request(b"", path, method)
    return Case("path_trick", [request], (200, 307, 400, 404, 405))


def wrong_method(rng):
    methods = "PUT DELETE PATCH OPTIONS TRACE CONNECT HEAD FOO predict GET POST".split()
    paths = ["/", PREDICT, "/healthz", "/metrics", "/models", "/v1/models/facades", "*"]
    request = make_request(
        make_body(make_image(rng)), rng.choice(paths), rng.choice(methods)
    )
    return Case("wrong_method", [request], (200, 400, 404, 405))


def huge_headers(rng):
    headers = [
        f"X: {'x' * 10**6}\r\n",
        "X: y\r\n" * 20_000,
        f"{'X' * 10**5}: y\r\n",
        "X : y\r\nX\r\n: y\r\n",
        "X: \x00\x01\r\n",
        "Expect: 100-continue\r\n",
        "Upgrade: websocket\r\nConnection: upgrade\r\nSec-WebSocket-Key: x\r\n",
        "Content-Encoding: gzip\r\n",
        "Content-Type: " + "multipart/form-data; boundary=" * 99 + "\r\n",
        "Range: bytes=0-,0-,0-,-1,9999999999-\r\n",
    ]
    path, method = rng.choice([(PREDICT, "POST"), ("/", "GET")])
    request = make_request(b"{}", path, method, rng.choice(headers))
    return Case("huge_headers", [request], (200, 206, 400, 416, 431))


def wrong_length(rng):
    """A Content-Length that is not that of the body; the client then stops sending."""
    body = make_body(make_image(rng))
    lengths = [
        0,
        1,
        len(body) - 1,
        len(body) + 1,
        -1,
        10**7,
        10**30,
        "x",
        "0x10",
        "1, 2",
    ]
    headers = [f"Content-Length: {one}\r\n" for one in lengths]
    headers += [f"Content-Length: {len(body)}\r\nContent-Length: 3\r\n"]
    headers += [f"Content-Length: {len(body)}\r\nTransfer-Encoding: chunked\r\n"]
    request = make_request(body, headers=rng.choice(headers))
    return Case("wrong_length", [request], (200, 400, 413), is_answered=False)


def chunked(rng):
    """Bodies in chunks, some of them wrong."""
    body = make_body(make_image(rng))
    size = rng.choice([1, 7, 1000, 10**6])
    pieces = [body[start : start + size] for start in range(0, len(body), size)]
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(one), one) for one in pieces)
    wrong = [
        b"",
        b"x\r\n",
        b"-1\r\n",
        b"fffffffff\r\n",
        b"0" * 10**5,
        b"1;" + b"x" * 10**5,
    ]
    headers = "Transfer-Encoding: chunked\r\n"
    path, method = rng.choice([(PREDICT, "POST"), ("/healthz", "GET")])
    head = make_request(b"", path, method, headers)
    if rng.random() < 0.4:
        return Case("chunked", [head, chunks, b"0\r\n\r\n"], (200,))
    cut = chunks[: rng.randrange(len(chunks))] if rng.random() < 0.5 else chunks
    return Case("chunked", [head, cut, rng.choice(wrong)], is_answered=False)


def early_close(rng):
    request = make_request(make_body(make_image(rng)))
    parts = [request[: rng.randrange(1, len(request) + 1)]]
    return Case("early_close", parts, is_answered=False, is_cut=True)


def large_body(rng):
    body = b"x" * (MAX_BODY_MB * 10**6 + rng.choice([1, 10**6, 10**7]))
    if rng.random() < 0.5:
        return Case("large_body", [make_request(body)], (413,))
    head = make_request(b"", headers="Transfer-Encoding: chunked\r\n")
    return Case("large_body", [head, b"%x\r\n" % len(body), body], (413,))


def pipelined(rng):
    """Several requests at once, the last of them cut or wrong."""
    first = make_request(b"", "/healthz", "GET").replace(b"Connection: close\r\n", b"")
    last = _damage(rng, make_request(make_body(make_image(rng))))
    return Case("pipelined", [first * rng.randint(1, 20) + last], is_answered=False)


_KINDS = (
    random_bytes,
    damaged_image,
    wrong_json,
    wrong_types,
    wrong_numbers,
    bomb,
    many_images,
    path_trick,
    wrong_method,
    huge_headers,
    wrong_length,
    chunked,
    early_close,
    large_body,
    pipelined,
)
