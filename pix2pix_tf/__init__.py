"""pix2pix in TensorFlow 2 and Keras 3: paired image-to-image translation."""

__version__ = "0.2.0"
