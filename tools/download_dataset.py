"""Downloads one of the published data sets of pairs, and unpacks it.

It goes on with a download that was cut off. --url is another place that has the archive
(http, https or file): the archive itself (.tar.gz, .tgz, .tar or .zip), or the folder
that it is in.
"""

import gzip
import hashlib
import http.client
import json
import os
import shutil
import stat
import sys
import tarfile
import urllib.error
import urllib.parse
import urllib.request
import zipfile
import zlib
from pathlib import Path, PurePosixPath

sys.path.insert(0, str(Path(__file__).parents[1]))  # without an installation too

import tqdm

from pix2pix_tf.datasets import addresses
from pix2pix_tf.runtime import command, files
from pix2pix_tf.runtime.command import Parser
from pix2pix_tf.runtime.errors import UsageError
from pix2pix_tf.runtime.files import printable

SUFFIXES = (".tar.gz", ".tgz", ".tar", ".zip")
SCHEMES = ("http://", "https://", "file://")
CHUNK = 2**18  # bytes
TIMEOUT = 60  # seconds without a byte
_DAMAGE = (
    tarfile.TarError,
    zipfile.BadZipFile,
    gzip.BadGzipFile,
    EOFError,
    zlib.error,
    RuntimeError,  # zipfile: a password, or an unknown compression
)


def main(argv=None):
    """Runs one command line.

    Args:
        argv: list of str, or None for the process's own.

    Returns:
        int, the exit status: 0 done, 2 where it cannot be done (one line on stderr),
        130 stopped by Ctrl-C.
    """
    return command.run(
        "download_dataset", lambda: run(parse(argv)), "goes on from here"
    )


def parse(argv=None):
    """Returns the flags of a command line, checked; `url` is the archive's in any case.

    Raises:
        UsageError: a flag is wrong.
    """
    parser = Parser("download_dataset", __doc__)
    parser.add_argument("name", metavar="NAME", choices=addresses.ARCHIVES)
    parser.add_argument(
        "--output_dir", type=Path, default=Path(), metavar="FOLDER", help="of NAME/; ."
    )
    parser.add_argument("--url", default=addresses.BASE_URL, help=addresses.BASE_URL)
    parser.add_argument("--sha256", metavar="HEX", help="what the archive must have")
    parser.usage = f"download_dataset {{{','.join(addresses.ARCHIVES)}}} [flags]"
    options = parser.parse_args(argv)
    if not options.url.startswith(SCHEMES):
        raise UsageError(
            f"--url must begin with {', '.join(SCHEMES)}, got {options.url}"
        )
    try:
        urllib.parse.urlsplit(options.url)
    except ValueError as error:
        raise UsageError(f"--url {options.url} is no address: {error}") from None
    if options.sha256 is not None:
        options.sha256 = options.sha256.lower()
        if len(options.sha256) != 64 or set(options.sha256) - set("0123456789abcdef"):
            raise UsageError(f"--sha256 must be 64 hex digits, got {options.sha256}")
    if not _path_of(options.url).endswith(SUFFIXES):
        file = addresses.ARCHIVES[options.name].file
        options.url = addresses.make_url(file, options.url)
    return options


def _path_of(url):
    return urllib.parse.urlsplit(url).path.lower()


def run(options):
    """Downloads, checks and unpacks, each unless it is done.

    Raises:
        UsageError: it cannot be done; a partial download stays where it helps.
    """
    folder = options.output_dir / options.name
    if folder.is_dir():
        print(f"{printable(folder)} is there: nothing to do")
        return
    if folder.exists():
        raise UsageError(f"{printable(folder)} is a file: name another --output_dir")
    options.output_dir.mkdir(parents=True, exist_ok=True)
    partial = options.output_dir / f".{options.name}.download"
    download(options.url, partial)
    check(partial, options)
    unpack(partial, folder, is_zip=_path_of(options.url).endswith(".zip"))
    forget(partial)
    print(f"wrote {printable(folder)} ({_describe(folder)})")


def _describe(folder):
    """Returns how many files each subfolder has, as "test 106, train 400"."""
    counts = [
        f"{path.name} {sum(1 for file in path.rglob('*') if file.is_file())}"
        for path in sorted(folder.iterdir())
        if path.is_dir()
    ]
    return ", ".join(counts) or "no subfolders"


# ---------------------------------------------------------------------------
# Download
# ---------------------------------------------------------------------------


def download(url, partial):
    """Downloads a file, or the rest of it.

    Beside `partial` stands `partial`.json: the address, what the server calls that
    version of the file, and its size, so that no two versions are glued together.

    Raises:
        UsageError: it is not whole yet, and why.
    """
    known = _read_state(partial, url)
    done = partial.stat().st_size if known else 0
    if known and done == known["size"]:
        return
    request = urllib.request.Request(url)
    if done:
        request.add_header("Range", f"bytes={done}-")
        request.add_header("If-Range", known["version"])
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT) as response:
            _receive(response, url, partial, done, known)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == 416:  # it is shorter than what we have
            forget(partial)
            raise UsageError(f"{url} has changed: run the command again") from None
        raise UsageError(
            f"{url} answers {error.code} {error.reason}: give --url another place that "
            "has it"
        ) from None
    except UsageError:
        raise
    except (
        urllib.error.URLError,
        http.client.HTTPException,
        TimeoutError,
        ConnectionError,
        ValueError,  # an address with letters that no address has
    ) as error:
        reason = getattr(error, "reason", error)
        raise UsageError(
            f"{url} cannot be reached ({reason}): look at the network, or give --url "
            "another place that has it"
        ) from None


