/**
 * What a server tells and computes: the server of this page, or a TensorFlow Serving at an
 * address that the page was given.
 *
 * A model is {name, version, size: [height, width] or null for any, is_photograph,
 * input_channels, output_channels, labels: [{name, color}], litert: [path]}.
 */

/** The server has too much to do; the same request may be sent again. */
export class BusyError extends Error {}

/**
 * Finds the models.
 *
 * @param {URLSearchParams} query of the page: `server` and `model`, both optional.
 * @returns {Promise<{models, hasLiteRt: boolean, reads: function, predict: function}>}
 *     `reads(file)` is true if the server can read an image file of this type;
 *     `predict(model, file, signal)` sends a Blob and returns the output, a Blob.
 */
export async function connect(query) {
  const address = query.get("server");
  if (!address) {
    const answer = await ask("models");
    return {
      models: answer.models,
      hasLiteRt: answer.has_litert_js,
      reads: () => true,
      predict: (model, file, signal) =>
        predict("", {"Content-Type": "application/json"}, model, file, signal),
    };
  }
  const base = checkAddress(address);
  const name = query.get("model");
  if (!name) {
    throw new Error(
      `The page's address names the server ${base} and no model: add &model=NAME to it.`,
    );
  }
  const metadata = await ask(`${base}v1/models/${encodeURIComponent(name)}/metadata`);
  return {
    models: [readMetadata(name, metadata)],
    hasLiteRt: false,
    reads: (file) => ["image/png", "image/jpeg"].includes(file.type),
    // Without a type of its own the browser asks for no permission first (CORS preflight).
    predict: (model, file, signal) => predict(base, {}, model, file, signal),
  };
}

function checkAddress(address) {
  if (!/^https?:$/.test(URL.parse(address)?.protocol)) {
    throw new Error(
      `?server=${address} is no address of a server: give one such as http://localhost:8501`,
    );
  }
  return address.endsWith("/") ? address : `${address}/`;
}

/** Returns the model that TensorFlow Serving describes by its two signatures. */
function readMetadata(name, answer) {
  const signatures = answer.metadata?.signature_def?.signature_def ?? {};
  const generate = signatures.generate;
  if (!generate || !signatures.serving_default) {
    throw new Error(
      `The model ${name} has the signatures ${Object.keys(signatures).join(", ") || "(none)"}: ` +
        "this page needs serving_default and generate, which pix2pix-tf export writes.",
    );
  }
  const shapeOf = (tensors) =>
    Object.values(tensors)[0].tensor_shape.dim.map((one) => Number(one.size));
  const [, height, width, inputChannels] = shapeOf(generate.inputs);
  const outputChannels = shapeOf(generate.outputs).at(-1);
  return {
    name,
    version: answer.model_spec?.version ?? "",
    size: height === -1 ? null : [height, width],
    // Colorization: lightness in, colour out (or back).
    is_photograph: inputChannels + outputChannels === 3,
    input_channels: inputChannels,
    output_channels: outputChannels,
    labels: [],
    litert: [],
  };
}

async function predict(base, headers, model, file, signal) {
  const body = JSON.stringify({instances: [{b64: await toBase64(file)}]});
  const path = `${base}v1/models/${encodeURIComponent(model.name)}:predict`;
  const answer = await ask(path, {method: "POST", headers, body, signal});
  return fromBase64(answer.predictions[0].b64);
}

/** Sends a request; returns the answer's JSON, or throws what went wrong, in words. */
async function ask(path, options) {
  let response;
  try {
    response = await fetch(path, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Error(
      path.startsWith("http")
        ? `${new URL(path).origin} does not answer, or does not let other pages call it: ` +
            "start TensorFlow Serving with --rest_api_enable_cors_support=true."
        : "The server does not answer: see whether it still runs, then try again.",
      {cause: error},
    );
  }
  const answer = await response.json().catch(() => ({}));
  if (response.ok) return answer;
  const text = answer.error ?? `The server answered with the status ${response.status}.`;
  throw response.status === 503 ? new BusyError(text) : new Error(text);
}

/** Returns the base64 of a Blob. */
function toBase64(file) {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result.slice(reader.result.indexOf(",") + 1));
    reader.onerror = () => reject(reader.error);
    reader.readAsDataURL(file);
  });
}

/** Returns a Blob of an image file, PNG or JPEG, from its base64. */
function fromBase64(text) {
  const bytes = Uint8Array.from(atob(text), (one) => one.charCodeAt(0));
  return new Blob([bytes], {type: bytes[0] === 0xff ? "image/jpeg" : "image/png"});
}
