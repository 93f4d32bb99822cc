"""A model behind TensorFlow Serving, or behind a server with its REST API.

Source: "RESTful API" and "PredictionService" in TensorFlow Serving's documentation.
"""

import base64
import urllib.parse

import requests

from pix2pix_tf.images.arrays import ImageError
from pix2pix_tf.runtime.errors import UsageError

TIMEOUT = 600  # seconds for one image: a large one takes minutes on a CPU
MAX_MESSAGE = 2**30  # bytes; gRPC's own limit is 4 MB
_DIRECT = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n")  # how a JPEG or PNG begins


class Remote:
    """Translates image files by a server.

    Args:
        url: `http://HOST:PORT/v1/models/NAME`, with `/versions/N` if wanted, or
            `grpc://HOST:PORT/NAME`.

    Raises:
        UsageError: the URL is of another form.
    """

    def __init__(self, url: str):
        parts = urllib.parse.urlsplit(url)
        path = parts.path.strip("/")
        is_rest = parts.scheme in ("http", "https") and path.startswith("v1/models/")
        is_grpc = parts.scheme == "grpc" and path and "/" not in path
        if not parts.netloc or not (is_rest or is_grpc):
            raise UsageError(
                f"--url {url}: wanted http://HOST:PORT/v1/models/NAME or "
                "grpc://HOST:PORT/NAME"
            )
        self._url = url.rstrip("/")
        self._predict = _rest(self._url) if is_rest else _grpc(parts.netloc, path)

    def translate_file(self, contents: bytes) -> bytes:
        """Translates the bytes of an image file.

        Files of other formats than JPEG and PNG are sent as PNG.

        Raises:
            ImageError: the bytes are not an image, or the server refuses it.
            UsageError: the server cannot be reached.
        """
        if not contents.startswith(_DIRECT):
            contents = _to_png(contents)
        try:
            return self._predict(contents)
        except _Refused as error:
            raise ImageError(f"was refused by {self._url}: {error}") from None


class _Refused(Exception):
    """The server answered with an error."""


def _rest(url):
    session = requests.Session()

    def predict(contents):
        instance = {"b64": base64.b64encode(contents).decode()}
        try:
            answer = session.post(
                f"{url}:predict", json={"instances": [instance]}, timeout=TIMEOUT
            )
        except requests.RequestException as error:
            raise UsageError(f"{url} cannot be reached: {error}") from None
        try:
            found = answer.json()
        except ValueError:
            raise _Refused(f"status {answer.status_code}, no JSON") from None
        if answer.status_code != 200:
            reason = found.get("error") if isinstance(found, dict) else None
            raise _Refused(reason or f"status {answer.status_code}")
        try:
            return base64.b64decode(found["predictions"][0]["b64"])
        except (KeyError, IndexError, TypeError, ValueError):
            raise _Refused("the answer holds no image") from None

    return predict


def _grpc(address, name):
    import grpc
    import tensorflow as tf
    from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

    limits = ("grpc.max_receive_message_length", "grpc.max_send_message_length")
    channel = grpc.insecure_channel(address, [(one, MAX_MESSAGE) for one in limits])
    stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)

    def predict(contents):
        request = predict_pb2.PredictRequest()
        request.model_spec.name = name
        request.inputs["image_bytes"].CopyFrom(tf.make_tensor_proto([contents]))
        try:
            answer = stub.Predict(request, timeout=TIMEOUT)
        except grpc.RpcError as error:
            if error.code() == grpc.StatusCode.UNAVAILABLE:
                reason = error.details()
                message = f"grpc://{address} cannot be reached: {reason}"
                raise UsageError(message) from None
            raise _Refused(error.details()) from None
        return tf.make_ndarray(answer.outputs["output_bytes"]).flat[0]

    return predict


def _to_png(contents):
    """Converts the bytes of an image file to those of a PNG, of 8 bits if they do."""
    from pix2pix_tf.images import codecs, pixels

    image = codecs.decode(contents)
    if image.shape[2] > 4:
        raise ImageError(
            f"has {image.shape[2]} channels, and a PNG has at most 4: translate it by "
            "--model"
        )
    levels = pixels.to_uint8(image)
    if (pixels.to_float(levels).numpy() != image).any():
        levels = pixels.to_uint16(image)
    return pixels.encode(levels, "png").numpy()
