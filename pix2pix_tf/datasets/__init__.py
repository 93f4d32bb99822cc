"""Data sets of tensorflow_datasets (TFDS): its catalog, the paper's, and the user's.

`python -m pix2pix_tf.datasets` prepares a data set on disk, and `load` finds one by its
`--dataset` name. Importing TFDS takes a second, so nothing outside this folder imports
it, and here only functions and the files `folder`, `paper`, `records` and `source`; so
does Apache Beam, which `pipeline` alone imports.
"""

from pix2pix_tf.datasets.download import FILE_FORMATS, describe_failure
from pix2pix_tf.datasets.find import load, open_source
