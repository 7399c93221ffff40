"""REPORT.md of an export and the table for the terminal, both from its manifest."""

from collections.abc import Collection
from typing import Any

from dfcvae_tf.exporting.glossary import render_glossary
from dfcvae_tf.exporting.licences import restriction
from dfcvae_tf.exporting.settings import VARIANTS
from dfcvae_tf.exporting.snippets import MEANINGS, snippets
from dfcvae_tf.exporting.web import PAGE_FILES

REPORT = "REPORT.md"
Manifest = dict[str, Any]

# How a picture is drawn, by the signature that noise goes into.
_DRAWING = {
    "generate": "A picture is drawn by `generate(noise) -> image` of a `generator_*.tflite` "
    "from standard normal noise: the prior, in float32 in all of them, then the decoder. "
    "`prior.tflite` is the prior by itself: `from_noise(noise) -> z` and back, "
    "`to_noise(z) -> noise`.{labels}",
    "from_noise": "A picture is drawn by `from_noise(noise) -> z` of `prior.tflite` from "
    "standard normal noise, then by `decode(z) -> image`; `to_noise(z) -> noise` is the way "
    "back.{labels}",
    "decode": "A picture is drawn by `decode` of a `decoder_*.tflite` from a standard normal "
    "`z`.",
}

_GOOD = (
    "Good: a PSNR from 40 dB, of the worst picture from 30; a sharpness within 1 %; a median "
    "that is well below the 16 ms of a frame."
)


def render_report(manifest: Manifest) -> str:
    """Returns REPORT.md."""
    latent, image = manifest["latent"], manifest["image"]
    checks = manifest["checks"]
    in_saved_model = ""
    if manifest["saved_model"]:
        in_saved_model = (
            f", and all of it in `{manifest['saved_model']}/` for TensorFlow"
        )
    encoder = encode = ""
    if any(variant["encoder"] for variant in manifest["variants"]):
        encoder = " and its encoder"
        encode = ", `encode(image) -> z_mean, z_log_var`"
    shape = f"{image['height']}x{image['width']}x{image['channels']}"
    about = (
        f"A decoder from {latent['dim']} latents to {shape} images "
        f"({image['color_order']}, float32 in [0, 1]){encoder}, in "
        f"{_count(manifest['variants'], 'variant')}{in_saved_model}. Rows per call: "
        f"{manifest['batch_size']}. Signatures: "
        f"`decode(z) -> image`{encode}. All else is in "
        "`manifest.json`."
    )
    how_checked = (
        f"Every file ran in {manifest['runtime']} and was checked against Keras in float32 on "
        f"{checks['num_latents']} latents and {checks['num_images']} images "
        f"({checks['source']}). Times are milliseconds per call on {manifest['machine']}; "
        "peak memory is what loading and running adds to the runtime. "
        f"{_about_gpu(manifest)}"
    )
    prior = manifest["prior"]
    drawing = _DRAWING[prior["signature"]].format(labels=_about_labels(prior))
    version = manifest["model_version"]
    lines = [f"# {manifest['name']}{f', version {version}' if version else ''}", ""]
    taken = f"**Take {recommended(manifest)}** ({manifest['recommended']['rule']})."
    opening = [taken]
    if said := restriction(manifest["licences"]):
        opening.append(said)
    code = (
        "The code that draws takes the files recommended above"
        f"{', the code for photos the most exact ones' if encoder else ''}; any other of "
        "their kind takes their place. The Kotlin compiles, with stand-ins for the classes "
        "of Android and LiteRT; no phone has run it."
    )
    for text in (*opening, about, drawing, code):
        lines += [text, ""]
    for snippet in snippets(manifest).values():
        lines += [f"## {snippet.title}", "", f"```{snippet.language}", snippet.code]
        lines += ["```", ""]
    if PAGE_FILES[0] in manifest["files"]:
        lines += ["## The page", "", _about_page(manifest), ""]
    lines += ["# What was measured", "", how_checked, ""]
    for variant in manifest["variants"]:
        files = _files(variant)
        cells = [_cells(manifest, file) for file in files.values()]
        lines += _table(variant["name"], VARIANTS[variant["name"]], [*files], cells)
    if prior["file"]:
        lines += _table("prior", prior["kind"], ["prior"], [_cells(manifest, prior)])
    if manifest["rejected"]:
        lines += ["## Left out", ""]
        lines += [f"- `{r['file']}`: {r['reason']}" for r in manifest["rejected"]] + [
            ""
        ]
    lines += render_glossary()
    return "\n".join(lines)


