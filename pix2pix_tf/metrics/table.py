"""The names of the metrics, and how to print and read each."""

from typing import NamedTuple

LPIPS = "lpips"  # measured only where its weights are given


class Metric(NamedTuple):
    """How to print and read one metric."""

    meaning: str
    decimals: int = 4  # printed
    is_higher_better: bool = True


# Of each image; reports also have their means over the images.
IMAGE_METRICS = {
    "l1": Metric(
        "mean absolute difference of images in [-1, 1]", is_higher_better=False
    ),
    "psnr": Metric("peak signal-to-noise ratio in dB, at most 100", decimals=2),
    "ssim": Metric("structural similarity"),
    "ms_ssim": Metric("structural similarity at five scales"),
    LPIPS: Metric(
        "distance to AlexNet, weighted as people judge", is_higher_better=False
    ),
}
# Of whole sets of images.
SET_METRICS = {
    "histogram_l": Metric("intersection of the histograms of lightness"),
    "histogram_a": Metric("intersection of the histograms of a, green to red"),
    "histogram_b": Metric("intersection of the histograms of b, blue to yellow"),
    "fid": Metric("Frechet inception distance", decimals=3, is_higher_better=False),
    "kid": Metric(
        "kernel inception distance, unbiased", decimals=5, is_higher_better=False
    ),
    "pixel_accuracy": Metric("share of pixels with the correct class"),
    "class_accuracy": Metric("mean accuracy of the classes"),
    "class_iou": Metric("mean intersection over union of the classes"),
}
METRICS = IMAGE_METRICS | SET_METRICS
