"""Code for REPORT.md that draws pictures with exported files, in three languages.

The code itself is in `templates/`. The Kotlin is for LiteRT's `CompiledModel` of 2.3
(litert/kotlin/src/main/kotlin in github.com/google-ai-edge/LiteRT), where the GPU is an
artifact of its own.
"""

import dataclasses
import json
from collections.abc import Mapping
from typing import Any

import jinja2

from dfcvae_tf.exporting.web import PACKAGES_TO_INSTALL
from dfcvae_tf.labels import ATTRIBUTES, CLASSES

MEANINGS = {CLASSES: "1 = of this class", ATTRIBUTES: "1 = with, -1 = without it"}


@dataclasses.dataclass(frozen=True)
class Snippet:
    """Code in REPORT.md.

    Attributes:
      title: of its section.
      language: as Markdown names it.
      code: the lines.
    """

    title: str
    language: str
    code: str


def snippets(manifest: Mapping[str, Any]) -> dict[str, Snippet]:
    """Returns name -> code, of all that the export's files can do.

    python, kotlin and javascript draw a picture with the recommended file, python_gpu with
    the one for GPUs, which none may be. python_photos, kotlin_photos and javascript_photos
    go from a photo to latents and to another photo, with the first and most exact variant
    that has an encoder, which none may have. Code is for the CPU, and says so, where GPUs
    do not take its files whole.
    """
    cpu, gpu = manifest["recommended"]["cpu"], manifest["recommended"]["gpu"]
    on_cpu = _drawing(manifest, cpu)
    on_gpu = None if gpu is None else _drawing(manifest, gpu)
    wanted: list[tuple[str, str, str, str, dict[str, Any]]] = [
        ("python", "Python", "python", "draw.py", on_cpu),
        ("kotlin", "Android (Kotlin)", "kotlin", "Draw.kt", on_gpu or on_cpu),
        ("javascript", "Browser (LiteRT.js)", "html", "draw.html", on_cpu),
    ]
    if on_gpu is not None:
        entry = ("python_gpu", "Python, on a GPU", "python", "draw_gpu.py", on_gpu)
        wanted.insert(1, entry)
    having = [v for v in manifest["variants"] if v["encoder"]]
    if having:
        morph = _morphing(manifest, having[0])
        wanted += [
            ("python_photos", "Photos, Python", "python", "morph.py", morph),
            ("kotlin_photos", "Photos, Android (Kotlin)", "kotlin", "Morph.kt", morph),
            ("javascript_photos", "Photos, browser", "html", "morph.html", morph),
        ]
    return {
        name: Snippet(title, language, _render(template, values))
        for name, title, language, template, values in wanted
    }


def _drawing(manifest: Mapping[str, Any], taken: Mapping[str, str]) -> dict[str, Any]:
    """What templates take to draw with one of the recommended files."""
    (variant,) = (v for v in manifest["variants"] if v["name"] == taken["variant"])
    is_generator = variant["generator"] == taken["file"]
    network = "generator" if is_generator else "decoder"
    labels = manifest["prior"].get("labels")
    # Where no file draws from noise, the prior does on the way.
    prior = None if is_generator else manifest["prior"].get("file")
    names, meaning, label_doc = [], "", ""
    if labels is not None and is_generator:
        names, meaning = labels["names"], MEANINGS[labels["kind"]]
        label_doc = (
            f" label: {len(names)} numbers, see manifest.json; "
            f"0 = not asked for, {meaning}."
        )
    return {
        **_common(manifest, variant["gpu"][network]["whole"]),
        "file": taken["file"],
        "network": network,
        "signature": "generate" if is_generator else "decode",
        "argument": "noise" if is_generator else "z",
        "source": "from `from_noise` of " + prior
        if prior
        else "as from a standard normal distribution",
        "prior": prior,
        "prior_labels": len(labels["names"]) if prior and labels else 0,
        "labels": names,
        "meaning": meaning,
        "label_doc": label_doc,
    }


def _morphing(
    manifest: Mapping[str, Any], variant: Mapping[str, Any]
) -> dict[str, Any]:
    """What templates take to go from photo to photo with one variant."""
    on_gpu = all(variant["gpu"][name]["whole"] for name in ("encoder", "decoder"))
    return {
        **_common(manifest, on_gpu),
        **manifest["preprocessing"],
        "encoder": variant["encoder"],
        "decoder": variant["decoder"],
    }


def _common(manifest: Mapping[str, Any], on_gpu: bool) -> dict[str, Any]:
    image, batch = manifest["image"], manifest["batch_size"]
    batch = 1 if batch == "dynamic" else batch
    about_gpu = (
        "All of it runs on the GPU; a LiteRtException says that there is none: then take "
        "Accelerator.CPU."
    )

    def kotlin_rows(name: str, count: int) -> str:
        """A row, once for each row of a batch."""
        if batch == 1:
            return name
        return f"FloatArray({batch * count}) {{ {name}[it % {count}] }}"

    return {
        **{key: image[key] for key in ("height", "width", "channels")},
        "batch": batch,
        "dim": manifest["latent"]["dim"],
        "on_gpu": on_gpu,
        "kotlin_doc": about_gpu if on_gpu else "GPUs do not take all of it.",
        "javascript_doc": 'the CPU; with "webgpu" all of it runs on the GPU'
        if on_gpu
        else "the CPU; GPUs do not take all of it",
        "kotlin_rows": kotlin_rows,
        "packages": PACKAGES_TO_INSTALL,
    }


def _render(name: str, values: Mapping[str, Any]) -> str:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("dfcvae_tf.exporting"),
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,  # of what is included
        undefined=jinja2.StrictUndefined,
    )
    environment.filters["json"] = lambda value: json.dumps(value, ensure_ascii=False)
    return environment.get_template(f"{name}.j2").render(values).rstrip()
