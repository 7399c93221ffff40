// The networks: exported .tflite files run by LiteRT.js.

import {
  getWebGpuDevice,
  loadAndCompile,
  loadLiteRt,
  Tensor,
} from "./litert/core.js";
import { fetchFile } from "./manifest.js";

const WASM = "litert/wasm/litert_wasm_compat_internal";
// To wait for the GPU in between needs JSPI, and a build of LiteRT.js for that alone.
const IN_PART = "the GPU takes a part of it only";
const KEPT_TIMES = 30;
const TRIES = 5; // of each accelerator, to find the faster one
// Of each signature: what goes in, and which result is used.
const ARGUMENTS = { decode: "z", encode: "image", from_noise: "noise", to_noise: "z" };
const RESULTS = { decode: "image", encode: "z_mean", from_noise: "z", to_noise: "noise" };

/**
 * A decoder, which is one variant on one accelerator and exchangeable, its encoder once
 * there is a photo, and the prior that noise goes through on the way to pictures; calls
 * take their turn.
 */
export class Networks {
  #manifest;
  #decoder = null;
  #encoder = null; // and its file's name, { file, model }
  #prior = null; // where there is none, latents are the noise itself
  #times = [];
  #turn = Promise.resolve();

  constructor(manifest) {
    this.#manifest = manifest;
  }

  /** Starts the WebAssembly runtime and loads the prior; once, before anything else. */
  async start() {
    try {
      window.Module = {
        wasmBinary: await fetchPacked(`${WASM}.wasm.gz`),
        // LiteRT.js prints all that it does as errors.
        printErr: (line) =>
          /^(ERROR|FATAL)/.test(line) ? console.error(line) : console.debug(line),
      };
      await loadLiteRt(`${WASM}.js`);
    } catch (error) {
      console.error(error);
      throw new Error(
        "LiteRT.js did not start: a file in litert/wasm/ is missing, or this browser is too old.",
      );
    }
    const { prior } = this.#manifest;
    // It is small: on a GPU the way there and back would take longer.
    if (!prior.file) return;
    const nothing = new Float32Array(prior.labels?.names.length ?? 0);
    this.#prior = await this.#load(prior.file, prior.bytes, "wasm", "from_noise", nothing);
  }

