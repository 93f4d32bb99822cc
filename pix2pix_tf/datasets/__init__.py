"""Data sets of tensorflow_datasets (TFDS): by name, the paper's, and one's own.

`python -m pix2pix_tf.datasets` prepares one on disk; `load` finds one by the name that
a `--dataset` flag gives. TFDS takes a second to import, so it is imported only in the
functions, and nothing outside this folder imports it.
"""

import contextlib
import io
import itertools
import json
import logging
import os
import re
import sys
from pathlib import Path

from pix2pix_tf.runtime.errors import UsageError

MAX_RETRIES = 2  # of each download
MAX_SIZED = 20  # records, which are decoded to see whether they are pairs
# The first format is the default: its records can be read in any order.
FILE_FORMATS = ("array_record", "tfrecord")
FOLDER_BUILDER = "pix2pix_folder"
# What may stand before a colon in TFDS's own names: others' repositories.
COMMUNITIES = ("huggingface", "kubric", "robotics")
# In a data set's features.json, what TFDS imports the module of.
CLASS_KEYS = ("pythonClassName", "python_class_name", "type")
_VERSION = r"(?:\d+|\*)(?:\.(?:\d+|\*)){2}"


def load(name, data_dir=None):
    """Returns the builder of a data set, which is downloaded where it is not on disk.

    Args:
        name: str: the NAME that `python -m pix2pix_tf.datasets --name` gave, a name of
            the paper's (`pix2pix:facades`), of TFDS's catalog, or of any data set that
            others prepared in `data_dir`; then `:CONFIG` or `/CONFIG`, and `:1.2.3`.
        data_dir: folder of prepared data sets, or None for TFDS_DATA_DIR or
            ~/tensorflow_datasets.

    Returns:
        tfds.core.DatasetBuilder, prepared.

    Raises:
        UsageError: it is not known, or cannot be had.
    """
    what = f"--dataset {name}"
    tfds = import_tfds(what)
    from pix2pix_tf.datasets import paper

    try:
        builder = _find(tfds, name, data_dir or os.environ.get("TFDS_DATA_DIR"))
    except tfds.core.DatasetNotFoundError:
        raise UsageError(
            f"{what} is not known to tensorflow_datasets: wanted a name of its "
            "catalog, such as svhn_cropped, of the paper's, such as pix2pix:facades, "
            "or one that python -m pix2pix_tf.datasets prepared"
        ) from None
    except Exception as error:  # no such config or version, a package missing
        raise UsageError(f"{what} cannot be used: {first_line(error)}") from None
    if isinstance(builder, paper.Pix2pix):
        prepare(builder, what, builder.advice, file_format=FILE_FORMATS[0])
    else:
        prepare(builder, what, "give --input_dir a folder of images")
    return builder


def open_source(config, channels, mode):
    """Returns the data.Source of a data set's examples, its first one checked.

    Args:
        config: DataConfig, with a dataset.
        channels: tuple of int, of each image of an example.
        mode: str, train or test: the split, where `config` names none.

    Raises:
        UsageError: the data set, the split or a feature is not there, or of no use.
    """
    builder = load(config.dataset)
    from pix2pix_tf import data
    from pix2pix_tf.datasets.source import Records

    split = config.split or _choose_split(builder, mode)
    store = Records(builder, split, config, len(channels), has_names=mode == "test")
    source = data.Source(store, channels)
    source.check()
    if store.num_features < len(channels):
        sizes = itertools.islice(store.sizes(), MAX_SIZED)
        data.warn_of_single_images(
            (f"record {i}", size) for i, size in enumerate(sizes)
        )
    return source


def _choose_split(builder, mode):
    """Returns the split of a mode, or of those that there are the nearest to it."""
    splits = list(builder.info.splits)
    wanted = ["test", "val", "validation"] if mode == "test" else ["train"]
    chosen = next((name for name in wanted if name in splits), None)
    if chosen is None and len(splits) == 1:
        chosen = splits[0]
    if chosen not in (None, mode):
        print(f"{builder.info.full_name} has no split {mode}: taking {chosen}")
    return chosen or mode


