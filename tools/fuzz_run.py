"""One run of one of the fuzzer's cases, and what is wrong with how it ends."""

import contextlib
import hashlib
import importlib
import os
import re
import shutil
import sys
import traceback
from pathlib import Path

import fuzz_files
from pix2pix_tf.options import parse, write_options
from pix2pix_tf.runtime import files

TRAIN = "pix2pix_tf.train"
PROCESS = "pix2pix_tf.commands.process"
SPLIT = "pix2pix_tf.commands.split"
SCORE = "pix2pix_tf.commands.score"
TINY = ("--ngf", "1", "--ndf", "1", "--crop_size", "32")
STREAMS = ("closed", "broken pipe", "full disk", "ascii")  # what both may lead to
GOOD_ENDINGS = (0, 1, 2, 130, 143)
MAX_LINE = 20_000  # characters of an error: it may name a hundred files
# What index.html is made of.
_BLOCK = re.compile("<(?:script|style)>.*?</(?:script|style)>", re.DOTALL)
_TAG = re.compile(
    "<!doctype html>|</?(html|head|meta|title|body|table|thead|tbody|tr|th|td|img|h1|p)"
    '( (lang|charset|class|data-sort|src|alt|loading)="[^"<>]*")*>',
    re.IGNORECASE,
)


def make_template(folder: Path) -> None:
    """Writes `template`, what every case starts from: images, and a tiny model."""
    from pix2pix_tf import checkpoints
    from pix2pix_tf.training import step

    template = folder / "template"
    fuzz_files.write_images(template)
    argv = ["--mode", "train", "--input_dir", str(template / "png"), *TINY]
    options = parse([*argv, "--output_dir", str(template / "model")])
    state = step.make_state(
        options.pair.channels, options.model, options.loss, options.optimizer
    )
    state.global_step.assign(1)
    write_options(options)
    checkpoints.save(state, options.run.output_dir, keep=1)


def run(case: dict, folder: Path) -> tuple[int | None, str | None]:
    """Runs one case in a folder where `make_template` was.

    Returns:
        The exit status, or None for a traceback; and what is wrong, or None.
    """
    work = folder / case.get("place", "work")
    ending, problem = _run_once(case, work, None)
    stream = case.get("stream")
    if stream and not problem:
        wanted = ending, _results(work)
        ending, problem = _run_once(case, work, stream)
        got = ending, _results(work)
        if got != wanted and not problem:
            problem = f"with {stream}: wanted {wanted}, got {got}"
    return ending, problem


def _results(work):
    """Returns the paths of what a run wrote, without names that hold the time."""
    found = (path.relative_to(work) for path in (work / "out").rglob("*"))
    return sorted(str(path) for path in found if "tfevents" not in path.name)


def _run_once(case, work, stream):
    """Runs a case in a fresh folder `work`; Returns: as `run`."""
    shutil.rmtree(work, ignore_errors=True)
    shutil.copytree(work.parent / "template", work)
    (work / "cwd").mkdir()
    for edit in case["edits"]:
        with contextlib.suppress(OSError, ValueError):  # an earlier edit was in its way
            fuzz_files.change(work, **edit)
    argv = [text.replace("{w}", str(work)) for text in case["argv"]]
    before = _snapshot(work)
    command = case.get("command", TRAIN)
    ending, stdout, stderr = _call(command, argv, work / "cwd", stream)
    problem = _ending_problem(ending) or _page_problem(work / "out")
    if not (stream or problem):
        # The command `process` has a line for each image that it cannot use.
        problem = _text_problem(ending, stdout, stderr, command == PROCESS)
    after = _snapshot(work)
    changed = [name for name in before if before[name] != after.get(name)]
    if changed and not problem:
        problem = f"changed {', '.join(changed)}"
    return ending if isinstance(ending, int) else None, problem


