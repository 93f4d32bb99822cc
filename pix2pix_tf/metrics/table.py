"""The names of the metrics, and how to print and read each."""

from typing import NamedTuple


class Metric(NamedTuple):
    """How to print and read one metric."""

    decimals: int  # printed
    is_higher_better: bool
    meaning: str


# Of each image; reports also have their means over the images.
IMAGE_METRICS = {
    "l1": Metric(4, False, "mean absolute difference of images in [-1, 1]"),
    "psnr": Metric(2, True, "peak signal-to-noise ratio in dB, at most 100"),
    "ssim": Metric(4, True, "structural similarity"),
    "ms_ssim": Metric(4, True, "structural similarity at five scales"),
}
# Of whole sets of images.
SET_METRICS = {
    "histogram_l": Metric(4, True, "intersection of the histograms of lightness"),
    "histogram_a": Metric(4, True, "intersection of the histograms of a, green to red"),
    "histogram_b": Metric(
        4, True, "intersection of the histograms of b, blue to yellow"
    ),
    "fid": Metric(3, False, "Frechet inception distance"),
    "kid": Metric(5, False, "kernel inception distance, unbiased"),
    "pixel_accuracy": Metric(4, True, "share of pixels with the correct class"),
    "class_accuracy": Metric(4, True, "mean accuracy of the classes"),
    "class_iou": Metric(4, True, "mean intersection over union of the classes"),
}
METRICS = IMAGE_METRICS | SET_METRICS
