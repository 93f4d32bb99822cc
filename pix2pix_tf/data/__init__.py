"""From files to batches: which examples there are, their reading, order and crops.

`examples` finds and pairs files, `source` reads them in order or shuffled, `batches`
flips, scales, crops and batches them.
"""

from pix2pix_tf.data.batches import iterate, ordered_batches, train_batches
from pix2pix_tf.data.examples import Example, find_examples, join_problems
from pix2pix_tf.data.source import FileSource, shuffled, size_text, split_halves

__all__ = [
    "Example",
    "FileSource",
    "find_examples",
    "iterate",
    "join_problems",
    "ordered_batches",
    "shuffled",
    "size_text",
    "split_halves",
    "train_batches",
]
