"""A server for the tests of the page: its files, and answers that a test decides.

The answers are those of docs/serving.md. The "model" inverts an image's colours, so a
test knows each output.
"""

import base64
import contextlib
import functools
import http.server
import io
import json
import threading
from pathlib import Path

from PIL import Image, ImageOps

PAGE_DIR = Path(__file__).parents[1] / "pix2pix_tf" / "serve" / "page"
HEADERS = {
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Access-Control-Allow-Origin": "*",  # for the page of another server
    "Cache-Control": "no-store",
}


def model(name, **changes):
    """Returns the description of a model of pairs, with changes."""
    pairs = {
        "name": name,
        "version": "1",
        "size": [32, 48],
        "is_photograph": False,
        "input_channels": 3,
        "output_channels": 3,
        "labels": [],
        "litert": [],
    }
    return pairs | changes


def metadata(shape, output_channels):
    """Returns what TensorFlow Serving answers to GET v1/models/NAME/metadata."""

    def tensor(sizes):
        return {"tensor_shape": {"dim": [{"size": str(size)} for size in sizes]}}

    signatures = {
        "serving_default": {"inputs": {"image_bytes": tensor([-1])}},
        "generate": {
            "inputs": {"inputs": tensor(shape)},
            "outputs": {"outputs": tensor([*shape[:-1], output_channels])},
        },
    }
    return {
        "model_spec": {"name": "served", "version": "7"},
        "metadata": {"signature_def": {"signature_def": signatures}},
    }


def invert(contents: bytes) -> bytes:
    """Inverts the colours of an image file, keeping its size: returns a PNG."""
    image = Image.open(io.BytesIO(contents)).convert("RGB")
    inverted = io.BytesIO()
    ImageOps.invert(image).save(inverted, "PNG")
    return inverted.getvalue()


class Answers:
    """What the server answers next, and what it was asked.

    Attributes:
        models: the list of GET models.
        metadata: the answer to GET v1/models/NAME/metadata.
        predict: bytes of an input -> bytes of an output.
        failures: [(HTTP status, answer)], which the next requests to predict get.
        received: bytes of each input, in the order in which they came.
        folders: {path: folder} of more files to serve, such as "/litert".
    """

    def __init__(self, models):
        self.models = models
        self.metadata = metadata([-1, 32, 48, 3], 3)
        self.predict = invert
        self.failures = []
        self.received = []
        self.folders = {}


class _Handler(http.server.SimpleHTTPRequestHandler):
    extensions_map = http.server.SimpleHTTPRequestHandler.extensions_map | {
        ".js": "text/javascript"  # whatever the machine's own table says
    }

    def __init__(self, *arguments, answers):
        self.answers = answers
        super().__init__(*arguments, directory=PAGE_DIR)

    def do_GET(self):
        if self.path == "/models":
            self._send(200, {"models": self.answers.models, "has_litert_js": True})
        elif self.path.endswith("/metadata"):
            self._send(200, self.answers.metadata)
        else:
            super().do_GET()

    def do_POST(self):
        length = int(self.headers["Content-Length"])
        [instance] = json.loads(self.rfile.read(length))["instances"]
        contents = base64.b64decode(instance["b64"])
        self.answers.received.append(contents)
        if self.answers.failures:
            self._send(*self.answers.failures.pop(0))
        else:
            output = base64.b64encode(self.answers.predict(contents)).decode()
            self._send(200, {"predictions": [{"b64": output}]})

    def translate_path(self, path):
        for prefix, folder in self.answers.folders.items():
            if path.startswith(prefix + "/"):
                return str(Path(folder, path.removeprefix(prefix + "/")))
        return super().translate_path(path)

    def end_headers(self):
        for name, value in HEADERS.items():
            self.send_header(name, value)
        super().end_headers()

    def log_message(self, *arguments):
        pass

    def _send(self, status, answer):
        body = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@contextlib.contextmanager
def serving(answers: Answers, port: int = 0):
    """Serves at a free port, or the given one; yields the address, ending in "/"."""
    handler = functools.partial(_Handler, answers=answers)
    with http.server.ThreadingHTTPServer(("127.0.0.1", port), handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/"
        finally:
            server.shutdown()
            thread.join()
