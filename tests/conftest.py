"""Tiny images, and one tiny trained model that the tests of the commands share."""

import contextlib
import json
import signal
import socket
import threading
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
import uvicorn

from pix2pix_tf import checkpoints, networks, train
from pix2pix_tf.metrics import features
from pix2pix_tf.options import LossConfig, ModelConfig, PairConfig
from pix2pix_tf.training import step

# Most of a test's time is the first run of a graph; unoptimised it is a third shorter.
tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})

# A job in the background of a shell ignores Ctrl-C, which some tests raise.
signal.signal(signal.SIGINT, signal.default_int_handler)

GOLDEN_DIR = Path(__file__).parent / "golden"
TINY = ["--ngf", "2", "--ndf", "2", "--crop_size", "32"]

# As `small_model`, on a command line.
SMALL = ["--ngf", "1", "--ndf", "1", "--crop_size", "32", "--n_layers", "1"]


def small_model(**changes):
    """Returns the smallest ModelConfig, with changes."""
    sizes = {"ngf": 1, "ndf": 1, "crop_size": 32, "num_downs": 5, "n_layers": 1}
    return ModelConfig(**(sizes | changes))


def values_of(state):
    """Returns {name in a checkpoint: array} of all that a TrainState holds now."""
    return {name: np.array(one) for name, one in checkpoints.tensors(state).items()}


def assert_equal_values(got, wanted):
    """Compares two results of `values_of`, or the like, to the bit."""
    assert set(got) == set(wanted)
    for name, values in wanted.items():
        np.testing.assert_array_equal(got[name], values, name)


def write_image(path, height, width, seed=0, channels=3):
    """Writes a random image of smooth colours, as the file's ending says."""
    rng = np.random.default_rng(seed)
    small = rng.random([4, 4, channels], np.float32)
    image = tf.image.resize(small, [height, width], method="bicubic")
    image = tf.image.convert_image_dtype(image, tf.uint8, saturate=True)
    is_jpeg = path.suffix.lower() in (".jpg", ".jpeg")
    encoded = tf.io.encode_jpeg(image) if is_jpeg else tf.io.encode_png(image)
    path.write_bytes(encoded.numpy())
    return path


def read_image(path):
    """Returns uint8 [height, width, channels] of a PNG or JPEG file."""
    contents = path.read_bytes()
    if contents.startswith(b"\xff\xd8"):
        return tf.io.decode_jpeg(contents, dct_method="INTEGER_ACCURATE").numpy()
    return tf.io.decode_image(contents, expand_animations=False).numpy()


def upright(pixels, orientation):
    """Turns pixels [height, width, channels] as an orientation of EXIF says."""
    return {
        1: pixels,
        2: np.fliplr(pixels),
        3: np.rot90(pixels, 2),
        4: np.flipud(pixels),
        5: pixels.swapaxes(0, 1),
        6: np.rot90(pixels, -1),
        7: np.rot90(pixels, 2).swapaxes(0, 1),
        8: np.rot90(pixels, 1),
    }[orientation]


@pytest.fixture(scope="session")
def pair_dir(tmp_path_factory):
    """A folder of five side-by-side pairs, two kinds of file."""
    folder = tmp_path_factory.mktemp("pairs")
    for number, suffix in enumerate([".jpg", ".png", ".JPG", ".jpeg", ".png"], 1):
        write_image(folder / f"{number}{suffix}", 64, 128, seed=number)
    return folder


@pytest.fixture(scope="session")
def small_pair():
    """Inputs and targets for `small_model`."""
    return tf.unstack(tf.random.stateless_uniform([2, 1, 32, 32, 3], [1, 1], -1, 1))


@pytest.fixture(scope="session")
def photo_dir(tmp_path_factory):
    """A folder of two photographs, landscape and portrait."""
    folder = tmp_path_factory.mktemp("photos")
    write_image(folder / "a.png", 60, 90, seed=1)
    write_image(folder / "b.jpg", 91, 61, seed=2)
    return folder


