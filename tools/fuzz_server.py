"""Sends malformed requests to `pix2pix-tf serve`, and good ones beside them.

    python tools/fuzz_server.py --cases 1000 --seed 1

It makes two tiny models, starts a server of them in a process of its own, and sends
requests that are drawn from the seed (tools/fuzz_requests.py), while two threads send
good ones. It checks that

- every good request gets the right bytes;
- every answer is one of those that are wanted, never status 500, each error is JSON
  with one printable sentence, and no answer holds a file that is not served;
- a request whose body or head never ends is ended by the server, and so are hundreds of
  connections that ask nothing;
- the memory of the server at the end is at most 15 % above that after a fifth of the
  cases;
- at the end it answers /healthz, and ends with status 143 within seconds of SIGTERM,
  with no traceback on stderr.

It prints a line for each failure, with the case's number, and ends with status 1 if
there is one. `--case NUMBER` sends one case alone.
"""

import argparse
import contextlib
import http.client
import json
import random
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path

import psutil

import fuzz_requests
import fuzz_run
from pix2pix_tf.runtime import command
from pix2pix_tf.runtime.errors import RunError, UsageError
from pix2pix_tf.runtime.files import printable
from pix2pix_tf.runtime.start import start_tensorflow

TIMEOUT = 60  # seconds for an answer; the server has 30 for a body
END_TIMEOUT = 10  # seconds from SIGTERM to the end
NUM_IDLE = 300  # connections at the same time
MEMORY_GROWTH = 1.15  # at most
MAX_ERROR = 500  # characters of an error
SECRET = b"nobody may read this file"
LITERT = b"this file is served"
NAMES = ("facades", "colour")


def main(argv: list[str] | None = None) -> int:
    """Runs a command line; returns 0, 1 where a promise was broken, or 2."""
    return command.run("fuzz_server", lambda: _run(parse(argv)))


def parse(argv: list[str] | None = None) -> argparse.Namespace:
    """Returns the namespace of a command line; raises UsageError for a wrong one."""
    parser = command.Parser("fuzz_server", __doc__)
    add = parser.add_argument
    add("--cases", type=int, default=1000, help="how many (default: 1000)")
    add("--seed", type=int, help="(default: a random one)")
    add("--case", type=int, metavar="NUMBER", help="send this case of the seed only")
    options = parser.parse_args(argv)
    if options.cases < 1:
        raise UsageError(f"--cases {options.cases}: wanted at least 1")
    if options.seed is None:
        options.seed = random.SystemRandom().randrange(2**31)
    return options


def _run(options):
    numbers = range(options.cases) if options.case is None else [options.case]
    print(f"seed = {options.seed}", flush=True)
    start_tensorflow()
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
        models = make_models(Path(folder))
        failures = Failures()
        with Server(models, Path(folder)) as server:
            _send_all(server, models, options.seed, numbers, failures)
            for problem in server.end():
                failures.add("at the end", problem)
    return 1 if failures.count else 0


class Failures:
    """Prints what is wrong, and counts it."""

    def __init__(self):
        self.count = 0

    def add(self, where, problem):
        self.count += 1
        print(printable(f"BAD: {where}: {problem}"), flush=True)


def make_models(folder: Path) -> dict[str, Path]:
    """Exports two tiny models, with a secret beside them; returns their folders."""
    from pix2pix_tf import checkpoints, train
    from pix2pix_tf.options import parse, write_options
    from pix2pix_tf.training import step

    models = {}
    for name, flags in zip(NAMES, ([], ["--lab_colorization"]), strict=True):
        run, models[name] = folder / "runs" / name, folder / "models" / name / "1"
        argv = ["--mode", "train", "--output_dir", str(run), *fuzz_run.TINY, *flags]
        options = parse(argv)
        state = step.make_state(options.pair.channels, options.model, options.loss)
        write_options(options)
        checkpoints.save(state, run, keep=1)
        argv = ["--mode", "export", "--no_dropout", "--checkpoint", str(run)]
        argv += ["--output_dir", str(models[name])] + ["--full_size"] * bool(flags)
        with contextlib.redirect_stdout(None):
            if train.main(argv):
                raise RunError(f"the export of {name} failed")
        for place in (models[name], folder / "models", folder):
            (place / fuzz_requests.SECRET_NAME).write_bytes(SECRET)
    (models["facades"] / "model_int8.tflite").write_bytes(LITERT)
    (folder / "litert").mkdir()
    (folder / "litert" / "a.js").write_bytes(LITERT)
    return models


