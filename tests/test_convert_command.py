"""The converting tool: to TensorFlow 1 and back, `.pict` and back, refusals.

Files of PyTorch: tests/test_pytorch.py.
"""

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from pix2pix_tf import checkpoints, train
from pix2pix_tf.commands import convert as convert_command
from pix2pix_tf.interop import convert, pict
from pix2pix_tf.options import from_dict, write_options
from pix2pix_tf.runtime.errors import UsageError
from pix2pix_tf.training import step
from tests.conftest import GOLDEN_DIR, assert_equal_values, read_image


def _convert(capsys, *arguments):
    """Returns (exit status, the line it printed)."""
    capsys.readouterr()
    status = convert_command.main([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    [line] = (captured.err if status else captured.out).splitlines()
    return status, line


def _values(folder):
    reader, shapes = checkpoints.open_reader(checkpoints.find_latest(folder))
    return {name: reader.get_tensor(name) for name in shapes}


def _options(folder):
    return json.loads((folder / "options.json").read_text())


def _write_model(folder, **flags):
    """Writes a folder as training does after 3 steps, with random values."""
    options = from_dict({"output_dir": str(folder)} | flags)
    state = step.make_state(options.pair.channels, options.model, options.loss)
    rng = np.random.default_rng(1)
    for count in (state.global_step, state.position):
        count.assign(3)
    for _, optimizer in state.trained:
        optimizer.iterations.assign(3)
    values = checkpoints.tensors(state)
    for name, one in values.items():
        if one.dtype == tf.float32:
            values[name] = rng.normal(0, 0.02, one.shape).astype(np.float32)
    write_options(options)
    checkpoints.write(values, folder, step=3)
    return folder


@pytest.fixture(scope="module")
def model_dir(tmp_path_factory):
    """A folder of ours, of networks that the original has too."""
    folder = tmp_path_factory.mktemp("ours") / "run"
    return _write_model(folder, ngf=4, ndf=4, which_direction="BtoA", seed=5)


@pytest.fixture(scope="module")
def originals_dir(model_dir, tmp_path_factory):
    """A folder as the original writes it: its options only, and no `position`."""
    folder = tmp_path_factory.mktemp("tf1") / "tf1"
    assert convert_command.main([str(model_dir), str(folder)]) == 0
    options = _options(folder)
    for name in ("norm", "innermost_norm", "no_dropout", "keep_checkpoints"):
        del options[name]
    (folder / "options.json").write_text(json.dumps(options))
    return folder


@pytest.fixture(scope="module")
def pict_path(model_dir, tmp_path_factory):
    path = tmp_path_factory.mktemp("pict") / "generator.pict"
    assert convert_command.main([str(model_dir), str(path)]) == 0
    return path


@pytest.fixture(scope="module")
def generator_dir(pict_path, tmp_path_factory):
    """A generator-only folder."""
    folder = tmp_path_factory.mktemp("generator") / "model"
    arguments = [str(pict_path), str(folder), "--which_direction", "BtoA"]
    assert convert_command.main(arguments) == 0
    return folder


def _make_variables_of_the_original():
    """Makes the variables of the original's graph, whose names and shapes it wrote."""
    recorded = np.load(GOLDEN_DIR / "pairs.npz")
    trained = {
        key.removeprefix("var/"): recorded[key].shape
        for key in recorded.files
        if key.startswith("var/")
    }
    shapes = dict(trained)
    for name, shape in trained.items():
        shapes |= {f"{name}/Adam": shape, f"{name}/Adam_1": shape}
        if name.endswith("/gamma"):
            norm = name.removesuffix("gamma")
            shapes |= {f"{norm}moving_mean": shape, f"{norm}moving_variance": shape}
    for scope in ("discriminator_train", "generator_train"):
        shapes |= {f"{scope}/beta1_power": [], f"{scope}/beta2_power": []}
    for loss in ("discriminator_loss/Mean", "generator_loss/Mean"):
        shapes[f"{loss}/ExponentialMovingAverage"] = []
    shapes["generator_loss/Mean_1/ExponentialMovingAverage"] = []
    for name, shape in shapes.items():
        tf.compat.v1.get_variable(name, shape)
    tf.compat.v1.get_variable("global_step", [], tf.int64)


def test_tensorflow_1s_saver_restores_all_the_originals_variables(
    model_dir, originals_dir
):
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        _make_variables_of_the_original()
        saver = tf.compat.v1.train.Saver()
        saver.restore(session, tf.train.latest_checkpoint(str(originals_dir)))
        got = session.run({v.op.name: v for v in tf.compat.v1.global_variables()})
    ours = _values(model_dir)
    own = {name for name in ours if name.startswith(checkpoints.OWN_NAMES)}
    assert "position" in own
    assert_equal_values(got, {name: ours[name] for name in set(ours) - own})


def test_there_and_back_every_value_is_the_same(
    capsys, model_dir, originals_dir, tmp_path
):
    status, line = _convert(capsys, originals_dir, tmp_path / "ours")
    assert status == 0 and line.endswith(
        "(checkpoint: everything that training continues from) from tf1"
    )
    assert_equal_values(_values(tmp_path / "ours"), _values(model_dir))
    assert _options(tmp_path / "ours") == _options(model_dir)


def test_a_run_of_any_losses_is_converted_on_a_machine_without_its_files(
    capsys, tmp_path
):
    flags = {"crop_size": 32, "num_downs": 5, "ngf": 1, "gan_weight": 0.0}
    flags |= {"l2_weight": 1.0, "perceptual_weight": 1.0}
    source = _write_model(tmp_path / "run", vgg_weights="/gone/vgg.h5", **flags)
    status, line = _convert(capsys, source, tmp_path / "new", "--to", "checkpoint")
    assert status == 0, line
    values = _values(tmp_path / "new")
    assert_equal_values(values, _values(source))
    assert "generator_loss_perceptual/ExponentialMovingAverage" in values
    assert _options(tmp_path / "new") == _options(source)


def test_a_run_is_tested_and_exported_on_a_machine_without_its_files(
    trained_dir, pair_dir, tmp_path
):
    source = Path(shutil.copytree(trained_dir, tmp_path / "run"))
    options = _options(source)
    options |= {"perceptual_weight": 1.0, "vgg_weights": "/gone/vgg.h5"}
    (source / "options.json").write_text(json.dumps(options))
    arguments = ["--checkpoint", str(source), "--output_dir"]
    test = ["--mode", "test", "--input_dir", str(pair_dir), "--max_steps", "1"]
    assert train.main([*test, *arguments, str(tmp_path / "test")]) == 0
    export = ["--mode", "export", *arguments, str(tmp_path / "export")]
    assert train.main(export) == 0


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
    assert before[name] < after[name] < before[name] + 0.02  # by 1 % a step


def test_pict_and_back_lose_no_more_than_the_quantisation_step(
    model_dir, pict_path, generator_dir
):
    before, after = _values(model_dir), _values(generator_dir)
    arrays = pict.read(pict_path)
    lowest = min(before[name].min() for name in arrays)
    highest = max(before[name].max() for name in arrays)
    codebook = pict.make_codebook(lowest, highest)
    for name, values in arrays.items():
        np.testing.assert_array_equal(after[name], values)
        places = np.clip(np.searchsorted(codebook, before[name]) - 1, 0, 254)
        steps = np.diff(codebook)[places]
        assert np.all(np.abs(after[name] - before[name]) <= steps), name
    moving = [name for name in after if "/moving_" in name]
    assert len(moving) == 28
    assert set(after) == set(arrays) | set(moving) | {"global_step"}


def test_a_generator_alone_is_tested_and_exported(
    model_dir, generator_dir, pair_dir, tmp_path
):
    def run(mode, checkpoint, *arguments):
        folder = tmp_path / f"{mode}-{checkpoint.name}"
        arguments += ("--mode", mode, "--checkpoint", checkpoint)
        assert train.main([*map(str, arguments), "--output_dir", str(folder)]) == 0
        return folder

    flags = ["--no_dropout", "--input_dir", pair_dir, "--max_steps", "1"]
    whole, part = (
        read_image(run("test", checkpoint, *flags) / "images/1-outputs.png").astype(int)
        for checkpoint in (model_dir, generator_dir)
    )
    assert np.abs(whole - part).mean() < 3  # of 255: the quantisation
    assert (run("export", generator_dir) / "saved_model.pb").exists()


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


NORM = "layer_2/instance_normalization/beta, "


@pytest.mark.parametrize(
    "options, words",
    [
        ('{"ngf": 3, "ndf": 4}', "of another shape (gen"),
        ('{"lr": "x"}', "options.json: lr must be"),
        ('{"ngf": 4, "innermost_norm": "none"}', "unknown (generator/encoder_8/batch_"),
        ('{"ngf": 4, "norm": "instance"}', f"missing (discriminator/{NORM}"),
        (None, "model-3 is damaged"),  # its data is cut
    ],
)
def test_what_is_damaged_or_does_not_fit_is_named_and_nothing_written(
    capsys, model_dir, tmp_path, options, words
):
    source = Path(shutil.copytree(model_dir, tmp_path / "source"))
    if options is None:
        os.truncate(source / "model-3.data-00000-of-00001", 5000)
    else:
        (source / "options.json").write_text(options)
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
    assert status == 2 and "does not fit a generator of ngf 4" in line
    assert "1 missing (generator/encoder_2/conv2d/bias)" in line
    assert "1 unknown (generator/x)" in line


def test_other_sources_and_destinations_are_refused(capsys, model_dir, tmp_path):
    (tmp_path / "file.txt").write_text("x")
    (tmp_path / "new").mkdir()
    for source, destination, words in (
        (tmp_path / "absent", "a", "does not exist"),
        (tmp_path / "file.txt", "a", "is of no known kind"),
        (tmp_path / "new", "a", "options.json is missing"),
        (model_dir, "new", "new exists"),
        (model_dir, "file.txt/a", "cannot be written"),
    ):
        status, line = _convert(capsys, source, tmp_path / destination)
        assert status == 2 and words in line
    arguments = [model_dir, tmp_path / "a", "--which_direction", "AtoB"]
    status, line = _convert(capsys, *arguments)
    assert status == 2 and "--which_direction AtoB contradicts" in line
    assert len(list(tmp_path.iterdir())) == 2
