"""LPIPS: how far two images are apart to a network that was taught by people.

AlexNet's activations of both images are scaled to unit length at each position; their
squared differences are weighted by channel, averaged over positions, and summed over
five layers. The weights of the channels were fitted to what people judged.

Source: Zhang et al. 2018, section 3 and equation 1; AlexNet and the linear layers of
version 0.1, computed as by the package `lpips` 0.1.4.
"""

from typing import NamedTuple

import numpy as np
import tensorflow as tf

from pix2pix_tf.metrics import pretrained
from pix2pix_tf.options import LPIPS_SIDE
from pix2pix_tf.runtime.errors import UsageError

# Of RGB in [-1, 1]: the mean and the deviation that AlexNet was trained with.
SHIFT, SCALE = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)
EPS = 1e-10  # added to a length before dividing by it


class _Layer(NamedTuple):
    """A convolution of AlexNet, followed by a ReLU."""

    side: int  # pixels of the kernel
    filters: int
    stride: int = 1
    is_pooled: bool = False  # its input is the maximum of 3 x 3 pixels, of every second


LAYERS = {
    "conv1": _Layer(11, 64, stride=4),
    "conv2": _Layer(5, 192, is_pooled=True),
    "conv3": _Layer(3, 384, is_pooled=True),
    "conv4": _Layer(3, 256),
    "conv5": _Layer(3, 256),
}


def shapes() -> dict[str, tuple[int, ...]]:
    """Returns {name: shape} of the arrays in a file of weights, all of them float32."""
    wanted, channels = {}, 3
    for name, layer in LAYERS.items():
        wanted[f"{name}/kernel"] = (layer.side, layer.side, channels, layer.filters)
        wanted[f"{name}/bias"] = (layer.filters,)
        wanted[f"{name}/linear"] = (layer.filters,)  # the weights of the channels
        channels = layer.filters
    return wanted


class Lpips:
    """Measures pairs of images. Threads may share it.

    Args:
        path: of the weights, an `.npz` or `.h5` file with the arrays of `shapes`, which
            `pix2pix-tf convert --to lpips` writes. No code from the file is run.

    Raises:
        UsageError: the file cannot be used.
    """

    def __init__(self, path: str):
        arrays = pretrained.read_arrays(path, "LPIPS's weights")
        _check(path, arrays)
        self._weights = {
            name: tf.constant(arrays[name], tf.float32) for name in shapes()
        }
        pair = tf.TensorSpec([2, None, None, 3], tf.float32)
        self._measure = tf.function(
            self._distance, input_signature=[pair], autograph=False
        )

    def measure(self, output: np.ndarray, target: np.ndarray) -> float:
        """Returns the distance of two images, 0 or more.

        The two are one batch, in float32: larger batches are no faster, and an image's
        metric must not depend on those that happen to be beside it.

        Args:
            output, target: float32 [height, width, 3], in [-1, 1].

        Raises:
            UsageError: a side is below LPIPS_SIDE.
        """
        height, width = output.shape[:2]
        if min(height, width) < LPIPS_SIDE:
            raise UsageError(
                f"--lpips_weights needs images with sides of {LPIPS_SIDE} pixels or "
                f"more, got {width}x{height}: leave it out"
            )
        return float(self._measure(np.stack([output, target])))

    def _distance(self, images):
        """Returns the distance of two images, a float32 scalar."""
        return tf.add_n(
            [
                tf.reduce_mean(self._difference(name, features))
                for name, features in self._features(images).items()
            ]
        )

    def _features(self, images):
        """Returns {layer: float32 [2, height, width, filters]}."""
        x, found = (images - SHIFT) / SCALE, {}
        for name, layer in LAYERS.items():
            if layer.is_pooled:
                x = tf.nn.max_pool2d(x, 3, 2, "VALID")
            # AlexNet's first layer is padded by 2 pixels, the others to keep the size.
            margin = (2, 2) if layer.stride > 1 else (layer.side // 2,) * 2
            padding = [(0, 0), margin, margin, (0, 0)]
            kernel = self._weights[f"{name}/kernel"]
            x = tf.nn.conv2d(x, kernel, layer.stride, padding)
            x = found[name] = tf.nn.relu(x + self._weights[f"{name}/bias"])
        return found

    def _difference(self, name, features):
        """Returns a layer's weighted squared difference: float32 [height, width]."""
        lengths = tf.sqrt(tf.reduce_sum(tf.square(features), axis=3, keepdims=True))
        first, second = tf.unstack(features / (lengths + EPS))
        weights = self._weights[f"{name}/linear"]
        return tf.tensordot(tf.square(first - second), weights, axes=1)


def _check(path, arrays):
    """Raises UsageError unless the arrays are those of `shapes`, and finite."""
    for name, shape in shapes().items():
        if name not in arrays or arrays[name].shape != shape:
            got = list(arrays[name].shape) if name in arrays else "nothing"
            raise UsageError(
                f"--lpips_weights {path} does not hold LPIPS of AlexNet: {name} is "
                f"{got}, wanted {list(shape)}: write the file by pix2pix-tf convert "
                "--to lpips"
            )
        if not np.isfinite(arrays[name].astype(np.float32)).all():
            raise UsageError(
                f"--lpips_weights {path} is damaged: {name} has values that are not "
                "finite"
            )


def open_lpips(path: str | None) -> Lpips | None:
    """Returns the Lpips of the value of `--lpips_weights`, which is None without it."""
    return None if path is None else Lpips(path)
