"""The server: TensorFlow Serving's REST API, limits, and answers to wrong requests."""

import base64
import contextlib
import io
import json
import socket
import threading

import numpy as np
import pytest
import tifffile
from fastapi.testclient import TestClient

from pix2pix_tf.__main__ import main
from pix2pix_tf.serve import connection
from pix2pix_tf.serve.app import Limits, build_app
from pix2pix_tf.serve.models import open_models
from tests.conftest import export, serving, write_image

# Keras' own of NumPy 2, and the converters' of Python, while models are exported.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
URL = "/v1/models/facades"


@pytest.fixture(scope="module")
def models(exported_dir, lab_trained_dirs, tmp_path_factory):
    lab_dir = tmp_path_factory.mktemp("models") / "colour"
    export(lab_trained_dirs["AtoB"], lab_dir, "--full_size")
    return open_models([exported_dir, lab_dir])


@pytest.fixture(scope="module")
def client(models):
    limits = Limits(max_body=10**6, max_pixels=10**4, max_waiting=2, body_seconds=5)
    return TestClient(build_app(models, limits))


@pytest.fixture(scope="module")
def png(tmp_path_factory):
    path = write_image(tmp_path_factory.mktemp("image") / "a.png", 45, 60, seed=3)
    return path.read_bytes()


def _b64(contents):
    return {"b64": base64.b64encode(contents).decode()}


def _predict(client, request, url=URL):
    answer = client.post(f"{url}:predict", content=json.dumps(request))
    return answer.status_code, answer.json()


def test_rows_and_columns_are_answered_as_by_tensorflow_serving(client, models, png):
    wanted = _b64(models["facades"].translator.translate_file(png))
    for instance in (_b64(png), {"image_bytes": _b64(png)}):
        request = {"instances": [instance, instance]}
        assert _predict(client, request) == (200, {"predictions": [wanted, wanted]})
    for inputs in ([_b64(png)], {"image_bytes": [_b64(png)]}):
        request = {"inputs": inputs, "signature_name": "serving_default"}
        assert _predict(client, request) == (200, {"outputs": [wanted]})
    versioned = f"{URL}/versions/1"
    request = {"instances": [_b64(png)]}
    assert _predict(client, request, versioned) == (200, {"predictions": [wanted]})


def test_numbers_are_generated_as_by_the_signature(client, exported_dir):
    import tensorflow as tf

    inputs = np.random.default_rng(1).uniform(-1, 1, [2, 32, 32, 3])
    generate = tf.saved_model.load(str(exported_dir)).signatures["generate"]
    wanted = generate(inputs=tf.constant(inputs, tf.float32))["outputs"]
    request = {"signature_name": "generate", "instances": inputs.tolist()}
    status, answer = _predict(client, request)
    assert status == 200
    np.testing.assert_allclose(answer["predictions"], wanted, atol=1e-6)


def test_a_photograph_is_colorized_at_its_own_size(client, models, png):
    status, answer = _predict(client, {"instances": [_b64(png)]}, "/v1/models/colour")
    assert status == 200
    [one] = answer["predictions"]
    assert models["colour"].translator.size is None
    wanted = models["colour"].translator.translate_file(png)
    assert base64.b64decode(one["b64"]) == wanted


def test_status_and_metadata_say_what_is_served(client):
    [version] = client.get(URL).json()["model_version_status"]
    assert (version["version"], version["state"]) == ("1", "AVAILABLE")
    metadata = client.get(f"{URL}/metadata").json()
    assert metadata["model_spec"]["name"] == "facades"
    generate = metadata["metadata"]["signature_def"]["signature_def"]["generate"]
    shape = generate["inputs"]["inputs"]["tensor_shape"]["dim"]
    assert [dim["size"] for dim in shape] == ["-1", "32", "32", "3"]
    assert client.get("/healthz").json() == {"status": "ok"}


