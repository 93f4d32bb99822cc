/** The output, and a slider that uncovers the input above it. */

export class Compare {
  #urls = [];

  constructor({before, after, slider, hint, download}) {
    Object.assign(this, {before, after, slider, hint, download});
    slider.addEventListener("input", () => this.#slide());
  }

  /** Shows an output over its input, both Blobs; `name` is that of the file to download. */
  show(input, output, name) {
    const old = this.#urls;
    this.#urls = [input, output].map((file) => URL.createObjectURL(file));
    [this.before.src, this.after.src] = this.#urls;
    this.download.href = this.#urls[1];
    this.download.download = `${name}.${output.type === "image/jpeg" ? "jpg" : "png"}`;
    this.#setShown(true);
    this.#slide();
    old.forEach((url) => URL.revokeObjectURL(url));
  }

  clear() {
    this.#setShown(false);
    this.#urls.forEach((url) => URL.revokeObjectURL(url));
    this.#urls = [];
  }

  #setShown(isShown) {
    this.hint.hidden = isShown;
    for (const one of [this.before, this.after, this.slider, this.download]) {
      one.hidden = !isShown;
    }
  }

  #slide() {
    this.before.style.setProperty("--at", `${this.slider.value}%`);
  }
}
