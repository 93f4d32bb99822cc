"""From files to batches: which examples there are, their reading, order and crops.

`examples` finds and pairs files, `reading` reads one example, `batches` puts them in
order, flips, scales, crops and batches them.
"""

from pix2pix_tf.data.batches import ordered_batches, shuffled, train_batches
from pix2pix_tf.data.examples import Example, find_examples
from pix2pix_tf.data.reading import Reader

__all__ = [
    "Example",
    "Reader",
    "find_examples",
    "ordered_batches",
    "shuffled",
    "train_batches",
]
