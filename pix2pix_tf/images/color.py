"""Colour maths: sRGB -> XYZ -> CIE L*a*b* and back. Pure functions, no scaling.

Constants and formulas are the original's (`rgb_to_lab`, `lab_to_rgb`): the sRGB
primaries with the D65 white point (IEC 61966-2-1:1999, CIE 15). scikit-image's
constants differ in their last digits, by less than 0.005 in the result.

There are products with reciprocals in place of quotients, and no cubes: TensorFlow's
graph optimizer would make these of those, and a graph must give the bits of eager code.
"""

import numpy as np
import tensorflow as tf

WHITE_XYZ = np.array([0.950456, 1.0, 1.088754], np.float32)  # D65, 2 degree observer
KNEE = 6 / 29  # of the Lab curve

# Rows: red, green, blue; columns: X, Y, Z.
_RGB_TO_XYZ = np.array(
    [
        [0.412453, 0.212671, 0.019334],
        [0.357580, 0.715160, 0.119193],
        [0.180423, 0.072169, 0.950227],
    ],
    np.float32,
)
# Rows: X, Y, Z; columns: red, green, blue.
_XYZ_TO_RGB = np.array(
    [
        [3.2404542, -0.9692660, 0.0556434],
        [-1.5371385, 1.8760108, -0.2040259],
        [-0.4985314, 0.0415560, 1.0572252],
    ],
    np.float32,
)
# Rows: f(X), f(Y), f(Z); columns: L + 16, a, b.
_F_TO_LAB = np.array(
    [[0.0, 500.0, 0.0], [116.0, -500.0, 200.0], [0.0, 0.0, -200.0]], np.float32
)
# Rows: L + 16, a, b; columns: f(X), f(Y), f(Z).
_LAB_TO_F = np.array(
    [[1 / 116, 1 / 116, 1 / 116], [1 / 500, 0.0, 0.0], [0.0, 0.0, -1 / 200]],
    np.float32,
)
_LAB_OFFSET = np.array([16.0, 0.0, 0.0], np.float32)


def rgb_to_lab(srgb: tf.Tensor) -> tf.Tensor:
    """Converts colours to L*a*b*.

    Args:
        srgb: float32 [..., 3], gamma-encoded sRGB, in [0, 1].

    Returns:
        float32 [..., 3]: L in [0, 100], a and b about [-110, 110].
    """
    xyz = tf.tensordot(srgb_to_linear(srgb), _RGB_TO_XYZ, 1) * (1 / WHITE_XYZ)
    cube_root = tf.maximum(xyz, KNEE**3) ** (1 / 3)
    f = tf.where(xyz <= KNEE**3, xyz * (1 / (3 * KNEE**2)) + 4 / 29, cube_root)
    return tf.tensordot(f, _F_TO_LAB, 1) - _LAB_OFFSET


def lab_to_rgb(lab: tf.Tensor) -> tf.Tensor:
    """Converts L*a*b* to colours, clipped to the sRGB gamut.

    Args:
        lab: float32 [..., 3]: L in [0, 100], a and b about [-110, 110].

    Returns:
        float32 [..., 3], gamma-encoded sRGB, in [0, 1].
    """
    f = tf.tensordot(lab + _LAB_OFFSET, _LAB_TO_F, 1)
    xyz = tf.where(f <= KNEE, 3 * KNEE**2 * (f - 4 / 29), f * tf.square(f)) * WHITE_XYZ
    return linear_to_srgb(tf.tensordot(xyz, _XYZ_TO_RGB, 1))


def srgb_to_linear(srgb: tf.Tensor) -> tf.Tensor:
    """Converts gamma-encoded sRGB to linear RGB: float32 [..., 3], both in [0, 1].

    Source: IEC 61966-2-1:1999.
    """
    return tf.where(
        srgb <= 0.04045,
        srgb * (1 / 12.92),
        ((srgb + 0.055) * (1 / 1.055)) ** 2.4,
    )


def linear_to_srgb(linear_rgb: tf.Tensor) -> tf.Tensor:
    """Converts linear RGB, clipped to [0, 1], to gamma-encoded sRGB: float32 [..., 3].

    Source: IEC 61966-2-1:1999.
    """
    linear_rgb = tf.clip_by_value(linear_rgb, 0.0, 1.0)
    curve = 1.055 * linear_rgb ** (1 / 2.4) - 0.055
    return tf.where(linear_rgb <= 0.0031308, linear_rgb * 12.92, curve)
