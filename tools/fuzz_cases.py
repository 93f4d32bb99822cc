"""The fuzzer's cases: what they are drawn from, and one run of one of them.

A case is plain data, {"argv": [...], "edits": [{...}, ...]}: `{w}` in it stands for the
folder that it runs in, a fresh copy of `make_template`'s.
"""

import contextlib
import hashlib
import html.parser
import io
import json
import os
import shutil
import sys
import tempfile
import traceback
import zlib

import hypothesis
from hypothesis import strategies as st

from pix2pix_tf.options import FLAGS, parse, write_options
from pix2pix_tf.options.flag import Size
from pix2pix_tf.runtime import files

TINY = ("--ngf", "1", "--ndf", "1", "--crop_size", "32")
GOOD_ENDINGS = (0, 1, 2, 130, 143)
MAX_LINE = 20_000  # characters of an error: it may name a hundred files
HEIGHT, WIDTH = 32, 64  # of the images
PICTURES = {
    "jpg": "1.jpg",
    "png": "1.png",
    "png16": "1.png",
    "palette": "1.png",
    "bmp": "1.bmp",
    "gif": "1.gif",
    "webp": "1.webp",
    "tif": "1.tif",
    "tif16": "1.tif",
    "npy": "1.npy",
}
CHECKPOINT_FILES = ("checkpoint", "model-1.index", "model-1.data-00000-of-00001")
MODEL_FILES = (*CHECKPOINT_FILES, "options.json")
ATTRIBUTES = {  # of every tag that a page may have
    **dict.fromkeys("head title style body table thead tbody tr script".split(), ()),
    "html": ("lang",),
    "meta": ("charset",),
    "th": ("class", "data-sort"),
    "td": ("class",),
    "img": ("src", "alt", "loading"),
}


def draw(count, seed):
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
def cases(draw, kinds=("flags", "options", "pictures", "checkpoint")):
    """Draws one case of these kinds; a few of "flags" and "checkpoint" train a step."""
    kind = draw(st.sampled_from(kinds))
    if kind == "flags":
        is_dry = draw(st.sampled_from([True] * 9 + [False]))
        is_test = draw(st.sampled_from([False] * 3 + [True]))
        argv = ["--mode", "train", *TINY]
        if is_test:
            argv, is_dry = ["--mode", "test", "--checkpoint", "{w}/model"], False
        argv += ["--input_dir", "{w}/png"]
        argv += draw(st.lists(_flags(), min_size=1, max_size=4).map(_flat))
        edits = draw(st.lists(_renames(), max_size=1))
        return _case(argv, edits, is_dry)
    mode = draw(st.sampled_from(["test", "test", "export", "train"]))
    if kind == "pictures":
        folder = draw(st.sampled_from(sorted(PICTURES)))
        edits = draw(st.lists(_file_edits(f"{folder}/{PICTURES[folder]}"), min_size=1))
        argv = ["--input_dir", f"{{w}}/{folder}"]
        if mode == "test":
            argv += ["--mode", "test", "--checkpoint", "{w}/model"]
            return _case(argv, edits + draw(st.lists(_renames(folder), max_size=1)))
        return _case(["--mode", "train", *argv, *TINY], edits, is_dry=True)
    if kind == "options":
        edits = draw(st.lists(_options_edits(), min_size=1, max_size=3))
    else:
        names = st.sampled_from(CHECKPOINT_FILES).map("model/{}".format)
        edits = draw(st.lists(names.flatmap(_file_edits), min_size=1, max_size=2))
    argv = ["--mode", mode, "--checkpoint", "{w}/model", "--input_dir", "{w}/png"]
    return _case(argv, edits, is_dry=mode == "train" and kind == "options")


def _case(argv, edits, is_dry=False):
    """Ends a command line so that it cannot go on for ever, or write elsewhere."""
    argv = ["--output_dir", "{w}/out", *argv]
    argv += ["--dry_run"] if is_dry else ["--max_steps", "1"]
    return {"argv": argv, "edits": edits}