def _receive(response, url, partial, done, known):
    """Appends what comes to `partial`, from its start where it is another version."""
    headers = response.headers
    is_rest = response.status == 206
    if is_rest:
        size = known["size"]
        if headers.get("Content-Range") != f"bytes {done}-{size - 1}/{size}":
            forget(partial)
            raise UsageError(f"{url} has changed: run the command again")
    else:
        done = 0
        size = int(headers["Content-Length"]) if "Content-Length" in headers else None
        _write_state(partial, url, _version(headers), size)
    with (
        partial.open("ab" if is_rest else "wb") as file,
        tqdm.tqdm(
            initial=done, total=size, unit="B", unit_scale=True, disable=None
        ) as bar,
    ):
        while chunk := _read_chunk(response):
            file.write(chunk)
            bar.update(len(chunk))
            done += len(chunk)
    if size is not None and done != size:
        raise UsageError(
            f"{url} broke off after {done} of {size} bytes: run the command again, "
            "which goes on from there"
        )


def _read_chunk(response):
    """Returns the next bytes, or none at the end or where the connection breaks."""
    try:
        return response.read(CHUNK)
    except http.client.IncompleteRead as error:
        return error.partial
    except (TimeoutError, ConnectionError):
        return b""


def _version(headers):
    """Returns what If-Range takes to mean this version of a file, or None."""
    etag = headers.get("ETag")
    if etag and not etag.startswith("W/"):
        return etag
    return headers.get("Last-Modified")


def _state_path(partial):
    return partial.with_name(f"{partial.name}.json")


def _write_state(partial, url, version, size):
    state = {"url": url, "version": version, "size": size}
    partial.unlink(missing_ok=True)  # bytes of another state
    files.write_whole(_state_path(partial), json.dumps(state))


def _read_state(partial, url):
    """Returns the state of a download that can be gone on with, or None."""
    try:
        state = json.loads(_state_path(partial).read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return None
    is_known = state["url"] == url and state["version"] and state["size"]
    return state if is_known and partial.exists() else None


def forget(partial):
    """Removes a download and what is known of it."""
    partial.unlink(missing_ok=True)
    _state_path(partial).unlink(missing_ok=True)


# ---------------------------------------------------------------------------
# Check and unpack
# ---------------------------------------------------------------------------


def check(path, options):
    """Compares an archive with its checksum, or says that there is none.

    Raises:
        UsageError: it is another file. It is removed.
    """
    archive = addresses.ARCHIVES[options.name]
    if not _path_of(options.url).endswith(
        f"/{archive.file}"
    ):  # packed by somebody else
        archive = addresses.Archive(Path(_path_of(options.url)).name, ())
    if options.sha256:
        archive = archive._replace(sha256=options.sha256, size=None)
    problem = addresses.find_problem(path, archive)
    if problem:
        forget(path)
        raise UsageError(f"{options.url} is not what was wanted: {problem}")
    if not archive.sha256:
        with path.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        print(f"sha256 {sha256}: not checked, as none is published (see --sha256)")


def unpack(path, folder, is_zip):
    """Unpacks an archive into `folder`, which is there when it is whole, not before.

    Raises:
        UsageError: the archive is damaged, or a member would not stay inside. The
            download is removed.
    """
    fresh = folder.with_name(f".{folder.name}.unpack")
    shutil.rmtree(fresh, ignore_errors=True)  # of a killed run
    fresh.mkdir()
    try:
        (_unpack_zip if is_zip else _unpack_tar)(path, fresh)
        os.rename(_top(fresh, folder.name), folder)
    except UsageError:
        forget(path)
        raise
    except _DAMAGE as error:
        forget(path)
        reason = str(error).split("\n")[0]
        raise UsageError(
            f"what was downloaded is no whole archive ({reason}): run the command "
            "again, or give --url another place that has it"
        ) from None
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def _unpack_tar(path, folder):
    with tarfile.open(path, "r:*") as archive:
        for member in tqdm.tqdm(archive, unit="file", disable=None):
            if not (member.isfile() or member.isdir()):
                _refuse(member.name, "no file or folder")
            _check_name(member.name)
            try:
                archive.extract(member, folder, filter="data")
            except tarfile.FilterError as error:
                _refuse(member.name, str(error))
        while archive.fileobj.read(CHUNK):  # gzip's checksum is at the very end
            pass


def _unpack_zip(path, folder):
    with zipfile.ZipFile(path) as archive:
        for member in tqdm.tqdm(archive.infolist(), unit="file", disable=None):
            kind = stat.S_IFMT(member.external_attr >> 16)
            if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
                _refuse(member.filename, "no file or folder")
            _check_name(member.filename)
            archive.extract(member, folder)


def _check_name(name):
    """Refuses a member that would be outside of the folder."""
    path = PurePosixPath(name.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts:
        _refuse(name, "outside of the data set's folder")


def _refuse(name, reason):
    raise UsageError(
        f"the archive is not safe, its member {printable(name)!r} is {reason}: nothing "
        "was kept; give --url another place that has it"
    )


def _top(folder, name):
    """Returns the folder of an archive that holds one, or else `folder` itself."""
    if (folder / name).is_dir():
        return folder / name
    entries = [path for path in folder.iterdir() if not path.name.startswith(".")]
    is_wrapped = len(entries) == 1 and entries[0].is_dir()
    return entries[0] if is_wrapped else folder


if __name__ == "__main__":
    sys.exit(main())
