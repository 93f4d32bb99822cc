"""Turns image files into batches of examples.

`examples` finds and pairs files, `source` reads them in order or shuffled, `cache`
keeps them decoded, `batches` flips, scales, crops and batches them.
"""

from pix2pix_tf.data.batches import (
    check_one_size,
    iterate,
    ordered_batches,
    padded_sizes,
    random_crop,
    random_flip,
    read_ahead,
    train_batches,
    why_too_small,
)
from pix2pix_tf.data.cache import Cache
from pix2pix_tf.data.examples import (
    Example,
    cut,
    find_examples,
    list_images,
    list_names,
    normalize,
    sort_paths,
    unique_names,
)
from pix2pix_tf.data.notices import is_single, print_notices, warn_of_single_images
from pix2pix_tf.data.source import ALL, Files, Source, shuffled
