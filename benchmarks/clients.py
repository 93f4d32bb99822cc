"""`pix2pix-tf serve` in a process of its own, asked by clients at the same time."""

import base64
import contextlib
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import requests

from pix2pix_tf.runtime.errors import RunError

RETRY_S = 0.05  # after status 503
TIMEOUT_S = 120  # for one answer
COLUMNS = {
    "clients": ("clients", "d"),
    "requests_per_s": ("requests/s", ".2f"),
    "ratio_to_first": ("ratio", ".2f"),
    "p50_s": ("p50 s", ".3f"),
    "p95_s": ("p95 s", ".3f"),
    "p99_s": ("p99 s", ".3f"),
    "num_wrong": ("lost or different", "d"),
    "num_later": ("503", "d"),
}


def make_png(seed):
    """Returns the bytes of a PNG of coloured rectangles, as a label map has."""
    from pix2pix_tf.images import pixels

    rng = np.random.default_rng(seed)
    image = rng.integers(0, 256, [16, 16, 3], np.uint8).repeat(16, 0).repeat(16, 1)
    return pixels.encode(image, "png").numpy()


@contextlib.contextmanager
def serving(path: Path):
    """Runs `pix2pix-tf serve` on a free port; yields the URL to ask, and its Popen."""
    arguments = [sys.executable, "-m", "pix2pix_tf.serve", str(path), "--port", "0"]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as process:
        try:
            words = process.stdout.readline().split()
            if not words:
                raise RunError("the server did not start: its error is above")
            yield f"{words[-1]}v1/models/{words[1]}:predict", process
        finally:
            process.terminate()


def time_clients(url: str, counts: list[int], seconds: float) -> list[dict]:
    """Returns a row of COLUMNS for each number of clients that ask at the same time.

    Args:
        url: to post requests to.
        counts: the numbers of clients. Each client has an image of its own.
        seconds: for each row.

    Raises:
        RunError: the server does not answer a client that is alone.
    """
    bodies = []
    for number in range(max(counts)):
        encoded = base64.b64encode(make_png(number)).decode()
        bodies.append({"instances": [{"b64": encoded}]})
    wanted = [_ask(url, body)[0] for body in bodies]
    if None in wanted:
        raise RunError(f"{url} does not answer a client that is alone")
    rows = [_time_clients(url, bodies[:count], wanted, seconds) for count in counts]
    for row in rows:
        row["ratio_to_first"] = row["requests_per_s"] / rows[0]["requests_per_s"]
    return rows


def _time_clients(url, bodies, wanted, seconds):
    """Returns one row of COLUMNS; each client has one of the bodies."""
    latencies, wrong, later = [], [], []
    end = time.perf_counter() + seconds

    def be_client(body, own):
        with requests.Session() as session:
            while (started := time.perf_counter()) < end:
                answer, num_later = _ask(url, body, session)
                latencies.append(time.perf_counter() - started)
                later.append(num_later)
                if answer != own:
                    wrong.append(answer)

    threads = [
        threading.Thread(target=be_client, args=pair)
        for pair in zip(bodies, wanted, strict=False)
    ]
    started = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    p50, p95, p99 = np.percentile(latencies, [50, 95, 99]).tolist()
    return {
        "clients": len(bodies),
        "requests_per_s": len(latencies) / (time.perf_counter() - started),
        "p50_s": p50,
        "p95_s": p95,
        "p99_s": p99,
        "num_wrong": len(wrong),
        "num_later": sum(later),
    }


def _ask(url, body, session=requests):
    """Returns the body of the answer, or None if it was lost; the number of 503s."""
    num_later = 0
    try:
        while True:
            answer = session.post(url, json=body, timeout=TIMEOUT_S)
            if answer.status_code != 503:
                return answer.content if answer.status_code == 200 else None, num_later
            num_later += 1
            time.sleep(RETRY_S)
    except requests.RequestException:
        return None, num_later
