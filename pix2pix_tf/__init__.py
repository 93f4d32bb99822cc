"""pix2pix in TensorFlow 2 and Keras 3: paired image-to-image translation.

In Python, `load` gives a trained model, and `fit` trains one on a `tf.data.Dataset`;
`networks`, `losses` and `color` are their parts (docs/python.md). The commands are
`python -m pix2pix_tf.train` and others. This module alone does not import TensorFlow.
"""

from pix2pix_tf.version import __version__

__all__ = ["color", "fit", "load", "losses", "networks"]


def __getattr__(name: str):
    """Imports a part of the Python interface when it is first used."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from pix2pix_tf.runtime.start import start_tensorflow

    start_tensorflow(has_galleries=True)
    if name == "load":
        from pix2pix_tf.inference.load import load as found
    elif name == "fit":
        from pix2pix_tf.training.fit import fit as found
    elif name == "losses":
        from pix2pix_tf.training import losses as found
    elif name == "color":
        from pix2pix_tf.images import color as found
    else:
        import pix2pix_tf.networks as found
    globals()[name] = found
    return found
