"""The files of deploy/ are well-formed, and agree with each other and the documents."""

import base64
import json
import os
import re
import socket
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from google.protobuf import text_format
from tensorflow_serving.config import model_server_config_pb2

from pix2pix_tf import options
from pix2pix_tf.runtime import cluster
from tests.documents import DOCS_DIR, ROOT, blocks

yaml = pytest.importorskip("yaml", reason="PyYAML, which pre-commit brings, is missing")

DEPLOY_DIR = ROOT / "deploy"
NAME = "facades"
GRPC_PORT, REST_PORT = 8500, 8501
REST_URL = f"http://127.0.0.1:{REST_PORT}/v1/models/{NAME}"


@pytest.fixture
def compose():
    document = yaml.safe_load((DEPLOY_DIR / "compose.yaml").read_text())
    return document["services"]["tensorflow-serving"]


@pytest.fixture
def kubernetes():
    """{kind: document} of kubernetes.yaml."""
    documents = yaml.safe_load_all((DEPLOY_DIR / "kubernetes.yaml").read_text())
    return {one["kind"]: one for one in documents}


@pytest.fixture
def predictor():
    document = yaml.safe_load((DEPLOY_DIR / "kserve.yaml").read_text())
    assert document["kind"] == "InferenceService"
    assert document["metadata"]["name"] == NAME
    return document["spec"]["predictor"]["model"]


def _container(kubernetes):
    [container] = kubernetes["Deployment"]["spec"]["template"]["spec"]["containers"]
    return container


def test_all_start_the_same_version_and_the_page_names_it(
    compose, kubernetes, predictor
):
    image = compose["image"]
    assert re.fullmatch(r"tensorflow/serving:\d+\.\d+\.\d+", image)
    assert _container(kubernetes)["image"] == image
    assert image.endswith(f":{predictor['runtimeVersion']}")
    assert f"`{image}`" in (DOCS_DIR / "serving.md").read_text(encoding="utf-8")


def test_compose_mounts_the_models_and_the_files_that_it_names(compose):
    sources = {}
    for volume in compose["volumes"]:
        source, target, mode = volume.split(":")
        assert mode == "ro"
        sources[target] = (DEPLOY_DIR / source).resolve()
    assert sources == {"/models": ROOT / "models", "/config": DEPLOY_DIR}
    assert compose["command"] == ["--model_config_file=/config/models.config"]
    text = (DEPLOY_DIR / "compose.yaml").read_text()
    for name in re.findall(r"=/config/(\S+)", text):  # with those in comments
        assert (DEPLOY_DIR / name).is_file()
    ports = [int(port.rpartition(":")[2]) for port in compose["ports"]]
    assert ports == [GRPC_PORT, REST_PORT]


def test_the_list_of_models_has_the_model_of_the_documents():
    text = (DEPLOY_DIR / "models.config").read_text()
    parsed = text_format.Parse(text, model_server_config_pb2.ModelServerConfig())
    [model] = parsed.model_config_list.config
    assert (model.name, model.base_path) == (NAME, f"/models/{NAME}")
    assert model.model_platform == "tensorflow"


def test_batching_sets_parameters_that_tensorflow_serving_has():
    lines = (DEPLOY_DIR / "batching.config").read_text().splitlines()
    lines = [line.partition("#")[0].strip() for line in lines]
    found = dict(
        re.fullmatch(r"(\w+) \{ value: (\d+) \}", one).groups() for one in lines if one
    )
    # Of BatchingParameters in TensorFlow Serving's session_bundle_config.proto.
    wanted = {"max_batch_size", "batch_timeout_micros"}
    assert set(found) == wanted | {"num_batch_threads", "max_enqueued_batches"}


def test_kubernetes_serves_the_model_at_the_ports_of_the_documents(kubernetes):
    container = _container(kubernetes)
    assert {"name": "MODEL_NAME", "value": NAME} in container["env"]
    ports = {one["name"]: one["containerPort"] for one in container["ports"]}
    assert ports == {"grpc": GRPC_PORT, "rest": REST_PORT}
    probe = container["readinessProbe"]["httpGet"]
    assert (probe["path"], ports[probe["port"]]) == (f"/v1/models/{NAME}", REST_PORT)
    service = kubernetes["Service"]["spec"]
    assert {one["port"]: ports[one["targetPort"]] for one in service["ports"]} == {
        GRPC_PORT: GRPC_PORT,
        REST_PORT: REST_PORT,
    }


def test_kubernetes_parts_refer_to_each_other(kubernetes):
    spec = kubernetes["Deployment"]["spec"]
    labels = spec["template"]["metadata"]["labels"]
    assert spec["selector"]["matchLabels"] == labels
    assert kubernetes["Service"]["spec"]["selector"] == labels
    [mount] = _container(kubernetes)["volumeMounts"]
    [volume] = spec["template"]["spec"]["volumes"]
    assert mount["name"] == volume["name"]
    assert (mount["mountPath"], mount["readOnly"]) == ("/models", True)


def test_kserve_takes_the_folder_of_the_versions(predictor):
    assert predictor["modelFormat"]["name"] == "tensorflow"
    assert predictor["storageUri"].endswith(f"/{NAME}")


