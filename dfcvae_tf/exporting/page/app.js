// The page: from sliders, from noise or from a photo to latents to a picture.

import { Asking } from "./asking.js";
import { latentNumbers, linkedLatents, linkHash } from "./links.js";
import { loadManifest } from "./manifest.js";
import { Networks } from "./networks.js";
import { Photos } from "./photos.js";
import { drawPicture, fillFrame, savePicture } from "./picture.js";
import {
  between,
  latentTitle,
  originPoint,
  plainPoint,
  pointLatents,
  pointRanges,
  randomNoise,
} from "./points.js";
import { Slider } from "./slider.js";

const SECONDS_PER_PASS = 3;
// More sliders than these stand in a compact grid that scrolls.
const MANY = 16;
const TEMPERATURES = [0, 1.5];

const PRESSED_BY_SPACE = "button, [type=checkbox], [type=radio], [type=file]";

const $ = (id) => document.getElementById(id);
const picture = $("picture");

let manifest;
let networks;
let ranges;
let point;
let origin = ""; // where the point comes from, in words
let noise; // of the last random picture, at temperature 1
let asking = null; // the controls of what is asked for, where the prior knows labels
let askedFor = []; // what the point was drawn for
let temperature = 1;
const remembered = { a: null, b: null };
let share = 0; // of the way from A to B
let playing = null; // the run of play() that is under way
let sliders;
let blend;
let photos = null; // where the export says how to prepare them
let inUse; // variant and accelerator

function say(text, isError = false) {
  $("status").textContent = text;
  $("status").classList.toggle("error", isError);
}

const fail = (error) => say(error.message, true);

// ---- From point to picture

let going = Promise.resolve();
let rendering = null;
let stale = false;

/** Decodes and draws the newest point; points that came too fast are passed over. */
function render() {
  stale = true;
  rendering ??= (async () => {
    try {
      while (stale) {
        stale = false;
        drawPicture(picture, await networks.decode(pointLatents(point, manifest)), manifest.image);
        $("time").textContent = `${format(networks.milliseconds)} ms`;
      }
    } catch (error) {
      stop();
      fail(error);
    } finally {
      rendering = null;
    }
  })();
  return rendering;
}

function format(milliseconds) {
  return milliseconds.toPrecision(milliseconds < 100 ? 2 : 3);
}

/**
 * Goes to a point, which may yet have to come through the prior; the newest wins.
 *
 * `from` is where it comes from, in words, and `label` what it was drawn for.
 */
function goTo(newPoint, from, label = askedFor) {
  const mine = (async () => {
    try {
      const arrived = await newPoint;
      if (going !== mine) return;
      point = arrived;
      origin = from;
      askedFor = label;
    } catch (error) {
      stop();
      fail(error);
      return;
    }
    sliders.forEach((slider, i) => (slider.value = point[i]));
    if (!playing) describe();
    await render();
  })();
  going = mine;
  return going;
}

/** Says what the picture is to those who do not see it; not at each step while it plays. */
function describe() {
  const text = `Picture decoded from ${manifest.latent.dim} latents, ${origin}`;
  picture.setAttribute("aria-label", text);
}

/** Goes to the picture that the prior makes of the present noise. */
function goToDrawn() {
  const label = asking?.row ?? [];
  const scaled = noise.map((value) => temperature * value);
  const drawn = networks.fromNoise(scaled, label).then((z) => plainPoint(z, ranges));
  return goTo(drawn, drawnFor("drawn at random"), label);
}

const drawnFor = (how) => (asking?.words ? `${how}, asked for ${asking.words}` : how);

function goToRandom() {
  noise = randomNoise(manifest.latent.dim);
  return goToDrawn();
}

/** Goes to the picture that the noise of the present one is for what is asked for now. */
function goToAsked() {
  const { row } = asking;
  const asked = networks
    .toNoise(pointLatents(point, manifest), askedFor)
    .then((kept) => networks.fromNoise(kept, row))
    .then((z) => plainPoint(z, ranges));
  return goTo(asked, drawnFor("of the same noise"), row);
}

/** Goes to latents that came from elsewhere, which were drawn for nothing. */
function goToLatents(z, from) {
  stop();
  asking?.reset();
  return goTo(plainPoint(z, ranges), from, asking?.row ?? []);
}

// ---- Between A and B

async function drawRemembered(which) {
  const z = pointLatents(remembered[which], manifest);
  const canvas = $(`remember-${which}`).querySelector("canvas");
  drawPicture(canvas, await networks.decode(z), manifest.image);
}

function remember(which, what = point) {
  stop();
  remembered[which] = what.slice();
  photos?.forget(which);
  blend.value = share = which === "a" ? 0 : 1;
  return drawRemembered(which).catch(fail);
}

