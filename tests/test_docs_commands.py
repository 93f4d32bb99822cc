"""Commands, flags and examples in the documents are accepted by the code."""

import importlib
import json
import re
import shlex
import sys
from pathlib import Path
from unittest import mock

import pytest

from pix2pix_tf import options, train
from pix2pix_tf.__main__ import COMMANDS
from tests.conftest import TINY, read_image, write_image
from tests.documents import BLOCK, DOCS_DIR, DOCUMENTS, ROOT, blocks, place, prose

PAGES = [path for path in DOCUMENTS if path.name != "CHANGELOG.md"]  # it has a history

# {command of pix2pix-tf: the module whose `parse` takes its flags}
MODULES = {
    "convert": "pix2pix_tf.commands.convert",
    "datasets": "pix2pix_tf.datasets.__main__",
    "dcgan": "pix2pix_tf.dcgan.__main__",
    "download": "pix2pix_tf.commands.download",
    "plot": "pix2pix_tf.commands.plot.__main__",
    "predict": "pix2pix_tf.commands.predict",
    "serve": "pix2pix_tf.serve.__main__",
    "process": "pix2pix_tf.commands.process",
    "score": "pix2pix_tf.commands.score",
    "split": "pix2pix_tf.commands.split",
}
SCRIPTS = [
    path.relative_to(ROOT)
    for folder in ("tools", "benchmarks")
    for path in sorted((ROOT / folder).glob("*.py"))
]
OTHER_PROGRAMS = (
    "base64 bash cd cp curl docker eval export grep head jq jupyter kubectl ls "
    "mkdir mv pip pre-commit printf pytest sbatch sort source tail tar tensorboard "
    "unset vips wait xargs"
).split()
OTHER_FLAGS = {"--check", "--in", "--prefix", "--rest_api_enable_cors_support"}

LINE = re.compile(r"(?:[^\n]*\\\n)*[^\n]+")  # with the lines that a \ continues
OURS = r"pix2pix-tf(?:-dcgan)? |python -m pix2pix_tf|python (?:tools|benchmarks)/|bash "
IN_PROSE = re.compile(rf"`((?:{OURS})[^`]*)`")
OUR_FILE = r"(benchmarks|configs|deploy|docs|examples|tests|tools)/"
PLACEHOLDER = re.compile(r"\b(COMMAND|NAME)\b|\.\.\.")


def _commands():
    """Returns a pytest.param (text, is_prose) for each command, named FILE:LINE."""
    params = []
    for path in PAGES:
        text = path.read_text(encoding="utf-8")
        found = [
            (line.start(), line[0].replace("\\\n", " "), False)
            for block in BLOCK.finditer(text)
            if block[1] == "bash"
            for line in LINE.finditer(text, *block.span(2))
        ]
        found += [
            (span.start(), span[1].replace("\n", " "), True)
            for span in IN_PROSE.finditer(prose(path))
            if not PLACEHOLDER.search(span[1])
        ]
        for start, line, is_prose in found:
            where = place(path, text, start)
            params.append(pytest.param(line, is_prose, id=where))
    return params


def _simple_commands(line):
    """Yields the words of each command in a line of the shell."""
    words = shlex.shlex(line.removeprefix("$ "), posix=True, punctuation_chars=True)
    words.whitespace_split = True
    command = []
    for word in [*words, ";"]:
        if set(word) <= set("();|&"):
            if command:
                yield command
            command = []
        elif command or not re.match(r"\w+=", word):  # not a variable
            command.append(word)


def _find_parser(words):
    """Returns (function that parses the flags of a command, its arguments)."""
    match words:
        case ["python", "-m", "pix2pix_tf.train", *argv]:
            return _parse_train, argv
        case ["pix2pix-tf-dcgan", *argv]:
            return _parser_in(MODULES["dcgan"]), argv
        case ["python", "-m", path, *argv] if f"{path}.__main__" in MODULES.values():
            return _parser_in(f"{path}.__main__"), argv
        case ["pix2pix-tf", ("train" | "test" | "export") as mode, *argv]:
            return _parse_train, ["--mode", mode, *argv]
        case ["pix2pix-tf", name, *argv] if name in MODULES:
            return _parser_in(MODULES[name]), argv
        case ["pix2pix-tf", *argv] | ["python", "-m", "pix2pix_tf", *argv]:
            return _parse_train, argv
        case ["python", script, *argv] if Path(script) in SCRIPTS:
            return _parser_in(Path(script).stem), argv
    raise AssertionError(f"not a command of this project, nor of the others: {words}")