def test_the_page_uses_the_same_names_and_ports():
    text = (DOCS_DIR / "serving.md").read_text(encoding="utf-8")
    assert set(re.findall(r"http://[^/\s]+/v1/models/\w+", text)) == {REST_URL}
    assert f"models/{NAME}/1" in text
    for name in ("compose.yaml", "models.config", "batching.config", "kserve.yaml"):
        assert f"](../deploy/{name})" in text
    assert "](../deploy/kubernetes.yaml)" in text


class _RestHandler(BaseHTTPRequestHandler):
    """TensorFlow Serving's REST interface, for a model that reverses bytes."""

    state = "AVAILABLE"

    def do_GET(self):
        assert self.path == f"/v1/models/{NAME}"
        state = {"version": "1", "state": self.state, "status": {"error_code": "OK"}}
        self._send({"model_version_status": [state]})

    def do_POST(self):
        assert self.path == f"/v1/models/{NAME}:predict"
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        images = [
            base64.b64decode(one["image_bytes"]["b64"]) for one in body["instances"]
        ]
        outputs = [base64.b64encode(one[::-1]).decode() for one in images]
        self._send({"predictions": [{"b64": one} for one in outputs]})

    def _send(self, answer):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps(answer, indent=4).encode())

    def log_message(self, *arguments):
        pass


@pytest.fixture
def rest_server():
    with ThreadingHTTPServer(("127.0.0.1", 0), _RestHandler) as server:
        thread = threading.Thread(target=server.serve_forever, args=[0.01])
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_the_rest_example_sends_the_image_and_writes_the_answer(
    rest_server, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "labels.png").write_bytes(bytes(range(256)))
    examples = blocks(DOCS_DIR / "serving.md", "python")
    [example] = [text for _, text in examples if "import urllib" in text]
    port = rest_server.server_port
    exec(example.replace(f":{REST_PORT}/", f":{port}/"), {})
    assert (tmp_path / "facade.png").read_bytes() == bytes(range(256))[::-1]


def _health(compose, port):
    """Returns the exit status of the health check of compose.yaml, at another port."""
    kind, *command = compose["healthcheck"]["test"]
    assert kind == "CMD"
    command = [one.replace(str(REST_PORT), str(port)) for one in command]
    return subprocess.run(command, capture_output=True, timeout=20).returncode


@pytest.mark.parametrize("state", ["AVAILABLE", "LOADING", "END"])
def test_the_health_check_passes_once_the_model_is_available(
    compose, rest_server, monkeypatch, state
):
    monkeypatch.setattr(_RestHandler, "state", state)
    assert (_health(compose, rest_server.server_port) == 0) == (state == "AVAILABLE")


def test_the_health_check_fails_without_a_server(compose):
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    assert _health(compose, port) != 0


def _fake(folder, name, text):
    """Writes a program that stands for another."""
    path = folder / name
    path.write_text(f"#!/bin/bash\n{text}\n")
    path.chmod(0o755)


@pytest.fixture
def started(tmp_path):
    """Runs a script with stand-ins for other programs; returns (Cluster, Options)."""
    seen = 'printf "%s\\n" "$TF_CONFIG" "$@" > "$SEEN"'
    _fake(tmp_path, "pix2pix-tf", seen)
    _fake(tmp_path, "scontrol", "echo node7; echo node8")
    _fake(tmp_path, "srun", 'shift; exec "$@"')

    def run(command, **environment):
        path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
        environment |= {"PATH": path, "SEEN": str(tmp_path / "seen")}
        subprocess.run(command, env=os.environ | environment, check=True)
        config, mode, *flags = (tmp_path / "seen").read_text().splitlines()
        return cluster.read_cluster(config), options.parse(flags, mode)

    return run


def test_slurm_starts_a_process_on_each_node(started):
    script = ["bash", str(DEPLOY_DIR / "slurm.sh")]
    found, flags = started(script, SLURM_JOB_NODELIST="node[7-8]", SLURM_PROCID="1")
    assert found.addresses == {"worker 0": "node7:2222", "worker 1": "node8:2222"}
    assert found.own == "worker 1"
    assert flags.execution.strategy == "multi_worker" and flags.run.resume == "auto"


def test_the_job_of_kubernetes_starts_a_process_in_each_pod(started):
    text = (DEPLOY_DIR / "training.yaml").read_text()
    documents = {one["kind"]: one for one in yaml.safe_load_all(text)}
    service, job = documents["Service"]["metadata"], documents["Job"]
    spec = job["spec"]["template"]["spec"]
    [container] = spec["containers"]
    command = [*container["command"], *container["args"]]
    found, flags = started(command, JOB_COMPLETION_INDEX="1")
    pods = [f"{job['metadata']['name']}-{n}" for n in range(job["spec"]["completions"])]
    port = container["ports"][0]["containerPort"]
    assert spec["subdomain"] == service["name"]
    assert list(found.addresses.values()) == [
        f"{pod}.{service['name']}:{port}" for pod in pods
    ]
    assert found.own == "worker 1"
    assert flags.execution.strategy == "multi_worker" and flags.run.resume == "auto"
