/**
 * Colour maths: sRGB -> XYZ -> CIE L*a*b* and back, of one colour. The constants and
 * formulas are those of pix2pix_tf/images/color.py, which names the sources.
 */

const WHITE_XYZ = [0.950456, 1.0, 1.088754]; // D65, 2 degree observer
const KNEE = 6 / 29; // of the Lab curve
// Rows: X, Y, Z; columns: red, green, blue.
const RGB_TO_XYZ = [
  [0.412453, 0.35758, 0.180423],
  [0.212671, 0.71516, 0.072169],
  [0.019334, 0.119193, 0.950227],
];
// Rows: red, green, blue; columns: X, Y, Z.
const XYZ_TO_RGB = [
  [3.2404542, -1.5371385, -0.4985314],
  [-0.969266, 1.8760108, 0.041556],
  [0.0556434, -0.2040259, 1.0572252],
];

// A photograph has millions of pixels, but 256 levels.
const LINEAR = Float64Array.from({length: 256}, (_, level) => srgbToLinear(level / 255));

/** Converts levels of gamma-encoded sRGB, 0 to 255, to [L, a, b]: L in [0, 100]. */
export function levelsToLab(red, green, blue) {
  const xyz = multiply(RGB_TO_XYZ, [LINEAR[red], LINEAR[green], LINEAR[blue]]);
  const x = labCurve(xyz[0] / WHITE_XYZ[0]);
  const y = labCurve(xyz[1] / WHITE_XYZ[1]);
  const z = labCurve(xyz[2] / WHITE_XYZ[2]);
  return [116 * y - 16, 500 * (x - y), 200 * (y - z)];
}

/** Converts [L, a, b] to gamma-encoded sRGB, each clipped to [0, 1]. */
export function labToRgb([lightness, a, b]) {
  const y = (lightness + 16) / 116;
  const xyz = [y + a / 500, y, y - b / 200].map(
    (one, index) => inverseLabCurve(one) * WHITE_XYZ[index],
  );
  return multiply(XYZ_TO_RGB, xyz).map(linearToSrgb);
}

function labCurve(value) {
  return value <= KNEE ** 3 ? value / (3 * KNEE ** 2) + 4 / 29 : Math.cbrt(value);
}

function inverseLabCurve(f) {
  return f <= KNEE ? 3 * KNEE ** 2 * (f - 4 / 29) : f ** 3;
}

function srgbToLinear(srgb) {
  return srgb <= 0.04045 ? srgb / 12.92 : ((srgb + 0.055) / 1.055) ** 2.4;
}

function linearToSrgb(linear) {
  const value = Math.min(Math.max(linear, 0), 1);
  return value <= 0.0031308 ? value * 12.92 : 1.055 * value ** (1 / 2.4) - 0.055;
}

function multiply([first, second, third], vector) {
  return [dot(first, vector), dot(second, vector), dot(third, vector)];
}

function dot(row, vector) {
  return row[0] * vector[0] + row[1] * vector[1] + row[2] * vector[2];
}
