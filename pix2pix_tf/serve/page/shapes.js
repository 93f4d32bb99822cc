/**
 * Shapes of whole pixels on a canvas. Its own strokes have soft edges, which would mix the
 * colours of two labels.
 *
 * A point is {x, y}, in pixels. `color` is a CSS colour, or null to make transparent.
 */

/** Fills all pixels whose centres lie within a round pen of `size` pixels. */
function fillDisk(fill, point, size) {
  const left = point.x - Math.floor(size / 2);
  const top = point.y - Math.floor(size / 2);
  for (let row = 0; row < size; row += 1) {
    const away = row + 0.5 - size / 2;
    const width = Math.max(1, Math.round(2 * Math.sqrt((size * size) / 4 - away * away)));
    fill(left + Math.floor((size - width) / 2), top + row, width, 1);
  }
}

function makeFill(context, color) {
  if (color === null) return context.clearRect.bind(context);
  context.fillStyle = color;
  return context.fillRect.bind(context);
}

/** Draws a line between two points with a round pen. */
export function drawLine(context, from, to, size, color) {
  const fill = makeFill(context, color);
  const count = Math.max(Math.abs(to.x - from.x), Math.abs(to.y - from.y), 1);
  for (let step = 0; step <= count; step += 1) {
    const x = Math.round(from.x + ((to.x - from.x) * step) / count);
    const y = Math.round(from.y + ((to.y - from.y) * step) / count);
    fillDisk(fill, {x, y}, size);
  }
}

/** Fills the rectangle that has two points as its corners, with the pixels of both. */
export function drawRectangle(context, from, to, color) {
  const left = Math.min(from.x, to.x);
  const top = Math.min(from.y, to.y);
  const width = Math.abs(to.x - from.x) + 1;
  const height = Math.abs(to.y - from.y) + 1;
  makeFill(context, color)(left, top, width, height);
}
