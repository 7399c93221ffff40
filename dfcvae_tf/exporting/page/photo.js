// A photo as the encoder takes it: cropped, resized and coloured as the manifest's
// `preprocessing` says and as the training data was.

const STRIP_PIXELS = 2 ** 20; // read at once, so that large photos take little memory
const OTHER_GROUND = 0.1;
const FAINTEST = 1 / 255; // of strokes

/**
 * @typedef {object} Source a photo, whole only where it comes from.
 * @property {number} width
 * @property {number} height
 * @property {(left: number, top: number, width: number, height: number) => Uint8ClampedArray} read
 *     RGBA of a part, row by row.
 */

/**
 * Opens a picture file, upright as its EXIF says (the default).
 *
 * @param {File} file
 * @param {string} background what transparent pixels lie on, as CSS names it.
 * @returns {Promise<Source & {close: () => void}>} `close` frees it.
 */
export async function openPhoto(file, background) {
  let bitmap;
  try {
    // The training data's values were taken as the files have them.
    bitmap = await createImageBitmap(file, { colorSpaceConversion: "none" });
  } catch {
    throw new Error(`${file.name} is no picture that this browser can read.`);
  }
  const canvas = document.createElement("canvas");
  const read = (left, top, width, height) => {
    Object.assign(canvas, { width, height });
    const context = canvas.getContext("2d", { willReadFrequently: true });
    context.fillStyle = background;
    context.fillRect(0, 0, width, height);
    context.drawImage(bitmap, left, top, width, height, 0, 0, width, height);
    return context.getImageData(0, 0, width, height).data;
  };
  return { width: bitmap.width, height: bitmap.height, read, close: () => bitmap.close() };
}

/**
 * Makes the encoder's input.
 *
 * @param {Source} source
 * @param {{image: object, preprocessing: object}} manifest
 * @returns {{values: Float32Array, note: string}} height x width x channels values in
 *     [0, 1], and what was done to the ground in words.
 */
export function preparePhoto(source, { image, preprocessing }) {
  const colours = resizePart(source, cropBox(source, image, preprocessing), image);
  if (image.channels === 3) return { values: rounded(colours), note: "" };
  const values = rounded(toGrey(colours, preprocessing.grey_weights));
  const { ground } = preprocessing;
  return { values, note: ground ? changeGround(values, image, ground) : "" };
}

/** The part that is used; in whole pixels, halves up. */
function cropBox({ width, height }, image, { crop, part }) {
  const share = (side, of, whole) => Math.floor((2 * side * of + whole) / (2 * whole));
  if (crop === "part") {
    return {
      top: share(height, part.top, part.of_height),
      left: share(width, part.left, part.of_width),
      height: share(height, part.height, part.of_height),
      width: share(width, part.width, part.of_width),
    };
  }
  if (crop === "none") return { top: 0, left: 0, height, width };
  // The largest centred part of the wanted proportions.
  const rows = Math.min(height, Math.max(1, share(width, image.height, image.width)));
  const columns = Math.min(width, Math.max(1, share(height, image.width, image.height)));
  return {
    top: Math.floor((height - rows) / 2),
    left: Math.floor((width - columns) / 2),
    height: rows,
    width: columns,
  };
}

/** Resizes a part to the wanted size: RGB, row by row, of [0, 255]. */
function resizePart(source, box, { width, height }) {
  const across = filters(box.width, width);
  // Each source row adds to the few rows of the result that it has a weight in.
  const down = Array.from({ length: box.height }, () => []);
  filters(box.height, height).forEach(({ first, weights }, y) => {
    weights.forEach((weight, k) => down[first + k].push({ y, weight }));
  });
  const result = new Float64Array(height * width * 3);
  const rows = Math.max(1, Math.floor(STRIP_PIXELS / box.width));
  for (let top = 0; top < box.height; top += rows) {
    const count = Math.min(rows, box.height - top);
    const pixels = source.read(box.left, box.top + top, box.width, count);
    for (let row = 0; row < count; row++) {
      const line = narrowed(pixels.subarray(row * box.width * 4), across);
      for (const { y, weight } of down[top + row]) {
        const start = y * width * 3;
        for (let i = 0; i < line.length; i++) result[start + i] += weight * line[i];
      }
    }
  }
  return result;
}

/** One row of RGBA through the filters of its columns: RGB. */
function narrowed(pixels, across) {
  const line = new Float64Array(across.length * 3);
  across.forEach(({ first, weights }, x) => {
    let [red, green, blue] = [0, 0, 0];
    for (let k = 0, at = first * 4; k < weights.length; k++, at += 4) {
      const weight = weights[k];
      red += weight * pixels[at];
      green += weight * pixels[at + 1];
      blue += weight * pixels[at + 2];
    }
    line.set([red, green, blue], x * 3);
  });
  return line;
}

/**
 * The weights of the source's pixels for each pixel of the result, in one direction: a
 * triangle, which is as much wider as there are more pixels, so that every one counts.
 */
function filters(from, to) {
  const step = from / to;
  const reach = Math.max(1, step);
  return Array.from({ length: to }, (_, i) => {
    const centre = (i + 0.5) * step - 0.5;
    const first = Math.max(0, Math.ceil(centre - reach));
    const last = Math.min(from - 1, Math.floor(centre + reach));
    const weights = new Float64Array(last - first + 1);
    for (let k = 0; k < weights.length; k++) {
      weights[k] = Math.max(0, 1 - Math.abs(first + k - centre) / reach);
    }
    const sum = weights.reduce((a, b) => a + b);
    return { first, weights: weights.map((weight) => weight / sum) };
  });
}

function toGrey(colours, weights) {
  return Float64Array.from({ length: colours.length / 3 }, (_, i) =>
    weights.reduce((sum, weight, c) => sum + weight * colours[3 * i + c], 0),
  );
}

/** To 8 bits, once, and to [0, 1]. */
function rounded(values) {
  // The clamped array rounds and clips.
  return Float32Array.from(Uint8ClampedArray.from(values), (value) => value / 255);
}

/**
 * Makes the ground that of the training data, "dark" or "light", where it is another one;
 * changes `values`, and returns what it did in words.
 */
function changeGround(values, { width, height }, ground) {
  const wanted = ground === "dark" ? 0 : 1;
  let found = median(values.filter((_, i) => isOnEdge(i, width, height)));
  if (Math.abs(found - wanted) <= OTHER_GROUND) return "";
  const isInverse = Math.abs(found - wanted) > 0.5;
  if (isInverse) {
    values.forEach((value, i) => (values[i] = 1 - value));
    found = 1 - found;
  }
  const strengths = values.map((value) => Math.max(0, wanted ? found - value : value - found));
  const most = strengths.reduce((a, b) => Math.max(a, b), FAINTEST);
  strengths.forEach((strength, i) => (values[i] = Math.abs(wanted - strength / most)));
  if (isInverse) return wanted ? "light on dark: inverted" : "dark on light: inverted";
  return `${ground} ground: stretched`;
}

function isOnEdge(i, width, height) {
  const [x, y] = [i % width, Math.floor(i / width)];
  return x === 0 || y === 0 || x === width - 1 || y === height - 1;
}

function median(values) {
  const sorted = values.slice().sort();
  const middle = sorted.length / 2;
  return (sorted[Math.floor(middle)] + sorted[Math.ceil(middle) - 1]) / 2;
}