def _count(things: Collection[Any], name: str) -> str:
    return f"{len(things)} {name}{'' if len(things) == 1 else 's'}"


def recommended(manifest: Manifest) -> str:
    """Returns a line: which file to take, its size, time and worst picture; and on GPUs."""
    taken = manifest["recommended"]
    cpu, gpu = taken["cpu"], taken["gpu"]
    (variant,) = (v for v in manifest["variants"] if v["name"] == cpu["variant"])
    (network,) = (n for n in variant["parity"] if variant[n] == cpu["file"])
    file = _files(variant)[network]
    threads, median = next(iter(file["latency"]["median_ms"].items()))
    said = (
        f"{cpu['file']}: {manifest['files'][cpu['file']]['bytes'] / 1000:.0f} kB, "
        f"{1000 * median:.0f} µs on {threads} thread, worst picture "
        f"{file['quality']['worst_psnr_db']:.0f} dB"
    )
    return said if gpu is None else f"{said}; on GPUs {gpu['file']}"


def _about_gpu(manifest: Manifest) -> str:
    files = [file for v in manifest["variants"] for file in v["gpu"].values()]
    devices = {file["device"] for file in files if file["device"] is not None}
    if not devices:
        return "Whether GPUs take a file whole is told by its operators; none ran on one here."
    return (
        f"GPU: {', '.join(sorted(devices))}, every operator on it, in LiteRT's arithmetic "
        "of 32 and of 16 bits; what it does not take whole is for CPUs."
    )


def _about_page(manifest: Manifest) -> str:
    variant, prior = manifest["variants"][0], manifest["prior"]["file"]
    sizes = {name: file["bytes"] for name, file in manifest["files"].items()}
    runtime = sum(sizes[name] for name in sizes if name.startswith("litert/"))
    page = sum(sizes[name] for name in PAGE_FILES)
    first = sum(sizes[name] for name in (variant["decoder"], prior) if name)
    said = (
        f"`{PAGE_FILES[0]}` of any web server, such as `python -m http.server "
        f"--bind=127.0.0.1`. A browser loads {(runtime + page + first) / 1e6:.1f} MB: "
        f"{runtime / 1e6:.1f} MB of LiteRT.js, the page and the files it draws with"
    )
    if variant["encoder"]:
        said += f"; with the first photo {sizes[variant['encoder']] / 1e6:.1f} MB more"
    return f"{said}. The whole folder has {sum(sizes.values()) / 1e6:.1f} MB."


def _about_labels(prior: dict[str, Any]) -> str:
    """What a prior that knows labels can be asked for; "" of one that knows none."""
    if "labels" not in prior:
        return ""
    labels = prior["labels"]
    names = ", ".join(labels["names"])
    return (
        " They take `label` as well, a number for each of the "
        f"{labels['kind']} {names}, in this order: 0 = not asked for, "
        f"{MEANINGS[labels['kind']]}; all 0 = any picture."
    )


