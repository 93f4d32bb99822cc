"""What commands leave undone, so that they start soon and take little memory."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from pix2pix_tf import networks, train
from tests.conftest import small_model

SLOW = ("tensorflow", "keras", "numpy", "PIL", "matplotlib", "tqdm", "filelock")
PROGRAM = """
import json, sys
from pix2pix_tf import train
try:
    statuses = [train.main(arguments) for arguments in json.loads(sys.argv[1])]
except SystemExit as end:
    statuses = [end.code]
assert statuses == [0] * len(statuses), statuses
sys.stderr.write(json.dumps(list(sys.modules)))
"""


def _modules_after(*command_lines):
    """Returns the names of the modules that commands in one new process import."""
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM, json.dumps(command_lines)],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stderr.splitlines()[-1])


def test_help_imports_nothing_slow():
    assert not set(SLOW) & set(_modules_after(["--help"]))


def test_test_mode_rewrites_no_function_and_imports_no_matplotlib(
    trained_dir, pair_dir, tmp_path
):
    flags = ["--checkpoint", str(trained_dir), "--input_dir", str(pair_dir)]
    names = _modules_after(["--mode", "test", *flags, "--output_dir", str(tmp_path)])
    assert "tensorflow" in names and "matplotlib" not in names
    # AutoGraph imports each function that it has rewritten from a file of this name.
    assert not [name for name in names if "autograph_generated" in name]


def test_matplotlib_can_be_imported_after_keras_and_garbage_is_collected():
    program = (
        "from pix2pix_tf.runtime.start import start_tensorflow; start_tensorflow(); "
        "import gc; assert gc.isenabled(); import matplotlib.pyplot"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_test_mode_builds_one_network(trained_dir, pair_dir, tmp_path, monkeypatch):
    built = []
    for name in ("build_generator", "build_discriminator"):
        build = getattr(networks, name)
        monkeypatch.setattr(
            networks,
            name,
            lambda *args, build=build, **more: built.append(1) or build(*args, **more),
        )
    flags = ["--checkpoint", str(trained_dir), "--input_dir", str(pair_dir)]
    assert train.main(["--mode", "test", *flags, "--output_dir", str(tmp_path)]) == 0
    assert len(built) == 1


def test_kernels_that_will_be_restored_are_not_drawn():
    def kernels():
        generator = networks.build_generator((3, 3), small_model())
        variables = networks.variables_by_name(generator)
        return [one for name, one in variables.items() if name.endswith("/kernel")]

    with networks.without_random_kernels():
        assert not any(np.any(kernel) for kernel in kernels())
    assert all(np.any(kernel) for kernel in kernels())


@pytest.mark.parametrize(
    "changes", [{}, {"generator": "resnet", "num_downs": 8}], ids=["unet", "resnet"]
)
def test_kernels_that_are_not_kept_are_freed(changes):
    model = small_model(no_dropout=True, **changes)
    one, other = (networks.build_generator((3, 3), model) for _ in range(2))
    other.set_weights(one.get_weights())
    networks.freeze(one)
    networks.freeze(other, keeps_kernels=False)
    inputs = tf.random.stateless_uniform([1, 32, 32, 3], [1, 2], -1, 1)
    np.testing.assert_array_equal(one(inputs), other(inputs))
    kept, freed = (
        sum(np.asarray(v.value.read_value()).size for v in each.variables)
        for each in (one, other)
    )
    assert freed < kept / 2
