// The decoder: an exported .tflite file run by LiteRT.js.

import {
  getWebGpuDevice,
  loadAndCompile,
  loadLiteRt,
  supportsFeature,
  Tensor,
} from "./litert/core.js";
import { fetchFile } from "./manifest.js";

const KEPT_TIMES = 30;

/** One variant on one accelerator, exchangeable; calls take their turn. */
export class Decoder {
  #manifest;
  #model = null;
  #times = [];
  #turn = Promise.resolve();

  constructor(manifest) {
    this.#manifest = manifest;
  }

  /** Starts the WebAssembly runtime; once, before anything else. */
  async start() {
    try {
      // With JSPI, what WebGPU cannot run falls to the CPU; without, it fails.
      await loadLiteRt("litert/wasm/", { jspi: await supportsFeature("jspi") });
    } catch (error) {
      console.error(error);
      throw new Error(
        "LiteRT.js did not start: a file in litert/wasm/ is missing, or this browser is too old.",
      );
    }
  }

  /** Changes to a variant of the manifest; after an error the earlier one stays. */
  use(variant, accelerator) {
    return this.#inTurn(async () => {
      const bytes = await this.#fetch(variant);
      if (accelerator === "webgpu" && !getWebGpuDevice()) {
        throw new Error("This browser finds no GPU for WebGPU.");
      }
      let model;
      try {
        const gpuOptions = { precision: "fp32" };
        model = await loadAndCompile(bytes, { accelerator, gpuOptions });
        // Some fail only here; the first run is also the slowest.
        await this.#run(model, new Float32Array(this.#manifest.latent.dim));
      } catch (error) {
        model?.delete();
        throw new Error(`${variant.decoder} does not run here: ${reason(error)}.`);
      }
      this.#model?.delete();
      this.#model = model;
      this.#times = [];
    });
  }

  /**
   * Decodes one point.
   *
   * @param {Float32Array} z latent.dim numbers.
   * @returns {Promise<Float32Array>} height x width x channels values, row by row.
   */
  decode(z) {
    return this.#inTurn(async () => {
      const start = performance.now();
      const image = await this.#run(this.#model, z);
      this.#times.push(performance.now() - start);
      this.#times = this.#times.slice(-KEPT_TIMES);
      return image;
    });
  }

  /** Median milliseconds of the last pictures, NaN before the first. */
  get milliseconds() {
    const sorted = [...this.#times].sort((a, b) => a - b);
    const middle = sorted.length / 2;
    return (sorted[Math.floor(middle)] + sorted[Math.ceil(middle) - 1]) / 2;
  }

  #inTurn(job) {
    const result = this.#turn.then(job);
    this.#turn = result.catch(() => {});
    return result;
  }

  async #fetch({ decoder, bytes: expected }) {
    const bytes = new Uint8Array(await (await fetchFile(decoder)).arrayBuffer());
    if (bytes.length !== expected) {
      throw new Error(
        `${decoder} has ${bytes.length} bytes, but ${expected} by manifest.json.`,
      );
    }
    return bytes;
  }

  async #run(model, z) {
    const { batch_size: batch, latent, image } = this.#manifest;
    if (z.length !== latent.dim) {
      throw new RangeError(`${z.length} latents where the decoder takes ${latent.dim}`);
    }
    const rows = new Float32Array(batch * latent.dim);
    for (let row = 0; row < batch; row++) rows.set(z, row * latent.dim);
    const input = new Tensor(rows, [batch, latent.dim]);
    try {
      const [output] = await model.run("decode", [input]);
      const pictures = await output.data();
      output.delete();
      return pictures.subarray(0, image.height * image.width * image.channels);
    } finally {
      input.delete();
    }
  }
}

function reason(error) {
  return String(error?.message ?? error).replace(/\.+$/, "");
}
