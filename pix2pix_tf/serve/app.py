"""The HTTP server: routes, limits and metrics."""

import asyncio
import dataclasses
from pathlib import Path

import fastapi
import prometheus_client
import tensorflow as tf
from fastapi.responses import FileResponse, JSONResponse
from fastapi.staticfiles import StaticFiles
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from pix2pix_tf.runtime.errors import UsageError
from pix2pix_tf.runtime.files import printable
from pix2pix_tf.serve import protocol
from pix2pix_tf.serve.models import Model

MAX_ERROR = 500  # characters of an error, which may quote the request
PAGE = Path(__file__).with_name("page")
HEADERS = {
    # Threads of WebAssembly need the first two.
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-cache",
}


@dataclasses.dataclass(frozen=True)
class Limits:
    """What a request may cost.

    Attributes:
        max_body: bytes of a request's body.
        max_pixels: pixels of an image.
        max_waiting: requests at work or waiting for the model; more are refused.
        body_seconds: within which a body must have arrived.
    """

    max_body: int
    max_pixels: int
    max_waiting: int
    body_seconds: float = 30


def build_app(
    models: dict[str, Model], limits: Limits, litert_js: Path | None = None
) -> fastapi.FastAPI:
    """Builds the server.

    Args:
        models: Model by name.
        limits: Limits.
        litert_js: folder of the package @litertjs/core, for the page; or None.
    """
    app = fastapi.FastAPI(title="pix2pix_tf", docs_url=None, redoc_url=None)
    desk = Desk(limits)

    @app.middleware("http")
    async def add_headers(request, call_next):
        response = await call_next(request)
        response.headers.update(HEADERS)
        return response

    @app.exception_handler(HTTPException)
    async def answer_error(request, error):
        return _answer_error(error.status_code, error.detail)

    @app.exception_handler(Exception)
    async def answer_defect(request, error):  # which uvicorn prints
        return _answer_error(500, "the server failed: its log says how")

    def find(name, version=None):
        model = models.get(name)
        if model is None or version not in (None, model.version):
            raise HTTPException(404, f"no model {name!r} of this version is served")
        return model

    @app.get("/v1/models/{name}")
    @app.get("/v1/models/{name}/versions/{version}")
    async def status(name: str, version: str | None = None):
        return protocol.status(find(name, version))

    @app.get("/v1/models/{name}/metadata")
    @app.get("/v1/models/{name}/versions/{version}/metadata")
    async def metadata(name: str, version: str | None = None):
        return protocol.metadata(find(name, version))

    @app.post("/v1/models/{name}:predict")
    @app.post("/v1/models/{name}/versions/{version}:predict")
    async def predict(name: str, request: fastapi.Request, version: str | None = None):
        return await desk.predict(find(name, version), request)

    @app.get("/healthz")
    async def health():
        return {"status": "ok"}

    @app.get("/metrics")
    async def metrics():
        text = prometheus_client.generate_latest(desk.registry)
        return fastapi.Response(text, media_type=prometheus_client.CONTENT_TYPE_LATEST)

    @app.get("/models")
    async def list_models():
        described = [model.describe() for model in models.values()]
        return {"models": described, "has_litert_js": litert_js is not None}

    @app.get("/models/{name}/{file}")
    async def send_litert(name: str, file: str):
        model = find(name)
        if file not in model.litert_names():
            raise HTTPException(404, f"{name} has no LiteRT file {file!r}")
        return FileResponse(model.folder / file)

    if litert_js is not None:
        app.mount("/litert", StaticFiles(directory=litert_js))
    app.mount("/", StaticFiles(directory=PAGE, html=True))
    return app


def _answer_error(status, message):
    if len(message) > MAX_ERROR:
        message = f"{message[: MAX_ERROR - 3]}..."
    return JSONResponse({"error": printable(message)}, status)


class Desk:
    """Takes requests to `:predict`, within the limits, and counts them."""

    def __init__(self, limits: Limits):
        self._limits, self._num_waiting = limits, 0
        self.registry = prometheus_client.CollectorRegistry()
        self._count = prometheus_client.Counter(
            "pix2pix_requests",
            "Requests answered.",
            ["model", "status"],
            registry=self.registry,
        )
        self._seconds = prometheus_client.Histogram(
            "pix2pix_request_seconds",
            "Time to answer, waiting included.",
            ["model"],
            registry=self.registry,
        )
        prometheus_client.Gauge(
            "pix2pix_requests_waiting",
            "Requests at work or waiting for a model.",
            registry=self.registry,
        ).set_function(lambda: self._num_waiting)

    async def predict(self, model: Model, request: fastapi.Request) -> fastapi.Response:
        """Returns the answer to a request, with status 200, 400, 408, 413 or 503."""
        with self._seconds.labels(model.name).time():
            try:
                response = JSONResponse(await self._work(model, request))
            except HTTPException as error:
                response = _answer_error(error.status_code, error.detail)
        self._count.labels(model.name, str(response.status_code)).inc()
        return response

    async def _work(self, model, request):
        body = await self._read(request)
        if self._num_waiting >= self._limits.max_waiting:
            raise HTTPException(
                503, f"{self._num_waiting} requests wait already: try again later"
            )
        self._num_waiting += 1
        try:
            return await run_in_threadpool(
                protocol.predict, model, body, self._limits.max_pixels
            )
        except UsageError as error:
            raise HTTPException(400, str(error)) from None
        except (MemoryError, tf.errors.ResourceExhaustedError):
            raise HTTPException(503, "out of memory: send a smaller image") from None
        finally:
            self._num_waiting -= 1

    async def _read(self, request):
        """Returns the body of a request."""
        body = bytearray()
        try:
            async with asyncio.timeout(self._limits.body_seconds):
                async for chunk in request.stream():
                    body += chunk
                    if len(body) > self._limits.max_body:
                        raise HTTPException(
                            413,
                            f"the body has more than {self._limits.max_body} bytes",
                        )
        except ClientDisconnect:  # nobody gets the answer, but it is counted
            raise HTTPException(400, "the body ended early") from None
        except TimeoutError:
            raise HTTPException(
                408, f"no body within {self._limits.body_seconds:g} seconds"
            ) from None
        return bytes(body)
