"""Documents that scripts make say what the scripts say."""

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from pix2pix_tf import networks
from pix2pix_tf.networks import __main__ as networks_command
from pix2pix_tf.networks import discriminators
from pix2pix_tf.options import ModelConfig
from tests.conftest import read_image
from tools import draw_networks

DOCS_DIR = Path(__file__).parents[1] / "docs"


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
