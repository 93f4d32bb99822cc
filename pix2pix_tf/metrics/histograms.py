"""Histograms of L, a and b of CIE L*a*b*, and their intersection for two image sets.

Source: Isola et al. 2017, section 4.3 and table 5. The paper does not state its bin
width; here it is 1.
"""

import numpy as np
import tensorflow as tf

from pix2pix_tf.images import color, pixels

BINS = 256  # of width 1, from 0 for L (of which 100 are used), from -128 for a and b
_LOWEST = (0, -128, -128)


@tf.function(reduce_retracing=True, autograph=False)
def _bins(image):
    """Returns the bins of L, a + BINS and b + 2 * BINS: int32 [height, width, 3]."""
    lab = color.rgb_to_lab(pixels.to_float(image))
    places = tf.cast(tf.floor(lab), tf.int32) - _LOWEST
    return tf.clip_by_value(places, 0, BINS - 1) + (0, BINS, 2 * BINS)


def count(image) -> np.ndarray:
    """Returns the number of pixels in each bin of L, a and b: int64 [3, BINS].

    Args:
        image: uint8 or uint16 [height, width, 3].
    """
    places = _bins(image).numpy().ravel()
    return np.bincount(places, minlength=3 * BINS).reshape(3, BINS)


def intersect(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Returns the intersections of two histograms: float [3] in [0, 1], for L, a, b.

    Args:
        a, b: int [3, BINS], not all zero.
    """
    shares = [counts / counts.sum(axis=1, keepdims=True) for counts in (a, b)]
    return np.minimum(*shares).sum(axis=1)
