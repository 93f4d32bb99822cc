/**
 * The part of the package @litertjs/wasm-utils that LiteRT.js uses. The server has the
 * folder of LiteRT.js alone; index.html gives this module the package's name.
 */

/** Loads a script that defines ModuleFactory; returns the module that it makes. */
export async function createWasmLib(Wrapper, scriptUrl) {
  await runScript(scriptUrl);
  const module = await self.ModuleFactory();
  self.ModuleFactory = undefined;
  return new Wrapper(module);
}

function runScript(url) {
  return new Promise((resolve, reject) => {
    const script = document.createElement("script");
    script.src = url;
    script.onload = resolve;
    script.onerror = () => reject(new Error(`${url} cannot be loaded.`));
    document.body.append(script);
  });
}