def _snapshot(work):
    """Returns {path: hash} of the files there are, but for those of this run."""
    return {
        str(path.relative_to(work)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(work.rglob("*"))
        if path.is_file() and path.relative_to(work).parts[0] not in ("out", "cwd")
    }


def _call(command, argv, cwd, stream):
    """Returns (exit status or traceback, stdout, stderr) of a command line.

    Both are caught at the process's own files, for native code writes there.
    """
    place = os.getcwd()
    os.chdir(cwd)
    try:
        main = importlib.import_module(command).main
        with _stream(1, stream) as out, _stream(2, stream) as err:
            ending = _ending(main, argv)
    finally:
        os.chdir(place)
    return ending, "".join(out), "".join(err)


def _ending(main, argv):
    try:
        return main(argv)
    except SystemExit as stop:
        return stop.code
    except Exception:
        return traceback.format_exc()


@contextlib.contextmanager
def _stream(number, how):
    """Replaces a standard stream, Python's and the process's, by one of STREAMS.

    Yields:
        a list that afterwards has the text that was written, if `how` is None.
    """
    name = {1: "stdout", 2: "stderr"}[number]
    texts, python_stream = [], getattr(sys, name)
    python_stream.flush()
    saved = os.dup(number)
    target = _open_target(how)
    os.dup2(target, number)
    settings = {"encoding": "ascii" if how == "ascii" else "utf-8"}
    settings["errors"] = "backslashreplace" if number == 2 else "strict"
    new = open(number, "w", buffering=1, closefd=False, **settings)  # noqa: SIM115
    if how == "closed":
        os.close(number)
        new = None
    setattr(sys, name, new)
    try:
        yield texts
    finally:
        with contextlib.suppress(OSError):
            if new:
                new.flush()
        setattr(sys, name, python_stream)
        os.dup2(saved, number)
        os.close(saved)
        if how is None:
            texts.append(_contents(target))
        os.close(target)


def _open_target(how):
    """Returns the descriptor of a new file that a stream shall lead to."""
    if how == "broken pipe":
        reading, writing = os.pipe()
        os.close(reading)
        return writing
    if how == "full disk":
        return os.open("/dev/full", os.O_WRONLY)
    return os.memfd_create("stream")


def _contents(descriptor):
    with open(descriptor, "rb", closefd=False) as file:
        file.seek(0)
        return file.read().decode(errors="replace")


def _ending_problem(ending):
    if not isinstance(ending, int):
        return f"a traceback:\n{ending}"
    if ending not in GOOD_ENDINGS:
        return f"ended with {ending}"
    return None


def _text_problem(ending, stdout, stderr, is_several):
    """Returns what is wrong with what a run said, or None."""
    if files.printable(stdout.replace("\n", "")) != stdout.replace("\n", ""):
        return f"control characters on stdout: {stdout[-500:]!r}"
    lines = [text for text in stderr.splitlines() if not text.startswith("warning: ")]
    if ending == 2 and not (
        lines and (is_several or len(lines) == 1) and 20 < len(lines[-1]) < MAX_LINE
    ):
        return f"wanted one clear line on stderr, got {stderr[-2000:]!r}"
    if ending == 2 and files.printable(lines[-1]) != lines[-1]:
        return f"control characters in the error: {stderr!r}"
    return None


def _page_problem(output_dir):
    """Returns what index.html holds besides the template and escaped names, or None."""
    from pix2pix_tf.inference import gallery

    path = output_dir / gallery.INDEX_NAME
    if not path.exists():
        return None
    text = path.read_text(encoding="utf-8")
    for block in _BLOCK.findall(gallery.TEMPLATE_PATH.read_text(encoding="utf-8")):
        if block not in text:
            return "index.html lacks a script or style of gallery.html"
        text = text.replace(block, "", 1)
    strange = re.search("<.{,80}", _TAG.sub("", text), re.DOTALL)
    return f"index.html holds {strange[0]}" if strange else None
