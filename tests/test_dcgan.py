"""DCGAN: networks, losses, images, and the whole command."""

import json
import signal

import numpy as np
import pytest
import tensorflow as tf
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from pix2pix_tf import checkpoints, networks, train
from pix2pix_tf.dcgan import __main__ as dcgan_command
from pix2pix_tf.dcgan import crops, options, step, training
from pix2pix_tf.options import OptimizerConfig
from pix2pix_tf.training import losses
from tests.conftest import read_image, write_image

RAMP = np.arange(40 * 50 * 3, dtype=np.int64).reshape(40, 50, 3).astype(np.uint8)


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory, photo_dir):
    """The output folder of a run of two steps, with everything on."""
    folder = tmp_path_factory.mktemp("dcgan") / "run"
    arguments = ["--input_dir", photo_dir, "--max_steps", 2, "--display_freq", 1]
    arguments += ["--summary_freq", 2, "--trace_freq", 2, "--progress_freq", 2]
    assert _run(folder, *arguments) == 0
    return folder


def _run(folder, *arguments):
    arguments = ["--output_dir", folder, "--batch_size", 2, "--seed", 3, *arguments]
    return dcgan_command.main([str(argument) for argument in arguments])


def _restored(folder):
    state = step.make_state(OptimizerConfig())
    checkpoints.restore(state, checkpoints.find_latest(folder))
    return state


@pytest.fixture(scope="module")
def state():
    return step.make_state(OptimizerConfig())


def test_the_networks_have_the_papers_shapes(state):
    shapes = {
        layer.name: layer.output.shape[1:]
        for network, _ in state.trained
        for layer in network.layers
    }
    assert shapes["reshape"] == (4, 4, 512)
    assert shapes["deconv_1"] == (8, 8, 256) and shapes["deconv_2"] == (16, 16, 128)
    assert shapes["deconv_3"] == (32, 32, 3)
    assert shapes["conv_1"] == (16, 16, 64) and shapes["conv_3"] == (4, 4, 256)
    assert state.discriminator.output_shape == (None, 1)
    # dense, its norm; 5x5 kernels, biases and norms: 512 -> 256 -> 128 -> 3 channels
    dense = 100 * 8192 + 8192 + 2 * 512
    deconvs = (25 * 512 + 3) * 256 + (25 * 256 + 3) * 128 + (25 * 128 + 1) * 3
    assert networks.count_parameters(state.generator) == dense + deconvs == 4935171
    # 3 -> 64 without norm -> 128 -> 256; one logit of 4x4x256
    convs = (25 * 3 + 1) * 64 + (25 * 64 + 3) * 128 + (25 * 128 + 3) * 256
    assert networks.count_parameters(state.discriminator) == convs + 4097 == 1034113


def test_kernels_start_from_a_normal_of_002_and_each_variable_has_a_name(state):
    for network, _ in state.trained:
        named = networks.variables_by_name(network)
        assert len(named) == len(network.variables)
        for name, variable in named.items():
            if name.endswith("kernel"):
                assert np.std(variable) == pytest.approx(0.02, rel=0.05), name
    assert "discriminator/conv_2/batch_normalization/moving_mean" in named


def test_the_loss_smooths_real_labels_only():
    real, fake = np.array([[0.3], [2.0]]), np.array([[-1.0], [0.5]])
    p_real, p_fake = 1 / (1 + np.exp(-real)), 1 / (1 + np.exp(-fake))
    wanted = -np.mean(0.9 * np.log(p_real) + 0.1 * np.log(1 - p_real))
    wanted -= np.mean(np.log(1 - p_fake))
    got = losses.logit_discriminator_loss(
        tf.constant(real, tf.float32), tf.constant(fake, tf.float32), 0.1
    )
    np.testing.assert_allclose(got, wanted, rtol=1e-5)
    got = losses.logit_gan_loss(tf.constant(fake, tf.float32))
    np.testing.assert_allclose(got, -np.mean(np.log(p_fake)), rtol=1e-5)


def test_a_step_depends_on_seed_and_step_only_and_moves_the_statistics(state):
    images = tf.random.stateless_uniform([2, 32, 32, 3], [0, 1], -1, 1)
    start = [variable.numpy() for variable in state.generator.variables]
    train_step = step.make_train_step(state, options.LossConfig(), 5)
    outputs = []
    for _ in range(2):
        for variable, value in zip(state.generator.variables, start, strict=True):
            variable.assign(value)
        state.global_step.assign(7)
        outputs.append(train_step(images).outputs)
    np.testing.assert_allclose(*outputs, atol=1e-5)
    moving = networks.variables_by_name(state.generator)[
        "generator/deconv_1/batch_normalization/moving_variance"
    ]
    assert np.all(moving.numpy() != 1)


