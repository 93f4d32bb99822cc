"""The whole recordings beside the repository, where they are: figures and pictures."""

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

import check_parity
from pix2pix_tf import checkpoints, train
from tests.conftest import read_image

SHARED_DIR = Path(__file__).parents[2] / "shared"
CHECKPOINT_DIR = SHARED_DIR / "golden" / "tf1_checkpoint"
PAIR_DIR = SHARED_DIR / "data" / "facades_upstream" / "val"
TRAIN_DIR = SHARED_DIR / "data" / "facades" / "train"  # what it was trained on

pytestmark = pytest.mark.skipif(
    not CHECKPOINT_DIR.exists(), reason=f"needs the recordings in {SHARED_DIR}"
)


def test_our_numbers_are_the_originals(capsys):
    paths = [SHARED_DIR / "golden" / name for name in ("pairs.npz", "lab.npz")]
    status = check_parity.main([str(path) for path in paths])
    assert status == 0, capsys.readouterr().out


def test_the_originals_checkpoint_gives_the_originals_pictures(tmp_path):
    arguments = ["--mode", "test", "--no_dropout", "--checkpoint", str(CHECKPOINT_DIR)]
    arguments += ["--input_dir", str(PAIR_DIR), "--output_dir", str(tmp_path)]
    assert train.main(arguments) == 0
    expected = sorted((SHARED_DIR / "golden" / "tf1_outputs").iterdir())
    assert len(expected) == 4
    for path in expected:
        got = read_image(tmp_path / "images" / path.name).astype(np.float32)
        difference = np.abs(got - read_image(path))
        assert difference.mean() < 0.5 and difference.max() < 3, path.name


def test_training_goes_on_from_the_originals_step_and_averages(tmp_path):
    arguments = ["--mode", "train", "--checkpoint", str(CHECKPOINT_DIR), "--seed", "1"]
    arguments += ["--input_dir", str(tmp_path / "in"), "--max_steps", "8"]
    arguments += ["--output_dir", str(tmp_path / "run"), "--summary_freq", "0"]
    (tmp_path / "in").mkdir()
    for path in sorted(TRAIN_DIR.iterdir())[:8]:
        (tmp_path / "in" / path.name).symlink_to(path)
    assert train.main(arguments) == 0
    before = tf.train.load_checkpoint(checkpoints.find_latest(CHECKPOINT_DIR))
    after = tf.train.load_checkpoint(checkpoints.find_latest(tmp_path / "run"))
    assert before.get_tensor("global_step") == 400
    assert after.get_tensor("global_step") == 408
    for name in checkpoints.EMA_NAMES.values():
        start, end = before.get_tensor(name), after.get_tensor(name)
        # The mean loss of the eight steps, out of the average with decay 0.99.
        mean = (end - start * 0.99**8) / (1 - 0.99**8)
        assert 0.6 * start < mean < 1.6 * start, name
    slot = "generator/encoder_1/conv2d/kernel/Adam_1"
    moved = after.get_tensor(slot) / before.get_tensor(slot)
    assert 0.98 < np.median(moved) < 1.1  # beta2 0.999: its past is still in it