def test_the_page_learns_of_models_and_gets_their_litert_files(client, exported_dir):
    facades, colour = client.get("/models").json()["models"]
    assert facades["size"] == [32, 32] and not facades["is_photograph"]
    assert colour["size"] is None and colour["is_photograph"]
    url = facades["litert"][0]
    assert url == "models/facades/model_int8.tflite"
    wanted = (exported_dir / "model_int8.tflite").read_bytes()
    assert client.get(f"/{url}").content == wanted
    page = client.get("/")
    assert page.headers["content-type"].startswith("text/html")
    assert page.headers["cross-origin-embedder-policy"] == "require-corp"


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "the body is not JSON"),
        (b"\xff\xfe", "the body is not JSON"),
        (b"[" * 10**5, "the body is not JSON"),
        (b"[]", 'neither "instances" nor "inputs"'),
        (b'{"instances": {}}', "instances: wanted a list"),
        (b'{"instances": []}', "instances: wanted a list"),
        (b'{"instances": ["text"]}', "instances[0] is no image"),
        (b'{"instances": [{"b64": "*"}]}', "instances[0] is not base64"),
        (b'{"instances": [{"b64": ""}]}', "instances[0] is empty"),
        (b'{"instances": [{"b64": 1}]}', "instances[0] is no image"),
        (b'{"signature_name": "x", "instances": [1]}', "signature_name 'x'"),
        (b'{"signature_name": [], "instances": [1]}', "signature_name []"),
        (
            b'{"signature_name": "generate", "instances": [[[1], [1, 2]]]}',
            "instances[0] is not [height, width, channels]",
        ),
        (
            b'{"signature_name": "generate", "instances": [[[[1, 2, 3]]]]}',
            "instances[0] has the shape [1, 1, 3]: wanted [32, 32, 3]",
        ),
        (b'{"signature_name": "generate", "instances": [{"a": 1}]}', "instances[0]"),
        (
            b'{"signature_name": "generate", "instances": [[[["1"]]]]}',
            "instances[0] is not [height, width, channels]",
        ),
        (b'{"instances": [%s1]}' % (b"1," * 64), "65 images, wanted at most 64"),
        (
            b'{"signature_name": "generate", "instances": [[[[1%s]]]]}' % (b"0" * 400),
            "instances[0] is not [height, width, channels]",
        ),
    ],
)
def test_a_wrong_request_is_told_what_is_wrong(client, body, message):
    answer = client.post(f"{URL}:predict", content=body)
    assert answer.status_code == 400
    assert message in answer.json()["error"]


