"""The documents agree with the code: what scripts print, links, commands, versions."""

import json
import re
import shlex
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

import pix2pix_tf
from pix2pix_tf import networks
from pix2pix_tf.networks import __main__ as networks_command
from pix2pix_tf.networks import discriminators
from pix2pix_tf.options import ModelConfig, parse
from tests.conftest import read_image
from tools import draw_networks

ROOT = Path(__file__).parents[1]
DOCS_DIR = ROOT / "docs"
DOCUMENTS = [*ROOT.glob("*.md"), *DOCS_DIR.glob("*.md")]


def test_the_document_of_the_networks_is_what_its_script_prints(capsys):
    draw_networks.main()
    printed = capsys.readouterr().out
    assert printed == (DOCS_DIR / "networks.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "model",
    [
        ModelConfig(ndf=2, norm="none", discriminator="pixel"),
        ModelConfig(ndf=2, norm="none", n_layers=1),
        ModelConfig(ndf=2, norm="none", n_layers=3),
    ],
)
def test_an_output_depends_on_its_square_and_on_nothing_else(model):
    convs = discriminators.conv_table(model)
    centre = discriminators.output_grid(convs, 256) // 2
    start = discriminators.field_start(convs, centre)
    end = start + discriminators.receptive_field(convs)
    discriminator = networks.build_discriminator((3, 3), model, "lsgan")
    pair = tf.random.stateless_uniform([2, 1, 256, 256, 3], [1, 2], -1, 1)
    with tf.GradientTape() as tape:
        tape.watch(pair)
        output = discriminator([pair[0], pair[1]])[0, centre, centre, 0]
    gradient = np.abs(tape.gradient(output, pair)).sum((0, 1, 4))
    rows, columns = np.nonzero(gradient)
    assert (rows.min(), rows.max() + 1) == (start, end)
    assert (columns.min(), columns.max() + 1) == (start, end)


def test_the_squares_are_drawn_on_a_photograph(capsys, tmp_path):
    path = tmp_path / "fields.png"
    networks_command.main(["--picture", str(path)])
    assert "70x70" in capsys.readouterr().out
    picture = read_image(path)[:, :, :3].astype(int)
    red = (picture == [255, 0, 0]).all(axis=2)
    assert red.sum() > 500
    assert len(np.unique(picture.reshape(-1, 3), axis=0)) > 1000  # the photograph


def test_a_picture_that_cannot_be_written_ends_with_one_line(capsys, tmp_path):
    with pytest.raises(SystemExit) as exit_info:
        networks_command.main(["--picture", str(tmp_path / "none" / "x.png")])
    assert exit_info.value.code == 2
    [line] = capsys.readouterr().err.splitlines()
    assert "--picture" in line and "x.png" in line


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
def test_flags_of_the_train_commands_are_accepted(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    model = {"lab_colorization": False, "which_direction": "AtoB", "ngf": 64, "ndf": 64}
    stored = model | {"separable_conv": False}
    text = path.read_text(encoding="utf-8").replace("\\\n", " ")
    for line in re.findall(r"^python -m pix2pix_tf\.train (.*)", text, re.MULTILINE):
        argv = shlex.split(line)
        if "--checkpoint" in argv:
            folder = Path(argv[argv.index("--checkpoint") + 1])
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "options.json").write_text(json.dumps(stored))
        parse(argv)


def test_the_version_is_the_same_everywhere():
    citation = re.search(r"^version: (.*)$", (ROOT / "CITATION.cff").read_text(), re.M)
    changes = re.search(r"^## ([0-9.]+) ", (ROOT / "CHANGELOG.md").read_text(), re.M)
    assert citation[1] == changes[1] == pix2pix_tf.__version__