def test_images_keep_their_pixels_and_larger_ones_are_scaled():
    small = crops.scale(RAMP.astype(np.float32) * np.float32(1 / 255), 64)
    np.testing.assert_array_equal(small, RAMP)
    for size, scaled in [((128, 200), (64, 100)), ((28, 28), (32, 32))]:
        image = np.zeros([*size, 3], np.float32)
        assert crops.scale(image, 64).shape == (*scaled, 3)


@pytest.mark.parametrize("flip", [True, False])
def test_a_crop_is_a_window_of_the_image_flipped_or_not(flip):
    windows = np.lib.stride_tricks.sliding_window_view(RAMP, (32, 32), (0, 1))
    windows = np.moveaxis(windows, 2, -1).reshape(-1, 32, 32, 3)
    known = {window.tobytes() for window in windows}
    known_flipped = {window[:, ::-1].tobytes() for window in windows}
    config = options.DataConfig(batch_size=20, flip=flip)
    [(_, batch)] = crops.train_batches(crops.stack([RAMP]), config, 1, 0).take(1)
    pixels = np.round((batch.numpy() + 1) * 127.5).astype(np.uint8)
    cut = [crop.tobytes() for crop in pixels]
    num_flipped = sum(one in known_flipped for one in cut)
    assert set(cut) <= known | known_flipped and len(set(cut)) > 10
    assert 0 < num_flipped < 20 if flip else num_flipped == 0


def test_batches_go_on_where_they_were(photo_dir):
    config = options.DataConfig(input_dir=str(photo_dir), batch_size=2)
    images = crops.read(config)
    unbroken = list(crops.train_batches(images, config, 7, 0).take(3))
    [resumed] = crops.train_batches(images, config, 7, 4).take(1)
    assert resumed[1].shape == (2, 32, 32, 3)
    for tensor, again in zip(unbroken[2], resumed, strict=True):
        np.testing.assert_array_equal(tensor, again)
    assert -1 <= np.min(resumed[1]) < -0.2 and 0.2 < np.max(resumed[1]) <= 1


def test_a_run_leaves_what_pix2pixs_does(run_dir):
    stored = json.loads((run_dir / "options.json").read_text())
    assert stored["mode"] == "dcgan" and stored["label_smoothing"] == 0.1
    assert checkpoints.find_latest(run_dir) == str(run_dir / "model-2")
    names = ["00000001-samples.png", "00000002-samples.png"]
    assert sorted(path.name for path in (run_dir / "images").iterdir()) == names
    page = (run_dir / "index.html").read_text()
    assert '<th class="text" data-sort="up">step</th><th>sample</th>' in page
    assert all(f'src="images/{name}"' in page for name in names)
    assert list(run_dir.glob("plugins/profile/*/*.xplane.pb"))
    events = EventAccumulator(str(run_dir), size_guidance={"tensors": 0}).Reload()
    tags = set(events.Tags()["tensors"])
    assert {"discriminator_loss", "generator_loss_GAN"} <= tags
    assert "samples_summary/samples" in tags
    assert "discriminator/conv_3/conv2d/kernel/gradients" in tags


def test_grids_are_of_one_z_and_the_strips_begin_and_end_in_them(run_dir):
    generator = _restored(run_dir).generator
    samples = training.images_of(generator, training.grid_z())
    grid = read_image(run_dir / "images" / "00000002-samples.png")
    strips = read_image(run_dir / "interpolation.png")
    assert grid.shape == (8 * 32, 8 * 32, 3) and strips.shape == (4 * 32, 10 * 32, 3)
    tiles = grid.reshape(8, 32, 8, 32, 3).swapaxes(1, 2).reshape(64, 32, 32, 3)
    # Sums of other batch sizes round otherwise.
    np.testing.assert_allclose(tiles.astype(int), samples.numpy(), atol=1)
    ends = strips.reshape(4, 32, 10, 32, 3)[:, :, [0, -1]].swapaxes(1, 2)
    ends = ends.reshape(8, 32, 32, 3).astype(int)
    np.testing.assert_allclose(ends, tiles[:8], atol=1)


def test_the_saved_model_draws_what_the_network_draws(run_dir):
    signature = tf.saved_model.load(str(run_dir / "saved_model")).signatures
    z = training.grid_z()[:3]
    answer = signature["serving_default"](z=z)
    wanted = _restored(run_dir).generator(z, training=False)
    np.testing.assert_allclose(answer["images"], wanted, atol=1e-4)
    alone = signature["serving_default"](z=z[1:2])
    np.testing.assert_allclose(alone["images"], wanted[1:2], atol=1e-4)
    decoded = tf.io.decode_png(answer["png"][2])
    images = training.images_of(_restored(run_dir).generator, z)
    np.testing.assert_allclose(decoded.numpy().astype(int), images[2], atol=1)


