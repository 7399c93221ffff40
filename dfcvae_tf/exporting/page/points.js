// Points: latents followed by attribute strengths, the values of all sliders in order.

/** Lowest and highest value of each number of a point, from the manifest. */
export function pointRanges({ latent, attributes }) {
  const halves = latent.ranges.map(([low, high]) => (high - low) / 2);
  const strengths = Object.values(attributes).map((direction) => {
    // As far as the ellipsoid with the ranges' half-widths reaches this way; a latent
    // that hardly varies takes no part in it.
    const reach = Math.hypot(...direction.map((d, i) => d * halves[i]));
    const limit = reach / Math.hypot(...direction) ** 2;
    return [-limit, limit];
  });
  return [...latent.ranges, ...strengths];
}

/** What a latent is called, with the attribute whose direction is the largest in it. */
export function latentTitle(i, attributes) {
  const title = `latent ${i}`;
  const names = Object.keys(attributes);
  if (names.length === 0) return title;
  const component = (name) => Math.abs(attributes[name][i]);
  const most = names.reduce((a, b) => (component(b) > component(a) ? b : a));
  return `${title}, mostly ${most.replaceAll("_", " ")}`;
}

/** Zero everywhere, as near as the ranges allow. */
export function originPoint(ranges) {
  return Float32Array.from(ranges, (range) => clamp(0, range));
}

/** Standard normal noise. */
export function randomNoise(latentDim) {
  return Float32Array.from({ length: latentDim }, normal);
}

/** The point with these latents and without attributes. */
export function plainPoint(z, ranges) {
  const point = new Float32Array(ranges.length);
  point.set(z);
  return point;
}

/** The point at a share `t` in [0, 1] of the way from `a` to `b`. */
export function between(a, b, t) {
  return a.map((value, i) => (1 - t) * value + t * b[i]);
}

/** The latents of a point: its own, and each attribute's direction times its strength. */
export function pointLatents(point, { latent, attributes }) {
  const z = point.slice(0, latent.dim);
  Object.values(attributes).forEach((direction, k) => {
    const strength = point[latent.dim + k];
    direction.forEach((d, i) => (z[i] += strength * d));
  });
  return z;
}

function clamp(value, [low, high]) {
  return Math.min(high, Math.max(low, value));
}

function normal() {
  const radius = Math.sqrt(-2 * Math.log(1 - Math.random()));
  return radius * Math.cos(2 * Math.PI * Math.random());
}
