/** Image files that a user opens, drops or pastes. */

/** Calls `accept(file)` for each, and `refuse(sentence)` where there is no image. */
export function takeFiles(input, accept, refuse) {
  function take(transfer, what) {
    const file = [...transfer.files].find((one) => one.type.startsWith("image/"));
    if (file) accept(file);
    else refuse(`What was ${what} is not an image file: save it as a file first.`);
  }

  input.addEventListener("change", () => {
    if (input.files[0]) accept(input.files[0]);
    input.value = ""; // so that the same file may be opened again
  });
  document.addEventListener("paste", (event) => take(event.clipboardData, "pasted"));
  document.addEventListener("dragover", (event) => {
    event.preventDefault();
    document.body.classList.add("is-over");
  });
  document.addEventListener("dragleave", (event) => {
    if (!event.relatedTarget) document.body.classList.remove("is-over");
  });
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    document.body.classList.remove("is-over");
    take(event.dataTransfer, "dropped");
  });
}
