/** The page: joins the drawing or the photograph, the model and the output. */

import {translate} from "./browser.js";
import {Compare} from "./compare.js";
import {Drawing} from "./drawing.js";
import {takeFiles} from "./files.js";
import {Latest} from "./latest.js";
import {decode, encode, fitToDrawing} from "./pixels.js";
import {drawByKeys, drawByPointer} from "./pointer.js";
import {connect} from "./server.js";
import {backgroundOf, connectToolbar} from "./toolbar.js";

const SERVER = ""; // the value of "Runs on"; other values are the paths of LiteRT files
const ANY_SIZE = [256, 256]; // of an empty drawing, for models of any size

const find = (id) => document.getElementById(id);
const query = new URLSearchParams(location.search);
const drawing = new Drawing(find("canvas"));
const setPalette = connectToolbar(drawing);
const compare = new Compare({
  before: find("before"),
  after: find("after"),
  slider: find("slider"),
  hint: find("output-hint"),
  download: find("download"),
});
const latest = new Latest(makeOutput, {
  onError: (error) => showError(error.message),
  onBusy: () => showStatus("The server is busy: trying again."),
});

let server;
let model;
let photograph = null; // a Blob, for models of photographs

function showStatus(text) {
  find("status").textContent = text;
}

function showError(text) {
  find("error").textContent = text;
  find("error").hidden = !text;
  if (text) showStatus("");
}

/** Makes the output of what is drawn or chosen now, and shows it. */
async function makeOutput(signal) {
  const place = find("place").value;
  const input = model.is_photograph ? photograph : await encode(drawing.read());
  const {output, seconds} = await whileWaiting(
    place === SERVER ? askServer(input, signal) : runHere(place, input),
  );
  if (signal.aborted) return;
  compare.show(input, output, `${model.name}-output`);
  showError("");
  const where = place === SERVER ? query.get("server") ?? "server" : "this browser, LiteRT";
  const version = model.version ? ` ${model.version}` : "";
  showStatus(`${model.name}${version} · ${where} · ${seconds.toFixed(2)} s`);
}

async function askServer(input, signal) {
  const started = performance.now();
  const output = await server.predict(model, input, signal);
  return {output, seconds: (performance.now() - started) / 1000};
}

async function runHere(path, input) {
  const {image, seconds} = await translate(model, path, await decode(input));
  return {output: await encode(image), seconds};
}

/** Awaits a promise, and says so if it takes long. */
async function whileWaiting(promise) {
  const timer = setTimeout(() => showStatus("Working."), 600);
  try {
    return await promise;
  } finally {
    clearTimeout(timer);
  }
}

/** Starts anew with the model that is chosen. */
function chooseModel() {
  latest.cancel();
  model = server.models[find("model").selectedIndex];
  photograph = null;
  compare.clear();
  showError("");
  showStatus("");
  for (const id of ["drawing", "tools", "history"]) find(id).hidden = model.is_photograph;
  find("photograph").hidden = !model.is_photograph;
  find("photo").hidden = true;
  find("photo-hint").hidden = false;
  showPlaces();
  setPalette(model);
  const [height, width] = model.size ?? ANY_SIZE;
  drawing.reset(width, height, backgroundOf(model));
  latest.cancel(); // nothing is drawn yet
  find("output-hint").style.aspectRatio = model.is_photograph ? "" : `${width} / ${height}`;
}

function showPlaces() {
  const paths = server.hasLiteRt ? model.litert : [];
  const options = paths.map((path) => {
    const type = path.match(/_([a-z0-9]+)\.tflite$/)?.[1] ?? path;
    return new Option(`this browser (LiteRT, ${type})`, path);
  });
  find("place").replaceChildren(new Option("the server", SERVER), ...options);
  find("place-label").hidden = options.length === 0;
}

async function acceptFile(file) {
  try {
    const image = await decode(file);
    showError("");
    if (model.is_photograph) await showPhotograph(file, image);
    else drawing.put(fitToDrawing(image, model.size, model.input_channels));
  } catch (error) {
    showError(error.message);
  }
}

async function showPhotograph(file, image) {
  latest.cancel();
  photograph = server.reads(file) ? file : await encode(image);
  URL.revokeObjectURL(find("photo").src);
  find("photo").src = URL.createObjectURL(photograph);
  find("photo").hidden = false;
  find("photo-hint").hidden = true;
  compare.clear();
  latest.ask();
}

async function start() {
  server = await connect(query);
  if (!server.models.length) throw new Error("The server has no model.");
  const options = server.models.map(({name}) => new Option(name, name));
  find("model").replaceChildren(...options);
  const wanted = server.models.findIndex(({name}) => name === query.get("model"));
  find("model").selectedIndex = Math.max(wanted, 0);
  find("model").addEventListener("change", chooseModel);
  find("place").addEventListener("change", () => {
    if (photograph || drawing.canUndo) latest.ask();
  });
  drawing.addEventListener("change", ({detail}) => {
    // In the browser the network holds up the pen, so it waits until the pen is lifted.
    if (detail.isFinished || find("place").value === SERVER) latest.ask();
  });
  drawByPointer(drawing);
  drawByKeys(drawing, find("cross"));
  takeFiles(find("file"), acceptFile, showError);
  chooseModel();
  document.querySelector("main").hidden = false;
}

start().catch((error) => showError(error.message));