def test_going_on_keeps_the_step(capsys, run_dir, tmp_path, photo_dir):
    arguments = ["--input_dir", photo_dir, "--max_steps", 1, "--summary_freq", 0]
    assert _run(tmp_path / "more", "--checkpoint", run_dir, *arguments) == 0
    assert "loading model from checkpoint" in capsys.readouterr().out
    assert (tmp_path / "more" / "images" / "00000003-samples.png").is_file()
    reader = tf.train.load_checkpoint(checkpoints.find_latest(tmp_path / "more"))
    assert reader.get_tensor("global_step") == 3 and reader.get_tensor("position") == 6
    again = ["--checkpoint", run_dir, *arguments, "--resume", "auto"]
    assert _run(tmp_path / "more", *again) == 0
    assert "nothing to do: 1 of 1 steps are done" in capsys.readouterr().out


def test_a_stopped_run_saves_and_writes_no_model(monkeypatch, tmp_path, photo_dir):
    def stop(*_):
        signal.raise_signal(signal.SIGTERM)
        return np.zeros([64, 32, 32, 3], np.uint8)

    monkeypatch.setattr(training, "images_of", stop)
    arguments = ["--input_dir", photo_dir, "--max_steps", 2, "--display_freq", 1]
    assert _run(tmp_path / "run", *arguments, "--summary_freq", 0) == 143
    assert (tmp_path / "run" / "model-1.index").is_file()
    assert not (tmp_path / "run" / "interpolation.png").exists()
    assert not (tmp_path / "run" / "saved_model").exists()


def test_without_input_the_sample_facades_photographs_are_read(monkeypatch, pair_dir):
    from pix2pix_tf.data import samples

    monkeypatch.setattr(samples, "sample_dir", lambda lab, split: pair_dir)
    images = crops.read(options.DataConfig())
    assert images.shape[0] == 5
    left = read_image(pair_dir / "2.png")[:, :64]
    np.testing.assert_array_equal(images[1].to_tensor(), left)


@pytest.mark.parametrize("name", ["svhn_cropped", "mnist"])
def test_a_named_data_set_is_read(name):
    import tensorflow_datasets as tfds

    with tfds.testing.mock_data(num_examples=3):
        images = crops.read(options.DataConfig(dataset=name))
    assert images.shape[0] == 3
    assert images[2].to_tensor().shape == (32, 32, 3)


@pytest.mark.parametrize(
    "arguments, words",
    [
        (["--input_dir", "a", "--dataset", "mnist"], ["--input_dir a", "--dataset"]),
        (["--scale_size", "31"], ["--scale_size", "at least 32", "31"]),
        (["--batch_size", "0"], ["--batch_size", "at least 1"]),
        (["--output_dir", "p[1]"], ["--output_dir", "[ in its path"]),
        (["--input_dir", "nowhere"], ["nowhere is not a folder"]),
        (["--dataset", "no_such_set"], ["no_such_set is not known", "svhn_cropped"]),
    ],
)
def test_wrong_usage_is_told_in_one_line(
    capsys, tmp_path, monkeypatch, arguments, words
):
    monkeypatch.chdir(tmp_path)
    assert dcgan_command.main(["--output_dir", "run", *arguments]) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith("pix2pix-tf dcgan: error: ")
    assert all(word in line for word in words)
    assert not list(tmp_path.iterdir())


def test_a_data_set_that_cannot_be_had_is_told_in_one_line(
    capsys, tmp_path, monkeypatch
):
    import tensorflow_datasets as tfds

    def download_and_prepare(self):
        raise ConnectionError("no route to host\nand more")

    monkeypatch.setattr(
        tfds.core.DatasetBuilder, "download_and_prepare", download_and_prepare
    )
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    arguments = ["--dataset", "svhn_cropped", "--output_dir", str(tmp_path / "run")]
    assert dcgan_command.main(arguments) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert "svhn_cropped is not prepared" in line and "no route to host)" in line


def test_damaged_images_are_named_before_the_first_step(capsys, tmp_path):
    (tmp_path / "c.png").write_bytes(b"hello")
    write_image(tmp_path / "odd.png", 33, 35)  # nothing is wrong with odd sizes
    assert _run(tmp_path / "run", "--input_dir", tmp_path) == 2
    error = capsys.readouterr().err
    assert "1 of 2 examples cannot be used" in error and "c.png" in error


def test_pix2pix_and_dcgan_keep_out_of_each_others_folders(
    capsys, run_dir, trained_dir, photo_dir
):
    photos = ["--input_dir", str(photo_dir), "--max_steps", "1"]
    assert train.main(["--mode", "train", "--output_dir", str(run_dir), *photos]) == 2
    assert "holds a dcgan run" in capsys.readouterr().err
    assert _run(run_dir, *photos) == 2
    assert "holds a trained model" in capsys.readouterr().err
    assert _run(run_dir / "more", "--checkpoint", trained_dir, *photos) == 2
    assert "does not fit" in capsys.readouterr().err