def import_tfds(what):
    """Returns the module tensorflow_datasets, made quiet and quick to give up.

    Args:
        what: str, the flag that needs it.

    Raises:
        UsageError: it is not installed.
    """
    try:
        import tensorflow_datasets as tfds
        from tensorflow_datasets.core.download import downloader
    except ImportError as error:
        raise UsageError(
            f"{what} needs tensorflow_datasets ({error}): pip install "
            "tensorflow-datasets importlib_resources"
        ) from None
    # Its ten retries would keep one waiting for minutes where there is no network.
    downloader.MAX_RETRIES = MAX_RETRIES
    for name in ("urllib3", "absl"):
        logging.getLogger(name).setLevel(logging.ERROR)
    if not sys.stderr.isatty():
        tfds.disable_progress_bar()
    return tfds


def prepare(builder, what, advice, **how):
    """Downloads and writes a data set, unless it is on disk.

    TFDS writes to a folder beside the data set's and renames that when all is written.

    Args:
        builder: tfds.core.DatasetBuilder.
        what: str, the flag that asked for it.
        advice: str, what to do where it cannot be had.
        how: as `builder.download_and_prepare` takes it.

    Raises:
        UsageError: it could not be.
    """
    if not builder.is_prepared():
        print(f"preparing {builder.info.full_name} in {builder.data_dir}", flush=True)
    try:
        with contextlib.redirect_stdout(io.StringIO()):  # TFDS says the same, twice
            builder.download_and_prepare(**how)
    except UsageError:
        raise
    except Exception as error:  # network, checksum, disk, a package of its own missing
        raise UsageError(
            f"{what} is not prepared in {builder.data_dir} and cannot be had "
            f"({describe_failure(error)}): {advice}"
        ) from None


def first_line(error):
    """Returns the first line of an exception's text, or its type where it has none."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def describe_failure(error, url=None) -> str:
    """Returns in one line why a download failed.

    Args:
        error: Exception. The texts of those of `requests` show objects of urllib3, so
            the address and the error's type are told instead.
        url: str, the address, or None for that of the error.
    """
    import requests

    is_of_requests = isinstance(error, requests.RequestException)
    if not is_of_requests or isinstance(error, ValueError):  # a malformed address
        return first_line(error)
    url = url or getattr(error.request, "url", "the address")
    if error.response is not None:
        return f"{url} answers {error.response.status_code} {error.response.reason}"
    if isinstance(error, requests.exceptions.ChunkedEncodingError):
        return f"{url} broke off before the end"
    return f"{url} could not be reached ({type(error).__name__})"


def to_tfds_name(name):
    """Returns a `--dataset` name as TFDS writes it: NAME:CONFIG becomes NAME/CONFIG.

    What follows a colon is a version where it looks like one (1.2.3, 1.*.*), and what
    precedes it is a community where TFDS has one of that name.
    """
    first, colon, rest = name.partition(":")
    if not colon or "/" in first or first in COMMUNITIES:
        return name
    return name if re.match(rf"{_VERSION}(/|$)", rest) else f"{first}/{rest}"


def find_folder(name, data_dir):
    """Returns the folder of a prepared data set of one's own, or None.

    Args:
        name: str, without version.
        data_dir: as in `load`.
    """
    root = data_dir or os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets"
    path = Path(root, FOLDER_BUILDER, name).expanduser()
    # What a killed run left has other names.
    versions = path.iterdir() if path.is_dir() else []
    has_any = any(re.fullmatch(r"\d+\.\d+\.\d+", version.name) for version in versions)
    return path if has_any else None


def _refuse_code(folder):
    """Refuses a prepared data set that has TFDS import modules other than its own."""

    def keep(values):
        names.extend(values[key] for key in CLASS_KEYS if key in values)

    for path in sorted(folder.rglob("features.json")):
        names = []
        json.loads(path.read_text(encoding="utf-8"), object_hook=keep)
        foreign = [
            name for name in names if not str(name).startswith("tensorflow_datasets.")
        ]
        if foreign:
            raise UsageError(
                f"{path} names code outside tensorflow_datasets, {foreign}"
            )


def _find(tfds, name, data_dir):
    """Returns the builder of a name; one's own data sets come before the catalog's."""
    from pix2pix_tf.datasets import paper  # noqa: F401  TFDS knows it by its import

    name = to_tfds_name(name)
    bare = re.sub(rf":{_VERSION}$", "", name)
    if re.fullmatch(r"[\w.-]+", bare) and find_folder(bare, data_dir) is not None:
        name = f"{FOLDER_BUILDER}/{name}"
    root = Path(data_dir or "~/tensorflow_datasets").expanduser()
    _refuse_code(root / re.split("[/:]", name)[0])
    return tfds.builder(name, try_gcs=False, data_dir=data_dir)