  /** Changes to a variant of the manifest; after an error the earlier one stays. */
  use(variant, accelerator) {
    return this.#inTurn(async () => {
      const model = await this.#load(variant.decoder, variant.bytes, accelerator, "decode");
      this.#decoder?.delete();
      this.#decoder = model;
      this.#times = [];
    });
  }

  /** Changes to the GPU if it computes the decoder, and sooner; returns whether. */
  async useFasterGpu(variant) {
    const device = getWebGpuDevice();
    // One in software is never faster, and takes seconds to find out.
    if (!device || device.adapterInfo?.isFallbackAdapter) return false;
    return this.#inTurn(async () => {
      let model;
      try {
        model = await this.#load(variant.decoder, variant.bytes, "webgpu", "decode");
      } catch (error) {
        console.info(`GPU not used: ${error.message}`);
        return false;
      }
      const isFaster = async () => (await this.#time(model)) < (await this.#time(this.#decoder));
      if (!(await isFaster())) {
        model.delete();
        return false;
      }
      this.#decoder.delete();
      this.#decoder = model;
      this.#times = [];
      return true;
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
      const image = await this.#run(this.#decoder, "decode", z);
      this.#times.push(performance.now() - start);
      this.#times = this.#times.slice(-KEPT_TIMES);
      return image;
    });
  }

  /**
   * The latents that the prior makes of standard normal noise; latent.dim numbers.
   *
   * `label` is what it is asked for, a number for each label that it knows.
   */
  fromNoise(noise, label) {
    return this.#throughPrior("from_noise", noise, label);
  }

  /** The noise that the prior makes latents of. */
  toNoise(z, label) {
    return this.#throughPrior("to_noise", z, label);
  }

  /**
   * Encodes a photo with a variant of the manifest, whose encoder is loaded by the first.
   *
   * @param {Float32Array} values height x width x channels in [0, 1], row by row.
   * @returns {Promise<Float32Array>} latent.dim numbers, the encoder's means.
   */
  encode(variant, values) {
    return this.#inTurn(async () => {
      const file = variant.encoder;
      if (!file) throw new Error(`The model ${variant.name} has no encoder.`);
      if (this.#encoder?.file !== file) {
        const { bytes } = this.#manifest.files[file];
        // For one picture a GPU does not pay.
        const model = await this.#load(file, bytes, "wasm", "encode");
        this.#encoder?.model.delete();
        this.#encoder = { file, model };
      }
      return this.#run(this.#encoder.model, "encode", values);
    });
  }

  /** Median milliseconds of the last pictures, NaN before the first. */
  get milliseconds() {
    const sorted = [...this.#times].sort((a, b) => a - b);
    const middle = sorted.length / 2;
    return (sorted[Math.floor(middle)] + sorted[Math.ceil(middle) - 1]) / 2;
  }

  /** Milliseconds of the fastest of some pictures. */
  async #time(model) {
    const times = [];
    for (let i = 0; i < TRIES; i++) {
      const start = performance.now();
      await this.#run(model, "decode", new Float32Array(this.#manifest.latent.dim));
      times.push(performance.now() - start);
    }
    return Math.min(...times);
  }

  #inTurn(job) {
    const result = this.#turn.then(job);
    this.#turn = result.catch(() => {});
    return result;
  }

  async #throughPrior(signature, values, label) {
    if (!this.#prior) return values;
    return this.#inTurn(() => this.#run(this.#prior, signature, values, label));
  }

  /** Fetches, compiles and tries a file. */
  async #load(file, expected, accelerator, signature, label = []) {
    const bytes = new Uint8Array(await (await fetchFile(file)).arrayBuffer());
    if (bytes.length !== expected) {
      throw new Error(`${file} has ${bytes.length} bytes, but ${expected} by manifest.json.`);
    }
    if (accelerator === "webgpu" && !getWebGpuDevice()) {
      throw new Error("This browser finds no GPU for WebGPU.");
    }
    let model;
    try {
      const gpuOptions = { precision: "fp32" };
      model = await loadAndCompile(bytes, { accelerator, gpuOptions });
      if (accelerator === "webgpu" && !model.isFullyAccelerated) throw new Error(IN_PART);
      // Some fail only here; the first run is also the slowest.
      const nothing = new Float32Array(size(this.#shape(signature)));
      await this.#run(model, signature, nothing, label);
    } catch (error) {
      model?.delete();
      throw new Error(`${file} does not run here: ${reason(error)}.`);
    }
    return model;
  }

  /** The shape of what goes into a signature. */
  #shape(signature) {
    const { image, latent } = this.#manifest;
    const isImage = ARGUMENTS[signature] === "image";
    return isImage ? [image.height, image.width, image.channels] : [latent.dim];
  }

  /** Runs a signature on one input; returns what it makes of it. */
  async #run(model, signature, values, label = []) {
    const { batch_size: batch } = this.#manifest;
    const shape = this.#shape(signature);
    if (values.length !== size(shape)) {
      throw new RangeError(`${values.length} numbers where ${signature} takes ${size(shape)}`);
    }
    const inputs = { [ARGUMENTS[signature]]: tensor(values, batch, shape) };
    if (label.length > 0) inputs.label = tensor(label, batch, [label.length]);
    try {
      const outputs = await model.run(signature, inputs);
      const results = await outputs[RESULTS[signature]].data();
      for (const output of Object.values(outputs)) output.delete();
      return results.subarray(0, results.length / batch);
    } finally {
      for (const input of Object.values(inputs)) input.delete();
    }
  }
}

/** The bytes of a file that lies there compressed; some servers unpack it on the way. */
async function fetchPacked(name) {
  const packed = await (await fetchFile(name)).blob();
  const start = new Uint8Array(await packed.slice(0, 2).arrayBuffer());
  if (start[0] !== 0x1f || start[1] !== 0x8b) return packed.arrayBuffer();
  const unpacked = packed.stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(unpacked).arrayBuffer();
}

/** A batch of the same input. */
function tensor(values, batch, shape) {
  const all = new Float32Array(batch * values.length);
  for (let i = 0; i < batch; i++) all.set(values, i * values.length);
  return new Tensor(all, [batch, ...shape]);
}

const size = (shape) => shape.reduce((a, b) => a * b);

function reason(error) {
  const text = String(error?.message ?? error).replace(/\.+$/, "");
  // LiteRT.js may also take such a model for one that is whole on the GPU.
  return text === "Asyncify is not defined" ? IN_PART : text;
}
