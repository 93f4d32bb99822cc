"""The measure of checkerboards: what it finds in images that are known."""

import numpy as np
import pytest

import measure_checkerboard
from tests.conftest import write_image


def test_a_checkerboard_has_its_amplitude_and_edges_have_none():
    board = np.indices((64, 48)).sum(axis=0) % 2
    board = np.repeat(board[..., np.newaxis], 3, axis=2).astype(np.float32)
    assert measure_checkerboard.measure(0.5 * board) == pytest.approx(63.75)
    edge = np.repeat([[[0.0] * 3] * 24 + [[1.0] * 3] * 24], 64, axis=0)
    assert measure_checkerboard.measure(edge) == pytest.approx(0, abs=1e-4)


def test_the_command_prints_each_folder_and_draws(tmp_path, capsys):
    (tmp_path / "images").mkdir()
    for kind in ("outputs", "targets"):
        write_image(tmp_path / f"images/1-{kind}.png", 64, 64)
    argv = [str(tmp_path), "--picture", str(tmp_path / "zoom.png")]
    assert measure_checkerboard.main(argv) == 0
    assert str(tmp_path) in capsys.readouterr().out
    assert (tmp_path / "zoom.png").read_bytes().startswith(b"\x89PNG")
    assert measure_checkerboard.main([str(tmp_path / "images")]) == 2
