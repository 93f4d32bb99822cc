"""The fuzzer's cases: what they are drawn from, and one run of one of them.

A case is plain data: {"command": name, "argv": [...], "edits": [{...}, ...], "place":
name, "stream": name}. `{w}` in it stands for the folder `place` that it runs in, a
fresh copy of `make_template`'s.
"""

import contextlib
import hashlib
import importlib
import json
import os
import re
import shutil
import sys
import traceback
import zlib
from pathlib import Path

import hypothesis
from hypothesis import strategies as st

import fuzz_files
from pix2pix_tf.options import FLAGS, parse, write_options
from pix2pix_tf.options.flag import Size
from pix2pix_tf.runtime import files

TINY = ("--ngf", "1", "--ndf", "1", "--crop_size", "32")
GOOD_ENDINGS = (0, 1, 2, 130, 143)
MAX_LINE = 20_000  # characters of an error: it may name a hundred files
CHECKPOINT_FILES = ("checkpoint", "model-1.index", "model-1.data-00000-of-00001")
MODEL_FILES = (*CHECKPOINT_FILES, "options.json")
# What index.html is made of.
_BLOCK = re.compile("<(?:script|style)>.*?</(?:script|style)>", re.DOTALL)
_TAG = re.compile(
    "<!doctype html>|</?(html|head|meta|title|body|table|thead|tbody|tr|th|td|img)"
    '( (lang|charset|class|data-sort|src|alt|loading)="[^"<>]*")*>',
    re.IGNORECASE,
)
TRAIN = "pix2pix_tf.train"
# {kind of case: [(command, its flags)]}; the edits are those of `_EDITS`.
_TEST = ["--mode", "test", "--checkpoint", "{w}/model"]
_OF_MODEL = [
    (TRAIN, ["--mode", mode, "--checkpoint", "{w}/model", "--input_dir", "{w}/png"])
    for mode in ("test", "test", "export", "train")
]
_OF_IMAGES = [
    (TRAIN, [*_TEST, "--input_dir", "{w}/{images}"]),
    (TRAIN, ["--mode", "train", "--dry_run", *TINY, "--input_dir", "{w}/{images}"]),
    *(
        ("process", ["--input_dir", "{w}/{images}", "--operation", *flags])
        for flags in (
            ["resize", "--size", "8"],
            ["grayscale"],
            ["edges", "--output_filetype", "jpg"],
            ["combine", "--b_dir", "{w}/npy", "--workers", "2"],
        )
    ),
    ("split", ["--dir", "{w}/{images}"]),
    ("score", ["{w}/{images}", "{w}/png"]),
]
COMMANDS = {
    "options": _OF_MODEL,
    "checkpoint": _OF_MODEL,
    "images": _OF_IMAGES,
    "tiff": _OF_IMAGES[:3],
    "bmp": _OF_IMAGES[:3],
    "palette": [
        (TRAIN, [*_TEST, "--input_dir", "{w}/png", "--palette", "{w}/palette.csv"]),
        ("score", ["{w}/png", "{w}/png", "--palette", "{w}/palette.csv"]),
    ],
}
COMMANDS["names"] = [*_OF_IMAGES, *_OF_MODEL]
KINDS = ("flags", "flags", "names", "names", "names", *COMMANDS)
# What stdout (1) and stderr (2) lead to.
STREAMS = ("closed", "broken pipe", "full disk", "ascii")