def _flat(lists):
    return [item for items in lists for item in items]


# What is drawn: texts, values of flags, and edits of files.

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
    "[",
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


def _flags():
    """Draws a flag and its values, mostly of the right type: ["--ngf", "7"]."""
    names = sorted(set(FLAGS) - {"dry_run", "mode"})
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


def _options_edits():
    """Draws what is done to options.json: at a key, at a value, at a byte."""
    names = st.sampled_from(sorted(FLAGS)) | _TEXTS
    values = st.recursive(
        st.none() | st.booleans() | _INTS | _FLOATS | _TEXTS | _PATHS,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXTS, inner),
        max_leaves=3,
    )
    edit = {"file": st.just("model/options.json"), "name": names}
    raw = st.sampled_from(
        ["", "null", "[]", "{}", "{" * 10**5, "[" * 10**5, "\ufeff{}", "1" * 5000]
    )
    return st.one_of(
        st.fixed_dictionaries(edit | {"how": st.just("set"), "value": values}),
        st.fixed_dictionaries(edit | {"how": st.just("set"), "value": values}),
        st.fixed_dictionaries(edit | {"how": st.sampled_from(["drop", "twice"])}),
        st.fixed_dictionaries(
            {"file": edit["file"], "how": st.just("text"), "text": raw}
        ),
        _file_edits("model/options.json"),
    )


def _file_edits(name):
    """Draws what is done to a file's bytes; places are shares of its length."""
    share = st.floats(0, 1)
    word = st.sampled_from("00 ff 7f 01 00000000 ffffffff 7fffffff 0000ea60".split())
    others = [f"{folder}/{file}" for folder, file in PICTURES.items()]
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
    return st.one_of(
        st.fixed_dictionaries({"file": st.just(name), "how": st.just(how), **rest})
        for how, rest in kinds.items()
    )


def _renames(folder="png"):
    return _TEXTS.filter(lambda text: text not in ("", ".", "..")).map(
        lambda text: {"file": f"{folder}/{PICTURES[folder]}", "how": "name", "to": text}
    )


# One run.


def make_template(folder):
    """Writes `template`, what every case starts from: images, and a tiny model."""
    import numpy as np
    import tensorflow as tf
    import tifffile
    from PIL import Image

    from pix2pix_tf import checkpoints
    from pix2pix_tf.training import step

    template = folder / "template"
    pixels = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
    deep = pixels.astype(np.uint16) * 257
    image = Image.fromarray(pixels)
    for name, file in PICTURES.items():
        path = template / name / file
        path.parent.mkdir(parents=True)
        if name == "npy":
            np.save(path, pixels)
        elif name == "tif16":
            tifffile.imwrite(path, deep)
        elif name == "png16":
            path.write_bytes(tf.io.encode_png(deep).numpy())
        elif name == "palette":
            image.convert("P", palette=Image.Palette.ADAPTIVE).save(path)
        else:
            image.save(path)
    argv = ["--mode", "train", "--input_dir", str(template / "png"), *TINY]
    options = parse([*argv, "--output_dir", str(template / "model")])
    state = step.make_state(
        options.pair.channels, options.model, options.loss, options.optimizer
    )
    state.global_step.assign(1)
    write_options(options)
    checkpoints.save(state, options.run.output_dir, keep=1)


def run(case, folder):
    """Runs one case.

    Args:
        case: dict.
        folder: Path, where `make_template` was.

    Returns:
        (int, the exit status, or None; str, what is wrong, or None).
    """
    work = folder / "work"
    shutil.rmtree(work, ignore_errors=True)
    shutil.copytree(folder / "template", work)
    (work / "cwd").mkdir()
    for edit in case["edits"]:
        with contextlib.suppress(OSError, ValueError):  # an earlier edit was in its way
            _edit(work, **edit)
    argv = [text.replace("{w}", str(work)) for text in case["argv"]]
    before = _snapshot(work)
    ending, stdout, stderr = _call(argv, work / "cwd")
    problem = _problem(ending, stdout, stderr) or _page_problem(work / "out")
    after = _snapshot(work)
    changed = [name for name in before if before[name] != after.get(name)]
    if changed and not problem:
        problem = f"changed {', '.join(changed)}"
    return ending, problem