/** Encodes a photo, remembers it as A or B and shows what the decoder makes of it. */
async function usePhoto(which, values, note) {
  say(`Encoding photo ${which.toUpperCase()}`);
  const z = await networks.encode(findVariant(inUse.variant), values);
  await goToLatents(z, `from a photo, ${which.toUpperCase()}`);
  await remember(which, plainPoint(z, ranges));
  say(note);
}

/** The point at the present share of the way, in latents or in noise. */
async function wayPoint() {
  const { a, b } = remembered;
  const way = between(a, b, share);
  if ($("through-noise").checked) {
    const any = new Float32Array(askedFor.length);
    const [from, to] = await Promise.all(
      [a, b].map((end) => networks.toNoise(end.slice(0, manifest.latent.dim), any)),
    );
    way.set(await networks.fromNoise(between(from, to, share), any));
  }
  return way;
}

function goBetween(newShare) {
  share = newShare;
  blend.value = share;
  return goTo(wayPoint(), wayWords());
}

function wayWords() {
  const percent = Math.round(100 * share);
  if (percent === 0) return "at A";
  if (percent === 100) return "at B";
  return percent === 50 ? "half way from A to B" : `${percent} % of the way from A to B`;
}

function play() {
  const run = Symbol();
  playing = run;
  $("play").setAttribute("aria-pressed", "true");
  // A cosine rests at both ends; begin at the phase of the present share.
  let phase = Math.acos(1 - 2 * share) / Math.PI;
  let before = performance.now();
  const next = async (now) => {
    if (playing !== run) return;
    phase += Math.max(0, now - before) / 1000 / SECONDS_PER_PASS;
    before = now;
    await goBetween((1 - Math.cos(Math.PI * phase)) / 2);
    requestAnimationFrame(next);
  };
  requestAnimationFrame(next);
}

function stop() {
  if (playing) describe();
  playing = null;
  $("play").setAttribute("aria-pressed", "false");
}

// ---- Links and the clipboard

async function copy(text, done) {
  try {
    await navigator.clipboard.writeText(text);
    say(done);
  } catch {
    // Over plain http only localhost has a clipboard.
    say("This browser does not let the page copy.", true);
  }
}

const copyLatents = () => copy(JSON.stringify(latentNumbers(latents())), "Latents copied.");

function copyLink() {
  // Also for the eye, and for browsers that do not let a page copy.
  history.replaceState(null, "", linkHash(latents()));
  return copy(location.href, "Link copied; it is in the address bar, too.");
}

/** Goes to the latents in the address, if there are any. */
async function followLink() {
  try {
    const z = linkedLatents(location.hash, manifest.latent.dim);
    if (!z) return;
    say("");
    await goToLatents(z, "from a link");
  } catch (error) {
    fail(error);
  }
}

const latents = () => pointLatents(point, manifest);

// ---- What the user can do

const actions = {
  random: () => {
    stop();
    goToRandom();
  },
  reset: () => {
    stop();
    asking?.reset();
    goTo(originPoint(ranges), "at the origin", asking?.row ?? askedFor);
  },
  "remember-a": () => remember("a"),
  "remember-b": () => remember("b"),
  play: () => (playing ? stop() : play()),
  save: () => savePicture(picture, `${manifest.name}-${inUse.variant}.png`),
  "copy-latents": copyLatents,
  "copy-link": copyLink,
};
const keys = { r: "random", 0: "reset", a: "remember-a", b: "remember-b", " ": "play", s: "save" };

function onKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches("select")) return;
  if (event.key === " " && event.target.matches(PRESSED_BY_SPACE)) return;
  const action = keys[event.key.toLowerCase()];
  if (!action) return;
  event.preventDefault();
  if (!event.repeat) actions[action]();
}

async function onPick() {
  const wanted = { variant: $("variant").value, accelerator: $("accelerator").value };
  stop();
  $("variant").disabled = $("accelerator").disabled = true;
  try {
    await use(wanted);
    await goTo(point, origin);
    await drawRemembered("a");
    await drawRemembered("b");
  } catch (error) {
    fail(error);
  }
  $("variant").value = inUse.variant;
  $("accelerator").value = inUse.accelerator;
  $("variant").disabled = $("accelerator").disabled = false;
}

const findVariant = (name) => manifest.variants.find((entry) => entry.name === name);

async function use({ variant, accelerator }) {
  const entry = findVariant(variant);
  say(`Loading ${entry.decoder}`);
  await networks.use(entry, accelerator);
  nowUse({ variant, accelerator });
  say("");
}

function nowUse({ variant, accelerator }) {
  inUse = { variant, accelerator };
  $("photos").hidden = !manifest.preprocessing || !findVariant(variant).encoder;
  $("accelerator").value = accelerator;
  $("ran").textContent =
    accelerator === "webgpu" ? "every operator on the GPU" : "WebAssembly on the CPU";
}