def draw(count: int, seed: int) -> list[dict]:
    """Returns a list of cases; the same count and seed give the same ones."""
    found = []

    @hypothesis.seed(seed)
    @hypothesis.settings(
        max_examples=count,
        database=None,
        deadline=None,
        phases=[hypothesis.Phase.generate],
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    @hypothesis.given(cases())
    def collect(case):
        found.append(case)

    collect()
    return found


@st.composite
def cases(draw, kinds: tuple[str, ...] = KINDS) -> dict:
    """Draws one case of these kinds."""
    kind = draw(st.sampled_from(kinds))
    images = draw(st.sampled_from(sorted(fuzz_files.IMAGES)))
    images = {"tiff": "tif", "bmp": "bmp"}.get(kind, images)
    if kind == "flags":
        mode, images, edits = draw(st.sampled_from(["train"] * 3 + ["test"])), "png", []
        command, argv = TRAIN, ["--mode", mode, "--input_dir", "{w}/png"]
        is_dry = mode == "train" and draw(st.integers(0, 9)) > 0
        argv += [*TINY, *["--dry_run"] * is_dry] if mode == "train" else _TEST[2:]
        argv += draw(st.lists(_flags(mode), min_size=1, max_size=4).map(_flat))
    else:
        command, argv = draw(st.sampled_from(COMMANDS[kind]))
        file = f"{images}/{fuzz_files.IMAGES[images]}"
        num_edits = 0 if kind == "names" else draw(st.integers(1, 3))
        edits = [draw(_edits(kind, file)) for _ in range(num_edits)]
    if kind not in ("options", "checkpoint"):
        edits += draw(st.lists(_renames(images), max_size=1))
    if command == TRAIN and not {"--dry_run", "export"} & set(argv):
        argv = [*argv, "--max_steps", "1"]
    if command != "score":
        argv = ["--output_dir", "{w}/out", *argv]
    return {
        "command": command,
        "argv": [text.replace("{images}", images) for text in argv],
        "edits": edits,
        "place": draw(st.just("work") | st.sampled_from(PLACES)),
        "stream": draw(st.sampled_from([None] * 6 + [*STREAMS])),
    }


def _flat(lists):
    return [item for items in lists for item in items]


# What is drawn: texts, values of flags, and edits of files.

PLACES = (
    "p[1]",
    "a b*c?",
    "\u5199\u771f",
    "e\u0301",
    "{model}",
    "~",
    "%20#",
    "a'b\"c\\d",
    "a\nb",
    "caf\udce9",
    "--mode",
    "a" * 255,
)
NAMES = (
    "<img src=x onerror=alert(1)>",
    "a\nb",
    "\x1b[31mred\x1b[2J",
    '"quoted"',
    "'",
    "%2e%2e",
    "..",
    "-rf",
    "--mode",
    "caf\udce9",
    "con",
    "\u202etxt",
    "\u2028",
    "&amp;",
    "a" * 240,
    "{model}",
    "*",
    "[a-c]?",
    " ",
    "\u5199" * 81,
    "e\u0301",
)
_TEXTS = st.sampled_from(NAMES) | st.text(
    st.characters(codec="utf-8", exclude_characters="/\0"), max_size=12
)
_PATHS = st.sampled_from(
    ["{w}/png", "{w}/jpg/1.jpg", "{w}/model", "{w}/none", "", "/dev/null", "/proc/none"]
)
_INTS = st.sampled_from([-1, 0, 1, 2, 3, 5, 7, 8, 31, 32, 33, 64, 10**6]) | (
    st.sampled_from([10**9, 2**31 - 1, 2**31, 2**63, 10**30, 10**400])
)
_FLOATS = st.floats() | st.sampled_from([0, 1, -1, 0.5, 1e-300, 1e300, 10**400])


def _flags(mode):
    """Draws a flag and its values, mostly of the right type: ["--ngf", "7"]."""
    names = sorted(name for name in FLAGS if mode in FLAGS[name].modes)
    names = [name for name in names if name not in ("dry_run", "mode")]
    return st.one_of(
        st.sampled_from(names).flatmap(_flag),
        st.sampled_from(names).flatmap(_flag),
        st.sampled_from(names).flatmap(_flag),
        st.sampled_from(["--mode", "--no_flip", "--ng", "--", "-h", "-x", "7"]).map(
            lambda flag: [flag]
        ),
        _TEXTS.map(lambda text: [f"--{text}"]),
    )


def _flag(name):
    one = FLAGS[name]
    if one.type is bool:
        return st.just([f"--{name}"])
    if one.choices:
        values = st.sampled_from(one.choices) | _TEXTS
    elif one.type is float:
        values = _FLOATS
    elif one.type is str:
        values = _PATHS | _TEXTS
    else:
        values = _INTS
    values = st.one_of(values, values, values, values, _TEXTS)
    counts = st.integers(0, 3) if one.type is Size else st.just(1)
    return counts.flatmap(
        lambda count: st.lists(values.map(str), min_size=count, max_size=count)
    ).map(lambda texts: [f"--{name}", *texts])


def _edits(kind, image):
    """Draws one edit of the files that a kind of case is about."""
    if kind == "options":
        return _options_edits() | _byte_edits("model/options.json")
    if kind == "checkpoint":
        names = st.sampled_from(CHECKPOINT_FILES).map("model/{}".format)
        return names.flatmap(_byte_edits)
    if kind == "images":
        return _byte_edits(image)
    file = "palette.csv" if kind == "palette" else image
    made = {"file": st.just(file), "how": st.just(kind)}
    return st.fixed_dictionaries(made | fuzz_files.DRAWN[kind])


def _options_edits():
    """Draws what is done to options.json: at a key, or to all of it."""
    names = st.sampled_from(sorted(FLAGS)) | _TEXTS
    values = st.recursive(
        st.none() | st.booleans() | _INTS | _FLOATS | _TEXTS | _PATHS,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXTS, inner),
        max_leaves=3,
    )
    raw = st.sampled_from(
        ["", "null", "[]", "{}", "{" * 10**5, "[" * 10**5, "\ufeff{}", "1" * 5000]
    )
    kinds = {
        "set": {"name": names, "value": values},
        "drop": {"name": names},
        "twice": {"name": names},
        "text": {"text": raw},
    }
    return _one_of("model/options.json", kinds)


