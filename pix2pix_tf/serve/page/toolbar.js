/** The buttons of a drawing, and their keys. */

const GRAYS = [
  {name: "black", color: "#000000"},
  {name: "dark gray", color: "#404040"},
  {name: "gray", color: "#808080"},
  {name: "light gray", color: "#c0c0c0"},
  {name: "white", color: "#ffffff"},
];
const INK = [GRAYS[0], GRAYS[4]];

const find = (id) => document.getElementById(id);

/** Shows which one of some buttons is chosen. */
function press(buttons, chosen) {
  for (const button of buttons) button.setAttribute("aria-pressed", button === chosen);
}

/** Connects the buttons and keys to a drawing; returns the function that sets the colours. */
export function connectToolbar(drawing) {
  const tools = [...document.querySelectorAll("[data-tool]")];
  const sizeInput = find("size");
  const anyColor = find("any-color");
  let colors = [];

  function chooseTool(button) {
    drawing.tool = button.dataset.tool;
    press(tools, button);
  }

  function chooseColor(color, button) {
    drawing.color = color;
    press(colors, button);
    if (drawing.tool === "eraser") chooseTool(tools[0]);
  }

  function chooseSize() {
    drawing.size = Number(sizeInput.value);
    find("size-text").textContent = sizeInput.value;
  }

  function makeColorButton({name, color}, index) {
    const button = document.createElement("button");
    button.type = "button";
    const swatch = document.createElement("span");
    swatch.className = "swatch";
    swatch.style.background = color;
    button.append(swatch, name);
    if (index < 9) button.append(makeKey(String(index + 1)));
    button.addEventListener("click", () => chooseColor(color, button));
    return button;
  }

  for (const button of tools) {
    button.append(makeKey(button.dataset.key.toUpperCase()));
    button.addEventListener("click", () => chooseTool(button));
  }
  sizeInput.addEventListener("input", chooseSize);
  anyColor.addEventListener("input", () => chooseColor(anyColor.value, null));
  for (const name of ["undo", "redo", "clear"]) {
    find(name).addEventListener("click", () => drawing[name]());
  }
  drawing.addEventListener("change", () => {
    find("undo").disabled = !drawing.canUndo;
    find("redo").disabled = !drawing.canRedo;
  });
  document.addEventListener("keydown", (event) => {
    if (find("tools").hidden || event.target.matches("select")) return;
    const key = event.key.toLowerCase();
    if ((event.ctrlKey || event.metaKey) && !event.altKey) {
      if (key === "y" || (key === "z" && event.shiftKey)) drawing.redo();
      else if (key === "z") drawing.undo();
      else return;
      event.preventDefault();
    } else if (!event.altKey && !event.ctrlKey && !event.metaKey) {
      if (key === "[") sizeInput.stepDown();
      if (key === "]") sizeInput.stepUp();
      chooseSize();
      tools.find((button) => button.dataset.key === key)?.click();
      if (/^[1-9]$/.test(key)) colors[Number(key) - 1]?.click();
    }
  });
  chooseTool(tools[0]);

  return (model) => {
    const palette = paletteOf(model);
    colors = palette.map(makeColorButton);
    find("colors").replaceChildren(...colors);
    find("any-color-label").hidden = model.labels.length > 0 || model.input_channels < 3;
    // The pen needs a colour that is not the background's.
    const index = model.labels.length > 1 ? 1 : 0;
    chooseColor(palette[index].color, colors[index]);
    sizeInput.value = model.labels.length ? 12 : 2;
    chooseSize();
  };
}

function paletteOf(model) {
  if (model.labels.length) return model.labels;
  return model.input_channels === 1 ? GRAYS : INK;
}

/** Returns the colour of an empty drawing: the first label's, transparent, or white. */
export function backgroundOf(model) {
  if (model.labels.length) return model.labels[0].color;
  return model.input_channels === 4 ? null : "#ffffff";
}

function makeKey(text) {
  const key = document.createElement("kbd");
  key.textContent = text;
  key.ariaHidden = "true";
  return key;
}