class Server:
    """`pix2pix-tf serve` in a process of its own."""

    def __init__(self, models, folder):
        self._errors = open(folder / "stderr.txt", "w+b")
        arguments = [
            sys.executable,
            "-m",
            "pix2pix_tf.serve",
            *map(str, models.values()),
        ]
        arguments += ["--port", "0", "--litert_js", str(folder / "litert")]
        arguments += ["--max_body_mb", str(fuzz_requests.MAX_BODY_MB)]
        self._process = subprocess.Popen(
            arguments, stdout=subprocess.PIPE, stderr=self._errors, text=True
        )
        line = self._process.stdout.readline()
        if not line:
            raise RunError(f"the server did not start: {self._read_errors()}")
        host, port = line.split()[-1].strip("/").rpartition("/")[2].split(":")
        self.address = host, int(port)
        self._num_before = len(self._read_errors())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._process.kill()
        self._process.communicate()
        self._errors.close()

    def memory(self) -> int:
        """Returns the bytes of memory that the process holds."""
        return psutil.Process(self._process.pid).memory_info().rss

    def end(self) -> list[str]:
        """Ends the server; returns what is wrong with its end."""
        problems = []
        self._process.send_signal(signal.SIGTERM)
        try:
            status = self._process.wait(END_TIMEOUT)
            if status != 143:
                problems.append(f"status {status}, wanted 143")
        except subprocess.TimeoutExpired:
            problems.append(f"it runs {END_TIMEOUT} seconds after SIGTERM")
        printed = self._read_errors()[self._num_before :]
        if "Traceback" in printed:  # the JPEG library prints other lines
            problems.append(f"on stderr: {printed[-3000:]}")
        return problems

    def _read_errors(self):
        self._errors.seek(0)
        return self._errors.read().decode(errors="replace")


def _send_all(server, models, seed, numbers, failures):
    """Sends the cases of these numbers, and good requests beside them."""
    started, kinds = time.monotonic(), Counter()
    forbidden = [
        SECRET,
        *((one / "options.json").read_bytes() for one in models.values()),
    ]
    for one in models.values():
        forbidden.append((one / "saved_model.pb").read_bytes()[-200:])
    good = _good_requests(models, seed)
    stop, num_good, num_later = threading.Event(), Counter(), Counter()

    def send_good(own):
        rng = random.Random(seed + own)
        while not stop.is_set():
            request, wanted = rng.choice(good)
            try:
                [(status, _, body), *_] = exchange(server.address, [request])
            except (OSError, ValueError, http.client.HTTPException) as error:
                status, body = None, repr(error)
            if status == 503:
                num_later[own] += 1
                continue
            num_good[own] += 1
            if (status, body) != (200, wanted):
                failures.add("a good request", f"status {status}: {body[:300]}")

    threads = [threading.Thread(target=send_good, args=(own,)) for own in range(2)]
    endless = [
        threading.Thread(target=_send_endless, args=(server.address, *one, failures))
        for one in _ENDLESS
    ]
    for thread in threads + endless:
        thread.start()
    memory = None
    try:
        for done, number in enumerate(numbers, start=1):
            case = fuzz_requests.draw(seed, number)
            kinds[case.kind] += 1
            if problem := send(server.address, case, forbidden):
                failures.add(f"case {number}, {case.kind}", problem)
            if done == len(numbers) // 5:
                memory = server.memory()
    finally:
        for thread in endless:
            thread.join()
        stop.set()
        for thread in threads:
            thread.join()
    _flood(server.address, failures)
    _check_health(server.address, failures)
    memory_at_end = server.memory()
    if memory and memory_at_end > MEMORY_GROWTH * memory:
        failures.add("memory", f"it grew from {memory} to {memory_at_end} bytes")
    counts = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))
    print(
        f"{kinds.total()} cases ({counts}), {num_good.total()} good requests, "
        f"{num_later.total()} told to come later, {failures.count} failures, "
        f"{memory_at_end / 1e6:.0f} MB of memory ({(memory or 0) / 1e6:.0f} MB after a "
        f"fifth), {time.monotonic() - started:.0f} s"
    )


def _good_requests(models, seed):
    """Returns [(request, the body that answers it), ...]."""
    import pix2pix_tf

    rng, good = random.Random(seed), []
    for name, folder in models.items():
        translator = pix2pix_tf.load(folder)
        for format in ("PNG", "JPEG", "WEBP"):
            contents = fuzz_requests.make_image(rng, format)
            answer = fuzz_requests.make_body(translator.translate_file(contents))
            wanted = {"predictions": json.loads(answer)["instances"]}
            request = fuzz_requests.make_request(
                fuzz_requests.make_body(contents), f"/v1/models/{name}:predict"
            )
            good.append((request, json.dumps(wanted, separators=(",", ":")).encode()))
    for path in ("/models/facades/model_int8.tflite", "/litert/a.js"):
        good.append((fuzz_requests.make_request(b"", path, "GET"), LITERT))
    return good


