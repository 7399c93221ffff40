// Photos of the user's own for A and B: chosen, taken or dropped.

import { drawPicture } from "./picture.js";
import { openPhoto, preparePhoto } from "./photo.js";

const POINTS = ["a", "b"];

/** Where photos come in, and what the encoder sees of them. */
export class Photos {
  #manifest;
  #onPhoto;
  #say;
  #next = "a"; // what a photo is for that is dropped elsewhere

  /**
   * @param {object} manifest with `preprocessing`.
   * @param {(which: string, values: Float32Array, note: string) => Promise<void>} onPhoto
   *     is given the encoder's input for A or B.
   * @param {(text: string, isError?: boolean) => void} say
   */
  constructor(manifest, onPhoto, say) {
    this.#manifest = manifest;
    this.#onPhoto = onPhoto;
    this.#say = say;
    for (const which of POINTS) {
      for (const input of document.querySelectorAll(`#photos-${which} input`)) {
        input.addEventListener("change", async () => {
          await this.#take([...input.files], which);
          input.value = ""; // so that the same file can be chosen again
        });
      }
    }
    document.addEventListener("dragover", (event) => {
      event.preventDefault();
      document.body.classList.add("dropping");
    });
    document.addEventListener("dragleave", ({ relatedTarget }) => {
      if (!relatedTarget) document.body.classList.remove("dropping");
    });
    document.addEventListener("drop", (event) => {
      event.preventDefault();
      document.body.classList.remove("dropping");
      const onto = POINTS.find((which) => event.target.closest(`[data-point="${which}"]`));
      this.#take([...event.dataTransfer.files], onto ?? this.#next);
    });
  }

  /** Forgets the photo of a point that is now another picture. */
  forget(which) {
    seen(which).hidden = true;
    document.getElementById("seen").hidden = POINTS.every((point) => seen(point).hidden);
  }

  async #take(files, which) {
    try {
      if (files.length === 0) throw new Error("What was dropped is no picture file.");
      for (const file of files.slice(0, POINTS.length)) {
        await this.#takeOne(file, which);
        which = this.#next;
      }
    } catch (error) {
      this.#say(error.message, true);
    }
  }

  async #takeOne(file, which) {
    this.#say(`Reading ${file.name}`);
    const source = await openPhoto(file, this.#manifest.preprocessing.background);
    let prepared;
    try {
      prepared = preparePhoto(source, this.#manifest);
    } finally {
      source.close();
    }
    await this.#onPhoto(which, prepared.values, prepared.note);
    drawPicture(seen(which).querySelector("canvas"), prepared.values, {
      ...this.#manifest.image,
      range: [0, 1],
    });
    document.getElementById("seen").hidden = seen(which).hidden = false;
    this.#next = POINTS.find((point) => point !== which);
  }
}

const seen = (which) => document.getElementById(`seen-${which}`);
