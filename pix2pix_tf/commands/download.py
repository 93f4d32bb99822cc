"""Downloads one of the paper's data sets and unpacks it, completely or not at all.

    pix2pix-tf download facades --output_dir data

makes data/facades.
"""

import argparse
import gzip
import os
import re
import shutil
import sys
import tarfile
import urllib.request
import zipfile
import zlib
from pathlib import Path

import pooch
import requests

from pix2pix_tf import datasets
from pix2pix_tf.datasets import addresses
from pix2pix_tf.runtime import command, files
from pix2pix_tf.runtime.errors import UsageError
from pix2pix_tf.runtime.files import printable

PROG = "pix2pix-tf download"
CHUNK = 2**20  # bytes
DAMAGE = (tarfile.TarError, gzip.BadGzipFile, zlib.error, EOFError, zipfile.BadZipFile)


def main(argv: list[str] | None = None) -> int:
    """Runs one command line; returns the exit status, as `runtime.command` has it."""
    return command.run(PROG, lambda: _run(parse(argv)), "starts again")


def parse(argv: list[str] | None = None) -> argparse.Namespace:
    """Returns the namespace of a command line; raises UsageError for a wrong one."""
    parser = command.Parser(PROG, __doc__)
    parser.add_argument("name", choices=addresses.ARCHIVES)
    help = "where to make the data set's folder (default: the current folder)"
    parser.add_argument("--output_dir", type=Path, default=Path(), help=help)
    help = "another address of the archive (.tar.gz, .tgz, .tar, .zip), or of its "
    help += f"folder; or a path, if you have it (default: {addresses.BASE_URL})"
    parser.add_argument("--url", default=addresses.BASE_URL, help=help)
    help = "the archive's checksum, 64 hex digits (default: it is printed)"
    parser.add_argument("--sha256", type=str.lower, help=help)
    given = parser.parse_args(argv)
    if given.sha256 and not re.fullmatch("[0-9a-f]{64}", given.sha256):
        raise UsageError(f"--sha256 must be 64 hex digits, got {given.sha256}")
    if not re.search(r"\.(tar|tar\.gz|tgz|zip)($|\?)", given.url.lower()):
        given.url = addresses.make_url(addresses.ARCHIVES[given.name].file, given.url)
    return given


def _run(given):
    folder = given.output_dir / given.name
    if folder.is_dir():
        print(f"{printable(folder)} exists: nothing to do")
        return
    archive = addresses.ARCHIVES[given.name]
    is_published = given.url.partition("?")[0].endswith(f"/{archive.file}")
    if given.sha256 or not is_published:  # others' archives have other sizes
        archive = archive._replace(sha256=given.sha256, size=None)
    given.output_dir.mkdir(parents=True, exist_ok=True)
    files.remove_partials(given.output_dir, given.name)
    with files.writing(folder) as partial:
        work = partial.with_name(f"{partial.name}.work")
        work.mkdir()
        path = _fetch(given.url, archive.file, work)
        print(f"sha256 {addresses.check(path, archive, given.url)}", flush=True)
        _unpack(path, work / "unpacked", given.url)
        top = _top(work / "unpacked", given.name)
        if not any((top / split).is_dir() for split in archive.splits):
            raise UsageError(
                f"{given.url} has no folder {' or '.join(archive.splits)}, as "
                f"{archive.file} has: give --url another address"
            )
        os.rename(top, partial)
        shutil.rmtree(work)
    subfolders = sorted(folder.glob("*/"))
    counts = [f"{path.name} {len(os.listdir(path))}" for path in subfolders]
    print(f"wrote {printable(folder)} ({', '.join(counts)})")


def _fetch(url, file, folder):
    """Returns the archive's path; it is downloaded if `url` is not a path already."""
    if url.startswith("file://"):
        return Path(urllib.request.url2pathname(url.removeprefix("file://")))
    if "://" not in url:
        return Path(url)
    pooch.get_logger().setLevel("WARNING")
    download = pooch.HTTPDownloader(
        progressbar=sys.stderr.isatty(),
        chunk_size=CHUNK,
        headers={"Accept-Encoding": "identity"},  # or requests might unpack the .gz
    )
    try:
        return Path(pooch.retrieve(url, None, file, folder, downloader=download))
    except requests.RequestException as error:
        raise UsageError(
            f"{datasets.describe_failure(error, url)}: give --url another address, or "
            f"download {file} by hand and give --url its path"
        ) from None


def _unpack(path, folder, url):
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                archive.extractall(folder)  # all inside; links become plain files
            return
        with tarfile.open(path) as archive:
            archive.extractall(folder, filter=_refuse_links)
            while archive.fileobj.read(CHUNK):  # gzip's checksum is at the very end
                pass
    except (*DAMAGE, RuntimeError) as error:  # RuntimeError: a zip with a password
        reason = str(error).partition("\n")[0]
        raise UsageError(
            f"{url} is damaged or not safe ({reason}): give --url another address"
        ) from None


def _refuse_links(member, folder):
    """Tarfile's filter for data, which refuses what is outside; no links, either."""
    if not (member.isfile() or member.isdir()):
        raise tarfile.FilterError(f"{member.name!r} is not a file or a folder")
    return tarfile.data_filter(member, folder)


def _top(folder, name):
    """Returns the data set's folder in an archive: NAME, the only one, or the root."""
    if (folder / name).is_dir():
        return folder / name
    entries = [path for path in folder.iterdir() if not path.name.startswith(".")]
    is_wrapped = len(entries) == 1 and entries[0].is_dir()
    return entries[0] if is_wrapped else folder
