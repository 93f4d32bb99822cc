"""Downloading a data set: going on, refusing what is unsafe, whole or not at all."""

import gzip
import hashlib
import http.server
import io
import os
import subprocess
import sys
import tarfile
import threading
import zipfile
from pathlib import Path

import download_dataset
import pytest

from pix2pix_tf.datasets import addresses

TOOL = Path(download_dataset.__file__)
CONTENTS = {
    "facades/train/1.jpg": b"1" * 3000,
    "facades/train/2.jpg": os.urandom(300_000),  # does not compress
    "facades/test/3.jpg": b"",
}


def _tar(members=CONTENTS, kinds=None):
    """Returns the bytes of a .tar.gz; `kinds` gives members another type."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name, contents in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(contents)
            member.type = (kinds or {}).get(name, tarfile.REGTYPE)
            member.linkname = "train/1.jpg"
            archive.addfile(member, io.BytesIO(contents))
    return packed.getvalue()


def _zip(members):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, contents in members.items():
            archive.writestr(name, contents)
    return packed.getvalue()


class _Handler(http.server.BaseHTTPRequestHandler):
    """Answers as its server's fields say, and notes what was asked for."""

    def do_GET(self):
        server = self.server
        wanted = self.headers.get("Range")
        server.asked.append((self.path, wanted, self.headers.get("If-Range")))
        start = int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted else 0
        is_same = self.headers.get("If-Range") == server.etag
        total = len(server.contents)
        if server.status:
            self.send_response(server.status)
            self.end_headers()
            return
        if wanted and (is_same or server.ignores_if_range):
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{total - 1}/{total}")
        else:
            start = 0
            self.send_response(200)
        if server.etag:
            self.send_header("ETag", server.etag)
        self.send_header("Content-Length", str(total - start))
        self.end_headers()
        end = total if server.cut_at is None else server.cut_at
        self.wfile.write(server.contents[start:end])
        self.wfile.flush()
        if server.hangs:
            server.released.wait()

    def log_message(self, *arguments):
        pass


