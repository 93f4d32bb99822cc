"""Serves models by TensorFlow Serving's REST API, with a page to draw on.

MODEL is what `pix2pix-tf predict --model` takes: the folder of an export or of a run.
Its name in URLs is that of its folder.
"""

import argparse
import socket
import sys
from pathlib import Path

from pix2pix_tf.options import add_tiling_flags, given_tiling
from pix2pix_tf.runtime import command, messages
from pix2pix_tf.runtime.errors import UsageError
from pix2pix_tf.runtime.optional import import_optional
from pix2pix_tf.runtime.start import start_tensorflow

LITERT_JS = Path("~/.cache/pix2pix_tf/node_modules/@litertjs/core")
PACKAGES = "fastapi uvicorn prometheus-client"  # the extra [serve]
MAX_CONNECTIONS = 64
SHUTDOWN_SECONDS = 30  # to answer what was asked before


def main(argv: list[str] | None = None) -> int:
    """Runs one command line; returns the exit status."""
    return command.run("pix2pix-tf serve", lambda: _run(parse(argv)))


def parse(argv: list[str] | None = None) -> argparse.Namespace:
    """Returns the namespace of a command line; raises UsageError for a wrong one."""
    parser = command.Parser("pix2pix-tf serve", __doc__)
    parser.add_argument("models", nargs="+", type=Path, metavar="MODEL")
    parser.add_argument(
        "--host",
        default="127.0.0.1",
        help="the address to listen on; 0.0.0.0 lets other machines in (default: "
        "127.0.0.1)",
    )
    parser.add_argument("--port", type=int, default=8501, help="(default: 8501)")
    add_tiling_flags(
        parser,
        "for images at their own size, by a checkpoint",
        "generate at the size of each image, large ones by tiles of this side "
        "(default: as the model was exported, or --crop_size)",
    )
    limits = parser.add_argument_group("limits")
    limits.add_argument(
        "--max_body_mb",
        type=int,
        default=16,
        help="megabytes of a request (default: 16)",
    )
    limits.add_argument(
        "--max_pixels",
        type=int,
        default=2048 * 2048,
        help="pixels of an image (default: 4194304, 2048 x 2048)",
    )
    limits.add_argument(
        "--max_waiting",
        type=int,
        default=8,
        help="requests that may wait for their answer; more get status 503 (default: "
        "8)",
    )
    parser.add_argument(
        "--litert_js",
        type=Path,
        metavar="FOLDER",
        help="where @litertjs/core of npm is, for models in the browser (default: "
        f"{LITERT_JS}, if that exists)",
    )
    given = parser.parse_args(argv)
    for name in ("max_body_mb", "max_pixels", "max_waiting"):
        if getattr(given, name) < 1:
            raise UsageError(f"--{name} {getattr(given, name)}: wanted at least 1")
    given.tiling = given_tiling(given)
    if not 0 <= given.port <= 65535:
        raise UsageError(f"--port {given.port}: wanted 0 to 65535 (0: any free one)")
    return given


def _run(given):
    needed_by = "pix2pix-tf serve"
    uvicorn = import_optional("uvicorn", PACKAGES, needed_by)
    for module in ("fastapi", "prometheus_client"):
        import_optional(module, PACKAGES, needed_by)
    litert_js = given.litert_js or LITERT_JS.expanduser()
    if given.litert_js and not litert_js.is_dir():
        raise UsageError(f"--litert_js {litert_js} is not a folder")
    with _listen(given.host, given.port) as listener:
        start_tensorflow()
        from pix2pix_tf.inference.tiles import Tiling
        from pix2pix_tf.serve.app import Limits, build_app
        from pix2pix_tf.serve.connection import Connection
        from pix2pix_tf.serve.models import open_models

        tiling = given.tiling and Tiling(*given.tiling)
        models = open_models(given.models, tiling)
        limits = Limits(given.max_body_mb * 10**6, given.max_pixels, given.max_waiting)
        app = build_app(models, limits, litert_js if litert_js.is_dir() else None)
        host, port = listener.getsockname()[:2]
        messages.say(f"serving {', '.join(models)} at http://{host}:{port}/")
        config = uvicorn.Config(
            app,
            http=Connection,
            ws="none",
            log_level="error",  # a warning for each wrong request would fill a disk
            limit_concurrency=MAX_CONNECTIONS,
            timeout_graceful_shutdown=SHUTDOWN_SECONDS,
        )
        uvicorn.Server(config).run(sockets=[listener])


def _listen(host, port):
    """Returns the socket, which fails before the models are loaded."""
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family)
    except OSError as error:
        reason = error.strerror or error
        raise UsageError(f"--host {host} --port {port}: {reason}") from None


if __name__ == "__main__":
    sys.exit(main())
