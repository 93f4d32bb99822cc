"""Measures of checkerboards: the patterns that upsampling leaves in images.

Transposed convolutions of stride 2 leave a pattern with a period of 2 pixels (Odena et
al. 2016, "Deconvolution and checkerboard artifacts"). The pixels of an image are of
four kinds: of an even or odd row, and of an even or odd column. The amplitude of the
pattern, in levels of 255, is how much the means of the four kinds differ from the mean
of all pixels. The edges in a photograph fall on each kind about alike: the amplitude of
the targets shows how much of it is not a checkerboard.

Several such layers also leave patterns with periods of 4 and 8 pixels. These are
measured in the spectrum: how many times the energy at the frequencies of a period is
that of the frequencies beside them, on average. Without a pattern it is about 1; the
targets show how much more a photograph has.
"""

from collections.abc import Iterable

import numpy as np

PERIODS = (4, 8)  # pixels, of patterns that are measured in the spectrum
AMPLITUDE = "amplitude"
NAMES = (AMPLITUDE, *(f"period {period}" for period in PERIODS))
# A window spreads a frequency to those at 1; the next ones count as its neighbourhood.
NEIGHBOURS = (-4, -3, -2, 2, 3, 4)
MIN_SIDE = 64  # pixels; in a smaller image neighbourhoods would overlap


def measure_means(images: Iterable[np.ndarray]) -> dict[str, float | None]:
    """Returns {each of NAMES: mean over the images that have it, or None}.

    Args:
        images: float32 [height, width, channels], in [0, 1]. One with a side below 2
            has no amplitude, one with a side below MIN_SIDE no periods.
    """
    found = {name: [] for name in NAMES}
    for image in images:
        if min(image.shape[:2]) >= 2:
            found[AMPLITUDE].append(measure_amplitude(image))
        if min(image.shape[:2]) >= MIN_SIDE:
            for period in PERIODS:
                found[f"period {period}"].append(measure_period(image, period))
    return {
        name: float(np.mean(values)) if values else None
        for name, values in found.items()
    }


def measure_amplitude(image: np.ndarray) -> float:
    """Returns the amplitude of the pattern with a period of 2, in levels of 255.

    Args:
        image: float32 [height, width, channels], in [0, 1], sides of 2 or more.
    """
    height, width = (side // 2 * 2 for side in image.shape[:2])
    blocks = image[:height, :width].reshape(height // 2, 2, width // 2, 2, -1)
    kinds = blocks.mean(axis=(0, 2))  # [2, 2, channels]
    return 255 * np.abs(kinds - kinds.mean(axis=(0, 1))).mean()


def measure_period(image: np.ndarray, period: int) -> float:
    """Returns how far a pattern with this period stands out of the spectrum.

    The frequencies of the period are the multiples of 1 / period in both directions
    that are not frequencies of half the period. The energy at each is divided by the
    mean energy of its neighbours, which lie along the axes in which it is not 0: lines
    that are level or upright have their energy on one axis, and neighbours there too.

    Args:
        image: float32 [height, width, channels], in [0, 1], sides of MIN_SIDE or more.
        period: pixels, a power of 2, at most 8.

    Returns:
        The mean of these quotients over frequencies and channels.
    """
    height, width = (side // max(PERIODS) * max(PERIODS) for side in image.shape[:2])
    image = image[:height, :width].astype(np.float64)
    window = np.outer(*(np.hanning(side + 1)[:-1] for side in (height, width)))
    values = (image - image.mean(axis=(0, 1))) * window[..., np.newaxis]
    energy = np.abs(np.fft.fft2(values, axes=(0, 1))) ** 2
    quotients = []
    for i, j in np.ndindex(period, period):
        if i % 2 == j % 2 == 0:  # of half the period
            continue
        row, column = i * height // period, j * width // period
        rows = [(row + k, column) for k in NEIGHBOURS if i]
        columns = [(row, column + k) for k in NEIGHBOURS if j]
        beside = [energy[y % height, x % width] for y, x in rows + columns]
        quotients.append(energy[row, column] / (np.mean(beside, axis=0) + 1e-12))
    return float(np.mean(quotients))
