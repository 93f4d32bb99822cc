"""The measure of checkerboards: what it finds in images that are known."""

import numpy as np
import pytest

import checkerboard
import measure_checkerboard
from tests.conftest import read_image, write_image


def test_a_checkerboard_has_its_amplitude_and_edges_have_none():
    board = np.indices((64, 48)).sum(axis=0) % 2
    board = np.repeat(board[..., np.newaxis], 3, axis=2).astype(np.float32)
    assert checkerboard.measure_amplitude(0.5 * board) == pytest.approx(63.75)
    edge = np.repeat([[[0.0] * 3] * 24 + [[1.0] * 3] * 24], 64, axis=0)
    assert checkerboard.measure_amplitude(edge) == pytest.approx(0, abs=1e-4)


def _noise(height, width):
    """An image of soft noise, without any pattern."""
    noise = np.random.default_rng(1).normal(0, 0.05, [height, width, 3])
    return (0.5 + noise).astype(np.float32)


@pytest.mark.parametrize("size", [(64, 64), (131, 96)])
@pytest.mark.parametrize("period", [4, 8])
def test_a_pattern_stands_out_at_its_own_period_alone(size, period):
    rows, columns = np.indices(size)
    others = {4: 8, 8: 4}
    for pattern in (rows % period == 0, (rows % period == 0) & (columns % period == 1)):
        image = _noise(*size) + 0.1 * pattern[..., np.newaxis]
        plain = checkerboard.measure_period(_noise(*size), period)
        assert 0.7 < plain < 1.5
        assert checkerboard.measure_period(image, period) > 2 * plain
    # Of a wave of one period, the other has nothing.
    wave = _noise(*size) + 0.1 * np.cos(2 * np.pi * rows / period)[..., np.newaxis]
    assert checkerboard.measure_period(wave, period) > 5
    assert checkerboard.measure_period(wave, others[period]) < 1.5


def test_edges_are_no_pattern():
    edge = np.repeat([[[0.2] * 3] * 41 + [[0.8] * 3] * 55], 96, axis=0)
    image = _noise(96, 96) / 10 + edge
    for period in (4, 8):
        assert checkerboard.measure_period(image, period) < 1.5


def test_the_command_prints_each_folder_and_draws(tmp_path, capsys):
    (tmp_path / "images").mkdir()
    for kind in ("outputs", "targets"):
        write_image(tmp_path / f"images/1-{kind}.png", 64, 64)
    argv = [str(tmp_path), "--picture", str(tmp_path / "zoom.png")]
    assert measure_checkerboard.main(argv) == 0
    _, *lines = capsys.readouterr().out.splitlines()
    for line, kind in zip(lines, ("outputs", "targets"), strict=True):
        folder, name, *numbers = line.split()
        image = read_image(tmp_path / f"images/1-{kind}.png") / np.float32(255)
        wanted = [checkerboard.measure_amplitude(image)]
        wanted += [checkerboard.measure_period(image, n) for n in (4, 8)]
        assert (folder, name) == (str(tmp_path), kind)
        assert [float(number) for number in numbers] == pytest.approx(wanted, abs=0.006)
    assert (tmp_path / "zoom.png").read_bytes().startswith(b"\x89PNG")
    assert measure_checkerboard.main([str(tmp_path / "images")]) == 2
    write_image(tmp_path / "images/1-targets.png", 60, 64)
    assert measure_checkerboard.main([str(tmp_path)]) == 2
    assert "64x60: wanted sides of 64 pixels" in capsys.readouterr().err


def test_the_means_are_over_the_images_that_have_a_measure():
    images = [_noise(64, 80), _noise(63, 64), _noise(1, 90)]
    means = checkerboard.measure_means(images)
    amplitudes = [checkerboard.measure_amplitude(image) for image in images[:2]]
    assert means["amplitude"] == pytest.approx(np.mean(amplitudes))
    for period in (4, 8):
        wanted = checkerboard.measure_period(images[0], period)
        assert means[f"period {period}"] == pytest.approx(wanted)
    small = checkerboard.measure_means(images[1:])
    assert small["amplitude"] == pytest.approx(amplitudes[1])
    assert small["period 4"] is small["period 8"] is None
