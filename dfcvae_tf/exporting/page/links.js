// Latents in the page's address: #z=0.5,-1.25,…

const START = "#z=";

/** The part of an address that stands for latents. */
export function linkHash(z) {
  return START + latentNumbers(z).join(",");
}

/**
 * The latents that an address asks for, null where it asks for nothing.
 *
 * @param {string} hash from # on, or empty.
 * @param {number} latentDim how many there have to be.
 */
export function linkedLatents(hash, latentDim) {
  if (hash === "") return null;
  if (!hash.startsWith(START)) {
    throw new Error(`The address ends in ${hash.slice(0, 20)}; this page knows ${START} alone.`);
  }
  const texts = hash.slice(START.length).split(",");
  if (texts.length !== latentDim) {
    throw new Error(`The address has ${texts.length} latents, and this model ${latentDim}.`);
  }
  const z = Float32Array.from(texts, (text) => (text.trim() === "" ? NaN : Number(text)));
  const wrong = z.findIndex((value) => !Number.isFinite(value));
  if (wrong >= 0) throw new Error(`In the address “${texts[wrong]}” is no latent.`);
  return z;
}

/** Float32 values as numbers of so many digits that they give them back. */
export function latentNumbers(z) {
  return Array.from(z, (value) => Number(value.toPrecision(9)));
}
