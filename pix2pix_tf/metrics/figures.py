"""The names of the figures, and how they are read."""

from typing import NamedTuple


class Figure(NamedTuple):
    """How one figure is read."""

    decimals: int  # as it is shown
    is_better_high: bool
    meaning: str


FIGURES = {
    "l1": Figure(4, False, "mean absolute difference, of pictures in [-1, 1]"),
    "psnr": Figure(2, True, "peak signal-to-noise ratio in dB, 100 at most"),
    "ssim": Figure(4, True, "structural similarity"),
    "ms_ssim": Figure(4, True, "structural similarity at five scales"),
    "histogram_l": Figure(4, True, "what the sets' lightness histograms share"),
    "histogram_a": Figure(4, True, "the same of a, green to red"),
    "histogram_b": Figure(4, True, "the same of b, blue to yellow"),
    "fid": Figure(3, False, "Frechet distance of the sets' features"),
    "kid": Figure(5, False, "kernel distance of the sets' features, unbiased"),
    "pixel_accuracy": Figure(4, True, "share of the pixels of the right class"),
    "class_accuracy": Figure(4, True, "the same in each class, then their mean"),
    "class_iou": Figure(4, True, "intersection over union, mean of the classes"),
}
PICTURE_FIGURES = ("l1", "psnr", "ssim", "ms_ssim")  # of each picture, and their mean
