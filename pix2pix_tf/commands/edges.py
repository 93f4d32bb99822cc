"""Line drawings of photographs by HED (Xie and Tu 2015), black on white.

It is the network of the original's tools, where somebody has its weights. Not in here:
image files, and Canny's detector, which needs nothing else (`images.lines`).
"""

from pathlib import Path

import keras
import numpy as np
import scipy.ndimage
from keras import layers

from pix2pix_tf import checkpoints
from pix2pix_tf.images import lines
from pix2pix_tf.metrics import pretrained

# VGG16's five stages of convolutions: filters, and how many layers.
STAGES = ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))
MEAN_BGR = (104.00698793, 116.66876762, 122.67891434)  # of ImageNet; as the original
BORDER = 128  # pixels mirrored round an image; as the original
STRIDE = 16  # pixels of the last stage
THRESHOLD = 25 / 255  # of the network's output; as the original
FADE = 5  # pixels at the border of the image where lines fade; as the original
TRIANGLE = np.array([1, 2, 3, 4, 5, 4, 3, 2, 1]) / 25  # smooths before slopes are taken


# Images are float32 [height, width, 3], in [0, 1]; drawings are 0 on lines, else 1.


def draw_hed(image: np.ndarray, network: keras.Model) -> np.ndarray:
    """Draws the lines of an image by HED, thinned as the original's tools do.

    Source: phillipi/pix2pix, scripts/edges/PostprocessHED.m.
    """
    return lines.clean(suppress(detect(image, network)) >= THRESHOLD)


def detect(image: np.ndarray, network: keras.Model) -> np.ndarray:
    """Returns how likely each pixel is an edge: float32 [height, width], in [0, 1].

    The image is mirrored on all sides up to a multiple of STRIDE, and the margins are
    cut off again, so that nothing shifts.
    """
    height, width, _ = image.shape
    margins = [_margins(side) for side in (height, width)]
    values = np.pad(image, [*margins, (0, 0)], mode="reflect")
    values = values[..., ::-1] * np.float32(255) - np.array(MEAN_BGR, np.float32)
    output = network(values[np.newaxis], training=False).numpy()[0, ..., 0]
    (top, _), (left, _) = margins
    return output[top : top + height, left : left + width]


def _margins(side):
    """Returns the pixels to add before and after, BORDER or a few more."""
    added = 2 * BORDER + -(side + 2 * BORDER) % STRIDE
    return added // 2, added - added // 2


def suppress(strength: np.ndarray) -> np.ndarray:
    """Sets to zero what is weaker than its neighbours across the line it is on.

    Args:
        strength: float32 [height, width], in [0, 1].

    Source: edgesNms of Dollar and Zitnick 2015, called as by PostprocessHED.m with
        radius 1, a tolerance of 1 % and fading at the border.
    """
    angle = _angle_across(strength)
    rows, columns = np.indices(strength.shape)
    kept = strength.copy()
    for step in (-1, 1):
        place = np.stack([rows + step * np.sin(angle), columns + step * np.cos(angle)])
        beside = scipy.ndimage.map_coordinates(strength, place, order=1, mode="nearest")
        kept[strength * 1.01 < beside] = 0
    for axis, side in enumerate(strength.shape):
        from_edge = np.minimum(np.arange(side), np.arange(side)[::-1])
        fade = np.minimum(from_edge / FADE, 1).astype(np.float32)
        kept *= np.expand_dims(fade, 1 - axis)
    return kept


def _angle_across(strength):
    """Returns the direction across the line at each pixel, in radians."""
    smooth = strength.astype(np.float64)
    for axis in (0, 1):
        smooth = scipy.ndimage.convolve1d(smooth, TRIANGLE, axis)
    if min(smooth.shape) < 2:  # no slope on a single line
        return np.zeros_like(smooth)
    slope_y, slope_x = np.gradient(smooth)
    bend_xx = np.gradient(slope_x, axis=1)
    bend_yx, bend_yy = np.gradient(slope_y)[::-1]
    # The original has sign 0 where bend_yx is 0, so that level lines look upright.
    sign = np.where(bend_yx > 0, -1, 1)
    return np.arctan(bend_yy * sign / (bend_xx + 1e-5)) % np.pi


def build_hed() -> keras.Model:
    """Builds HED: VGG16's convolutions, and a side output of each stage, fused.

    Returns:
        keras.Model from float32 [batch, height, width, 3], BGR in [0, 255] less
        MEAN_BGR, sides multiples of STRIDE, to [batch, height, width, 1] in [0, 1].
    """
    inputs = x = keras.Input([None, None, 3])
    sides = []
    for stage, (filters, count) in enumerate(STAGES, start=1):
        if stage > 1:
            x = layers.MaxPooling2D(2)(x)  # half the height and width
        for number in range(1, count + 1):
            settings = {"padding": "same", "activation": "relu"}
            x = layers.Conv2D(filters, 3, name=f"conv{stage}_{number}", **settings)(x)
        side = layers.Conv2D(1, 1, name=f"score_dsn{stage}")(x)
        if stage > 1:  # back to full height and width
            side = layers.UpSampling2D(2 ** (stage - 1), interpolation="bilinear")(side)
        sides.append(side)
    fused = layers.Conv2D(1, 1, activation="sigmoid", name="fuse")
    return keras.Model(inputs, fused(layers.Concatenate()(sides)), name="hed")


def load_hed(path: str | Path) -> keras.Model:
    """Builds HED with the weights of an `.npz` or `.h5` file.

    It holds `NAME/kernel` [height, width, from, to] and `NAME/bias` [to] of each of
    conv1_1 ... conv5_3, score_dsn1 ... score_dsn5 and fuse, for BGR input. The authors'
    file for Caffe calls them conv1_1, score-dsn1 and new-score-weighting, and has
    kernels as [to, from, height, width].

    Raises:
        UsageError: the file does not fit.
    """
    arrays = pretrained.read_arrays(path, "HED's weights")
    network = build_hed()
    wanted = {
        f"{layer.name}/{variable.name}": variable
        for layer in network.layers
        for variable in layer.weights
    }
    checkpoints.check_fit(
        {name: list(variable.shape) for name, variable in wanted.items()},
        {name: list(array.shape) for name, array in arrays.items()},
        f"{path} does not fit HED",
    )
    for name, variable in wanted.items():
        variable.assign(arrays[name].astype(np.float32))
    return network
