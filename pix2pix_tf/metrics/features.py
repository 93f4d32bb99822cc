"""FID and KID between two sets of images.

The features are those of Keras' InceptionV3 after its average pooling. Most published
values use TensorFlow's Inception of 2015, whose weights differ: compare values only if
they use the same extractor and the same number of images.
"""

import itertools
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

from pix2pix_tf.metrics import pretrained
from pix2pix_tf.options import DOWNLOAD
from pix2pix_tf.runtime.errors import UsageError

SIDE = 299  # pixels; the input size of InceptionV3
BATCH_SIZE = 16  # images
KID_BLOCK = 1000  # images; memory grows with its square
MIN_COUNT = 2048  # images, the number of features; with fewer, FID is too high


class Extractor(NamedTuple):
    """A network that maps images to features."""

    name: str  # as printed beside the metrics
    run: Callable  # float32 [batch, SIDE, SIDE, 3] in [-1, 1] -> [batch, features]


def open_extractor(weights: str) -> Extractor:
    """Loads a feature extractor, and tries it on two gray images.

    Args:
        weights: "imagenet", which Keras downloads once; the path of a weights file of
            Keras' InceptionV3 without its top; or the path of a `.keras` file with
            another network that maps the same images to features. Its layers are run:
            see docs/security.md.

    Raises:
        UsageError: the weights or the network cannot be used.
    """
    if weights != DOWNLOAD and not Path(weights).is_file():
        raise UsageError(f"--fid_weights {weights} is not a file")
    wanted = (
        f": give {DOWNLOAD}, a weights file of Keras' InceptionV3 without its top, or "
        f"a .keras file of a network from [images, {SIDE}, {SIDE}, 3] to "
        "[images, features]"
    )
    with pretrained.opening("--fid_weights", weights, wanted):
        network, name = _open_network(weights)
        extractor = Extractor(name, _make_run(network))
        extractor.run(tf.zeros([2, SIDE, SIDE, 3]))
    return extractor


def _open_network(weights):
    """Returns (keras.Model, its name)."""
    if weights.endswith(".keras"):
        network = keras.models.load_model(weights, compile=False, safe_mode=True)
        return network, f"the network of {weights}"
    inception = keras.applications.InceptionV3
    network = inception(include_top=False, weights=weights, pooling="avg")
    return network, f"Keras InceptionV3, {weights}"


def _make_run(network):
    """Returns the `run` of an Extractor; it checks the shape [batch, features]."""

    images = tf.TensorSpec([None, SIDE, SIDE, 3])

    @tf.function(input_signature=[images], autograph=False)
    def run(batch):
        return tf.ensure_shape(network(batch, training=False), [None, None])

    return run


def extract(extractor: Extractor, images: Iterable) -> np.ndarray:
    """Returns the features of images: float64 [count, features].

    Args:
        extractor: Extractor.
        images: uint8 [height, width, 3] each, of any sizes; they are resized to SIDE x
            SIDE, bilinear with antialiasing.
    """
    images, found = iter(images), []
    while batch := list(itertools.islice(images, BATCH_SIZE)):
        resized = [tf.image.resize(one, [SIDE, SIDE], antialias=True) for one in batch]
        inputs = tf.stack(resized) / 127.5 - 1
        found.append(np.asarray(extractor.run(inputs), np.float64))
    return np.concatenate(found)


def frechet_distance(a: np.ndarray, b: np.ndarray) -> float:
    """Returns the Frechet distance of two Gaussians, fitted to two sets of features.

    |mean a - mean b|^2 + Tr(A + B - 2 (A B)^(1/2)), with the covariances A and B. With
    A = X'X and B = Y'Y the trace of the root is the sum of the singular values of X Y'.
    This is exact for covariances without full rank, and cheap for few images.

    Args:
        a, b: float64 [count, features], with counts of at least 2.

    Source: Heusel et al. 2017, equation 6.
    """
    roots = [_covariance_root(features) for features in (a, b)]
    distance = np.square(a.mean(axis=0) - b.mean(axis=0)).sum()
    traces = sum(np.square(root).sum() for root in roots)
    crossed = np.linalg.svd(roots[0] @ roots[1].T, compute_uv=False).sum()
    return float(distance + traces - 2 * crossed)


def _covariance_root(features):
    """Returns a matrix X with few rows for which X'X is the covariance."""
    centred = (features - features.mean(axis=0)) / np.sqrt(len(features) - 1)
    is_tall = len(features) > features.shape[1]
    return np.linalg.qr(centred, mode="r") if is_tall else centred


def kernel_distance(a: np.ndarray, b: np.ndarray) -> float:
    """Returns the squared maximum mean discrepancy between two sets of features.

    The estimate is unbiased, so it may be slightly below 0. The kernel is
    (x y / features + 1)^3. The result is the mean over blocks of KID_BLOCK images.

    Args:
        a, b: float64 [count, features], of equal counts of at least 2.

    Source: Binkowski et al. 2018, section 4.
    """
    num_blocks = -(-len(a) // KID_BLOCK)
    blocks = [np.array_split(features, num_blocks) for features in (a, b)]
    return float(np.mean([_discrepancy(x, y) for x, y in zip(*blocks, strict=True)]))


def _discrepancy(x, y):
    def kernel(left, right):
        return (left @ right.T / left.shape[1] + 1) ** 3

    def mean_off_diagonal(kernels):
        count = len(kernels)
        return (kernels.sum() - np.trace(kernels)) / (count * (count - 1))

    within = mean_off_diagonal(kernel(x, x)) + mean_off_diagonal(kernel(y, y))
    return within - 2 * kernel(x, y).mean()