@pytest.fixture(scope="session")
def trained_dir(tmp_path_factory, pair_dir):
    """The output folder of a run of three steps, with everything on."""
    folder = tmp_path_factory.mktemp("trained") / "run"
    arguments = ["--mode", "train", "--input_dir", str(pair_dir), *TINY]
    arguments += ["--output_dir", str(folder), "--max_steps", "3", "--seed", "5"]
    arguments += ["--which_direction", "BtoA", "--progress_freq", "2"]
    arguments += ["--summary_freq", "2", "--display_freq", "2", "--trace_freq", "3"]
    assert train.main(arguments) == 0
    return folder


def export(checkpoint, folder, *flags):
    """Exports a checkpoint, without dropout, and returns the folder."""
    arguments = ["--mode", "export", "--checkpoint", str(checkpoint), "--no_dropout"]
    assert train.main([*arguments, "--output_dir", str(folder), *flags]) == 0
    return folder


@pytest.fixture(scope="session")
def exported_dir(trained_dir, tmp_path_factory):
    """A folder `facades/1` with the model of `trained_dir` in all formats."""
    folder = tmp_path_factory.mktemp("models") / "facades" / "1"
    for name in ("saved_model", "litert", "onnx", "keras"):
        export(trained_dir, folder, "--export_format", name)
    return folder


@contextlib.contextmanager
def serving(app, log_level="warning", **settings):
    """Runs an ASGI application on a free port by uvicorn, and yields its address."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        config = uvicorn.Config(app, log_level=log_level, **settings)
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, args=[[listener]])
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()


@pytest.fixture(scope="session")
def extractor_path(tmp_path_factory):
    """A stand-in for InceptionV3: means of 2 x 2 places, as 12 features."""
    inputs = keras.Input([features.SIDE, features.SIDE, 3])
    means = keras.layers.AveragePooling2D(149)(inputs)
    path = tmp_path_factory.mktemp("extractor") / "stand_in.keras"
    keras.Model(inputs, keras.layers.Flatten()(means)).save(path)
    return str(path)


@pytest.fixture(scope="session")
def lab_trained_dirs(tmp_path_factory, photo_dir):
    """{direction: output folder} of colorization runs of one step."""
    folders = {}
    for direction in ("AtoB", "BtoA"):
        folders[direction] = tmp_path_factory.mktemp("lab") / direction
        arguments = ["--mode", "train", "--lab_colorization", *TINY, "--seed", "5"]
        arguments += ["--input_dir", str(photo_dir), "--max_steps", "1"]
        arguments += ["--which_direction", direction, "--summary_freq", "0"]
        assert train.main([*arguments, "--output_dir", str(folders[direction])]) == 0
    return folders


class Golden:
    """One recorded file of the original, and our networks with its variables."""

    def __init__(self, name):
        self.arrays = np.load(GOLDEN_DIR / f"{name}.npz")
        meta = json.loads(str(self.arrays["meta"]))
        pair = PairConfig(meta["lab_colorization"], meta["which_direction"])
        model = ModelConfig(ngf=meta["ngf"], ndf=meta["ndf"], no_dropout=True)
        self.loss = LossConfig()
        self.state = step.make_state(pair.channels, model, self.loss)
        size = [meta["batch_size"], 256, 256, pair.channels[0]]
        inputs = np.random.RandomState(meta["seed"]).uniform(-1, 1, size)
        self.inputs = tf.constant(inputs, tf.float32)
        self.targets = tf.constant(self.arrays["targets"])
        self.variables = networks.variables_by_name(self.state.generator)
        self.variables |= networks.variables_by_name(self.state.discriminator)
        for name, variable in self.variables.items():
            if variable.trainable:
                variable.assign(self.arrays[f"var/{name}"])

    def sample(self, kind, name, values):
        """Returns (the values that were kept, the recorded ones) of an array."""
        recorded = self.arrays[f"{kind}/{name}"]
        values = np.asarray(values).ravel()
        return values[:: -(-values.size // 256)], recorded


@pytest.fixture(scope="module", params=["pairs", "lab"])
def golden(request):
    """Pairs at batch 1, then colorization at batch 2."""
    return Golden(request.param)
