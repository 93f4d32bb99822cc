"""The Python of docs/python.md runs as it stands, on tiny networks and few steps."""

import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from pix2pix_tf import train
from tests.conftest import write_image

TEXT = (Path(__file__).parents[1] / "docs" / "python.md").read_text(encoding="utf-8")


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_the_examples_run_in_order(tmp_path, monkeypatch, pair_dir, capsys):
    monkeypatch.chdir(tmp_path)
    flags = ["--mode", "train", "--ngf", "1", "--ndf", "1", "--max_steps", "1"]
    assert train.main([*flags, "--output_dir", "runs/facades"]) == 0
    write_image(tmp_path / "labels.png", 40, 50)
    for name in ("1.jpg", "3.JPG"):
        copy = tmp_path / "data" / "facades" / "train" / name.lower()
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(pair_dir / name, copy)
    names = {}
    for block in re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL):
        for said, tiny in (
            ("max_steps=2000", "max_steps=1, ngf=1, ndf=1"),
            ("max_epochs=1", "max_epochs=1, ngf=1, ndf=1"),
        ):
            block = block.replace(said, tiny)
        exec(compile(block, "docs/python.md", "exec"), names)
    assert "(None, 64, 64, 128)" in capsys.readouterr().out
    assert (tmp_path / "facade.png").is_file()
    assert (tmp_path / "runs" / "watched" / "model-best" / "checkpoint").is_file()
    assert [step for step, _ in names["losses"]] == [1, 1]  # summary and validation
    assert names["outputs"].shape == (256, 256, 3)
    assert names["scores"].shape == (1, 30, 30, 1)
    np.testing.assert_allclose(names["lab"][0, 0], [100, 0, 0], atol=1e-3)
    np.testing.assert_allclose(names["rgb"], 1, atol=1e-4)
