"""Figures of one picture beside its target.

Pictures are uint8 [height, width, 3]. NumPy and SciPy only: they let other threads
work, and TensorFlow's MS-SSIM takes ten times as long on a CPU.
"""

import numpy as np
from scipy import ndimage
from skimage.metrics import structural_similarity

from pix2pix_tf.options import MS_SSIM_SIDE

PEAK = 255
MAX_PSNR = 100.0  # dB; equal pictures have no finite one, and JSON no infinity
SSIM_SIDE = 7  # pixels of the window
# Wang et al. 2003: the scales' weights, and the window that all of them share.
MS_SSIM_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
_GAUSSIAN = np.exp(-(np.arange(-5, 6) ** 2) / (2 * 1.5**2))
_WINDOW = (_GAUSSIAN / _GAUSSIAN.sum()).astype(np.float32)
_C1, _C2 = (0.01 * PEAK) ** 2, (0.03 * PEAK) ** 2


def score(output, target):
    """Returns the figures of one picture.

    Args:
        output, target: uint8 [height, width, 3].

    Returns:
        {"l1", "psnr", "ssim", "ms_ssim": float}: the mean absolute difference where
        pictures are in [-1, 1]; the peak signal-to-noise ratio in dB, MAX_PSNR at most;
        the structural similarity (Wang et al. 2004) as scikit-image has it by default,
        in windows of 7 x 7; and that of five scales. The last two are None where a side
        is below SSIM_SIDE or MS_SSIM_SIDE.
    """
    output, target = np.asarray(output), np.asarray(target)
    difference = output.astype(np.float32) - target
    squared = np.mean(np.square(difference), dtype=np.float64)
    psnr = 10 * np.log10(PEAK**2 / squared) if squared else MAX_PSNR
    side = min(output.shape[:2])
    return {
        "l1": float(np.abs(difference).mean(dtype=np.float64) * 2 / PEAK),
        "psnr": min(float(psnr), MAX_PSNR),
        "ssim": _ssim(output, target) if side >= SSIM_SIDE else None,
        "ms_ssim": ms_ssim(output, target) if side >= MS_SSIM_SIDE else None,
    }


def _ssim(output, target):
    """scikit-image's, in float32: half the time, and the same to 1e-6."""
    output, target = output.astype(np.float32), target.astype(np.float32)
    return float(structural_similarity(target, output, channel_axis=2, data_range=PEAK))


def ms_ssim(output, target):
    """Returns the structural similarity at five scales, each half the one before.

    The same figure as `tf.image.ssim_multiscale`.

    Args:
        output, target: uint8 [height, width, channels], sides MS_SSIM_SIDE at least.

    Source: Wang et al. 2003, equation 7.
    """
    output, target = output.astype(np.float32), target.astype(np.float32)
    product = 1.0
    for number, weight in enumerate(MS_SSIM_WEIGHTS, start=1):
        luminance, contrast = _similarities(output, target)
        if number == len(MS_SSIM_WEIGHTS):
            contrast = luminance * contrast
        means = contrast.mean((0, 1), dtype=np.float64)
        product = product * np.maximum(means, 0) ** weight
        output, target = _halve(output), _halve(target)
    return float(np.mean(product))


def _similarities(output, target):
    """Returns (luminance, contrast and structure), [height - 10, width - 10, channels].

    Source: Wang et al. 2004, equation 13, as a product of two.
    """
    mean_o, mean_t = _blur(output), _blur(target)
    squares = mean_o**2 + mean_t**2
    covariance = _blur(output * target) - mean_o * mean_t
    variances = _blur(output**2 + target**2) - squares
    luminance = (2 * mean_o * mean_t + _C1) / (squares + _C1)
    return luminance, (2 * covariance + _C2) / (variances + _C2)


def _blur(picture):
    """Means under the window, where it lies inside the picture."""
    for axis in (0, 1):
        picture = ndimage.correlate1d(picture, _WINDOW, axis)
    return picture[5:-5, 5:-5]


def _halve(picture):
    """Means of 2 x 2 pixels; an odd last row or column counts twice."""
    height, width = picture.shape[:2]
    picture = np.pad(picture, [(0, height % 2), (0, width % 2), (0, 0)], "edge")
    rows = picture[::2] + picture[1::2]
    return (rows[:, ::2] + rows[:, 1::2]) / 4
