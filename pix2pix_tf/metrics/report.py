"""The report of a test: collects metrics, prints a table, and writes two files.

`metrics.json` is strict JSON: {"count", "mean": {metric: number or null}, "set":
{metric: number or null}, "images": [{"name", metric: number or null, ...}, ...]}, and
"extractor" or "classes" if FID or label metrics are requested. `metrics.csv` has one
row for each image.
"""

import csv
import io
import json
import threading
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from pix2pix_tf.metrics import features, histograms, per_image
from pix2pix_tf.metrics.lpips import Lpips
from pix2pix_tf.metrics.table import IMAGE_METRICS, LPIPS, METRICS
from pix2pix_tf.runtime import files
from pix2pix_tf.runtime.errors import UsageError

HISTORY_NAME = "validation.json"  # of a run: a list, an entry for each validation
JSON_NAME, CSV_NAME = "metrics.json", "metrics.csv"


class Scores:
    """Collects the metrics of images; `add` may be called from any thread.

    Args:
        lpips: Lpips, or None to leave that metric out.

    Attributes:
        images: {name: {metric: float or None}}
        metrics: tuple of str, those of IMAGE_METRICS that are measured.
    """

    def __init__(self, lpips: Lpips | None = None):
        self.images = {}
        self._lpips = lpips
        self.metrics = tuple(
            name for name in IMAGE_METRICS if name != LPIPS or lpips is not None
        )
        self._histograms = np.zeros([2, 3, histograms.BINS], np.int64)
        self._lock = threading.Lock()

    def add(self, name: str, output, target) -> None:
        """Measures the image of a name; both are uint8 or uint16 [height, width, 3].

        Raises:
            UsageError: the image is too small for LPIPS.
        """
        metrics = per_image.score(output, target)
        if self._lpips is not None:
            metrics[LPIPS] = self._measure_lpips(name, output, target)
        counts = np.stack([histograms.count(output), histograms.count(target)])
        with self._lock:
            self.images[name] = metrics
            self._histograms += counts

    def means(self) -> dict[str, float | None]:
        """Returns {metric: mean over the images that have it, or None}."""
        return {
            name: float(np.mean(values)) if (values := self._values(name)) else None
            for name in self.metrics
        }

    def count(self, name: str) -> int:
        """Returns the number of images that have a metric."""
        return len(self._values(name) if name in self.metrics else self.images)

    def shared_histograms(self) -> dict[str, float]:
        """Returns {"histogram_l", "histogram_a", "histogram_b": float}."""
        shares = histograms.intersect(*self._histograms)
        names = ("histogram_l", "histogram_a", "histogram_b")
        return dict(zip(names, map(float, shares), strict=True))

    def summary(self) -> dict:
        """Returns {"count", "mean", "set"}, the beginning of `metrics.json`."""
        return {
            "count": len(self.images),
            "mean": self.means(),
            "set": self.shared_histograms(),
        }

    def _measure_lpips(self, name, *images):
        try:
            scaled = (per_image.to_levels(image) / 127.5 - 1 for image in images)
            return self._lpips.measure(*scaled)
        except UsageError as error:
            raise UsageError(f"{files.printable(name)}: {error}") from None

    def _values(self, name):
        # Sorted: the order of threads varies, and float sums depend on the order.
        values = (self.images[image][name] for image in sorted(self.images))
        return [value for value in values if value is not None]


def report(
    output_dir: Path | str | None, names: list[str], scores: Scores, measures: Iterable
) -> None:
    """Prints the table and writes `metrics.json` and `metrics.csv`.

    If a set cannot be measured, all other metrics are reported before the error is
    raised.

    Args:
        output_dir: folder path, or None to write nothing.
        names: the images in the order in which they are written.
        scores: Scores of these images, at least one.
        measures: the results of `SetScorer.measure`.
    """
    found = scores.summary()
    try:
        for metrics, details in measures:
            found["set"] |= metrics
            found |= details
    finally:
        found["set"] = {
            name: found["set"][name] for name in METRICS if name in found["set"]
        }
        found["images"] = [
            {"name": files.printable(name), **scores.images[name]} for name in names
        ]
        if output_dir is not None:
            _write(output_dir, found, scores.metrics)
        print(_table(found, scores), flush=True)


def _write(output_dir, found, columns):
    text = json.dumps(found, indent=4, allow_nan=False) + "\n"
    files.write_whole(Path(output_dir, JSON_NAME), text)
    lines = io.StringIO()
    writer = csv.DictWriter(lines, ["name", *columns], lineterminator="\n")
    writer.writeheader()
    writer.writerows(found["images"])
    files.write_whole(Path(output_dir, CSV_NAME), lines.getvalue())


def remove_report(output_dir: Path | str) -> None:
    """Removes the report of an earlier test in the same folder."""
    for name in (JSON_NAME, CSV_NAME):
        Path(output_dir, name).unlink(missing_ok=True)


def read_report(output_dir: Path | str) -> dict[str, float | None]:
    """Reads {metric: float or None} from a folder's `metrics.json`.

    The means over the images come first, then the metrics of the whole set.

    Raises:
        UsageError: the file is damaged.
        OSError: it cannot be read.
    """
    path = Path(output_dir, JSON_NAME)
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        values = found["mean"] | found["set"]
        return {name: value and float(value) for name, value in values.items()}
    except (ValueError, RecursionError, LookupError, TypeError, AttributeError):
        raise UsageError(
            f'{files.printable(path)} is damaged: wanted JSON with {{"mean": {{name: '
            'number, ...}, "set": {name: number, ...}}: test again'
        ) from None


def read_names(output_dir: Path | str) -> list[str]:
    """Returns the names of the images in a folder's `metrics.json`, in their order.

    Raises:
        UsageError: the file is missing, as a test writes it at its end, or damaged.
    """
    path = Path(output_dir, JSON_NAME)
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        return [str(image["name"]) for image in found["images"]]
    except FileNotFoundError:
        raise UsageError(
            f"{files.printable(path)} is missing: the test did not end, start it again"
        ) from None
    except (ValueError, RecursionError, LookupError, TypeError):
        raise UsageError(f"{files.printable(path)} is damaged: test again") from None


def _table(found, scores):
    """Returns the metrics as text: a line for each, with its notes."""
    lines = []
    for name, value in (found["mean"] | found["set"]).items():
        metric, count = METRICS[name], scores.count(name)
        shown = "none" if value is None else f"{value:.{metric.decimals}f}"
        notes = [f"{count} image" + "s" * (count != 1)]
        if name in ("fid", "kid"):
            notes.append(found["extractor"])
        if name == "fid" and count < features.MIN_COUNT:
            notes.append(
                f"too high with fewer than {features.MIN_COUNT}: compare only tests of "
                "equally many images"
            )
        better = "higher" if metric.is_higher_better else "lower"
        notes.append(f"{metric.meaning}; {better} is better")
        lines.append(f"{name:<15} {shown:>9}  {'; '.join(notes)}")
    return "\n".join(lines)