def test_the_index_of_bad_bytes_is_named(client, png):
    request = {"instances": [_b64(png), _b64(png[: len(png) // 2])]}
    status, answer = _predict(client, request)
    assert status == 400
    assert answer["error"].startswith("instances[1] cannot be decoded")


def test_a_large_image_is_refused_before_it_is_decoded(client, tmp_path):
    path = write_image(tmp_path / "large.png", 101, 100)
    status, answer = _predict(client, {"instances": [_b64(path.read_bytes())]})
    assert status == 400
    assert "has 100x101 pixels, 3 channels: wanted at most 10000" in answer["error"]


def test_channels_count_as_pixels(client):
    file = io.BytesIO()
    tifffile.imwrite(file, np.zeros([90, 90, 9], np.uint8), planarconfig="contig")
    status, answer = _predict(client, {"instances": [_b64(file.getvalue())]})
    assert status == 400
    assert "has 90x90 pixels, 9 channels: wanted at most 10000" in answer["error"]


@pytest.mark.parametrize("value", ["NaN", "Infinity", "1e39"])
def test_outputs_that_are_not_numbers_are_refused(client, value):
    inputs = json.dumps(np.full([32, 32, 3], 0.5).tolist()).replace("0.5", value, 1)
    body = f'{{"signature_name": "generate", "instances": [{inputs}]}}'
    answer = client.post(f"{URL}:predict", content=body)
    assert answer.status_code == 400
    assert "instances[0] has outputs that are not finite" in answer.json()["error"]


def test_an_error_is_short_and_printable(client):
    for name in ("x" * 10**5, "\ud800\x1b[2J\n"):
        request = {"signature_name": name, "instances": [1]}
        status, answer = _predict(client, request)
        assert status == 400 and answer["error"].startswith("signature_name '")
        assert len(answer["error"]) <= 500 and answer["error"].isprintable()


def test_a_large_body_is_refused(client):
    answer = client.post(f"{URL}:predict", content=b" " * (10**6 + 1))
    assert answer.status_code == 413
    assert "more than 1000000 bytes" in answer.json()["error"]


@pytest.mark.parametrize(
    "path",
    [
        "/v1/models/none",
        "/v1/models/facades/versions/7",
        "/v1/models/..%2f..%2fetc/metadata",
        "/models/facades/saved_model.pb",
        "/models/facades/..%2f..%2foptions.json",
        "/models/facades/options.json",
        "/..%2f__main__.py",
        "/%2e%2e/app.py",
    ],
)
def test_nothing_else_is_found(client, path):
    answer = client.get(path)
    assert answer.status_code == 404
    assert "error" in answer.json()


def test_more_requests_than_may_wait_are_told_to_come_later(models, png, monkeypatch):
    """None is lost: each gets its output or status 503."""
    release, started = threading.Event(), threading.Semaphore(0)
    translate_file = models["facades"].translator.translate_file

    def wait(contents, **settings):
        started.release()
        assert release.wait(60)
        return translate_file(contents, **settings)

    monkeypatch.setattr(models["facades"].translator, "translate_file", wait)
    limits = Limits(max_body=10**6, max_pixels=10**4, max_waiting=2)
    request, answers = {"instances": [_b64(png)]}, []
    with TestClient(build_app(models, limits)) as client:
        threads = [
            threading.Thread(target=lambda: answers.append(_predict(client, request)))
            for _ in range(2)
        ]
        for thread in threads:
            thread.start()
        for _ in threads:
            assert started.acquire(timeout=60)
        status, answer = _predict(client, request)
        assert status == 503 and "try again later" in answer["error"]
        assert "pix2pix_requests_waiting 2.0" in client.get("/metrics").text
        release.set()
        for thread in threads:
            thread.join()
        assert [status for status, _ in answers] == [200, 200]
        text = client.get("/metrics").text
    assert 'pix2pix_requests_total{model="facades",status="200"} 2.0' in text
    assert 'pix2pix_requests_total{model="facades",status="503"} 1.0' in text


@pytest.fixture(scope="module")
def address(models):
    """Host and port of a server whose clients have a second for a head or a body."""
    limits = Limits(max_body=1000, max_pixels=10**4, max_waiting=2, body_seconds=1)
    settings = {"http": connection.Connection, "timeout_keep_alive": 1}
    settings["log_level"] = "error"
    app = build_app(models, limits)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(connection, "HEAD_SECONDS", 1)
        with serving(app, **settings) as url:
            yield "127.0.0.1", int(url.rpartition(":")[2])


def _send(address, contents, again=b""):
    """Returns what a server answers until it closes the connection."""
    answer = b""
    with socket.create_connection(address, timeout=0.2) as client:
        client.sendall(contents)
        for _ in range(100):
            try:
                part = client.recv(1 << 16)
            except TimeoutError:
                with contextlib.suppress(ConnectionError):
                    client.sendall(again)
                continue
            except ConnectionError:
                return answer
            if not part:
                return answer
            answer += part
    raise AssertionError(f"{contents} keeps the connection open")


@pytest.mark.parametrize("start", [b"", b"GET / HTTP/1.1\r\nHost: x\r\n"])
def test_a_connection_that_does_not_ask_is_closed(address, start):
    assert _send(address, start, again=b"X: y\r\n" if start else b"") == b""


@pytest.mark.parametrize(
    ("length", "again", "status"),
    [(100, b"", 408), (100, b" ", 408), (10**6, b" ", 413)],
)
def test_a_body_without_end_is_ended(address, length, again, status):
    head = f"POST {URL}:predict HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n"
    first = b" " * 2000 if length > 1000 else b""
    answer = _send(address, head.encode() + first, again)
    assert answer.startswith(b"HTTP/1.1 %d " % status)
    assert answer.count(b"HTTP/1.1") == 1


def test_what_is_not_http_gets_json(address, capfd):
    chunked = b"Host: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    for start in (
        b"\0\r\n\r\n",
        b"POST /v1/models/facades:predict HTTP/1.1\r\n" + chunked,
    ):
        answer = _send(address, start + b"not a chunk\r\n")
        assert answer.startswith(b"HTTP/1.1 400 ")
        body = json.loads(answer.partition(b"\r\n\r\n")[2])
        assert body == {"error": "Invalid HTTP request received."}
    # Here the answer came before the wrong chunk.
    answer = _send(address, b"GET /healthz HTTP/1.1\r\n" + chunked, b"not a chunk\r\n")
    assert answer.endswith(b'{"status":"ok"}')
    assert capfd.readouterr().err == ""


def test_a_client_that_leaves_is_counted_and_disturbs_nobody(address, capfd):
    head = f"POST {URL}:predict HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n"
    with socket.create_connection(address) as client:
        client.sendall(head.encode())
    question = b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    for _ in range(100):  # the server may learn of it after the next question
        if b'{model="facades",status="400"}' in _send(address, question):
            break
    else:
        raise AssertionError("it was not counted")
    assert capfd.readouterr().err == ""


def test_two_models_of_one_name_are_refused(exported_dir, capsys):
    arguments = ["serve", str(exported_dir), str(exported_dir), "--port", "0"]
    assert main(arguments) == 2
    assert "would both be named facades" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--max_waiting", "0"], "--max_waiting 0: wanted at least 1"),
        (["--overlap", "64"], "--overlap needs --tile"),
        (["--port", "99999"], "--port 99999: wanted 0 to 65535"),
        (["--host", "256.1.1.1"], "--host 256.1.1.1"),
        (["--litert_js", "none"], "--litert_js none is not a folder"),
    ],
)
def test_wrong_flags_are_refused_before_a_model_is_loaded(flags, message, capsys):
    assert main(["serve", "none", *flags]) == 2
    assert message in capsys.readouterr().err
