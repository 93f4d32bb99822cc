"""Starts TensorFlow for all tests, which run on the first of two logical CPUs.

The second is for `--strategy mirrored`. Once pix2pix_tf is imported it is too late.
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import tensorflow as tf

tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0],
    [tf.config.LogicalDeviceConfiguration()] * 2,
)