@pytest.fixture
def server():
    """A server on this machine, of one file; `url` is its address."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as server:
        server.contents, server.etag, server.cut_at = _tar(), '"version 1"', None
        server.status, server.ignores_if_range, server.hangs = None, False, False
        server.asked, server.released = [], threading.Event()
        server.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, args=[0.01])
        thread.start()
        yield server
        server.released.set()
        server.shutdown()
        thread.join()


def _run(folder, url, *flags):
    argv = ["facades", "--output_dir", str(folder), "--url", url, *flags]
    return download_dataset.main(argv)


def _contents(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def _file(tmp_path, contents, name="facades.tgz"):
    """Writes an archive; returns its address."""
    (tmp_path / name).write_bytes(contents)
    return (tmp_path / name).as_uri()


def test_an_archive_is_fetched_checked_and_unpacked(server, tmp_path, capsys):
    sha256 = hashlib.sha256(server.contents).hexdigest()
    assert _run(tmp_path, server.url, "--sha256", sha256.upper()) == 0
    assert _contents(tmp_path) == CONTENTS
    assert server.asked == [("/facades.tar.gz", None, None)]
    out = capsys.readouterr().out
    assert out == f"wrote {tmp_path / 'facades'} (test 1, train 2)\n"
    assert (tmp_path / "facades").stat().st_mode & 0o755 == 0o755


def test_without_a_checksum_it_says_so_and_prints_it(server, tmp_path, capsys):
    assert _run(tmp_path, f"{server.url}/mirror/other.tgz") == 0
    sha256 = hashlib.sha256(server.contents).hexdigest()
    assert f"sha256 {sha256}: not checked" in capsys.readouterr().out
    assert server.asked == [("/mirror/other.tgz", None, None)]


def test_a_second_run_asks_nobody_and_changes_nothing(server, tmp_path, capsys):
    for _ in range(2):
        assert _run(tmp_path, f"{server.url}/facades.tgz") == 0
    assert len(server.asked) == 1 and _contents(tmp_path) == CONTENTS
    assert "facades is there: nothing to do" in capsys.readouterr().out


def test_a_connection_that_breaks_is_gone_on_with(server, tmp_path, capsys):
    server.cut_at = 1000
    url = f"{server.url}/facades.tgz"
    assert _run(tmp_path, url) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert f"broke off after 1000 of {len(server.contents)} bytes" in line
    assert "run the command again" in line
    assert not (tmp_path / "facades").exists()
    server.cut_at = 2500
    assert _run(tmp_path, url) == 2
    server.cut_at = None
    assert _run(tmp_path, url) == 0
    assert _contents(tmp_path) == CONTENTS
    ranges = [(wanted, version) for _, wanted, version in server.asked]
    same = '"version 1"'
    assert ranges == [(None, None), ("bytes=1000-", same), ("bytes=2500-", same)]


@pytest.mark.parametrize("ignores_if_range", [False, True])
def test_two_versions_are_never_glued_together(
    server, tmp_path, capsys, ignores_if_range
):
    server.cut_at = 1000
    url = f"{server.url}/facades.tgz"
    assert _run(tmp_path, url) == 2
    server.cut_at, server.etag = None, '"version 2"'
    server.contents = _tar({"facades/train/9.jpg": os.urandom(5000)})
    server.ignores_if_range = ignores_if_range
    status = _run(tmp_path, url)
    if ignores_if_range:  # a server that sends the rest of another file
        assert status == 2
        assert "has changed: run the command again" in capsys.readouterr().err
        status = _run(tmp_path, url)
    assert status == 0
    assert list(_contents(tmp_path)) == ["facades/train/9.jpg"]


@pytest.mark.parametrize("etag", [None, 'W/"weak"'])
def test_without_a_version_to_go_by_it_starts_again(server, tmp_path, etag):
    server.cut_at, server.etag = 1000, etag
    url = f"{server.url}/facades.tgz"
    assert _run(tmp_path, url) == 2
    server.cut_at = None
    assert _run(tmp_path, url) == 0
    assert [wanted for _, wanted, _ in server.asked] == [None, None]
    assert _contents(tmp_path) == CONTENTS


def test_another_address_is_another_download(server, tmp_path):
    server.cut_at = 1000
    assert _run(tmp_path, f"{server.url}/facades.tgz") == 2
    server.cut_at = None
    assert _run(tmp_path, f"{server.url}/other.tgz") == 0
    assert server.asked[1] == ("/other.tgz", None, None)


def test_a_killed_run_leaves_no_half_data_set_and_is_gone_on_with(server, tmp_path):
    server.cut_at, server.hangs = 290_000, True
    url = f"{server.url}/facades.tgz"
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    command = [sys.executable, str(TOOL), "facades", "--url", url]
    partial = tmp_path / ".facades.download"
    with subprocess.Popen(command, cwd=tmp_path, env=environment) as process:
        while not (partial.exists() and partial.stat().st_size >= 2**18):
            assert process.poll() is None
        process.kill()
    assert {path.name for path in tmp_path.iterdir()} == {
        partial.name,
        f"{partial.name}.json",
    }
    server.cut_at, server.hangs = None, False
    assert _run(tmp_path, url) == 0
    assert _contents(tmp_path) == CONTENTS
    assert int(server.asked[1][1].strip("bytes=-")) >= 2**18


def test_a_run_stopped_while_unpacking_goes_on_without_the_network(
    server, tmp_path, capsys, monkeypatch
):
    def stop(old, new):
        raise KeyboardInterrupt

    (tmp_path / ".facades.unpack" / "facades").mkdir(parents=True)  # of a killed run
    (tmp_path / ".facades.unpack" / "facades" / "half.jpg").write_bytes(b"x")
    with monkeypatch.context() as patch:
        patch.setattr(download_dataset.os, "rename", stop)
        assert _run(tmp_path, f"{server.url}/facades.tgz") == 130
    assert not (tmp_path / "facades").exists()
    assert _run(tmp_path, f"{server.url}/facades.tgz") == 0
    assert _contents(tmp_path) == CONTENTS
    assert len(server.asked) == 1


def test_another_file_than_the_checksum_says_is_refused(server, tmp_path, capsys):
    assert _run(tmp_path, f"{server.url}/facades.tgz", "--sha256", "0" * 64) == 2
    [line] = capsys.readouterr().err.splitlines()
    got = hashlib.sha256(server.contents).hexdigest()
    assert "is not what was wanted" in line and got in line and "0" * 64 in line
    assert list(tmp_path.iterdir()) == []


def test_the_size_of_the_published_archive_is_checked(server, tmp_path, capsys):
    assert addresses.ARCHIVES["facades"].size
    assert _run(tmp_path, server.url) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert f"has {len(server.contents)} bytes, and facades.tar.gz has" in line


@pytest.mark.parametrize(
    "members, kinds, words",
    [
        ({"/etc/x": b"x"}, {}, "'/etc/x' is outside of the data set's folder"),
        ({"a/../../x": b"x"}, {}, "'a/../../x' is outside of the data set's folder"),
        ({"a": b""}, {"a": tarfile.SYMTYPE}, "'a' is no file or folder"),
        ({"a": b""}, {"a": tarfile.LNKTYPE}, "'a' is no file or folder"),
        ({"a": b""}, {"a": tarfile.CHRTYPE}, "'a' is no file or folder"),
        ({"a": b""}, {"a": tarfile.FIFOTYPE}, "'a' is no file or folder"),
    ],
)
def test_members_that_would_not_stay_inside_are_refused_by_name(
    tmp_path, capsys, members, kinds, words
):
    url = _file(tmp_path, _tar(CONTENTS | members, kinds))
    out = tmp_path / "out"
    assert _run(out, url) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert "the archive is not safe, its member " in line and words in line
    assert list(out.iterdir()) == []
    assert {path.name for path in tmp_path.iterdir()} == {"facades.tgz", "out"}


def test_zip_archives_are_unpacked_and_as_strict(tmp_path, capsys):
    assert _run(tmp_path / "out", _file(tmp_path, _zip(CONTENTS), "mirror.ZIP")) == 0
    assert _contents(tmp_path / "out") == CONTENTS
    link = zipfile.ZipInfo("facades/link")
    link.external_attr = 0o120777 << 16
    for member, words in (
        ("../x", "outside"),
        ("C:\\..\\x", "outside"),
        (link, "no f"),
    ):
        url = _file(tmp_path, _zip({member: b"x"}), "bad.zip")
        assert _run(tmp_path / "bad", url) == 2
        assert words in capsys.readouterr().err
        assert list((tmp_path / "bad").iterdir()) == []


@pytest.mark.parametrize(
    "members",
    [
        {"train/1.jpg": b"1", "val/2.jpg": b"2"},
        {"other_name/train/1.jpg": b"1", "other_name/val/2.jpg": b"2"},
        {"facades/train/1.jpg": b"1", "facades/val/2.jpg": b"2", "._facades": b"x"},
    ],
)
def test_the_data_set_has_its_name_however_it_is_packed(tmp_path, members):
    assert _run(tmp_path / "out", _file(tmp_path, _tar(members))) == 0
    want = {"facades/train/1.jpg": b"1", "facades/val/2.jpg": b"2"}
    assert _contents(tmp_path / "out") == want


@pytest.mark.parametrize("name", ["facades.tgz", "facades.zip"])
@pytest.mark.parametrize("kind", ["cut", "page", "flipped"])
def test_a_damaged_archive_leaves_nothing(tmp_path, capsys, name, kind):
    whole = _tar() if name.endswith("tgz") else _zip(CONTENTS)
    contents = {
        "cut": whole[:100_000],
        "page": b"<html>Log in first</html>",
        "flipped": whole[:100_000] + bytes([whole[100_000] ^ 255]) + whole[100_001:],
    }[kind]
    assert _run(tmp_path / "out", _file(tmp_path, contents, name)) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert "is no whole archive (" in line and "--url" in line
    assert list((tmp_path / "out").iterdir()) == []


def test_a_flaw_in_the_checksum_of_gzip_is_damage_too(tmp_path, capsys):
    contents = gzip.compress(gzip.decompress(_tar()))
    contents = contents[:-8] + b"\0" * 4 + contents[-4:]  # CRC-32, then the size
    assert _run(tmp_path / "out", _file(tmp_path, contents)) == 2
    assert "is no whole archive (CRC check failed" in capsys.readouterr().err
    assert list((tmp_path / "out").iterdir()) == []


def test_what_the_server_refuses_is_one_line(server, tmp_path, capsys):
    server.status = 404
    assert _run(tmp_path, server.url) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert "facades.tar.gz answers 404 Not Found: give --url another" in line
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "flags, message",
    [
        (["faces"], "argument NAME: invalid choice: 'faces' (choose from 'facades', "),
        (["facades", "--url", "facades.tgz"], "--url must begin with http://, https:"),
        (["facades", "--url", "http://127.0.0.1:1"], "cannot be reached (["),
        (["facades", "--url", "http://[x"], "is no address: Invalid IPv6"),
        (["facades", "--url", "file:///gone/a.tgz"], "No such file or directory"),
        (["facades", "--sha256", "abc"], "--sha256 must be 64 hex digits, got abc"),
        (["facades", "--output_dir", "a.txt"], "File exists: 'a.txt'"),
        (["maps"], "maps is a file: name another --output_dir"),
    ],
)
def test_what_cannot_be_is_one_line_and_writes_nothing(
    tmp_path, capsys, monkeypatch, flags, message
):
    monkeypatch.chdir(tmp_path)
    for name in ("a.txt", "maps"):
        (tmp_path / name).write_text("x")
    assert download_dataset.main(flags) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith("download_dataset: error: ") and message in line
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.txt", "maps"]


def test_the_table_has_the_papers_data_sets():
    assert list(addresses.ARCHIVES) == [
        "facades", "cityscapes", "maps", "edges2shoes", "edges2handbags", "night2day"
    ]  # fmt: skip
    options = download_dataset.parse(["night2day"])
    want = "http://efrosgans.eecs.berkeley.edu/pix2pix/datasets/night2day.tar.gz"
    assert options.url == want
