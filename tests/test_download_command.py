"""Downloading a data set: completely or not at all, and one line for each error."""

import functools
import gzip
import hashlib
import http.server
import io
import os
import tarfile
import threading
import zipfile

import pytest

from pix2pix_tf.commands import download

CONTENTS = {
    "facades/train/1.jpg": b"1" * 3000,
    "facades/train/2.jpg": os.urandom(300_000),  # does not compress
    "facades/test/3.jpg": b"",
}
OTHER = "0" * 64  # a sha256


def _tar(members=CONTENTS, kind=tarfile.REGTYPE):
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name, contents in members.items():
            member = tarfile.TarInfo(name)
            member.size, member.type, member.linkname = len(contents), kind, "1.jpg"
            archive.addfile(member, io.BytesIO(contents))
    return packed.getvalue()


def _zip(members=CONTENTS):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, contents in members.items():
            archive.writestr(name, contents)
    return packed.getvalue()


class _Handler(http.server.SimpleHTTPRequestHandler):
    """Serves a folder; a file that is called cut-* breaks off."""

    def copyfile(self, source, outputfile):
        outputfile.write(source.read(1000 if "/cut-" in self.path else -1))

    def log_message(self, *_):
        pass


@pytest.fixture
def server(tmp_path):
    """The address of a server of the archives in tmp_path / "served"."""
    (tmp_path / "served").mkdir()
    for name in ("facades.tar.gz", "other.tgz", "cut-1.tgz"):
        (tmp_path / "served" / name).write_bytes(_tar())
    handler = functools.partial(_Handler, directory=tmp_path / "served")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=[0.01])
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def _run(folder, url, *flags):
    argv = ["facades", "--output_dir", str(folder), "--url", str(url), *flags]
    return download.main(argv)


def _contents(folder):
    paths = [path for path in folder.rglob("*") if path.is_file()]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


def test_an_archive_is_downloaded_checked_and_unpacked_once(server, tmp_path, capsys):
    out = tmp_path / "out"
    contents = (tmp_path / "served" / "facades.tar.gz").read_bytes()
    sha256 = hashlib.sha256(contents).hexdigest()
    (out / ".facades.1a2b3c4d.partial.work").mkdir(parents=True)  # of a killed run
    assert _run(out, server, "--sha256", sha256.upper()) == 0
    assert _contents(out) == CONTENTS
    assert [path.name for path in out.iterdir()] == ["facades"]
    wrote = f"sha256 {sha256}\nwrote {out}/facades (test 1, train 2)\n"
    assert capsys.readouterr() == (wrote, "")
    assert _run(out, "http://127.0.0.1:1") == 0  # nobody is asked
    assert capsys.readouterr().out == f"{out}/facades exists: nothing to do\n"


@pytest.mark.parametrize(
    "url, flags, words",
    [
        ("{}/facades.tar.gz", [], "bytes, and facades.tar.gz 30168306"),
        ("{}/other.tgz?a=1", ["--sha256", OTHER], f"and facades.tar.gz {OTHER}"),
        ("{}/no.tgz", [], "/no.tgz answers 404 File not found: give --url another"),
        ("{}/cut-1.tgz", [], "/cut-1.tgz broke off before the end: give --url"),
        ("http://127.0.0.1:1", [], "could not be reached (ConnectionError): give --u"),
        ("http://[x", [], "is not a valid host"),
        ("gone.tgz", [], "No such file or directory: 'gone.tgz'"),
        ("{}", ["--sha256", "abc"], "--sha256 must be 64 hex digits, got abc"),
    ],
)
def test_what_cannot_be_downloaded_is_one_line_and_leaves_nothing(
    server, tmp_path, capsys, url, flags, words
):
    assert _run(tmp_path / "out", url.format(server), *flags) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith("pix2pix-tf download: error: ") and words in line
    assert "HTTPConnectionPool" not in line
    assert not list(tmp_path.glob("out/*"))


@pytest.mark.parametrize(
    "contents, words",
    [
        (_tar()[:100_000], "end-of-stream marker"),
        (_zip().replace(b"1" * 3000, b"2" * 3000), "Bad CRC-32"),
        (gzip.compress(gzip.decompress(_tar()))[:-8] + bytes(8), "CRC check failed"),
        (b"<html>Log in first</html>", "file could not be opened"),
        (_tar(CONTENTS | {"a/../../x": b"x"}), "'a/../../x' would be extracted to"),
        (_tar({"a": b""}, tarfile.SYMTYPE), "'a' is not a file or a folder"),
        (_tar({"a": b""}, tarfile.LNKTYPE), "'a' is not a file or a folder"),
    ],
    # Not of the bytes, which hold the time: test processes must agree on names.
    ids=["cut", "bit", "checksum", "page", "outside", "symlink", "hardlink"],
)
def test_a_damaged_or_unsafe_archive_leaves_nothing(tmp_path, capsys, contents, words):
    (tmp_path / "a.tgz").write_bytes(contents)
    assert _run(tmp_path / "out", tmp_path / "a.tgz") == 2
    [line] = capsys.readouterr().err.splitlines()
    assert "a.tgz is damaged or not safe (" in line and words in line
    assert not list(tmp_path.glob("out/*"))
    assert {path.name for path in tmp_path.iterdir()} == {"a.tgz", "out"}


@pytest.mark.parametrize("name", ["1.jpg", "facades/1.jpg", "facades/train", "a/b/c"])
def test_an_archive_of_something_else_leaves_nothing(tmp_path, capsys, name):
    (tmp_path / "a.tgz").write_bytes(_tar({name: b"1"}))
    assert _run(tmp_path / "out", tmp_path / "a.tgz") == 2
    [line] = capsys.readouterr().err.splitlines()
    assert "a.tgz has no folder train or val or test, as facades.tar.gz has" in line
    assert not list(tmp_path.glob("out/*"))


@pytest.mark.parametrize(
    "contents",
    [
        _tar({"train/1.jpg": b"1", "val/2.jpg": b"2"}),
        _tar({"other/train/1.jpg": b"1", "other/val/2.jpg": b"2", "._x": b"x"}),
        _zip({"facades/train/1.jpg": b"1", "../facades/val/2.jpg": b"2"}),
    ],
)
def test_a_path_is_read_and_the_data_set_has_its_name(tmp_path, contents):
    path = tmp_path / "a b.tgz"
    path.write_bytes(contents)
    for url in (path, path.as_uri()):
        assert _run(tmp_path / url.__class__.__name__, url) == 0
        assert _contents(tmp_path / url.__class__.__name__) == {
            "facades/train/1.jpg": b"1",
            "facades/val/2.jpg": b"2",
        }
