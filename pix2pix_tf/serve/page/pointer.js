/** Pointers (mouse, pen, finger) and arrow keys, which move the pen of a drawing. */

const ARROWS = {ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1]};
const STEPS_ACROSS = 64; // of the cross, from one side of the canvas to the other

/** Draws where a pointer is pressed. */
export function drawByPointer(drawing) {
  const {canvas} = drawing;

  function pointOf(event) {
    const box = canvas.getBoundingClientRect();
    return {
      x: Math.floor(((event.clientX - box.left) * canvas.width) / box.width),
      y: Math.floor(((event.clientY - box.top) * canvas.height) / box.height),
    };
  }

  let id = null; // of the pointer that draws; a second finger does nothing
  canvas.addEventListener("pointerdown", (event) => {
    if (id !== null || event.button !== 0) return;
    if (drawing.isDown) drawing.end();
    id = event.pointerId;
    canvas.setPointerCapture(id);
    drawing.begin(pointOf(event));
  });
  canvas.addEventListener("pointermove", (event) => {
    if (event.pointerId === id && drawing.isDown) drawing.move(pointOf(event));
  });
  for (const [name, act] of [
    ["pointerup", () => drawing.end()],
    ["pointercancel", () => drawing.cancel()],
  ]) {
    canvas.addEventListener(name, (event) => {
      if (event.pointerId !== id) return;
      id = null;
      if (drawing.isDown) act();
    });
  }
}

/** Draws by a cross that arrow keys move while the canvas has the focus. */
export function drawByKeys(drawing, cross) {
  const {canvas} = drawing;
  let at = null;

  function place() {
    const {width, height} = canvas;
    at ??= {x: width >> 1, y: height >> 1};
    at.x = Math.min(Math.max(at.x, 0), width - 1);
    at.y = Math.min(Math.max(at.y, 0), height - 1);
    cross.style.left = `${((at.x + 0.5) / width) * 100}%`;
    cross.style.top = `${((at.y + 0.5) / height) * 100}%`;
    cross.hidden = false;
  }

  canvas.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key in ARROWS) {
      place();
      const [right, down] = ARROWS[event.key];
      const step = event.shiftKey ? 1 : Math.max(1, Math.round(canvas.width / STEPS_ACROSS));
      at.x += right * step;
      at.y += down * step;
      place();
      if (drawing.isDown) drawing.move({...at});
    } else if (event.key === " ") {
      place();
      if (drawing.isDown) drawing.end();
      else drawing.begin({...at});
    } else if (event.key === "Escape" && drawing.isDown) {
      drawing.cancel();
    } else {
      return;
    }
    event.preventDefault();
  });
  canvas.addEventListener("focus", () => {
    if (canvas.matches(":focus-visible")) place();
  });
  canvas.addEventListener("blur", () => {
    cross.hidden = true;
    if (drawing.isDown) drawing.end();
  });
  canvas.addEventListener("pointerdown", () => {
    cross.hidden = true;
  });
}
