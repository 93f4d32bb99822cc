"""Sample pictures, so that training can be tried without a download.

In here: where the samples live, and which there are. Pairs are facades drawn from a
seed (`facades.py`), photograph on the left and labels on the right, as in the CMP
facades. Colour photographs for colorization are cut from those that the scikit-image
package carries. Not in here: reading the pictures back.
"""

import os
import pathlib
import shutil
import tempfile

import numpy as np
import tensorflow as tf

from pix2pix_tf.data.samples import facades

VERSION = 1  # of the pictures; a new one gets a new cache folder
NUM_PAIRS = {"train": 100, "test": 12}
FIRST_SEED = {"train": 0, "test": 1000}  # picture n is drawn from FIRST_SEED + n

# Files in scikit-image's data folder. The two for testing are warm and muted, colours
# that can be guessed from few examples.
PHOTOGRAPHS = {
    "train": (
        "astronaut.png",
        "hubble_deep_field.jpg",
        "motorcycle_left.png",
        "rocket.jpg",
    ),
    "test": ("chelsea.png", "coffee.png"),
}
CROP_SIDE = 320  # pixels
CROP_GRID = (2, 3)  # rows and columns of overlapping crops in a photograph


def sample_dir(are_photographs: bool, split: str) -> pathlib.Path:
    """The folder of sample images for `split`, written on first use.

    It is in `$XDG_CACHE_HOME/pix2pix_tf` (by default `~/.cache/pix2pix_tf`), or in a
    fresh folder for temporary files where that cannot be written.

    Args:
        are_photographs: colour photographs if true, otherwise 512x256 pairs with the
            photograph on the left and its labels on the right.
        split: "train" or "test".

    Returns:
        A folder of RGB images 1.png, 2.png, ...

    Raises:
        ValueError: for any other split.
    """
    if split not in NUM_PAIRS:
        raise ValueError(
            f"samples have no split {split!r}; choose one of {sorted(NUM_PAIRS)}"
        )
    kind = "photographs" if are_photographs else "facades"
    write = write_photographs if are_photographs else write_facades
    place = pathlib.Path(f"samples-{VERSION}", kind, split)
    try:
        return _write_once(_cache_dir() / place, write, split)
    except (OSError, RuntimeError):  # not writable, or no home folder at all
        fresh = pathlib.Path(tempfile.mkdtemp(prefix="pix2pix_tf-"))
        return _write_once(fresh / place, write, split)


def _cache_dir():
    """The folder for this package's cached files."""
    base = os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache"
    return pathlib.Path(base) / "pix2pix_tf"


def _write_once(folder, write, split):
    """Returns `folder`, which `write` has filled, now or in an earlier run.

    It is filled under another name first, so nobody ever sees it half full.
    """
    if os.path.isdir(folder):
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    partial = pathlib.Path(tempfile.mkdtemp(prefix=f".{split}-", dir=folder.parent))
    try:
        write(split, partial)
        partial.chmod(0o755)  # mkdtemp lets nobody else in
        os.rename(partial, folder)
    except OSError:
        if not os.path.isdir(folder):  # another process may have been first
            raise
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return folder


def write_facades(split, folder):
    """Writes the pairs of `split` into `folder`."""
    for number in range(1, NUM_PAIRS[split] + 1):
        pair = facades.draw_pair(FIRST_SEED[split] + number)
        _write_png(folder / f"{number}.png", pair)


def write_photographs(split, folder):
    """Writes colour photographs into `folder`: whole to test on, crops to train on."""
    images = []
    for name in PHOTOGRAPHS[split]:
        photograph = _read_photograph(name)
        images += crops(photograph) if split == "train" else [photograph]
    for number, image in enumerate(images, start=1):
        _write_png(folder / f"{number}.png", image)


def crops(photograph):
    """Overlapping squares from all over, each uint8 [CROP_SIDE, CROP_SIDE, 3]."""
    height, width, _ = photograph.shape
    rows, columns = CROP_GRID
    return [
        photograph[top : top + CROP_SIDE, left : left + CROP_SIDE]
        for top in np.linspace(0, height - CROP_SIDE, rows).astype(int)
        for left in np.linspace(0, width - CROP_SIDE, columns).astype(int)
    ]


def _read_photograph(name):
    """A photograph out of the scikit-image package, uint8 [height, width, 3]."""
    import skimage  # here, because training on one's own images does not need it

    path = pathlib.Path(skimage.__file__).parent / "data" / name
    return tf.io.decode_image(path.read_bytes(), channels=3).numpy()


def _write_png(path, image):
    """Writes uint8 [height, width, 3] as a PNG."""
    # Level 3 takes half the time of the default, for files a tenth larger.
    path.write_bytes(tf.io.encode_png(image, compression=3).numpy())
