"""An exported model behind a real gRPC connection, by TensorFlow Serving's protocol."""

from concurrent import futures

import grpc
import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import (
    predict_pb2,
    prediction_log_pb2,
    prediction_service_pb2_grpc,
)

from pix2pix_tf import train
from tests.conftest import write_image
from tests.documents import DOCS_DIR, blocks


@pytest.fixture(scope="module")
def exported_dir(trained_dir, tmp_path_factory):
    folder = tmp_path_factory.mktemp("models") / "facades" / "1"
    flags = ["--mode", "export", "--checkpoint", str(trained_dir), "--no_dropout"]
    assert train.main([*flags, "--output_dir", str(folder)]) == 0
    return folder


@pytest.fixture(scope="module")
def signatures(exported_dir):
    return tf.saved_model.load(str(exported_dir)).signatures


class PredictionService(prediction_service_pb2_grpc.PredictionServiceServicer):
    """Predict, as TensorFlow Serving has it, for one model."""

    def __init__(self, signatures):
        self.signatures = signatures

    def Predict(self, request, context):
        names = {name: tf.make_ndarray(one) for name, one in request.inputs.items()}
        inputs = {name: tf.constant(one) for name, one in names.items()}
        try:
            found = self.signatures[request.model_spec.signature_name](**inputs)
        except tf.errors.OpError as error:
            codes = {code.value[0]: code for code in grpc.StatusCode}
            context.abort(codes[error.error_code], error.message)
        outputs = {name: tf.make_tensor_proto(one) for name, one in found.items()}
        return predict_pb2.PredictResponse(outputs=outputs)


@pytest.fixture(scope="module")
def address(signatures):
    """HOST:PORT of a running PredictionService."""
    server = grpc.server(futures.ThreadPoolExecutor(2))
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(
        PredictionService(signatures), server
    )
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield f"127.0.0.1:{port}"
    server.stop(None).wait()


@pytest.fixture
def predict(address):
    with grpc.insecure_channel(address) as channel:
        yield prediction_service_pb2_grpc.PredictionServiceStub(channel).Predict


def _request(signature_name, name, values):
    request = predict_pb2.PredictRequest()
    request.model_spec.signature_name = signature_name
    request.inputs[name].CopyFrom(tf.make_tensor_proto(values))
    return request


def _translate(signatures, *contents):
    outputs = signatures["serving_default"](image_bytes=tf.constant(contents))
    return outputs["output_bytes"].numpy().tolist()


def test_images_come_back_as_the_local_signature_gives_them(
    predict, signatures, tmp_path
):
    names = ("a.png", "b.jpg")
    images = [
        write_image(tmp_path / name, 40, 50, seed).read_bytes()
        for seed, name in enumerate(names)
    ]
    answer = predict(_request("serving_default", "image_bytes", images), timeout=30)
    outputs = list(answer.outputs["output_bytes"].string_val)
    assert outputs == _translate(signatures, *images)
    assert outputs[0] != outputs[1]


def test_arrays_come_back_as_the_local_signature_gives_them(predict, signatures):
    inputs = np.random.default_rng(1).uniform(-1, 1, [2, 32, 32, 3]).astype(np.float32)
    answer = predict(_request("generate", "inputs", inputs), timeout=30)
    wanted = signatures["generate"](inputs=tf.constant(inputs))["outputs"]
    np.testing.assert_array_equal(tf.make_ndarray(answer.outputs["outputs"]), wanted)


def test_the_warm_up_request_is_answered(predict, exported_dir):
    path = exported_dir / "assets.extra" / "tf_serving_warmup_requests"
    [record] = tf.data.TFRecordDataset(str(path)).as_numpy_iterator()
    request = prediction_log_pb2.PredictionLog.FromString(record).predict_log.request
    assert request.model_spec.name == "facades"
    answer = predict(request, timeout=30)
    [output] = answer.outputs["output_bytes"].string_val
    assert tf.io.decode_png(output).shape == (32, 32, 3)


def test_bytes_that_are_no_image_refuse_the_whole_request(predict, tmp_path):
    image = write_image(tmp_path / "a.png", 40, 50).read_bytes()
    request = _request("serving_default", "image_bytes", [image, b"not an image"])
    with pytest.raises(grpc.RpcError) as refused:
        predict(request, timeout=30)
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert "JPEG or PNG" in refused.value.details()


def test_the_example_of_the_documents_runs(address, signatures, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    image = write_image(tmp_path / "labels.png", 40, 50).read_bytes()
    examples = blocks(DOCS_DIR / "serving.md", "python")
    [example] = [text for _, text in examples if "import grpc" in text]
    assert "127.0.0.1:8500" in example
    exec(example.replace("127.0.0.1:8500", address), {})
    [wanted] = _translate(signatures, image)
    assert (tmp_path / "facade.png").read_bytes() == wanted
