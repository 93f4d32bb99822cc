/** The drawing: a canvas of the model's size, its tools and its history. */

import {drawLine, drawRectangle} from "./shapes.js";

const MAX_HISTORY_BYTES = 1 << 26;

/**
 * Sends the event "change" after each change; its `detail.isFinished` is false while the
 * pen is still down.
 */
export class Drawing extends EventTarget {
  tool = "pen"; // or "eraser", "line", "rectangle"
  color = "#000000";
  size = 2; // of the pen, in pixels
  #background; // a CSS colour, or null for transparent
  #past = []; // ImageData, the oldest first
  #future = []; // ImageData, the next one last
  #start = null; // where the pen was put down; null while it is up
  #last = null; // where the pen was seen last

  constructor(canvas) {
    super();
    this.canvas = canvas;
    this.context = canvas.getContext("2d", {willReadFrequently: true});
  }

  /** Starts anew with an empty drawing; there is no way back. */
  reset(width, height, background) {
    this.canvas.width = width;
    this.canvas.height = height;
    this.#background = background;
    this.#past = [];
    this.#future = [];
    this.#start = null;
    this.#fill();
    this.#tell(true);
  }

  get canUndo() {
    return this.#past.length > 0;
  }

  get canRedo() {
    return this.#future.length > 0;
  }

  get isDown() {
    return this.#start !== null;
  }

  /** Puts the pen down at a point, {x, y} in pixels of the canvas. */
  begin(point) {
    this.#remember();
    this.#start = this.#last = point;
    this.move(point);
  }

  /** Moves the pen that is down. */
  move(point) {
    const {context, size} = this;
    const color = this.tool === "eraser" ? this.#background : this.color;
    if (this.tool === "line" || this.tool === "rectangle") {
      context.putImageData(this.#past.at(-1), 0, 0);
    }
    if (this.tool === "rectangle") drawRectangle(context, this.#start, point, color);
    else if (this.tool === "line") drawLine(context, this.#start, point, size, color);
    else drawLine(context, this.#last, point, size, color);
    this.#last = point;
    this.#tell(false);
  }

  /** Lifts the pen. */
  end() {
    this.#start = null;
    this.#tell(true);
  }

  /** Lifts the pen, and takes back what it did since it was put down. */
  cancel() {
    this.#start = null;
    this.context.putImageData(this.#past.pop(), 0, 0);
    this.#tell(true);
  }

  /** Shows an image, ImageData, in place of the drawing. */
  put(image) {
    this.#remember();
    this.#show(image);
  }

  clear() {
    this.#remember();
    this.#fill();
    this.#tell(true);
  }

  undo() {
    if (this.isDown) this.cancel();
    else if (this.canUndo) this.#step(this.#past, this.#future);
  }

  redo() {
    if (this.canRedo && !this.isDown) this.#step(this.#future, this.#past);
  }

  /** Returns the pixels, ImageData. */
  read() {
    return this.context.getImageData(0, 0, this.canvas.width, this.canvas.height);
  }

  #step(from, to) {
    to.push(this.read());
    this.#show(from.pop());
  }

  #show(image) {
    this.canvas.width = image.width;
    this.canvas.height = image.height;
    this.context.putImageData(image, 0, 0);
    this.#tell(true);
  }

  #remember() {
    const image = this.read();
    this.#past.push(image);
    this.#past.splice(0, this.#past.length - Math.ceil(MAX_HISTORY_BYTES / image.data.length));
    this.#future = [];
  }

  #fill() {
    const {width, height} = this.canvas;
    this.context.clearRect(0, 0, width, height);
    if (this.#background === null) return;
    this.context.fillStyle = this.#background;
    this.context.fillRect(0, 0, width, height);
  }

  #tell(isFinished) {
    this.dispatchEvent(new CustomEvent("change", {detail: {isFinished}}));
  }
}