// ---- Start

function fillPage() {
  const { name, latent, image, variants, attributes, prior } = manifest;
  document.title = name;
  $("name").textContent = name;
  $("facts").textContent =
    `${latent.dim} latents, ${image.width} × ${image.height} pixels, ` +
    (image.color_order === "grey" ? "grey" : "colour");

  const makeSlider = (i, label, title) =>
    new Slider({
      label,
      name: title,
      range: ranges[i],
      onInput: (value) => {
        stop();
        goTo(point.with(i, value), `${title} moved to ${value.toFixed(2)}`);
      },
    });
  const names = Object.keys(attributes);
  const latents = latent.ranges.map((_, i) => makeSlider(i, `z${i}`, latentTitle(i, attributes)));
  const strengths = names.map((title, k) =>
    makeSlider(latent.dim + k, title.replaceAll("_", " "), title.replaceAll("_", " ")),
  );
  sliders = [...latents, ...strengths];
  $("latents").append(...latents.map((slider) => slider.element));
  $("attributes").append(...strengths.map((slider) => slider.element));
  $("attributes-section").hidden = names.length === 0;
  if (prior.labels) {
    asking = new Asking(prior.labels, () => {
      stop();
      goToAsked();
    });
    askedFor = asking.row;
    $("asking").append(asking.element);
    $("asking-section").hidden = false;
  }
  document.body.classList.toggle("many", sliders.length > MANY);

  const warmth = new Slider({
    label: "",
    name: "temperature",
    range: TEMPERATURES,
    step: 0.05,
    onInput: (value) => {
      stop();
      temperature = value;
      goToDrawn();
    },
  });
  warmth.value = temperature;
  $("temperature").append(warmth.element);

  blend = new Slider({
    label: "",
    name: "from A to B",
    range: [0, 1],
    onInput: (value) => {
      stop();
      goBetween(value);
    },
  });
  $("blend").append(blend.element);
  // The noise of a mixture has edges, and a way through it has jumps.
  $("through-noise").parentElement.hidden = prior.kind !== "flow";

  $("variant").append(
    ...variants.map(({ name, bytes }) => new Option(`${name}, ${size(bytes)}`, name)),
  );
  const gpu = $("accelerator").querySelector("[value=webgpu]");
  if (!navigator.gpu) {
    gpu.disabled = true;
    gpu.textContent = "GPU: no WebGPU here";
  }
  fillFrame(picture, $("frame"), image);
}

function size(bytes) {
  return bytes < 1e6 ? `${Math.round(bytes / 1e3)} kB` : `${(bytes / 1e6).toFixed(1)} MB`;
}

async function start() {
  document.querySelector(".hint").remove();
  manifest = await loadManifest();
  ranges = pointRanges(manifest);
  networks = new Networks(manifest);
  fillPage();
  point = originPoint(ranges);
  say("Starting WebAssembly, which loads 3.1 MB once");
  await networks.start();
  await use({ variant: manifest.variants[0].name, accelerator: "wasm" });
  // Two points to begin with, so that there is something to play.
  for (const which of ["b", "a"]) {
    await goToRandom();
    await remember(which);
  }

  for (const [id, action] of Object.entries(actions)) $(id).addEventListener("click", action);
  $("variant").addEventListener("change", onPick);
  $("accelerator").addEventListener("change", onPick);
  $("through-noise").addEventListener("change", () => goBetween(share));
  addEventListener("hashchange", followLink);
  if (manifest.preprocessing) photos = new Photos(manifest, usePhoto, say);
  document.addEventListener("keydown", onKey);
  document.querySelector("form").addEventListener("submit", (event) => event.preventDefault());
  for (const control of document.querySelectorAll("fieldset, .buttons button")) {
    control.disabled = false;
  }
  document.body.classList.remove("loading");

  await followLink();
  const [entry] = manifest.variants;
  if (await networks.useFasterGpu(entry)) {
    nowUse({ variant: entry.name, accelerator: "webgpu" });
    await render();
  }
}

start().catch((error) => {
  document.body.classList.add("failed");
  fail(error);
});

/** For tests and the console. */
window.dfcvae = {
  /** Decodes latents with the variant in use; values as in the manifest's image.range. */
  decode: (z) => networks.decode(Float32Array.from(z)),
  /** The prior, either way. */
  fromNoise: (values, label) => networks.fromNoise(Float32Array.from(values), label),
  toNoise: (z, label) => networks.toNoise(Float32Array.from(z), label),
  /** The latents of the picture shown once `settled` resolves. */
  latents,
  settled: () => going.then(() => rendering),
  /** The noise of the last random picture, at temperature 1. */
  noise: () => noise,
};
