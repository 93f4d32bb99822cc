"""Files are written whole or not at all, and what a killed process left is removed."""

import errno
import os
import stat

import pytest

from pix2pix_tf.runtime import files


def _names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_file_has_its_name_only_once_it_is_on_the_disk(tmp_path, monkeypatch):
    seen = []

    def sync(descriptor):
        is_folder = stat.S_ISDIR(os.fstat(descriptor).st_mode)
        seen.append((is_folder, "options.json" in _names(tmp_path)))

    monkeypatch.setattr(os, "fsync", sync)
    files.write_whole(tmp_path / "options.json", "\u00e9")
    assert seen == [(False, False), (True, True)]
    assert (tmp_path / "options.json").read_bytes() == b"\xc3\xa9"
    assert _names(tmp_path) == ["options.json"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_what_fails_leaves_the_old_file_and_nothing_else(tmp_path, error):
    (tmp_path / "a.txt").write_text("old")
    with pytest.raises(error), files.writing(tmp_path / "a.txt") as partial:
        partial.write_text("half")
        raise error
    assert (tmp_path / "a.txt").read_text() == "old" and _names(tmp_path) == ["a.txt"]


def test_a_folder_is_written_whole_or_not_at_all_too(tmp_path):
    with pytest.raises(ValueError), files.writing(tmp_path / "set") as partial:
        partial.mkdir()
        files.write_whole(partial / "1.txt", "1")
        raise ValueError
    assert _names(tmp_path) == []
    with files.writing(tmp_path / "set") as partial:
        partial.mkdir()
        files.write_whole(partial / "1.txt", "1")
    assert _names(tmp_path) == ["set"] and _names(tmp_path / "set") == ["1.txt"]


def test_files_of_several_endings_come_together(tmp_path):
    with files.writing(tmp_path / "model-1", (".data", ".index")) as partial:
        for ending in (".data", ".index"):
            partial.with_name(partial.name + ending).write_text(ending)
    assert _names(tmp_path) == ["model-1.data", "model-1.index"]


@pytest.mark.parametrize("name", ["\u7d75" * 81 + ".jpg", "a" * 255, "[a]*?", "-"])
def test_any_legal_name_can_be_written(tmp_path, name):
    files.write_whole(tmp_path / name, b"1")
    with pytest.raises(ValueError), files.writing(tmp_path / name) as partial:
        partial.write_bytes(b"2")
        raise ValueError
    assert _names(tmp_path) == [name] and (tmp_path / name).read_bytes() == b"1"


def test_a_name_made_from_a_name_is_shortened_only_where_it_must_be():
    derive = files.derive_name
    assert derive("a" * 243, "x-", ".png", 6) == f"x-{'a' * 243}.png"
    names = ["\u7d75" * 83 + end for end in ("a", "b")] + ["\ud55c\u0301e\u0301" * 31]
    names += ["caf\udce9" * 80]
    derived = [derive(name, "00000001-", "-inputs.png", 1) for name in names]
    assert len(set(derived)) == len(names)
    for name in derived:
        assert 245 < len(os.fsencode(name)) <= 254, name
        assert name.startswith("00000001-") and name.endswith("-inputs.png")
    assert derived[0].partition("~")[0] == "00000001-" + "\u7d75" * 73
    assert "\u0301~" in derived[2]  # no letter loses its accent
    # What was shortened once is not shortened again.
    assert derive(derived[0], room=1) == derived[0]


def test_an_error_names_the_file_that_was_wanted(tmp_path):
    with pytest.raises(FileNotFoundError, match="no_such/a.txt'$"):
        files.write_whole(tmp_path / "no_such" / "a.txt", "")
    with pytest.raises(OSError, match=r"No space left.*/a.txt'$"):
        with files.writing(tmp_path / "a.txt"):
            raise OSError(errno.ENOSPC, "No space left on device")


def test_a_folder_that_cannot_be_synced_is_no_failure_and_a_file_is(
    tmp_path, monkeypatch
):
    unable = (stat.S_ISDIR,)

    def sync(descriptor):
        if any(is_kind(os.fstat(descriptor).st_mode) for is_kind in unable):
            raise OSError(errno.EINVAL, "Invalid argument")

    monkeypatch.setattr(os, "fsync", sync)
    files.write_whole(tmp_path / "a.txt", "1")
    unable = (stat.S_ISREG,)
    with pytest.raises(OSError, match="Invalid argument"):
        files.write_whole(tmp_path / "a.txt", "2")
    assert (tmp_path / "a.txt").read_text() == "1" and _names(tmp_path) == ["a.txt"]


def test_what_a_killed_process_left_is_removed_and_nothing_else(tmp_path):
    writing = files.writing(tmp_path / "facades")
    left = writing.__enter__()
    left.mkdir()
    (left / "1.jpg").write_bytes(b"1")
    for name in (  # of earlier versions
        ".options.json.partial",
        ".model-5.partial.index.tempstate1",
    ):
        (tmp_path / name).write_bytes(b"half")
    (tmp_path / ".model.partial-123").mkdir()
    (tmp_path / "images").mkdir()
    deep = tmp_path / "images" / ".140001.partial"
    deep.write_bytes(b"half")
    for name in (".note", "a.partial", "facades2"):
        (tmp_path / name).write_text("not ours")
    files.remove_partials(tmp_path, "facade")
    assert left.exists()
    files.remove_partials(tmp_path, "facades")
    assert not left.exists() and len(_names(tmp_path)) == 7
    files.remove_partials(tmp_path)
    assert _names(tmp_path) == [".note", "a.partial", "facades2", "images"]
    assert deep.exists()
    files.remove_partials(tmp_path, recursive=True)
    assert not deep.exists()
