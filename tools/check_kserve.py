"""Compares an exported model behind KServe's own server with the model itself.

tools/check_kserve.sh calls it, in an environment that has KServe: MODEL_DIR IMAGE.
"""

import base64
import importlib.metadata
import json
import multiprocessing
import socket
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import kserve
import tensorflow as tf

NAME = "facades"
START_UP = 120  # seconds


class ServedModel(kserve.Model):
    """Answers the REST requests of TensorFlow Serving by a SavedModel."""

    def __init__(self, folder):
        super().__init__(NAME)
        self._model = tf.saved_model.load(folder)
        self.ready = True

    def predict(self, payload, headers=None):
        images = [one["image_bytes"]["b64"] for one in payload["instances"]]
        try:
            outputs = _translate(self._model, [base64.b64decode(one) for one in images])
        except tf.errors.InvalidArgumentError as error:
            raise kserve.errors.InvalidInput(str(error)) from error
        return {"predictions": [{"b64": base64.b64encode(o).decode()} for o in outputs]}


def _translate(model, images):
    """Maps encoded images to encoded images by the signature of a SavedModel."""
    signature = model.signatures["serving_default"]
    return signature(image_bytes=tf.constant(images))["output_bytes"].numpy().tolist()


def _serve(folder, port):
    kserve.ModelServer(http_port=port, enable_grpc=False).start([ServedModel(folder)])


def _request(url, images):
    """Returns (HTTP status, answer) of a request in TensorFlow Serving's JSON."""
    encoded = [base64.b64encode(one).decode() for one in images]
    body = {"instances": [{"image_bytes": {"b64": one}} for one in encoded]}
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(url, json.dumps(body).encode(), headers)
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def _wait_for(url, process):
    for _ in range(START_UP):
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except OSError:
            if not process.is_alive():
                break
            time.sleep(1)
    sys.exit(f"FAIL: KServe's server did not start, or had no model in {START_UP} s")


def main(folder, image_path):
    image = Path(image_path).read_bytes()
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    url = f"http://127.0.0.1:{port}/v1/models/{NAME}"
    server = multiprocessing.get_context("spawn").Process(
        target=_serve, args=(folder, port), daemon=True
    )
    server.start()
    try:
        _wait_for(url, server)
        status, answer = _request(f"{url}:predict", [image, image])
        refused, _ = _request(f"{url}:predict", [b"not an image"])
    finally:
        server.terminate()
        server.join()
    if status != 200:
        sys.exit(f"FAIL: status {status}: {answer}")
    got = [base64.b64decode(one["b64"]) for one in answer["predictions"]]
    if got != _translate(tf.saved_model.load(folder), [image, image]):
        sys.exit("FAIL: KServe's answer is not what the SavedModel gives")
    if refused != 400:
        sys.exit(f"FAIL: bytes that are no image gave status {refused}, not 400")
    version = importlib.metadata.version("kserve")
    print(f"PASS: KServe {version} answers as the SavedModel, byte for byte")


if __name__ == "__main__":
    main(*sys.argv[1:])
