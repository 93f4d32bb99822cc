"""The converting tool: to TensorFlow 1 and back, `.pict` and back, refusals.

Files of PyTorch: tests/test_pytorch.py.
"""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

import convert_checkpoint
from pix2pix_tf import checkpoints, train
from pix2pix_tf.interop import convert, pict
from pix2pix_tf.options import from_dict
from pix2pix_tf.runtime.errors import UsageError
from tests.conftest import read_image


def _convert(capsys, *arguments):
    """Returns (exit status, the line it printed)."""
    capsys.readouterr()
    status = convert_checkpoint.main([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    [line] = (captured.err if status else captured.out).splitlines()
    return status, line


def _values(folder):
    reader = tf.train.load_checkpoint(str(folder))
    names = reader.get_variable_to_shape_map()
    return {name: reader.get_tensor(name) for name in names}


@pytest.fixture(scope="module")
def originals_dir(trained_dir, tmp_path_factory):
    """A folder as the original writes it: its options only, and no `position`."""
    folder = tmp_path_factory.mktemp("tf1") / "tf1"
    assert convert_checkpoint.main([str(trained_dir), str(folder)]) == 0
    path = folder / "options.json"
    options = json.loads(path.read_text())
    for name in ("norm", "innermost_norm", "no_dropout", "keep_checkpoints"):
        del options[name]
    path.write_text(json.dumps(options))
    return folder


@pytest.fixture(scope="module")
def pict_path(trained_dir, tmp_path_factory):
    path = tmp_path_factory.mktemp("pict") / "generator.pict"
    assert convert_checkpoint.main([str(trained_dir), str(path)]) == 0
    return path


@pytest.fixture(scope="module")
def generator_dir(pict_path, tmp_path_factory):
    """A generator-only folder."""
    folder = tmp_path_factory.mktemp("generator") / "model"
    arguments = [str(pict_path), str(folder), "--which_direction", "BtoA"]
    assert convert_checkpoint.main(arguments) == 0
    return folder


def _graph_of_the_original(ngf, ndf):
    """Makes the global variables of the original's graph, under its names."""
    shapes, trained = {}, []

    def add(scope, kind, kernel, has_norm):
        filters = kernel[2 if kind == "conv2d_transpose" else 3]
        parts = {f"{kind}/kernel": kernel, f"{kind}/bias": [filters]}
        if has_norm:
            norm = "batch_normalization"
            parts |= {f"{norm}/{part}": [filters] for part in ("gamma", "beta")}
            for part in ("moving_mean", "moving_variance"):
                shapes[f"{scope}/{norm}/{part}"] = [filters]
        trained.extend(f"{scope}/{part}" for part in parts)
        shapes.update({f"{scope}/{part}": shape for part, shape in parts.items()})

    widths = [3] + [ngf * times for times in (1, 2, 4, 8, 8, 8, 8, 8)]
    for level in range(1, 9):
        kernel = [4, 4, widths[level - 1], widths[level]]
        add(f"generator/encoder_{level}", "conv2d", kernel, level > 1)
    for level in range(8, 0, -1):
        width = widths[level] * (1 if level == 8 else 2)
        kernel = [4, 4, widths[level - 1], width]
        add(f"generator/decoder_{level}", "conv2d_transpose", kernel, level > 1)
    widths = [6, ndf, 2 * ndf, 4 * ndf, 8 * ndf, 1]
    for level in range(1, 6):
        kernel = [4, 4, widths[level - 1], widths[level]]
        add(f"discriminator/layer_{level}", "conv2d", kernel, 1 < level < 5)
    for name in trained:
        for slot in ("Adam", "Adam_1"):
            shapes[f"{name}/{slot}"] = shapes[name]
    for scope in ("discriminator_train", "generator_train"):
        for power in ("beta1_power", "beta2_power"):
            shapes[f"{scope}/{power}"] = []
    for loss in ("discriminator_loss/Mean", "generator_loss/Mean"):
        shapes[f"{loss}/ExponentialMovingAverage"] = []
    shapes["generator_loss/Mean_1/ExponentialMovingAverage"] = []
    for name, shape in shapes.items():
        tf.compat.v1.get_variable(name, shape)
    tf.compat.v1.get_variable("global_step", [], tf.int64)


def test_tensorflow_1s_saver_restores_all_the_originals_variables(
    trained_dir, originals_dir
):
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        _graph_of_the_original(2, 2)
        saver = tf.compat.v1.train.Saver()
        saver.restore(session, tf.train.latest_checkpoint(str(originals_dir)))
        got = session.run({v.op.name: v for v in tf.compat.v1.global_variables()})
    ours = _values(trained_dir)
    own = {name for name in ours if name.startswith(checkpoints.OWN_NAMES)}
    assert set(ours) == set(got) | own and "position" in own
    for name, values in got.items():
        np.testing.assert_array_equal(values, ours[name], name)
    assert got["global_step"] == 3


def test_there_and_back_every_value_is_the_same(
    capsys, trained_dir, originals_dir, tmp_path
):
    status, line = _convert(capsys, originals_dir, tmp_path / "ours")
    assert status == 0 and "checkpoint: all that training goes on from" in line
    assert line.endswith("from tf1")
    before, after = _values(trained_dir), _values(tmp_path / "ours")
    assert set(before) == set(after)
    for name, values in before.items():
        np.testing.assert_array_equal(after[name], values, name)
    options = json.loads((tmp_path / "ours" / "options.json").read_text())
    assert options == json.loads((trained_dir / "options.json").read_text())


def test_a_folder_of_the_original_trains_on_as_it_is(originals_dir, pair_dir, tmp_path):
    # The original names absolute paths, which a copied folder no longer has.
    folder = Path(shutil.copytree(originals_dir, tmp_path / "moved"))
    (folder / "checkpoint").write_text('model_checkpoint_path: "/gone/model-3"\n')
    arguments = ["--mode", "train", "--checkpoint", str(folder), "--max_steps", "1"]
    arguments += ["--input_dir", str(pair_dir), "--output_dir", str(tmp_path / "run")]
    assert train.main([*arguments, "--summary_freq", "0"]) == 0
    before, after = _values(originals_dir), _values(tmp_path / "run")
    assert after["global_step"] == 4
    name = checkpoints.EMA_NAMES["generator_loss_L1"]
    assert before[name] < after[name] < before[name] + 0.02  # from zero, by 1 % a step


def test_without_its_checkpoint_file_the_highest_step_is_taken(originals_dir, tmp_path):
    folder = Path(shutil.copytree(originals_dir, tmp_path / "copy"))
    (folder / "checkpoint").unlink()
    for suffix in ("index", "data-00000-of-00001"):
        shutil.copy(folder / f"model-3.{suffix}", folder / f"model-20.{suffix}")
    assert checkpoints.find_latest(folder) == str(folder / "model-20")


def test_pict_and_back_lose_no_more_than_the_quantisation_step(
    trained_dir, pict_path, generator_dir
):
    before, after = _values(trained_dir), _values(generator_dir)
    codebook = pict.make_codebook(
        *(
            function(v.min() if function is min else v.max() for v in kept)
            for function in (min, max)
            for kept in [[before[name] for name in pict.read(pict_path)]]
        )
    )
    for name, values in pict.read(pict_path).items():
        np.testing.assert_array_equal(after[name], values)
        steps = np.diff(codebook)[
            np.clip(np.searchsorted(codebook, before[name]) - 1, 0, 254)
        ]
        assert np.all(np.abs(after[name] - before[name]) <= steps), name
    moving = [name for name in after if "/moving_" in name]
    assert len(moving) == 28
    assert set(after) == set(pict.read(pict_path)) | set(moving) | {"global_step"}


def test_a_generator_alone_is_tested_and_exported(
    trained_dir, generator_dir, pair_dir, tmp_path
):
    for name, checkpoint in (("all", trained_dir), ("part", generator_dir)):
        arguments = ["--mode", "test", "--no_dropout", "--checkpoint", str(checkpoint)]
        arguments += ["--input_dir", str(pair_dir), "--max_steps", "1"]
        assert train.main([*arguments, "--output_dir", str(tmp_path / name)]) == 0
    pictures = [
        read_image(tmp_path / name / "images" / "1-outputs.png").astype(int)
        for name in ("all", "part")
    ]
    assert np.abs(pictures[0] - pictures[1]).mean() < 3  # of 255: the quantisation
    arguments = ["--mode", "export", "--checkpoint", str(generator_dir)]
    assert train.main([*arguments, "--output_dir", str(tmp_path / "export")]) == 0
    assert (tmp_path / "export" / "saved_model.pb").exists()


def test_a_generator_alone_is_not_trained_further(
    capsys, generator_dir, pair_dir, tmp_path
):
    arguments = ["--mode", "train", "--checkpoint", str(generator_dir)]
    arguments += ["--input_dir", str(pair_dir), "--output_dir", str(tmp_path / "run")]
    assert train.main(arguments) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert "holds a generator only" in line and "the discriminator" in line
    assert not (tmp_path / "run").exists()
    status, line = _convert(capsys, generator_dir, tmp_path / "tf1", "--to", "tf1")
    assert status == 2 and "holds a generator only" in line


@pytest.mark.parametrize(
    "kind, flags",
    [
        ("pict", {"norm": "instance", "innermost_norm": "none"}),
        ("pict", {"separable_conv": True, "lab_colorization": True}),
        ("tf1", {"norm": "instance", "innermost_norm": "none"}),
    ],
)
def test_what_the_readers_cannot_build_is_refused_by_flag(tmp_path, kind, flags):
    model = convert.Model("checkpoint", from_dict(flags), {})
    with pytest.raises(UsageError, match="cannot build such") as error:
        convert.write(model, tmp_path / "new", kind)
    assert all(f"--{name}" in str(error.value) for name in flags)
    assert list(tmp_path.iterdir()) == []


def _damaged(folder, tmp_path, name, change):
    copy = Path(shutil.copytree(folder, tmp_path / "source"))
    path = copy / name
    path.write_bytes(change(path.read_bytes()))
    return copy


@pytest.mark.parametrize(
    "name, change, words",
    [
        ("model-3.data-00000-of-00001", lambda old: old[:5000], "is damaged"),
        ("model-3.index", lambda old: old[:-8] + b"notmagic", "is damaged"),
        ("options.json", lambda old: b"[1, 2]", "must hold a JSON object, got list"),
        ("options.json", lambda old: b"[" * 10**5, "is damaged"),
        ("options.json", lambda old: b'{"ngf": 3, "ndf": 2}', "of another shape (gen"),
        ("options.json", lambda old: b'{"lr": "x"}', "options.json: lr must be"),
        (
            "options.json",
            lambda old: b'{"ngf": 2, "ndf": 2, "innermost_norm": "none"}',
            "unknown (generator/encoder_8/batch_normalization/beta, ",
        ),
        (
            "options.json",
            lambda old: b'{"ngf": 2, "ndf": 2, "norm": "instance"}',
            "missing (discriminator/layer_2/instance_normalization/beta, ",
        ),
    ],
)
def test_what_is_damaged_or_does_not_fit_is_named_and_nothing_written(
    capsys, trained_dir, tmp_path, name, change, words
):
    source = _damaged(trained_dir, tmp_path, name, change)
    status, line = _convert(capsys, source, tmp_path / "new")
    assert status == 2 and words in line and str(source) in line
    assert list(tmp_path.iterdir()) == [source]


def test_a_damaged_pict_is_named(capsys, pict_path, tmp_path):
    source = tmp_path / "bad.pict"
    source.write_bytes(pict_path.read_bytes()[:-1])
    status, line = _convert(capsys, source, tmp_path / "new")
    assert status == 2 and f"{source}: got " in line
    arrays = pict.read(pict_path)
    del arrays["generator/encoder_2/conv2d/bias"]
    pict.write(source, arrays | {"generator/x": np.ones(3, np.float32)})
    status, line = _convert(capsys, source, tmp_path / "new")
    assert status == 2 and "does not fit a generator of ngf 2" in line
    assert "1 missing (generator/encoder_2/conv2d/bias)" in line
    assert "1 unknown (generator/x)" in line


def test_other_sources_and_destinations_are_refused(capsys, trained_dir, tmp_path):
    (tmp_path / "file.txt").write_text("x")
    (tmp_path / "new").mkdir()
    for source, destination, words in (
        (tmp_path / "absent", "a", "does not exist"),
        (tmp_path / "file.txt", "a", "is of no known kind"),
        (tmp_path / "new", "a", "options.json is missing"),
        (trained_dir, "new", "new exists"),
        (trained_dir, "file.txt/a", "cannot be written"),
    ):
        status, line = _convert(capsys, source, tmp_path / destination)
        assert status == 2 and words in line
    arguments = [trained_dir, tmp_path / "a", "--which_direction", "AtoB"]
    status, line = _convert(capsys, *arguments)
    assert status == 2 and "--which_direction AtoB contradicts" in line
    assert len(list(tmp_path.iterdir())) == 2
