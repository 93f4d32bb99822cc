"""Trains DCGAN in pix2pix's loop, and writes its samples and its SavedModel."""

from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from pix2pix_tf.dcgan import crops, step
from pix2pix_tf.dcgan.networks import Z_SIZE
from pix2pix_tf.dcgan.options import DcganOptions
from pix2pix_tf.images import pixels
from pix2pix_tf.inference import saved_model
from pix2pix_tf.runtime import files
from pix2pix_tf.training import loop

GRID_SIDE = 8  # samples
# The seed of the grid's z: the same in all runs, so that their grids can be compared.
GRID_SEED = (0, 0)
NUM_STRIPS = 4
STRIP_LENGTH = 10  # samples, both ends included


def train(options: DcganOptions) -> int:
    """Trains; at the planned end it also writes `interpolation.png` and a SavedModel.

    Returns:
        The number of the signal that stopped the training, or 0.

    Raises:
        UsageError, RunError, OSError: as `loop.run`, or the images cannot be read, or
            no SavedModel could be loaded from the folder.
    """
    saved_model.check_folder(options.run.output_dir)
    images = crops.read(options.data)
    state = step.make_state(options.optimizer)
    seed = options.run.seed
    sample = tf.function(lambda z: images_of(state.generator, z), autograph=False)

    def batches():
        position = int(state.position)
        return iter(crops.train_batches(images, options.data, seed, position))

    task = loop.Task(
        title="DCGAN",
        about="samples of the same 64 random vectors, by step; interpolation.png is "
        "written at the end",
        state=state,
        num_examples=images.shape[0],
        batch_size=options.data.batch_size,
        batches=batches,
        train_step=step.make_train_step(state, options.loss, seed),
        to_images=lambda *_: {"samples": tile(sample(grid_z()), GRID_SIDE)[None]},
        to_names=lambda _: [""],  # one image a step
    )
    stopped_by = loop.run(options, task)
    if not stopped_by:
        folder = Path(options.run.output_dir)
        strips = tile(sample(interpolation_z()), STRIP_LENGTH)
        png = pixels.encode(strips, "png").numpy()
        files.write_whole(folder / "interpolation.png", png)
        save_model(state.generator, folder / "saved_model")
    return stopped_by


def images_of(generator: keras.Model, z):
    """Returns the images of z, uint8 [batch, 32, 32, 3], by moving statistics."""
    return pixels.to_uint8(pixels.deprocess(generator(z, training=False)))


def grid_z():
    """Returns the z of the grid's samples, float32 [64, 100]."""
    return step.draw_z(GRID_SIDE**2, GRID_SEED)


def interpolation_z():
    """Returns z on straight lines: from the grid's first z to its second, and so on.

    Each line stays inside the cube that z is drawn from.

    Returns:
        float32 [40, 100]: four lines of ten vectors, ends included.
    """
    ends = tf.reshape(grid_z()[: 2 * NUM_STRIPS], [NUM_STRIPS, 2, 1, Z_SIZE])
    shares = tf.linspace(0.0, 1.0, STRIP_LENGTH)[:, tf.newaxis]
    lines = ends[:, 0] * (1 - shares) + ends[:, 1] * shares
    return tf.reshape(lines, [-1, Z_SIZE])


def tile(images, num_columns: int) -> np.ndarray:
    """Arranges images in rows.

    Args:
        images: uint8 [rows * num_columns, height, width, 3].
        num_columns: images in a row.

    Returns:
        uint8 [rows * height, num_columns * width, 3].
    """
    images = np.asarray(images)
    _, height, width, _ = images.shape
    rows = images.reshape(-1, num_columns, height, width, 3)
    return rows.swapaxes(1, 2).reshape(-1, num_columns * width, 3)


def save_model(generator: keras.Model, folder: Path) -> None:
    """Writes a SavedModel that maps z, float32 [batch, 100], to images.

    Its results are `images`, float32 [batch, 32, 32, 3] in [-1, 1], and `png`, string
    [batch], the same images as the contents of PNG files.
    """

    @tf.function(
        input_signature=[tf.TensorSpec([None, Z_SIZE], tf.float32, "z")],
        autograph=False,
    )
    def generate(z):
        outputs = generator(z, training=False)
        png = tf.map_fn(
            lambda image: pixels.encode(image, "png"),
            pixels.to_uint8(pixels.deprocess(outputs)),
            fn_output_signature=tf.string,
        )
        return {"images": outputs, "png": png}

    model = tf.Module(name="dcgan")
    model.variables_of_generator = [variable.value for variable in generator.variables]
    model.generate = generate
    tf.saved_model.save(model, str(folder), signatures={"serving_default": generate})
    print(f"wrote SavedModel at {folder}", flush=True)
