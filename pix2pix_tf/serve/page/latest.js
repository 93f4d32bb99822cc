/** One job at a time, for the newest input. */

import {BusyError} from "./server.js";

const DELAY = 150; // ms from a change to the job, in which more changes may come
const BUSY_DELAY = 700; // ms
const MAX_TRIES = 20; // while the server is busy

export class Latest {
  #timer = null;
  #controller = null; // of the job that runs
  #isDue = false; // again, after the job that runs
  #tries = 0;

  /**
   * @param {function(AbortSignal)} work the job, asynchronous.
   * @param {{onError: function(Error), onBusy: function()}} tell
   */
  constructor(work, {onError, onBusy}) {
    this.work = work;
    this.onError = onError;
    this.onBusy = onBusy;
  }

  /** Starts the job soon, or again after the one that runs. */
  ask(delay = DELAY) {
    if (this.#controller) this.#isDue = true;
    else this.#timer ??= setTimeout(() => this.#run(), delay);
  }

  /** Forgets what was asked; the answer of the job that runs is not wanted any more. */
  cancel() {
    clearTimeout(this.#timer);
    this.#timer = null;
    this.#isDue = false;
    this.#tries = 0;
    this.#controller?.abort();
  }

  async #run() {
    this.#timer = null;
    this.#controller = new AbortController();
    const {signal} = this.#controller;
    let delay = DELAY;
    try {
      await this.work(signal);
      this.#tries = 0;
    } catch (error) {
      if (!signal.aborted && error instanceof BusyError && ++this.#tries < MAX_TRIES) {
        this.#isDue = true;
        delay = BUSY_DELAY;
        this.onBusy();
      } else if (!signal.aborted) {
        this.#tries = 0;
        this.onError(error);
      }
    }
    this.#controller = null;
    if (!this.#isDue) return;
    this.#isDue = false;
    this.ask(delay);
  }
}
