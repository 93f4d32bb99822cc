"""The documents agree with the code: what scripts print, links, commands, versions."""

import json
import re
import shlex
from pathlib import Path

import numpy as np
import pytest

import draw_networks
import pix2pix_tf
from pix2pix_tf.commands import convert, download, process, score, split
from pix2pix_tf.commands.plot.__main__ import parse as parse_plot
from pix2pix_tf.options import parse
from tests.conftest import read_image

ROOT = Path(__file__).parents[1]
DOCS_DIR = ROOT / "docs"
PARSERS = {
    "convert": convert.parse,
    "download": download.parse,
    "plot": parse_plot,
    "process": process.parse,
    "score": score.parse,
    "split": split.parse,
}
DOCUMENTS = [*ROOT.glob("*.md"), *DOCS_DIR.glob("*.md")]


def test_the_document_of_the_networks_is_what_its_script_prints(capsys):
    assert draw_networks.main([]) == 0
    printed = capsys.readouterr().out
    assert printed == (DOCS_DIR / "networks.md").read_text(encoding="utf-8")


def test_the_squares_are_drawn_on_a_photograph(tmp_path):
    path = tmp_path / "fields.png"
    assert draw_networks.main(["--receptive_fields", str(path)]) == 0
    image = read_image(path)[:, :, :3].astype(int)
    red = (image == [255, 0, 0]).all(axis=2)
    assert red.sum() > 500
    assert len(np.unique(image.reshape(-1, 3), axis=0)) > 1000  # the photograph


def test_a_file_that_cannot_be_written_ends_with_one_line(capsys, tmp_path):
    path = tmp_path / "none" / "x.png"
    assert draw_networks.main(["--receptive_fields", str(path)]) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith("draw_networks: error: ") and str(path) in line


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_to_files_that_exist(path):
    text = re.sub(
        r"^```.*?^```",
        "",
        path.read_text(encoding="utf-8"),
        flags=re.DOTALL | re.MULTILINE,
    )
    links = [link for link in re.findall(r"\]\((.*?)\)", text) if "://" not in link]
    targets = [link.partition("#")[0] for link in links]
    assert [target for target in targets if not (path.parent / target).exists()] == []


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_flags_of_the_commands_are_accepted(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "configs").symlink_to(ROOT / "configs")
    model = {"lab_colorization": False, "which_direction": "AtoB", "ngf": 64, "ndf": 64}
    stored = model | {"separable_conv": False}
    text = path.read_text(encoding="utf-8").replace("\\\n", " ")
    for line in re.findall(r"^python -m pix2pix_tf\.train (.*)", text, re.MULTILINE):
        _parse_train(shlex.split(line), stored)
    for name, line in re.findall(r"^pix2pix-tf (\w+) (.*)", text, re.MULTILINE):
        argv = shlex.split(line)
        if name in PARSERS:
            PARSERS[name](argv)
        else:
            _parse_train(["--mode", name, *argv], stored)


def _parse_train(argv, stored):
    """Parses a command line of train, whose checkpoint is made first."""
    if "--checkpoint" in argv:
        folder = Path(argv[argv.index("--checkpoint") + 1])
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "options.json").write_text(json.dumps(stored))
    parse(argv)


def test_the_version_is_the_same_everywhere():
    citation = re.search(r"^version: (.*)$", (ROOT / "CITATION.cff").read_text(), re.M)
    changes = re.search(r"^## ([0-9.]+) ", (ROOT / "CHANGELOG.md").read_text(), re.M)
    assert citation[1] == changes[1] == pix2pix_tf.__version__


# Programs of others.
OUTSIDE = (
    "source pip tensorboard pytest pre-commit mkdir ls cd eval head tail xargs sort"
)


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_commands_are_of_this_project_or_known(path):
    text = path.read_text(encoding="utf-8").replace("\\\n", " ")
    blocks = re.findall(r"^```bash\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    for command in re.split(r"\n|;|\| ", "\n".join(blocks)):
        words = shlex.split(command.strip(" ()"), comments=True)
        while words and re.match(r"[A-Z_]+=", words[0]):  # an environment variable
            del words[0]
        if not words or words[0] in OUTSIDE.split():
            continue
        if words[0] in ("python", "bash") and words[1].endswith((".py", ".sh")):
            assert (ROOT / words[1]).is_file(), command
        elif words[:2] == ["python", "-m"]:
            module = ROOT.joinpath(*words[2].split("."))
            assert module.is_dir() or module.with_suffix(".py").is_file(), command
        else:
            assert words[0] in ("pix2pix-tf", "python"), command
