// The export's manifest.json: all that this page knows of the decoder.

const CHANNELS = { grey: 1, RGB: 3 };

/** Fetches a file of the export; an error says in words what is wrong. */
export async function fetchFile(name) {
  let response;
  try {
    response = await fetch(name);
  } catch {
    throw new Error(`${name} cannot be loaded: the server does not answer.`);
  }
  if (response.status === 404) {
    throw new Error(`${name} is missing from this folder.`);
  }
  if (!response.ok) {
    throw new Error(`${name} cannot be loaded: the server answers ${response.status}.`);
  }
  return response;
}

/**
 * Loads manifest.json and checks what this page uses of it.
 *
 * Without `preprocessing`, which says how a photo becomes the encoder's input, the page
 * takes none.
 *
 * `attributes` (name -> direction of latent.dim numbers) is {} where there are none, and
 * `prior` has no `file` where latents are drawn from N(0, I), and `labels` (kind and names)
 * where it can be asked for some.
 */
export async function loadManifest() {
  const response = await fetchFile("manifest.json");
  let manifest;
  try {
    manifest = await response.json();
  } catch {
    throw new Error("manifest.json is not JSON: this is no finished export.");
  }
  const { format_version: version } = manifest;
  if (version !== 1) {
    throw new Error(`manifest.json has format ${version}; this page reads format 1.`);
  }
  manifest.attributes ??= {};
  manifest.prior ??= {};
  for (const [name, isRight] of Object.entries(CHECKS)) {
    if (!isRight(manifest)) throw new Error(`manifest.json has no usable ${name}.`);
  }
  return manifest;
}

const isCount = (value) => Number.isInteger(value) && value > 0;
const isRange = (value) =>
  Array.isArray(value) && value.every(Number.isFinite) && value[0] < value[1];

const CHECKS = {
  "latent.dim": ({ latent }) => isCount(latent?.dim),
  "latent.ranges": ({ latent }) =>
    latent.ranges?.length === latent.dim && latent.ranges.every(isRange),
  "image size": ({ image }) => isCount(image?.height) && isCount(image.width),
  "image.color_order": ({ image }) =>
    image.color_order in CHANNELS && CHANNELS[image.color_order] === image.channels,
  "image.range": ({ image }) => isRange(image.range),
  "batch_size (browsers need a fixed one)": ({ batch_size }) => isCount(batch_size),
  variants: ({ variants }) =>
    variants?.length > 0 && variants.every((variant) => variant.name && variant.decoder),
  prior: ({ prior }) => !prior.file || isCount(prior.bytes),
  "prior.labels": ({ prior: { labels } }) =>
    !labels || (["classes", "attributes"].includes(labels.kind) && labels.names?.length > 0),
  preprocessing: ({ preprocessing: given, image }) =>
    !given ||
    (["center", "none", "part"].includes(given.crop) &&
      given.resize === "bilinear, antialiased" &&
      (given.crop !== "part" || isCount(given.part?.of_height)) &&
      (image.channels === 3 || given.grey_weights?.length === 3)),
  attributes: ({ attributes, latent }) =>
    Object.values(attributes).every(
      (direction) => direction.length === latent.dim && direction.some(Boolean),
    ),
};
