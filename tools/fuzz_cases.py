"""The fuzzer's cases: what they are drawn from.

A case is plain data: {"command": name, "argv": [...], "edits": [{...}, ...], "place":
name, "stream": name}. `{w}` in it stands for the folder `place` that it runs in, a
fresh copy of what `fuzz_run.make_template` writes.
"""

import hypothesis
from hypothesis import strategies as st

import fuzz_files
from fuzz_run import PROCESS, SCORE, SPLIT, STREAMS, TINY, TRAIN
from pix2pix_tf.options import FLAGS
from pix2pix_tf.options.flag import Size

CHECKPOINT_FILES = ("checkpoint", "model-1.index", "model-1.data-00000-of-00001")
MODEL_FILES = (*CHECKPOINT_FILES, "options.json")
_TEST = ["--mode", "test", "--checkpoint", "{w}/model"]
_OF_MODEL = [
    (TRAIN, ["--mode", mode, "--checkpoint", "{w}/model", "--input_dir", "{w}/png"])
    for mode in ("test", "test", "export", "train")
]
_OF_IMAGES = [
    (TRAIN, [*_TEST, "--input_dir", "{w}/{images}"]),
    (TRAIN, ["--mode", "train", "--dry_run", *TINY, "--input_dir", "{w}/{images}"]),
    *(
        (PROCESS, ["--input_dir", "{w}/{images}", "--operation", *flags])
        for flags in (
            ["resize", "--size", "8"],
            ["grayscale"],
            ["edges", "--output_filetype", "jpg"],
            ["combine", "--b_dir", "{w}/npy", "--workers", "2"],
        )
    ),
    (SPLIT, ["--dir", "{w}/{images}"]),
    (SCORE, ["{w}/{images}", "{w}/png"]),
]
# {kind of case: [(command, its flags)]}; `_edits` has what is done to the files.
COMMANDS = {
    "options": _OF_MODEL,
    "checkpoint": _OF_MODEL,
    "images": _OF_IMAGES,
    "tiff": _OF_IMAGES[:3],
    "bmp": _OF_IMAGES[:3],
    "palette": [
        (TRAIN, [*_TEST, "--input_dir", "{w}/png", "--palette", "{w}/palette.csv"]),
        (SCORE, ["{w}/png", "{w}/png", "--palette", "{w}/palette.csv"]),
    ],
}
COMMANDS["names"] = [*_OF_IMAGES, *_OF_MODEL]
KINDS = ("flags", "flags", "names", "names", "names", *COMMANDS)


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
    if command != SCORE:
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
