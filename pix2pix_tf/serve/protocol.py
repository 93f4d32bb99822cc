"""TensorFlow Serving's REST API as JSON: what requests say, and the answers.

Source: "RESTful API" in TensorFlow Serving's documentation.
"""

import base64
import binascii
import json

import numpy as np

from pix2pix_tf.images.arrays import ImageError
from pix2pix_tf.runtime.errors import UsageError
from pix2pix_tf.serve.models import Model

DEFAULT = "serving_default"
MAX_IMAGES = 64  # of a request, which cannot be stopped
# {signature: (name of its input, name of its output)}
SIGNATURES = {
    DEFAULT: ("image_bytes", "output_bytes"),
    "generate": ("inputs", "outputs"),
}


def predict(model: Model, body: bytes, max_pixels: int) -> dict:
    """Answers the body of a request to `:predict`.

    Args:
        model: Model.
        body: JSON with `instances` (rows) or `inputs` (columns), and `signature_name`.
        max_pixels: of an image.

    Raises:
        UsageError: what is wrong with the body; the index of an image that is at fault.
    """
    request = _read(body)
    signature = request.get("signature_name", DEFAULT)
    if signature not in list(SIGNATURES):
        raise UsageError(
            f"signature_name {signature!r}: wanted {' or '.join(SIGNATURES)}"
        )
    key = "instances" if "instances" in request else "inputs"
    name, _ = SIGNATURES[signature]
    instances = request[key]
    if key == "inputs" and isinstance(instances, dict) and name in instances:
        instances = instances[name]
    if not isinstance(instances, list) or not instances:
        raise UsageError(f"{key}: wanted a list with one entry for each image")
    if len(instances) > MAX_IMAGES:
        raise UsageError(f"{key}: {len(instances)} images, wanted at most {MAX_IMAGES}")
    answer_one = _translate if signature == DEFAULT else _generate
    answers = []
    for index, instance in enumerate(instances):
        if isinstance(instance, dict) and name in instance:
            instance = instance[name]
        try:
            answers.append(answer_one(model, instance, max_pixels))
        except (ImageError, UsageError) as error:
            raise UsageError(f"{key}[{index}] {error}") from None
    return {"predictions" if key == "instances" else "outputs": answers}


def _read(body):
    """Returns the JSON object of a request, which has `instances` or `inputs`."""
    try:
        request = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"the body is not JSON: {error}") from None
    if not isinstance(request, dict) or not {"instances", "inputs"} & set(request):
        raise UsageError(
            'the body has neither "instances" nor "inputs": wanted '
            '{"instances": [{"b64": "the bytes of an image file, in base64"}]}'
        )
    return request


def _translate(model, instance, max_pixels):
    if not isinstance(instance, dict) or not isinstance(instance.get("b64"), str):
        raise UsageError('is no image: wanted {"b64": "..."}')
    try:
        contents = base64.b64decode(instance["b64"], validate=True)
    except (binascii.Error, ValueError) as error:
        raise UsageError(f"is not base64: {error}") from None
    return {"b64": base64.b64encode(model.translate(contents, max_pixels)).decode()}


def _generate(model, instance, max_pixels):
    try:
        numbers = np.array(instance)
    except ValueError:
        numbers = np.array(None)
    if numbers.dtype.kind not in "iuf":
        raise UsageError("is not [height, width, channels] of numbers")
    if numbers.size > 4 * max_pixels:
        raise UsageError(f"has {numbers.size} numbers: wanted at most {4 * max_pixels}")
    with np.errstate(over="ignore"):  # the infinity is refused with its output
        outputs = model.translator.generate(numbers.astype(np.float32))
    if not np.isfinite(outputs).all():  # TensorFlow Serving would send NaN, no JSON
        raise UsageError("has outputs that are not finite: wanted numbers in [-1, 1]")
    return outputs.tolist()


def status(model: Model) -> dict:
    """Answers GET of a model."""
    state = {
        "version": model.version,
        "state": "AVAILABLE",
        "status": {"error_code": "OK", "error_message": ""},
    }
    return {"model_version_status": [state]}


def metadata(model: Model) -> dict:
    """Answers GET of a model's `metadata`: its signatures."""
    size = model.translator.size or (-1, -1)
    channels = model.translator.options.pair.channels
    signatures = {}
    for name, ends in SIGNATURES.items():
        if name == DEFAULT:
            inputs, outputs = (_tensor(end, "DT_STRING", [-1]) for end in ends)
        else:
            inputs, outputs = (
                _tensor(end, "DT_FLOAT", [-1, *size, count])
                for end, count in zip(ends, channels, strict=True)
            )
        signatures[name] = {
            "inputs": {ends[0]: inputs},
            "outputs": {ends[1]: outputs},
            "method_name": "tensorflow/serving/predict",
        }
    return {
        "model_spec": {
            "name": model.name,
            "signature_name": "",
            "version": model.version,
        },
        "metadata": {"signature_def": {"signature_def": signatures}},
    }


def _tensor(name, dtype, shape):
    """Returns a TensorInfo as JSON, whose int64 are strings."""
    dim = [{"size": str(side), "name": ""} for side in shape]
    shape = {"dim": dim, "unknown_rank": False}
    return {"dtype": dtype, "tensor_shape": shape, "name": f"{name}:0"}
