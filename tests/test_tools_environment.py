"""tools/environment.sh, with scripts in the place of Pythons."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "tools" / "environment.sh"
BROKEN = "#!/bin/sh\nexit 127\n"  # as a shim of pyenv without its Python
WORKING = """#!/bin/sh
if [ "$1" = -m ]; then
    mkdir -p .venv/bin
    printf '#!/bin/sh\\n' > .venv/bin/pip
    chmod +x .venv/bin/pip
    echo "${0##*/}" > made_by.txt
fi
"""


@pytest.fixture
def set_up(tmp_path):
    """Returns a function that runs the script where only the given Pythons are."""
    (tmp_path / "tools").mkdir()
    shutil.copy(SCRIPT, tmp_path / "tools")
    (tmp_path / "requirements.txt").touch()
    (tmp_path / "bin").mkdir()
    for name in ("bash", "dirname", "mkdir", "chmod"):
        (tmp_path / "bin" / name).symlink_to(shutil.which(name))

    def run(pythons, **environment):
        for name, text in pythons.items():
            (tmp_path / "bin" / name).write_text(text)
            (tmp_path / "bin" / name).chmod(0o755)
        return subprocess.run(
            ["bash", "-euo", "pipefail", "-c", "source tools/environment.sh"],
            cwd=tmp_path,
            env={"PATH": os.fspath(tmp_path / "bin"), **environment},
            capture_output=True,
            text=True,
        )

    return run


@pytest.mark.parametrize(
    "pythons, environment, chosen",
    [
        ({"python3.13": WORKING, "python3.11": WORKING}, {}, "python3.11"),
        ({"python3.11": BROKEN, "python3.12": WORKING}, {}, "python3.12"),
        ({"python3.13": WORKING}, {}, "python3.13"),
        (
            {"python3.11": WORKING, "other": WORKING},
            {"PYTHON": "other"},
            "other",
        ),
    ],
)
def test_the_first_python_that_works_is_taken(
    set_up, pythons, environment, chosen, tmp_path
):
    ended = set_up(pythons, **environment)
    assert ended.returncode == 0, ended.stderr
    assert (tmp_path / "made_by.txt").read_text().strip() == chosen


@pytest.mark.parametrize("environment", [{}, {"PYTHON": "python3.10"}])
def test_without_a_python_one_line_says_what_to_install(set_up, environment):
    ended = set_up({"python3.11": BROKEN}, **environment)
    assert ended.returncode == 2
    [line] = ended.stderr.splitlines()
    assert "install Python 3.11" in line and "PYTHON=" in line
