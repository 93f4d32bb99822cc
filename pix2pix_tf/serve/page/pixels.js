/**
 * Images as files, as ImageData and as the numbers of a network: Float32Array of [height,
 * width, channels], in [-1, 1].
 */

import {labToRgb, levelsToLab} from "./color.js";

const MAX_AB = 110; // about the largest |a| or |b| of an sRGB colour
const LUMA = [0.299, 0.587, 0.114]; // Rec. ITU-R BT.601

/** Decodes an image file, upright, with the levels that it has: ImageData. */
export async function decode(file) {
  let bitmap;
  try {
    bitmap = await createImageBitmap(file, {colorSpaceConversion: "none"});
  } catch (error) {
    throw new Error(
      `${file.name || "This"} is not an image that the browser can read: ` +
        "choose a file such as PNG, JPEG or WebP.",
      {cause: error},
    );
  }
  const {width, height} = bitmap;
  const context = makeCanvas(width, height).getContext("2d", {willReadFrequently: true});
  context.drawImage(bitmap, 0, 0);
  bitmap.close();
  return context.getImageData(0, 0, width, height);
}

/** Encodes ImageData as a PNG file, a Blob. */
export function encode(image) {
  const canvas = makeCanvas(image.width, image.height);
  canvas.getContext("2d").putImageData(image, 0, 0);
  return new Promise((resolve) => canvas.toBlob(resolve, "image/png"));
}

function makeCanvas(width, height) {
  return Object.assign(document.createElement("canvas"), {width, height});
}

/** Fits an image to a drawing: its size, [height, width] or null for any; gray; opaque. */
export function fitToDrawing(image, size, channels) {
  const {width, height} = image;
  const [toHeight, toWidth] = size ?? [height, width];
  const levels = Float32Array.from(image.data);
  const resized = resizeArea(levels, [height, width], [toHeight, toWidth], 4);
  const result = new ImageData(Uint8ClampedArray.from(resized), toWidth, toHeight);
  forEachPixel(result, (rgba) => {
    if (channels !== 4) rgba[3] = 255;
    if (channels === 1) rgba.fill(lumaOf(rgba), 0, 3);
  });
  return result;
}

/**
 * Scales by averaging areas, as the server does: tf.image.resize(method="area").
 *
 * @param {Float32Array} values of [height, width, channels].
 * @param {[number, number]} from the height and width.
 * @param {[number, number]} to the height and width wanted.
 */
export function resizeArea(values, from, to, channels) {
  if (from[0] === to[0] && from[1] === to[1]) return values;
  const rows = resizeAxis(values, 1, from[0], to[0], from[1] * channels);
  return resizeAxis(rows, to[0], from[1], to[1], channels);
}

/** Scales the middle axis of [outer, length, inner]. */
function resizeAxis(values, outer, length, newLength, inner) {
  const result = new Float32Array(outer * newLength * inner);
  const scale = length / newLength;
  for (let place = 0; place < newLength; place += 1) {
    const end = Math.min((place + 1) * scale, length);
    for (let source = Math.floor(place * scale); source < end; source += 1) {
      const weight = (Math.min(source + 1, end) - Math.max(source, place * scale)) / scale;
      for (let block = 0; block < outer; block += 1) {
        const to = (block * newLength + place) * inner;
        const at = (block * length + source) * inner;
        for (let index = 0; index < inner; index += 1) {
          result[to + index] += weight * values[at + index];
        }
      }
    }
  }
  return result;
}

/** Converts ImageData to the numbers of a model's input, at the image's size. */
export function toNumbers(image, model) {
  const channels = model.input_channels;
  const numbers = new Float32Array(image.width * image.height * channels);
  forEachPixel(image, (rgba, index) => {
    numbers.set(pixelToNumbers(rgba, model), index * channels);
  });
  return numbers;
}

function pixelToNumbers(rgba, {is_photograph, input_channels}) {
  if (is_photograph) {
    const [lightness, a, b] = levelsToLab(rgba[0], rgba[1], rgba[2]);
    return input_channels === 1 ? [lightness / 50 - 1] : [a / MAX_AB, b / MAX_AB];
  }
  const levels = input_channels === 1 ? [lumaOf(rgba)] : [...rgba].slice(0, input_channels);
  return levels.map((level) => level / 127.5 - 1);
}

/** Converts a model's output, of the size of its input, to ImageData. */
export function toImage(inputs, outputs, width, height, model) {
  const image = new ImageData(width, height);
  forEachPixel(image, (rgba, index) => {
    const [red, green, blue, alpha = 1] = numbersToRgb(
      pick(inputs, index, model.input_channels),
      pick(outputs, index, model.output_channels),
      model.is_photograph,
    );
    // As TensorFlow converts to uint8.
    rgba.set([red, green, blue, alpha].map((one) => Math.floor(one * 255.5)));
  });
  return image;
}

/** Returns 3 or 4 levels, in [0, 1], of a pixel's input and output, in [-1, 1]. */
function numbersToRgb(input, output, isPhotograph) {
  if (isPhotograph) {
    const isLightness = output.length === 1;
    const [a, b] = isLightness ? [0, 0] : output;
    const lightness = isLightness ? output[0] : input[0];
    return labToRgb([(lightness + 1) * 50, a * MAX_AB, b * MAX_AB]);
  }
  const levels = output.map((one) => (one + 1) / 2);
  if (levels.length === 1) return [levels[0], levels[0], levels[0]];
  return levels.length === 2 ? [...levels, 0] : levels;
}

function pick(numbers, index, channels) {
  return Array.from(numbers.subarray(index * channels, (index + 1) * channels));
}

function lumaOf([red, green, blue]) {
  return LUMA[0] * red + LUMA[1] * green + LUMA[2] * blue;
}

/** Calls `act(rgba, index)` with a view of each pixel. */
function forEachPixel({data}, act) {
  for (let index = 0; index < data.length / 4; index += 1) {
    act(data.subarray(index * 4, index * 4 + 4), index);
  }
}
