"""From a folder of images to batches: find, check, flip, scale, crop, batch.

Every random draw is stateless: it depends on the seed, the epoch and the example only,
so that training may go on at any position as if it had never stopped.
"""

import concurrent.futures
import os
import re
from pathlib import Path

import tensorflow as tf

from pix2pix_tf import images, pairs
from pix2pix_tf.config import CROP_SIZE, UsageError
from pix2pix_tf.files import printable

SUFFIXES = (".jpg", ".jpeg", ".png")
MAX_CHECKED = 5000  # files; above, a damaged one is named when it is reached


def find_images(input_dir):
    """Returns the images of a folder, sorted: by number where all stems are numbers.

    Args:
        input_dir: folder path; its subfolders and hidden files are left out.

    Returns:
        list of Path.

    Raises:
        UsageError: there is no such folder, or no image in it.
    """
    input_dir = Path(input_dir)
    if not input_dir.is_dir():
        raise UsageError(f"--input_dir {input_dir} is not a folder")
    paths = [
        path
        for path in input_dir.iterdir()
        if path.suffix.lower() in SUFFIXES
        and not path.name.startswith(".")
        and not path.is_dir()  # a broken link stays, to be refused by name
    ]
    if not paths:
        raise UsageError(
            f"--input_dir {input_dir} has no images: wanted files ending in "
            + ", ".join(SUFFIXES)
        )
    if all(path.stem.isdecimal() for path in paths):
        return sorted(paths, key=lambda path: (int(path.stem), path.name))
    return sorted(paths)


def check_images(paths, pair):
    """Decodes up to MAX_CHECKED files before any work is done.

    Raises:
        UsageError: it names the files that cannot be used, and says why.
    """
    if len(paths) > MAX_CHECKED:
        return
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        problems = list(pool.map(lambda path: find_problem(path, pair), paths))
    _raise_problems([problem for problem in problems if problem], len(paths))


def find_problem(path, pair):
    """Returns why one file cannot be an example, or None where it can."""
    try:
        height, width, _ = images.decode(tf.io.read_file(os.fsencode(path))).shape
    except tf.errors.OpError as error:
        return f"{printable(path)} cannot be decoded ({_reason(error)})"
    if pair.lab_colorization:
        return None
    if width < 2 or width % 2:
        return (
            f"{printable(path)} is {width} pixels wide and {height} high: two pictures "
            "side by side need an even width"
        )
    return None


def train_batches(paths, pair, data, seed, position):
    """Returns an endless tf.data.Dataset of training batches.

    Args:
        paths: list of Path.
        pair: PairConfig.
        data: DataConfig.
        seed: int, in [0, 2**31).
        position: int, how many examples training has already seen.

    Returns:
        Dataset of (indices, inputs, targets): int64 [batch] into `paths`, and float32
        [batch, CROP_SIZE, CROP_SIZE, channels] in [-1, 1]. Batches are always whole:
        they run on over the border of an epoch, as the original's do.
    """
    names = tf.constant([os.fsencode(path) for path in paths])

    def load(index, example_seed):
        inputs, targets = _load(names[index], pair)
        inputs, targets = augment(inputs, targets, data, example_seed)
        return _set_shapes(inputs, targets, pair)

    return shuffled_batches(len(paths), load, data.batch_size, seed, position)


def shuffled_batches(num_examples, load, batch_size, seed, position):
    """Returns an endless tf.data.Dataset of batches, each epoch in an order of its own.

    Args:
        num_examples: int, in an epoch.
        load: function from (index, seed of the example in this epoch) to its tensors.
        batch_size, seed, position: int, as in `train_batches`.

    Returns:
        Dataset of (indices, *tensors), batched.
    """

    def example_at(position):
        index, epoch_seed = index_at(position, num_examples, seed)
        return index, *load(index, tf.random.fold_in(epoch_seed, index))

    positions = tf.data.Dataset.range(position, tf.int64.max)
    batches = positions.map(example_at, num_parallel_calls=tf.data.AUTOTUNE).batch(
        batch_size, drop_remainder=True
    )
    return batches.prefetch(tf.data.AUTOTUNE)


