/** Models that run in this browser, by LiteRT.js: no pixel is sent. */

import {resizeArea, toImage, toNumbers} from "./pixels.js";

const RUNTIME = "litert/"; // the folder of the package @litertjs/core

let runtime = null; // a promise of the package's module, once it is needed
let loaded = null; // {path, compiled: promise}; one model at a time, for the memory's sake

/**
 * Computes a model's output.
 *
 * @param {object} model as in server.js.
 * @param {string} path of the model's LiteRT file.
 * @param {ImageData} image of any size.
 * @returns {Promise<{image: ImageData, seconds: number}>} of the model's size; the time is
 *     the network's.
 */
export async function translate(model, path, image) {
  const [{Tensor}, compiled] = await Promise.all([loadRuntime(), loadModel(path)]);
  const [, height, width, channels] = compiled.getInputDetails()[0].shape;
  const numbers = resizeArea(
    toNumbers(image, model),
    [image.height, image.width],
    [height, width],
    channels,
  );
  const started = performance.now();
  const inputs = new Tensor(numbers, [1, height, width, channels]);
  const [outputs] = await compiled.run([inputs]);
  const result = await outputs.data();
  inputs.delete();
  outputs.delete();
  const seconds = (performance.now() - started) / 1000;
  return {image: toImage(numbers, result, width, height, model), seconds};
}

function loadRuntime() {
  runtime ??= startRuntime().catch((error) => {
    runtime = null; // the next call tries again
    throw new Error(`LiteRT.js cannot be loaded: ${error.message}`, {cause: error});
  });
  return runtime;
}

async function startRuntime() {
  const module = await import(`./${RUNTIME}dist/index.js`);
  const hasThreads = self.crossOriginIsolated && (await module.supportsFeature("relaxedSimd"));
  await module.loadLiteRt(`${RUNTIME}wasm/`, {threads: hasThreads});
  return module;
}

async function loadModel(path) {
  if (loaded?.path !== path) {
    loaded?.compiled.then((one) => one.delete()).catch(() => {});
    loaded = {path, compiled: compile(path)};
    loaded.compiled.catch(() => {
      loaded = null; // the next call tries again
    });
  }
  return loaded.compiled;
}

async function compile(path) {
  const {loadAndCompile} = await loadRuntime();
  const response = await fetch(path);
  if (!response.ok) throw new Error(`${path}: the server answered ${response.status}.`);
  const contents = new Uint8Array(await response.arrayBuffer());
  return loadAndCompile(contents, {accelerator: "wasm"});
}
