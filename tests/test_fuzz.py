"""A few of the fuzzer's cases, and that it finds what is bad."""

import contextlib
import sys

import hypothesis
import pytest
from hypothesis import HealthCheck
from hypothesis import strategies as st

import fuzz
import fuzz_cases
import fuzz_files
import fuzz_run
from pix2pix_tf.inference import gallery

MODES = {
    "train": ["--mode", "train", *fuzz_run.TINY, "--dry_run"],
    "test": ["--mode", "test", "--checkpoint", "{w}/model"],
    "export": ["--mode", "export", "--checkpoint", "{w}/model"],
}
REPEATED = hypothesis.settings(derandomize=True, database=None, deadline=None)
OPTIONS = {"file": "model/options.json", "how": "set"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fuzz")
    fuzz_run.make_template(folder)
    return folder


def _run(folder, mode, *edits, inputs="png"):
    argv = [*MODES[mode], "--input_dir", f"{{w}}/{inputs}", "--output_dir", "{w}/out"]
    return fuzz_run.run({"argv": argv, "edits": list(edits)}, folder)


@hypothesis.settings(REPEATED, max_examples=25, suppress_health_check=list(HealthCheck))
@hypothesis.given(fuzz_cases.cases(kinds=("options",)))
def test_no_options_json_ends_badly(folder, case):
    ending, problem = fuzz_run.run(case, folder)
    assert problem is None, (case, ending)


def test_names_of_every_kind_are_written_and_shown(folder):
    copy = {"file": "png/1.png", "how": "copy"}
    edits = [copy | {"to": name} for name in fuzz_cases.NAMES]
    assert _run(folder, "test", *edits) == (0, None)
    pages = (folder / "work" / "out" / "index.html").read_text(encoding="utf-8")
    # One more file was there; and "...png" is hidden, so that it is left out.
    assert pages.count("<img ") == 3 * len(fuzz_cases.NAMES)
    assert "<img src=x" not in pages and "\x1b" not in pages


@pytest.mark.parametrize(
    "edit",
    [
        {"file": "model/model-1.data-00000-of-00001", "how": "pipe"},
        {"file": "model/options.json", "how": "pipe"},
        {"file": "png/1.png", "how": "pipe"},
        OPTIONS | {"name": "ngf", "value": 10**9},
        OPTIONS | {"name": "ngf", "value": 2},
        OPTIONS | {"name": "ndf", "value": 2},
    ],
)
@pytest.mark.parametrize("mode", ["test", "export"])
def test_what_would_hang_or_exhaust_or_go_unnoticed_is_refused(folder, edit, mode):
    is_picture = edit["file"] == "png/1.png"
    if not (is_picture and mode == "export"):
        assert _run(folder, mode, edit) == (2, None)


def test_the_fuzzer_sees_tracebacks_noise_and_damage(folder, monkeypatch):
    def damage(argv):
        (folder / "work" / "png" / "1.png").write_bytes(b"")
        return 0

    def speak(argv):
        print("a line\nand another\n\x1b[2J")
        return 0

    endings = {
        "a traceback": lambda argv: 1 / 0,
        "ended with 3": lambda argv: 3,
        "wanted one clear line": lambda argv: 2,
        "control characters": speak,
        "changed png/1.png": damage,
    }
    for words, main in endings.items():
        monkeypatch.setattr("pix2pix_tf.train.main", main)
        assert words in _run(folder, "train")[1]


@pytest.mark.parametrize("stream", fuzz_run.STREAMS)
def test_the_fuzzer_sees_work_that_a_stream_costs(folder, monkeypatch, stream):
    def main(argv):
        with contextlib.suppress(Exception):
            sys.stdout.write("\u5199")
            sys.stdout.flush()
            (folder / "work" / "out").mkdir()
            (folder / "work" / "out" / "result").touch()
        return 0

    monkeypatch.setattr("pix2pix_tf.train.main", main)
    case = {"argv": [], "edits": [], "stream": stream}
    assert f"with {stream}: wanted" in fuzz_run.run(case, folder)[1]


@hypothesis.settings(REPEATED, max_examples=60)
@hypothesis.given(st.data())
def test_files_are_made_as_they_are_drawn(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("made")
    for kind, drawn in fuzz_files.DRAWN.items():
        path = folder / kind
        path.touch()
        drawn = data.draw(st.fixed_dictionaries(drawn))
        fuzz_files.change(folder, kind, how=kind, **drawn)
        # tifffile refuses many combinations, and a palette may have no line.
        assert path.stat().st_size or kind != "bmp"


@pytest.mark.parametrize(
    "strange",
    [
        "<script>alert(1)</script>",
        "<script>alert(1)",
        "<style>img { display: none }</style>",
        '<script src="x"></script>',
        '<td onclick="alert(1)">',
        "<iframe>",
    ],
)
def test_the_fuzzer_sees_what_is_not_the_pages(tmp_path, strange):
    column = gallery.Column("l1", [0.5], 4, is_better_high=False)
    row = gallery.Row("house")
    path = gallery.write_index(tmp_path, [row], columns=[column])
    assert fuzz_run._page_problem(tmp_path) is None
    path.write_text(path.read_text().replace("</table>", f"{strange}</table>"))
    assert f"holds {strange[:5]}" in fuzz_run._page_problem(tmp_path)
    path.write_text(path.read_text().partition("<script>")[0])
    assert fuzz_run._page_problem(tmp_path)


def test_cases_are_the_seeds():
    assert fuzz_cases.draw(20, 5) == fuzz_cases.draw(20, 5) != fuzz_cases.draw(20, 6)


def test_a_wrong_bound_is_refused(capsys):
    assert fuzz.main(["--cases", "0"]) == 2
    assert "--cases" in capsys.readouterr().err