def index_at(position, count, seed):
    """Returns which of `count` examples stands at a position of the training order.

    Args:
        position: int64 scalar tensor, examples seen before it.
        count: int.
        seed: int, in [0, 2**31).

    Returns:
        (index, the epoch's seed): int64 scalar, and int [2].
    """
    epoch_seed = tf.random.fold_in([seed, 0], position // count)
    rank = position % count
    return tf.random.experimental.index_shuffle(rank, epoch_seed, count - 1), epoch_seed


def ordered_batches(paths, pair, data):
    """Returns a tf.data.Dataset of every example once, in order, scaled to CROP_SIZE.

    Args, Returns: as `train_batches`; the last batch may be short.
    """

    names = tf.constant([os.fsencode(path) for path in paths])

    def example(index):
        inputs, targets = (
            images.resize_area(side, CROP_SIZE) for side in _load(names[index], pair)
        )
        return index, *_set_shapes(inputs, targets, pair)

    indices = tf.data.Dataset.range(len(paths))
    examples = indices.map(example, num_parallel_calls=tf.data.AUTOTUNE)
    return examples.batch(data.batch_size).prefetch(tf.data.AUTOTUNE)


def augment(inputs, targets, data, seed):
    """Flips, scales and crops both pictures by the same draws, in the original's order.

    Args:
        inputs, targets: float32 [height, width, channels].
        data: DataConfig.
        seed: int [2], as tf.random.stateless_* take it.

    Returns:
        (inputs, targets), float32 [CROP_SIZE, CROP_SIZE, channels].
    """
    num_inputs = inputs.shape[-1]
    both = tf.concat([inputs, targets], axis=-1)
    if data.flip:
        draw = tf.random.stateless_uniform([], tf.random.fold_in(seed, 0))
        both = tf.cond(draw < 0.5, lambda: both[:, ::-1], lambda: both)
    both = images.resize_area(both, data.scale_size)
    # floor(U[0, n)): scale_size 286 gives offsets 0 to 30.
    y, x = tf.unstack(
        tf.random.stateless_uniform(
            [2],
            tf.random.fold_in(seed, 1),
            maxval=data.scale_size - CROP_SIZE + 1,
            dtype=tf.int32,
        )
    )
    both = both[y : y + CROP_SIZE, x : x + CROP_SIZE]
    return both[..., :num_inputs], both[..., num_inputs:]


def raise_damaged(error, paths, pair):
    """Turns a failure inside a Dataset into one that names the file at fault.

    Args:
        error: the tf.errors.OpError that the Dataset raised.
        paths: list of Path, the files of the batch that failed.
        pair: PairConfig.

    Raises:
        UsageError: one of the files is unusable.
        tf.errors.OpError: `error` itself, where all of them are well.
    """
    problems = [find_problem(path, pair) for path in paths]
    _raise_problems([problem for problem in problems if problem], len(paths))
    raise error


def _load(name, pair):
    """Reads one file into (inputs, targets), float32 in [-1, 1]."""
    image = images.decode(tf.io.read_file(name))
    if not pair.lab_colorization:
        tf.debugging.assert_equal(tf.shape(image)[1] % 2, 0, "odd width")
    return pairs.split(images.to_float(image), pair)


def _set_shapes(inputs, targets, pair):
    """Tells the graph the shapes, so that the networks compile for them."""
    shapes = [[CROP_SIZE, CROP_SIZE, channels] for channels in pair.channels]
    return tf.ensure_shape(inputs, shapes[0]), tf.ensure_shape(targets, shapes[1])


def _raise_problems(problems, num_checked):
    if not problems:
        return
    listed = "; ".join(problems[:5])
    more = f"; and {len(problems) - 5} more" if len(problems) > 5 else ""
    raise UsageError(
        f"{len(problems)} of {num_checked} images cannot be used: {listed}{more}"
    )


def _reason(error):
    """Returns TensorFlow's message without the names of its internal nodes."""
    return re.sub(r"\{\{.*?\}\} | \[Op:.*", "", error.message.splitlines()[0])
