"""Metrics of one image against its target.

They use NumPy and SciPy only, so that other threads can run meanwhile; TensorFlow's
MS-SSIM takes ten times as long on a CPU.
"""

import numpy as np
import scipy  # its parts and skimage's are imported when they are used
import skimage

from pix2pix_tf.options import MS_SSIM_SIDE

PEAK = 255
MAX_PSNR = 100.0  # dB; for equal images it is infinite, which JSON cannot hold
SSIM_SIDE = 7  # pixels of the window
# The weights of the scales, and the window of each scale: Wang et al. 2003.
MS_SSIM_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
_GAUSSIAN = np.exp(-(np.arange(-5, 6) ** 2) / (2 * 1.5**2))
_WINDOW = (_GAUSSIAN / _GAUSSIAN.sum()).astype(np.float32)
_C1, _C2 = (0.01 * PEAK) ** 2, (0.03 * PEAK) ** 2


def score(output, target) -> dict[str, float | None]:
    """Returns the metrics of one image.

    Args:
        output, target: uint8 or uint16 [height, width, 3].

    Returns:
        {"l1", "psnr", "ssim", "ms_ssim": float}: the mean absolute difference of the
        images in [-1, 1]; the peak signal-to-noise ratio in dB, at most MAX_PSNR; the
        structural similarity (Wang et al. 2004) with scikit-image's defaults, in
        windows of 7 x 7 pixels; and the structural similarity at five scales. "ssim" is
        None if a side is below SSIM_SIDE, "ms_ssim" if one is below MS_SSIM_SIDE.
    """
    output, target = to_levels(output), to_levels(target)
    difference = output - target
    squared = np.mean(np.square(difference), dtype=np.float64)
    psnr = 10 * np.log10(PEAK**2 / squared) if squared else MAX_PSNR
    side = min(output.shape[:2])
    return {
        "l1": float(np.abs(difference).mean(dtype=np.float64) * 2 / PEAK),
        "psnr": min(float(psnr), MAX_PSNR),
        "ssim": _ssim(output, target) if side >= SSIM_SIDE else None,
        "ms_ssim": ms_ssim(output, target) if side >= MS_SSIM_SIDE else None,
    }


def to_levels(image) -> np.ndarray:
    """Returns a uint8 or uint16 image as float32 in [0, PEAK]; no level is rounded."""
    image = np.asarray(image)
    return image.astype(np.float32) * np.float32(PEAK / np.iinfo(image.dtype).max)


def _ssim(output, target):
    """Returns scikit-image's SSIM in float32: twice as fast, equal within 1e-6."""
    return float(
        skimage.metrics.structural_similarity(
            target, output, channel_axis=2, data_range=PEAK
        )
    )


def ms_ssim(output, target) -> float:
    """Returns the structural similarity at five scales, each half the size of the last.

    It equals `tf.image.ssim_multiscale`.

    Args:
        output, target: float32 [height, width, channels] in [0, PEAK]; both sides are
            at least MS_SSIM_SIDE pixels.

    Source: Wang et al. 2003, equation 7.
    """
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


def _blur(image):
    """Returns the weighted means under the window, wherever it fits the image."""
    for axis in (0, 1):
        image = scipy.ndimage.correlate1d(image, _WINDOW, axis)
    return image[5:-5, 5:-5]


def _halve(image):
    """Returns the means of 2 x 2 pixels; an odd last row or column is repeated."""
    height, width = image.shape[:2]
    image = np.pad(image, [(0, height % 2), (0, width % 2), (0, 0)], "edge")
    rows = image[::2] + image[1::2]
    return (rows[:, ::2] + rows[:, 1::2]) / 4
