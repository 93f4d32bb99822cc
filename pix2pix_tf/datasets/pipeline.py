"""The steps that prepare a data set on Apache Beam, on one machine or on many.

The command lists the examples in files of a thousand each; workers take such files,
read and check the images, process them, and TFDS sorts the records by their numbers in
the list. So the records depend neither on the runner nor on the number of workers.
"""

import functools
import io
import itertools
import json
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import apache_beam as beam
from etils import epath

from pix2pix_tf.datasets.listing import Entry, Listing, read_bytes
from pix2pix_tf.images import codecs, kinds, operations, pixels
from pix2pix_tf.runtime.errors import UsageError
from pix2pix_tf.runtime.files import printable

PART_SIZE = 1000  # examples in a file of the list
LOG_LEVEL = "default_sdk_harness_log_level"  # of the workers; Beam's default is INFO
LIST_NAME = "list"  # the folder of these files while the data set is prepared


class Series(NamedTuple):
    """What is done to the images: the arguments of `operations.apply`."""

    operations: tuple[str, ...] = ()
    size: int = 256
    is_padded: bool = False


class Prepare(beam.PTransform):
    """The steps of one split, from nothing to (number, record)."""

    def __init__(self, split: str, listing: Listing, series: Series, folder):
        """Writes the files of the list.

        Args:
            split: its name.
            listing: Listing.
            series: Series.
            folder: epath.Path of the data set, which all workers can read and write;
                the report of the split is written there.
        """
        super().__init__()
        self._parts = write_parts(listing.entries(), folder / LIST_NAME / split)
        self._series = series
        self._report = functools.partial(
            _write_report, str(report_path(folder, split)), listing.count
        )

    def expand(self, pipeline):
        found = (
            pipeline
            | beam.Create(self._parts)
            | beam.Reshuffle()  # spreads the files over the workers
            | "Read the list" >> beam.FlatMap(_read_part)
            | "Prepare images"
            >> beam.FlatMap(_prepare, self._series).with_outputs(
                "skipped", main="records"
            )
        )
        skipped = found.skipped | beam.combiners.ToList()
        _ = skipped | "Write the report" >> beam.Map(self._report)
        return found.records


def write_parts(entries: Iterable[Entry], folder: epath.Path) -> list[str]:
    """Writes numbered entries to files of PART_SIZE lines; returns their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    paths, numbered = [], enumerate(entries)
    while part := list(itertools.islice(numbered, PART_SIZE)):
        path = folder / f"{part[0][0]:012d}.jsonl"
        lines = (json.dumps([number, *entry]) for number, entry in part)
        path.write_text("\n".join(lines))
        paths.append(str(path))
    return paths


def report_path(folder: str | Path, split: str) -> epath.Path:
    """Returns the path of the report of a split, in the folder of its data set."""
    return epath.Path(folder) / f"{split}-skipped.json"


def read_report(folder: str | Path, split: str) -> dict:
    """Returns {"examples": int, "skipped": [{"number", "file", "reason"}, ...]}."""
    return json.loads(report_path(folder, split).read_text())


def _write_report(path, count, skipped):
    found = [
        {"number": number, "file": file, "reason": reason}
        for number, file, reason in sorted(skipped)
    ]
    text = json.dumps({"examples": count, "skipped": found}, indent=1)
    epath.Path(path).write_text(f"{text}\n")


def _read_part(path):
    """Yields (number, name, paths) of the lines of a file of the list."""
    yield from map(json.loads, epath.Path(path).read_text().splitlines())


def _prepare(line, series):
    """Yields the (number, record) of an example, or why it is skipped."""
    number, name, paths = line
    try:
        contents = [_read(path) for path in paths]
        images = kinds.read_images(
            [
                (printable(path), functools.partial(codecs.from_bytes, content))
                for path, content in zip(paths, contents, strict=True)
            ],
            channels=(3,) * len(paths),
        )
        if series.operations:
            contents = _encode(printable(paths[0]), images, series)
    except kinds.ExampleError as error:
        problem = number, error.place, error.reason
        yield beam.pvalue.TaggedOutput("skipped", problem)
        return
    names = ("image",) if len(contents) == 1 else ("input", "target")
    record = dict(zip(names, map(io.BytesIO, contents), strict=True))
    yield number, record | {"name": name}


def _read(path):
    """Returns the contents of a file; a failing network is not its example's fault."""
    try:
        return read_bytes(path)
    except (FileNotFoundError, IsADirectoryError, PermissionError) as error:
        raise kinds.ExampleError(printable(path), error.strerror) from None


def _encode(place, images, series):
    """Returns the PNG files that the operations make of images."""
    try:
        made = operations.apply(*series[:1], images, *series[1:])
    except codecs.ImageError as error:
        raise kinds.ExampleError(place, str(error)) from None
    return [pixels.encode(numbers, "png").numpy() for numbers in made]


def make_options(text: str | None) -> beam.options.pipeline_options.PipelineOptions:
    """Returns the options of `--beam_options`, NAME=VALUE,...

    Raises:
        UsageError: Beam, or the package of a runner that is installed, has no such
            option.
    """
    flags = [f"--{one}" for one in text.split(",")] if text else []
    if LOG_LEVEL not in (text or ""):
        flags.append(f"--{LOG_LEVEL}=WARNING")
    options = beam.options.pipeline_options.PipelineOptions(flags)
    known = options.get_all_options()
    for flag in flags:
        name = flag.removeprefix("--").partition("=")[0]
        if name not in known:
            raise UsageError(f"--beam_options: {name} is not an option of Apache Beam")
    return options


def check_runner(name: str) -> None:
    """Raises UsageError if Beam has no runner of a name, or lacks its package."""
    try:
        beam.runners.runner.create_runner(name)
    except Exception as error:  # each runner has its own
        reason = str(error).partition("\n")[0]
        raise UsageError(f"--beam_runner {name} cannot be used: {reason}") from None
