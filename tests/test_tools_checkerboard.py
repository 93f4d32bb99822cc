"""The measure of checkerboards: what it finds in pictures that are known."""

import measure_checkerboard
import numpy as np
import pytest

from tests.conftest import write_image


def test_a_checkerboard_has_its_amplitude_and_edges_have_none():
    board = np.indices((64, 48)).sum(axis=0) % 2
    board = np.repeat(board[..., np.newaxis], 3, axis=2).astype(np.float32)
    assert measure_checkerboard.measure(board) == pytest.approx(127.5, rel=1e-3)
    assert measure_checkerboard.measure(0.5 + 0.02 * board) == pytest.approx(
        2.55, rel=1e-3
    )
    edge = np.zeros([64, 48, 3], np.float32)
    edge[:, 24:] = 1
    assert measure_checkerboard.measure(edge) == pytest.approx(0, abs=1e-4)


def test_the_command_prints_each_folder_and_draws(tmp_path, capsys):
    (tmp_path / "test/images").mkdir(parents=True)
    for kind in ("outputs", "targets"):
        write_image(tmp_path / f"test/images/1-{kind}.png", 64, 64)
    folder, picture = str(tmp_path / "test"), tmp_path / "zoom.png"
    assert measure_checkerboard.main([folder, "--picture", str(picture)]) == 0
    assert folder in capsys.readouterr().out
    assert picture.read_bytes().startswith(b"\x89PNG")
    with pytest.raises(SystemExit) as stop:
        measure_checkerboard.main([str(tmp_path)])
    assert stop.value.code == 2