def terminal_table(manifest: Manifest) -> str:
    """Returns a line per file that passed."""
    rows = [
        [
            *(
                "file",
                "kB",
                "error",
                "PSNR dB",
                "sharpness",
                "ms, 1 thread",
                "2 threads",
            ),
            "GPU",
        ]
    ]
    files = [f for v in manifest["variants"] for f in _files(v).values()]
    if manifest["prior"]["file"]:
        files.append(manifest["prior"])
    for file in files:
        quality, median = file["quality"], file["latency"]["median_ms"]
        rows.append(
            [
                file["file"],
                f"{manifest['files'][file['file']]['bytes'] / 1000:.0f}",
                f"{file['parity']['max_error']:.1g}",
                f"{min(quality['psnr_db'].values()):.1f}",
                _change(quality["sharpness_ratio"]),
                *(f"{milliseconds:.3f}" for milliseconds in median.values()),
                _gpu_in_a_word(file),
            ]
        )
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if index else cell.ljust(width)
            for index, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    )


def _files(variant: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Network -> its file and what was measured of it."""
    measures = ("parity", "quality", "latency", "gpu")
    return {
        network: {
            "file": variant[network],
            **{k: variant[k][network] for k in measures},
        }
        for network in variant["parity"]
    }


def _table(
    title: str, about: str, columns: list[str], cells: list[dict[str, str]]
) -> list[str]:
    """The lines of a section with a table."""
    labels = dict.fromkeys(label for column in cells for label in column)
    return [
        f"## {title}",
        "",
        f"{about.capitalize()}. {_GOOD}",
        "",
        f"| | {' | '.join(columns)} |",
        f"| --- |{' ---: |' * len(columns)}",
        *(
            f"| {label} | {' | '.join(column.get(label, '') for column in cells)} |"
            for label in labels
        ),
        "",
    ]


def _cells(manifest: Manifest, file: dict[str, Any]) -> dict[str, str]:
    """Label -> value, of one file."""
    parity, quality, latency = file["parity"], file["quality"], file["latency"]
    cells = {
        "file": f"`{file['file']}`",
        "size": f"{manifest['files'][file['file']]['bytes'] / 1000:.0f} kB",
        "largest error": f"{parity['max_error']:.2g}",
    }
    if parity["z_log_var_rmse"] is not None:
        cells["error of z_log_var (rms)"] = f"{parity['z_log_var_rmse']:.2g}"
    for kind, psnr_db in quality["psnr_db"].items():
        cells[f"PSNR of pictures, {kind}"] = f"{psnr_db:.1f} dB"
    cells["PSNR of the worst picture"] = f"{quality['worst_psnr_db']:.1f} dB"
    cells["sharpness"] = _change(quality["sharpness_ratio"])
    if quality["label_agreement"] is not None:
        cells["labels kept (Keras)"] = (
            f"{quality['label_agreement']:.1%} ({quality['keras_label_agreement']:.1%})"
        )
    cells["first run"] = f"{latency['first_run_ms']:.2f} ms"
    for threads, median in latency["median_ms"].items():
        p95 = latency["p95_ms"][threads]
        cells[f"median (p95), threads: {threads}"] = f"{median:.3f} ({p95:.3f}) ms"
    if "gpu" in file:
        cells["GPU"] = _gpu(file["gpu"])
    cells["peak memory"] = f"{latency['peak_memory_bytes'] / 1e6:.1f} MB"
    return cells


def _gpu_in_a_word(file: dict[str, Any]) -> str:
    if "gpu" not in file:  # a prior by itself
        return ""
    return "whole" if file["gpu"]["whole"] else "no"


def _gpu(gpu: dict[str, Any]) -> str:
    """What a GPU makes of a file, in words."""
    if not gpu["whole"]:
        return f"no: {'; '.join(gpu['refused'])}"
    if gpu["device"] is None:
        return "whole, by its operators"
    errors = " ".join(f"{name} {error:.1g}" for name, error in gpu["max_error"].items())
    return f"whole; largest errors: {errors}"


def _change(ratio: float) -> str:
    return f"{round(ratio - 1, 4) + 0.0:+.2%}"  # + 0.0: never "-0.00%"