def _parser_in(module_name):
    main = importlib.import_module(module_name).main
    return sys.modules[main.__module__].parse  # some of tools/ import their `main`


def _parse_train(argv):
    """Parses a command line of train, whose checkpoint is made first."""
    if "--checkpoint" in argv:
        folder = Path(argv[argv.index("--checkpoint") + 1])
        folder.mkdir(parents=True)
        stored = {"which_direction": "AtoB", "ngf": 64, "ndf": 64}
        stored |= {"lab_colorization": False, "separable_conv": False}
        (folder / "options.json").write_text(json.dumps(stored))
    options.parse(argv)


@pytest.mark.parametrize("line, is_prose", _commands())
def test_a_command_is_accepted(line, is_prose, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "configs").symlink_to(ROOT / "configs")
    for words in _simple_commands(line):
        for word in words:
            if re.match(OUR_FILE, word):
                assert (ROOT / word).is_file()
        if words[0] in OTHER_PROGRAMS:
            continue
        if ">" in words:
            words = words[: words.index(">")]
        parse, argv = _find_parser(words)
        if is_prose and argv in ([], ["--mode", words[-1]]):
            continue  # the name of a command alone
        try:
            parse(argv)
        except SystemExit as ended:  # --help, --version
            assert ended.code == 0


def test_every_command_is_known_here():
    assert set(COMMANDS) == {*MODULES, "train", "test", "export"}


def test_flags_that_are_named_exist(capsys):
    parsers = [options.parse, *map(_parser_in, MODULES.values())]
    parsers += [
        _parser_in(path.stem) for path in SCRIPTS if "def parse(" in path.read_text()
    ]
    for parse in parsers:
        with pytest.raises(SystemExit):
            parse(["--help"])
    known = set(re.findall(r"--\w+", capsys.readouterr().out)) | OTHER_FLAGS
    named = {
        (path.name, flag)
        for path in PAGES
        for span in re.findall(r"`([^`]+)`", prose(path))
        for flag in re.findall(r"(?<![\w-])--[a-z]\w*", span)
    }
    assert [one for one in sorted(named) if one[1] not in known] == []


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_blocks_of_python_and_of_flags_are_valid(path, tmp_path):
    for where, text in blocks(path, "python"):
        compile(text, where, "exec")
    for _, text in blocks(path, "toml"):
        file = tmp_path / "flags.toml"
        file.write_text(text, encoding="utf-8")
        assert options.read_config(str(file), options.FLAGS)


def test_the_example_of_an_export_runs(trained_dir, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    flags = ["--mode", "export", "--checkpoint", str(trained_dir)]
    assert train.main([*flags, "--output_dir", "models/facades/1"]) == 0
    write_image(tmp_path / "labels.png", 40, 50)
    [(_, example)] = blocks(DOCS_DIR / "export.md", "python")
    exec(example, {})
    assert read_image(tmp_path / "facade.png").shape == (32, 32, 3)


@pytest.mark.parametrize(
    "library, logged", [("wandb", "log"), ("mlflow", "log_metrics")]
)
def test_the_examples_of_callbacks_run(
    library, logged, tmp_path, monkeypatch, pair_dir
):
    fake = mock.MagicMock()
    monkeypatch.setitem(sys.modules, library, fake)
    flags = ["--mode", "train", "--input_dir", str(pair_dir), *TINY, "--max_steps", "1"]
    flags += ["--output_dir", str(tmp_path / "run")]
    monkeypatch.setattr(sys, "argv", ["example.py", *flags])
    examples = blocks(DOCS_DIR / "monitoring.md", "python")
    [example] = [text for _, text in examples if library in text]
    with pytest.raises(SystemExit) as ended:
        exec(example, {})
    assert ended.value.code == 0
    run = fake.init.return_value.__enter__.return_value if library == "wandb" else fake
    assert "generator_loss_L1" in getattr(run, logged).call_args.args[0]
