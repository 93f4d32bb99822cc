"""Imports TFDS, and has it download and write data sets."""

import contextlib
import io
import logging
import sys

from pix2pix_tf.runtime.errors import UsageError

MAX_RETRIES = 2  # of each download
# The first is the default: it allows random access to records.
FILE_FORMATS = ("array_record", "tfrecord")


def import_tfds(what: str):
    """Returns the module tensorflow_datasets, set to log less and retry less.

    Raises:
        UsageError: it is not installed; `what` is the flag that needs it.
    """
    try:
        import tensorflow_datasets as tfds
        from tensorflow_datasets.core.download import downloader
    except ImportError as error:
        raise UsageError(
            f"{what} needs tensorflow_datasets ({error}): pip install "
            "tensorflow-datasets importlib_resources"
        ) from None
    # Without a network, its ten retries would take minutes.
    downloader.MAX_RETRIES = MAX_RETRIES
    for name in ("urllib3", "absl"):
        logging.getLogger(name).setLevel(logging.ERROR)
    if not sys.stderr.isatty():
        tfds.disable_progress_bar()
    return tfds


def prepare(builder, what: str, advice: str, **how):
    """Downloads and writes a data set, unless it is on disk.

    TFDS writes to a temporary folder, and renames it when everything is written.

    Args:
        builder: tfds.core.DatasetBuilder.
        what: the flag that names it.
        advice: what the user can do if it fails.
        how: arguments of `builder.download_and_prepare`.

    Raises:
        UsageError: it failed.
    """
    if not builder.is_prepared():
        print(f"preparing {builder.info.full_name} in {builder.data_dir}", flush=True)
    try:
        with contextlib.redirect_stdout(io.StringIO()):  # TFDS prints the same again
            builder.download_and_prepare(**how)
    except UsageError:
        raise
    except Exception as error:  # network, checksum, disk, a package of its own missing
        raise UsageError(
            f"{what} is not prepared in {builder.data_dir} and cannot be had "
            f"({describe_failure(error)}): {advice}"
        ) from None


def first_line(error: Exception) -> str:
    """Returns the first line of an exception's text, or its type if it has none."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def describe_failure(error: Exception, url: str | None = None) -> str:
    """Returns the reason of a failed download as one line.

    The texts of `requests` errors show urllib3 objects, so the address (default: that
    of the error) and the type of the error are given instead.
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