def exchange(
    address, parts, is_cut=False, is_ended=False
) -> list[tuple[int, str, bytes]]:
    """Sends the parts of a request; returns the answers: status, type and body.

    Args:
        address: host and port.
        parts: list of bytes.
        is_cut: if True, the connection is then closed at once.
        is_ended: if True, the server is told that nothing more will come.

    Raises:
        OSError: the server cannot be reached, or does not finish in time.
        http.client.HTTPException, ValueError: what was answered is not HTTP.
    """
    with socket.create_connection(address, TIMEOUT) as connection:
        # The server may have answered, and closed, before it read everything.
        with contextlib.suppress(ConnectionError):
            for part in parts:
                connection.sendall(part)
            if is_cut:  # by RST, not FIN
                linger = struct.pack("ii", 1, 0)
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                return []
            if is_ended:
                connection.shutdown(socket.SHUT_WR)
        received = bytearray()
        with contextlib.suppress(ConnectionResetError):
            while part := connection.recv(1 << 16):
                received += part
    return _parse_answers(bytes(received), parts[0].startswith(b"HEAD "))


def _parse_answers(received, is_head):
    answers = []
    while received:
        head, _, rest = received.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        version, status, *_ = first.split(" ")
        if version != "HTTP/1.1":
            raise http.client.BadStatusLine(first)
        headers = dict(line.lower().split(": ", 1) for line in lines)
        if int(status) == 100:
            length = 0
        elif is_head:
            length, rest = 0, b""
        else:
            length = int(headers.get("content-length", len(rest)))
        if length > len(rest):
            raise http.client.IncompleteRead(rest, length - len(rest))
        answers.append((int(status), headers.get("content-type", ""), rest[:length]))
        received = rest[length:]
    return answers


def send(
    address: tuple[str, int], case: fuzz_requests.Case, forbidden: list[bytes]
) -> str | None:
    """Sends a case; returns what is wrong with its answers, or None.

    Args:
        address: host and port.
        case: Case.
        forbidden: what no answer may hold.
    """
    try:
        answers = exchange(address, case.parts, case.is_cut, not case.is_answered)
    except (OSError, ValueError, http.client.HTTPException) as error:
        return repr(error)
    if not answers:
        return "no answer" if case.is_answered else None
    for status, content_type, body in answers:
        if any(text in body for text in forbidden):
            return f"the answer holds a file: {body[:300]}"
        if status >= 500 and status != 503:
            return f"status {status}: {body[:300]}"
        if status >= 400 and body:
            if problem := _check_error(content_type, body):
                return f"status {status}: {problem}"
    status, _, body = answers[-1]
    if case.statuses and status not in (*case.statuses, 503):
        return f"status {status}, wanted {case.statuses}: {body[:300]}"
    return None


def _check_error(content_type, body):
    """Returns what is wrong with the body of an error, or None."""
    try:
        found = json.loads(body)
        message = str(found["error"])
    except (ValueError, KeyError, TypeError):
        return f"an error that is not JSON: {body[:300]}"
    if list(found) != ["error"] or not content_type.startswith("application/json"):
        return f"{content_type}: {body[:300]}"
    is_clean = message == found["error"] == printable(message)
    if not is_clean or not 0 < len(message) <= MAX_ERROR:
        return f"{len(message)} characters: {message[:300]!r}"
    return None


_BODY_HEAD = (
    f"POST {fuzz_requests.PREDICT} HTTP/1.1\r\nHost: x\r\nContent-Length: 9999\r\n\r\n"
)
_ENDLESS = (  # what is sent first, then once a second, and the status that is wanted
    (_BODY_HEAD.encode(), b"", 408),
    (_BODY_HEAD.encode(), b" ", 408),
    (b"GET / HTTP/1.1\r\n", b"X: y\r\n", None),
    (b"", b"", None),
)


def _send_endless(address, first, again, wanted, failures):
    """Sends a request that never ends; the server ends it."""
    received = b""
    with socket.create_connection(address) as connection:
        connection.settimeout(1)
        connection.sendall(first)
        for _ in range(TIMEOUT):
            try:
                if not (part := connection.recv(1 << 16)):
                    break
                received += part
            except TimeoutError:
                with contextlib.suppress(ConnectionError):
                    connection.sendall(again)
            except ConnectionError:
                break
        else:
            failures.add("an endless request", f"{first[-30:]} {again} is not ended")
    answers = _parse_answers(received, is_head=False)
    if (answers[0][0] if answers else None) != wanted:
        failures.add("an endless request", f"{answers}, wanted {wanted}")


def _flood(address, failures):
    """Opens many connections that ask nothing, and waits until the server ends them."""
    with contextlib.ExitStack() as stack:
        connections = [
            stack.enter_context(socket.create_connection(address, TIMEOUT))
            for _ in range(NUM_IDLE)
        ]
        for number, connection in enumerate(connections, start=1):
            try:
                connection.recv(1)
            except TimeoutError:
                failures.add("idle connections", f"number {number} is not ended")
                return
            except ConnectionError:
                continue


def _check_health(address, failures):
    request = fuzz_requests.make_request(b"", "/healthz", "GET")
    try:
        [(_, _, body)] = exchange(address, [request])
    except (OSError, ValueError, http.client.HTTPException) as error:
        body = repr(error)
    if body != b'{"status":"ok"}':
        failures.add("/healthz", body)


if __name__ == "__main__":
    sys.exit(main())
