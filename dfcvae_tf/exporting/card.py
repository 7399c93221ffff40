"""README.md of an export: a model card with the front matter that model hubs read."""

import json
from typing import Any

from dfcvae_tf.exporting.licences import LICENCES, restriction
from dfcvae_tf.labels import CLASSES

CARD = "README.md"

# Names that hubs have for licences; all others are "other".
_IDS = {"Apache-2.0": "apache-2.0", "CC BY-SA 3.0": "cc-by-sa-3.0"}
_KINDS = {
    "vae": "plain variational auto-encoder",
    "dfc_vae": "deep feature consistent variational auto-encoder",
}
_LIMITS = (
    "It makes pictures like those it has seen, and ways between them. It knows nothing "
    "else: another picture becomes the nearest that it can make, and what its data lacks or "
    "has in excess, its pictures lack and have as well. They are no evidence of anything."
)
_DATASETS = {"mnist_sample": "ylecun/mnist", "mnist": "ylecun/mnist"}


def render_card(manifest: dict[str, Any]) -> str:
    """Returns README.md."""
    latent, image = manifest["latent"], manifest["image"]
    settings = manifest["trained"]["settings"]
    provenance = manifest["trained"]["provenance"]
    weights = manifest["licences"]["weights"]
    licence = _IDS.get(weights["name"], "other") if weights else "other"
    dataset = _DATASETS.get(settings["data"]["dataset"])
    front = ["---", f"license: {licence}"]
    if licence == "other":
        front += ["license_name: see-licences", f"license_link: {LICENCES}"]
    front += ["library_name: litert", "pipeline_tag: unconditional-image-generation"]
    if dataset:
        front += ["datasets:", f"- {dataset}"]
    front += ["tags:", "- variational-autoencoder", "- image-generation", "- tflite"]
    front += [f"model_name: {json.dumps(manifest['name'])}", "---", ""]

    title = manifest["name"]
    if manifest["model_version"]:
        title += f", version {manifest['model_version']}"
    shape = f"{image['height']}x{image['width']}"
    kind = _KINDS[settings["objective"]["objective"]]
    about = (
        f"A {kind} with {latent['dim']} latents for {shape} pictures "
        f"({image['color_order']}), for phones and browsers: LiteRT (TFLite) files that "
        "were each checked against the trained network."
    )
    taken = manifest["recommended"]["cpu"]["file"]
    where = "is in `REPORT.md`, for programs in `manifest.json`"
    facts = (
        f"Trained on: {provenance.get('dataset', 'not known')}",
        f"Network: {settings['model']['network']}",
        f"Pictures are drawn from: {_about_prior(manifest['prior'])}",
        f"Take `{taken}`; how, and what was measured, {where}",
        f"Licences: `{LICENCES}`",
    )
    lines = [f"# {title}", "", about, "", *(f"- {fact}" for fact in facts), ""]
    lines += ["## What it is for, and what not", "", _LIMITS, ""]
    if said := restriction(manifest["licences"]):
        lines += [said, ""]
    return "\n".join(front + lines)


def _about_prior(prior: dict[str, Any]) -> str:
    if not prior["file"]:
        return "the standard normal distribution"
    learned = f"a learned prior ({prior['kind']})"
    if "labels" not in prior:
        return learned
    names = prior["labels"]["names"]
    kind = "classes" if prior["labels"]["kind"] == CLASSES else "attributes"
    return f"{learned}, of {len(names)} {kind} on request"
