"""Line drawings of photographs by Canny's detector: black lines on white.

Images are numpy float32 [height, width, 3], in [0, 1]; drawings are 0 on lines, else 1.
"""

import numpy as np
import skimage.feature
import skimage.morphology
import tensorflow as tf

SIGMA = 2.0  # pixels; Canny's blur
LOW, HIGH = 0.08, 0.2  # Canny's thresholds, of the Sobel gradient of [0, 1]
MIN_LENGTH = 5  # pixels of a line; as the original


def draw_canny(image: np.ndarray) -> np.ndarray:
    """Draws the lines of an image by Canny's detector (Canny 1986)."""
    gray = tf.image.rgb_to_grayscale(image).numpy()[..., 0]
    border = int(4 * SIGMA)  # mirrored, so that the border is not taken for a line
    gray = np.pad(gray, border, mode="symmetric")
    lines = skimage.feature.canny(gray, SIGMA, LOW, HIGH)
    return clean(lines[border:-border, border:-border])


def clean(lines: np.ndarray) -> np.ndarray:
    """Makes lines one pixel wide, leaves out specks, and paints them black on white.

    Args:
        lines: bool [height, width], True on lines.
    """
    lines = skimage.morphology.thin(lines)
    lines = skimage.morphology.remove_small_objects(
        lines, max_size=MIN_LENGTH - 1, connectivity=2
    )
    return np.repeat(1 - lines[..., np.newaxis].astype(np.float32), 3, axis=2)