def _byte_edits(name):
    """Draws what is done to a file's bytes; places are shares of its length."""
    share = st.floats(0, 1)
    word = st.sampled_from("00 ff 7f 01 00000000 ffffffff 7fffffff 0000ea60".split())
    others = [f"{folder}/{file}" for folder, file in fuzz_files.IMAGES.items()]
    others += [f"model/{file}" for file in MODEL_FILES]
    kinds = {
        "truncate": {"at": share},
        "flip": {"at": share, "bit": st.integers(0, 7)},
        "insert": {"at": share, "hex": word},
        "poke": {"byte": st.integers(0, 64), "hex": word},  # headers are at the start
        "swap": {"other": st.sampled_from(others)},
        "resize": {"height": _INTS, "width": _INTS},
        "remove": {},
        "folder": {},
        "pipe": {},
    }
    return _one_of(name, kinds)


def _one_of(name, kinds):
    """Draws one of {how: {key: strategy}}, done to a file."""
    return st.one_of(
        st.fixed_dictionaries({"file": st.just(name), "how": st.just(how), **rest})
        for how, rest in kinds.items()
    )


def _renames(folder):
    file = f"{folder}/{fuzz_files.IMAGES[folder]}"
    return _TEXTS.filter(lambda text: text not in ("", ".", "..")).map(
        lambda text: {"file": file, "how": "name", "to": text}
    )


# One run.


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
            _edit(work, **edit)
    argv = [text.replace("{w}", str(work)) for text in case["argv"]]
    before = _snapshot(work)
    command = case.get("command", TRAIN)
    ending, stdout, stderr = _call(command, argv, work / "cwd", stream)
    problem = _ending_problem(ending) or _page_problem(work / "out")
    if not (stream or problem):
        # process.py has a line for each image that it cannot use.
        problem = _text_problem(ending, stdout, stderr, command == "process")
    after = _snapshot(work)
    changed = [name for name in before if before[name] != after.get(name)]
    if changed and not problem:
        problem = f"changed {', '.join(changed)}"
    return ending if isinstance(ending, int) else None, problem


def _edit(work, file, how, **rest):
    """Does one edit; an options.json that is no JSON is left as it is."""
    path = work / file
    if how in fuzz_files.DRAWN:
        return fuzz_files.write(path, how, **rest)
    if not path.is_file():  # an earlier edit's folder or pipe
        return None
    if how in ("set", "drop", "twice"):
        return path.write_text(_edit_json(json.loads(path.read_text()), how, **rest))
    if how == "text":
        return path.write_text(rest["text"])
    if how in ("name", "copy"):
        new = path.with_name(rest["to"] + path.suffix)
        return path.rename(new) if how == "name" else shutil.copyfile(path, new)
    if how in ("remove", "folder", "pipe"):
        path.unlink()
        if how != "remove":
            (os.mkdir if how == "folder" else os.mkfifo)(path)
        return None
    if how == "swap":
        contents = (work / rest["other"]).read_bytes()
    else:
        contents = _edit_bytes(bytearray(path.read_bytes()), how, **rest)
    return path.write_bytes(contents)


def _edit_json(values, how, name, value=None):
    if how == "set":
        return json.dumps(values | {name: value})
    if how == "drop":
        values.pop(name, None)
        return json.dumps(values)
    return json.dumps(values)[:-1] + f", {json.dumps(name)}: 1, {json.dumps(name)}: 2}}"


def _edit_bytes(contents, how, at=0, bit=0, hex="", byte=0, height=0, width=0):
    place = int(at * max(len(contents) - 1, 0))
    if how == "truncate":
        del contents[place:]
    elif how == "flip" and contents:
        contents[place] ^= 1 << bit
    elif how == "insert":
        contents[place:place] = bytes.fromhex(hex)
    elif how == "poke":
        word = bytes.fromhex(hex)
        contents[byte : byte + len(word)] = word
    elif how == "resize" and contents.startswith(b"\x89PNG"):
        sides = [side % 2**32 for side in (width, height)]
        contents[16:24] = b"".join(side.to_bytes(4) for side in sides)
        contents[29:33] = zlib.crc32(contents[12:29]).to_bytes(4)
    return contents


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
    name = ("stdin", "stdout", "stderr")[number]
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
    lines = stderr.splitlines()
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