def _edit(work, file, how, **rest):
    """Does one edit; an options.json that is no JSON is left as it is."""
    path = work / file
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


def _call(argv, cwd):
    """Returns (exit status or traceback, stdout, stderr) of a command line.

    Both are caught at the process's own files, for native code writes there.
    """
    from pix2pix_tf import train

    place = os.getcwd()
    os.chdir(cwd)
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        try:
            with _redirected(1, sys.stdout, out), _redirected(2, sys.stderr, err):
                ending = _ending(train.main, argv)
        finally:
            os.chdir(place)
        texts = [_contents(file) for file in (out, err)]
    return ending, *texts


def _ending(main, argv):
    try:
        return main(argv)
    except SystemExit as stop:
        return stop.code
    except Exception:
        return traceback.format_exc()


@contextlib.contextmanager
def _redirected(number, stream, file):
    """Sends a standard stream, Python's and the process's, to a file."""
    stream.flush()
    saved = os.dup(number)
    os.dup2(file.fileno(), number)
    text = io.TextIOWrapper(open(number, "wb", closefd=False), encoding="utf-8")  # noqa: SIM115
    name = "stdout" if number == 1 else "stderr"
    if number == 2:
        text.reconfigure(errors="backslashreplace")  # as Python's own
    python_stream = getattr(sys, name)
    setattr(sys, name, text)
    try:
        yield
    finally:
        text.flush()
        setattr(sys, name, python_stream)
        os.dup2(saved, number)
        os.close(saved)


def _contents(file):
    file.seek(0)
    return file.read().decode(errors="replace")


def _problem(ending, stdout, stderr):
    """Returns what is wrong with a run's ending and what it said, or None."""
    if not isinstance(ending, int):
        return f"a traceback:\n{ending}"
    if ending not in GOOD_ENDINGS:
        return f"ended with {ending}"
    if files.printable(stdout.replace("\n", "")) != stdout.replace("\n", ""):
        return f"control characters on stdout: {stdout[-500:]!r}"
    lines = stderr.splitlines()
    if ending == 2 and not (len(lines) == 1 and 20 < len(lines[0]) < MAX_LINE):
        return f"wanted one clear line on stderr, got {stderr[-2000:]!r}"
    if ending == 2 and files.printable(lines[0]) != lines[0]:
        return f"control characters in the error: {stderr!r}"
    return None


class _Page(html.parser.HTMLParser):
    """Finds what a page must not have: other tags or attributes than ours.

    Attributes:
        strange: str, the last of them, or None.
        texts: list of [tag, text], the scripts and styles.
    """

    def __init__(self, text):
        super().__init__()
        self.strange, self.texts = None, []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attributes):
        names = {name for name, _ in attributes}
        if tag not in ATTRIBUTES or names - set(ATTRIBUTES[tag]):
            self.strange = f"index.html holds <{tag} {attributes}>"
        if tag in self.CDATA_CONTENT_ELEMENTS:
            self.texts.append([tag, ""])

    def handle_data(self, text):
        if self.cdata_elem in self.CDATA_CONTENT_ELEMENTS:
            self.texts[-1][1] += text


def _page_problem(output_dir):
    from pix2pix_tf.inference import gallery

    path = output_dir / gallery.INDEX_NAME
    if not path.exists():
        return None
    page = _Page(path.read_text(encoding="utf-8"))
    if page.strange is None:
        ours = _Page(gallery.TEMPLATE_PATH.read_text(encoding="utf-8"))
        if page.texts != ours.texts:
            return "index.html holds another script or style than gallery.html's"
    return page.strange
