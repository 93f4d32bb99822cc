"""Trains DCGAN on pix2pix's loop, and leaves its samples and its SavedModel."""

from pathlib import Path

import numpy as np
import tensorflow as tf

from pix2pix_tf.dcgan import crops, step
from pix2pix_tf.dcgan.networks import Z_SIZE
from pix2pix_tf.images import pixels
from pix2pix_tf.training import loop

GRID_SIDE = 8  # samples
# z of the grid: the same in every run, so that grids compare between runs too.
GRID_SEED = (0, 0)
NUM_STRIPS = 4
STRIP_LENGTH = 10  # samples, both ends included


def train(options, images):
    """Trains until stopped; or until done, and writes what the generator has learned.

    Args:
        options: DcganOptions.
        images: Images.

    Returns:
        int, the number of the signal that stopped it, or 0.

    Raises:
        UsageError, RunError, OSError: it cannot go on, as `loop.run` says.
    """
    state = step.make_state(options.optimizer)
    seed = options.run.seed
    sample = tf.function(lambda z: images_of(state.generator, z))

    def batches():
        position = int(state.position)
        return iter(crops.train_batches(images, options.data, seed, position))

    task = loop.Task(
        title="DCGAN",
        state=state,
        num_examples=len(images),
        batch_size=options.data.batch_size,
        batches=batches,
        train_step=step.make_train_step(state, options.loss, seed),
        to_images=lambda *_: {"samples": tile(sample(grid_z()), GRID_SIDE)[None]},
        to_names=lambda _: [""],  # one image a step
    )
    stopped_by = loop.run(options, task)
    if stopped_by:
        return stopped_by
    output_dir = Path(options.run.output_dir)
    strips = tile(sample(interpolation_z()), STRIP_LENGTH)
    contents = pixels.encode(strips, "png").numpy()
    (output_dir / "interpolation.png").write_bytes(contents)
    save_model(state.generator, output_dir / "saved_model")
    return 0


def images_of(generator, z):
    """Returns uint8 [batch, 32, 32, 3]: the samples of z, by moving statistics."""
    return pixels.to_uint8(pixels.deprocess(generator(z, training=False)))


def grid_z():
    """Returns the grid's z, float32 [64, 100]."""
    return step.draw_z(GRID_SIDE**2, GRID_SEED)


def interpolation_z():
    """Returns z along straight lines between the grid's first z, two by two.

    Straight, as z is uniform in a cube, which has all of such a line.

    Returns:
        float32 [40, 100]: four lines of ten, ends included.
    """
    first, last = grid_z()[0 : 2 * NUM_STRIPS : 2], grid_z()[1 : 2 * NUM_STRIPS : 2]
    shares = tf.linspace(0.0, 1.0, STRIP_LENGTH)[:, tf.newaxis]
    lines = first[:, tf.newaxis] * (1 - shares) + last[:, tf.newaxis] * shares
    return tf.reshape(lines, [NUM_STRIPS * STRIP_LENGTH, Z_SIZE])


def tile(batch, num_columns):
    """Lays images out in rows.

    Args:
        batch: uint8 [rows * num_columns, height, width, 3].
        num_columns: int.

    Returns:
        numpy uint8 [rows * height, num_columns * width, 3].
    """
    batch = np.asarray(batch)
    _, height, width, _ = batch.shape
    rows = batch.reshape(-1, num_columns, height, width, 3)
    return rows.swapaxes(1, 2).reshape(-1, num_columns * width, 3)


def save_model(generator, folder):
    """Writes a SavedModel: z to `images`, float32 in [-1, 1], and `png`, their bytes.

    Args:
        generator: keras.Model.
        folder: folder path.
    """
    model = tf.Module(name="dcgan")
    model.variables_of_generator = [variable.value for variable in generator.variables]

    @tf.function(input_signature=[tf.TensorSpec([None, Z_SIZE], tf.float32, "z")])
    def generate(z):
        outputs = generator(z, training=False)
        images = pixels.to_uint8(pixels.deprocess(outputs))
        png = tf.map_fn(
            lambda image: pixels.encode(image, "png"),
            images,
            fn_output_signature=tf.string,
        )
        return {"images": outputs, "png": png}

    model.generate = generate
    tf.saved_model.save(model, str(folder), signatures={"serving_default": generate})
    print(f"wrote SavedModel at {folder}", flush=True)
