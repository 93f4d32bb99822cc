"""Lists the examples of folders and of a file of paths, here or in a cloud.

A URL is read by TensorFlow where it knows the scheme (`gs://`), else by fsspec, which
has a package for each: s3fs for `s3://`, adlfs for `az://`.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import tensorflow as tf

from pix2pix_tf import data
from pix2pix_tf.datasets.addresses import is_url
from pix2pix_tf.images import codecs
from pix2pix_tf.runtime.errors import UsageError
from pix2pix_tf.runtime.files import printable


class Entry(NamedTuple):
    """One example: its name, and where the files of its images are."""

    name: str
    paths: tuple[str, ...]


class Listing(NamedTuple):
    """The examples of one split, which are listed again at each call of `entries`."""

    count: int
    num_files: int  # of each example, 1 or 2
    entries: Callable[[], Iterable[Entry]]


def read_bytes(path: str) -> bytes:
    """Returns the contents of a file, which may be a URL.

    Raises:
        FileNotFoundError: there is none.
        OSError, or an error of the library for the scheme: it cannot be read.
    """
    if not is_url(path):
        return Path(path).read_bytes()
    try:
        if _is_of_tensorflow(path):
            with tf.io.gfile.GFile(path, "rb") as file:
                return file.read()
        with _fsspec(path).open(path, "rb") as file:
            return file.read()
    except tf.errors.NotFoundError:
        raise FileNotFoundError(2, "No such file or directory", path) from None


def from_examples(examples: Sequence[data.Example]) -> Listing:
    """Returns the Listing of local files."""

    def entries():
        for example in examples:
            yield Entry(printable(example.name), tuple(map(str, example.paths)))

    return Listing(len(examples), len(examples[0].paths), entries)


def from_url(folder: str, splits: tuple[str, ...]) -> dict[str, Listing]:
    """Returns {split: Listing} of a folder that is a URL.

    Args:
        folder: with images; or with sub-folders of these names, of which only images
            are read.
        splits: the names.

    Raises:
        UsageError: a folder has no images, or cannot be listed.
    """
    folder = folder.rstrip("/")
    names = list_names(folder)
    found = [split for split in splits if split in names]
    if not found:
        return {"train": _from_names(folder, names)}
    folders = {split: f"{folder}/{split}" for split in found}
    return {split: _from_names(one, list_names(one)) for split, one in folders.items()}


def _from_names(folder, names):
    """Returns the Listing of the images among the names of files in a folder."""
    names = [
        PurePosixPath(name)
        for name in names
        if PurePosixPath(name).suffix.lower() in codecs.SUFFIXES and name[0] != "."
    ]
    if not names:
        raise UsageError(f"--input_dir {printable(folder)} has no images")
    names = data.sort_paths(names)
    titles = data.unique_names(names)

    def entries():
        for title, name in zip(titles, names, strict=True):
            yield Entry(printable(title), (f"{folder}/{name}",))

    return Listing(len(names), 1, entries)


def list_names(folder: str) -> list[str]:
    """Returns the names of what is in a folder that is a URL.

    Raises:
        UsageError: it cannot be listed.
    """
    try:
        if _is_of_tensorflow(folder):
            names = tf.io.gfile.listdir(folder)
        else:
            names = _fsspec(folder).ls(folder, detail=False)
    except (tf.errors.OpError, OSError) as error:
        reason = str(error).partition("\n")[0]
        raise UsageError(
            f"--input_dir {printable(folder)} cannot be listed: {reason}"
        ) from None
    return [name.rstrip("/").rpartition("/")[2] for name in names]


def from_file(path: str) -> Listing:
    """Returns the Listing of a file with a line for each example.

    A line is a path, or the path of image A, a tab, and that of image B. An example is
    called by its first path, without the folder that all of them share. The file is
    read line by line, so it may have any length.

    Raises:
        UsageError: it cannot be read, has no lines, or not as many paths in each line.
    """
    count, num_files, first, last = 0, None, None, None
    for count, paths in enumerate(_read_lines(path), start=1):
        num_files = num_files or len(paths)
        if len(paths) != num_files or num_files > 2 or not all(paths):
            raise UsageError(
                f"--input_list {printable(path)}: example {count} has {len(paths)} "
                "paths: wanted a path, or two with a tab between them, in each line "
                "alike"
            )
        first = min(first or paths[0], paths[0])
        last = max(last or paths[0], paths[0])
    if not count:
        raise UsageError(f"--input_list {printable(path)} has no lines: wanted paths")
    num_shared = _folder_length(first, last)

    def entries():
        for paths in _read_lines(path):
            yield Entry(printable(paths[0][num_shared:]), paths)

    return Listing(count, num_files, entries)


def _read_lines(path) -> Iterator[tuple[str, ...]]:
    """Yields the paths of each line that is not empty."""
    try:
        with open(path, encoding="utf-8") as file:
            for line in file:
                if line := line.rstrip("\r\n"):
                    yield tuple(line.split("\t"))
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8"
        raise UsageError(
            f"--input_list {printable(path)} cannot be read: {reason}"
        ) from None


def _folder_length(first, last):
    """Returns the length of the folder that two paths share, with its last slash.

    Of many paths, the smallest and the largest share what all share.
    """
    shared = 0
    for a, b in zip(first, last, strict=False):
        if a != b:
            break
        shared += 1
    return first.rfind("/", 0, shared) + 1


def _is_of_tensorflow(url):
    return url.partition("://")[0] in tf.io.gfile.get_registered_schemes()


def _fsspec(url):
    """Returns the fsspec file system of a URL."""
    try:
        import fsspec

        return fsspec.core.url_to_fs(url)[0]
    except (ImportError, ValueError) as error:
        raise UsageError(
            f"{printable(url)} needs a package for this kind of URL: {error}"
        ) from None
