"""REPORT.md of an export and the table for the terminal, both from its manifest."""

import json
from typing import Any

from dfcvae_tf.exporting.licences import restriction
from dfcvae_tf.exporting.settings import VARIANTS
from dfcvae_tf.labels import ATTRIBUTES, CLASSES

REPORT = "REPORT.md"
Manifest = dict[str, Any]

PYTHON = """\
# pip install ai-edge-litert numpy pillow
import numpy as np
from ai_edge_litert.interpreter import Interpreter
from PIL import Image

{signature} = Interpreter("{file}", num_threads=2).get_signature_runner("{signature}")
{argument} = np.random.default_rng(0).standard_normal(({batch}, {dim})).astype(np.float32)
{label_python}image = {signature}({argument}={argument}{given_python})["image"]  # [{batch}, {height}, {width}, {channels}] in [0, 1]
pixels = np.rint(image[0] * 255).astype(np.uint8)
Image.fromarray(pixels.squeeze()).save("image.png")
"""

KOTLIN = """\
// build.gradle.kts: implementation("com.google.ai.edge.litert:litert:1.4.2")
// {file} lies in src/main/assets.
import android.content.Context
import android.graphics.Bitmap
import android.graphics.Color
import java.io.FileInputStream
import java.nio.channels.FileChannel
import org.tensorflow.lite.Interpreter
import kotlin.math.roundToInt

class {network}(context: Context) : AutoCloseable {{
    private val interpreter = context.assets.openFd("{file}").use {{ file ->
        val model = FileInputStream(file.fileDescriptor).channel.map(
            FileChannel.MapMode.READ_ONLY, file.startOffset, file.declaredLength
        )
        Interpreter(model, Interpreter.Options().setNumThreads(2))
    }}

    /** {argument}: {dim} numbers, as from a standard normal distribution.{label_doc} */
    fun {signature}({argument}: FloatArray{parameter_kotlin}): Bitmap {{
        val image = Array({batch}) {{ Array({height}) {{ Array({width}) {{ FloatArray({channels}) }} }} }}
        interpreter.runSignature(
            mapOf<String, Any>("{argument}" to Array({batch}) {{ {argument} }}{given_kotlin}),
            mapOf<String, Any>("image" to image),
            "{signature}",
        )
        val bitmap = Bitmap.createBitmap({width}, {height}, Bitmap.Config.ARGB_8888)
        for (y in 0 until {height}) for (x in 0 until {width}) {{
            val (r, g, b) = List(3) {{ (image[0][y][x][it % {channels}] * 255).roundToInt() }}
            bitmap.setPixel(x, y, Color.rgb(r, g, b))
        }}
        return bitmap
    }}

    override fun close() = interpreter.close()
}}
"""

JAVASCRIPT = """\
// npm install @litertjs/core; its wasm folder and {file} lie beside the page.
import {{ loadAndCompile, loadLiteRt, Tensor }} from "@litertjs/core";

await loadLiteRt("wasm/");
const model = await loadAndCompile("{file}", {{ accelerator: "wasm" }});

function tensor(row) {{
  const rows = Array.from({{ length: {batch} }}, () => [...row]).flat();
  return new Tensor(Float32Array.from(rows), [{batch}, row.length]);
}}

/** {argument}: {dim} numbers, as from a standard normal distribution.{label_doc} */
async function {signature}({argument}{parameter_javascript}) {{
  const inputs = {{ {argument}: tensor({argument}){given_javascript} }};
  const {{ image }} = await model.run("{signature}", inputs);
  const values = await image.data(); // {height} x {width} x {channels} in [0, 1], row by row
  for (const used of [...Object.values(inputs), image]) used.delete();
  const picture = new ImageData({width}, {height});
  for (let i = 0; i < {width} * {height}; i++) {{
    for (let c = 0; c < 3; c++) {{
      picture.data[4 * i + c] = Math.round(values[{channels} * i + (c % {channels})] * 255);
    }}
    picture.data[4 * i + 3] = 255;
  }}
  return picture; // context.putImageData(picture, 0, 0)
}}
"""


# What a prior that knows labels adds to the code above.
_WITH_LABELS = {
    "label_python": """\
labels = {names}  # 0 = not asked for, {meaning}
label = np.zeros(({batch}, len(labels)), np.float32)
label[:, labels.index({example})] = 1
""",
    "given_python": ", label=label",
    "label_doc": " label: {count} numbers, see manifest.json;"
    " 0 = not asked for, {meaning}.",
    "parameter_kotlin": ", label: FloatArray = FloatArray({count})",
    "given_kotlin": ', "label" to Array({batch}) {{ label }}',
    "parameter_javascript": ", label = new Float32Array({count})",
    "given_javascript": ", label: tensor(label)",
}
_MEANINGS = {CLASSES: "1 = of this class", ATTRIBUTES: "1 = with, -1 = without it"}

# How a picture is drawn, by the signature that noise goes into.
_DRAWING = {
    "generate": "A picture is drawn by `generate(noise) -> image` of a `generator_*.tflite` "
    "from standard normal noise: the prior, in float32 in all of them, then the decoder. "
    "`prior.tflite` is the prior by itself: `from_noise(noise) -> z` and back, "
    "`to_noise(z) -> noise`.{labels}",
    "decode": "A picture is drawn by `decode` of a `decoder_*.tflite` from a standard normal "
    "`z`.",
}


def render_report(manifest: Manifest) -> str:
    """Returns REPORT.md."""
    latent, image = manifest["latent"], manifest["image"]
    checks = manifest["checks"]
    in_saved_model = ""
    if manifest["saved_model"]:
        in_saved_model = f", and both in `{manifest['saved_model']}/` for TensorFlow"
    shape = f"{image['height']}x{image['width']}x{image['channels']}"
    about = (
        f"A decoder from {latent['dim']} latents to {shape} images "
        f"({image['color_order']}, float32 in [0, 1]) and its encoder, in "
        f"{len(manifest['variants'])} variants{in_saved_model}. Rows per call: {manifest['batch_size']}. Signatures: "
        "`decode(z) -> image`, `encode(image) -> z_mean, z_log_var`. All else is in "
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
    for text in (*opening, about, drawing, how_checked):
        lines += [text, ""]
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
    titles = ("Python", "Android (Kotlin)", "Browser (LiteRT.js)")
    for title, (language, code) in zip(titles, snippets(manifest).items(), strict=True):
        lines += [f"## {title}", "", f"```{language}", code, "```", ""]
    return "\n".join(lines)


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


def snippets(manifest: Manifest) -> dict[str, str]:
    """Returns language -> code that draws a picture with the first file that does."""
    variants = manifest["variants"]
    generators = [v["generator"] for v in variants if v["generator"]]
    if generators:
        of_file = {"file": generators[0], "signature": "generate", "argument": "noise"}
    else:
        of_file = {
            "file": variants[0]["decoder"],
            "signature": "decode",
            "argument": "z",
        }
    image, batch = manifest["image"], manifest["batch_size"]
    batch = 1 if batch == "dynamic" else batch
    values = {
        **of_file,
        "network": "Generator" if generators else "Decoder",
        "batch": batch,
        "dim": manifest["latent"]["dim"],
        **{key: image[key] for key in ("height", "width", "channels")},
        **dict.fromkeys(_WITH_LABELS, ""),
    }
    labels = manifest["prior"].get("labels")
    if labels is not None and generators:
        about = {
            "names": json.dumps(labels["names"], ensure_ascii=False),
            "example": json.dumps(labels["names"][-1], ensure_ascii=False),
            "count": len(labels["names"]),
            "meaning": _MEANINGS[labels["kind"]],
            "batch": batch,
        }
        values |= {k: part.format(**about) for k, part in _WITH_LABELS.items()}
    codes = {"python": PYTHON, "kotlin": KOTLIN, "javascript": JAVASCRIPT}
    return {k: code.format(**values).rstrip() for k, code in codes.items()}


def _about_gpu(manifest: Manifest) -> str:
    files = [file for v in manifest["variants"] for file in v["gpu"].values()]
    devices = {file["device"] for file in files if file["device"] is not None}
    if not devices:
        return "Whether GPUs take a file whole is told by its operators; none ran on one here."
    return (
        f"GPU: {', '.join(sorted(devices))}, every operator on it, in LiteRT's arithmetic "
        "of 32 and of 16 bits; what it does not take whole is for CPUs."
    )


def _about_labels(prior: dict[str, Any]) -> str:
    """What a prior that knows labels can be asked for; "" of one that knows none."""
    if "labels" not in prior:
        return ""
    labels = prior["labels"]
    names = ", ".join(labels["names"])
    return (
        " All three take `label` as well, a number for each of the "
        f"{labels['kind']} {names}, in this order: 0 = not asked for, "
        f"{_MEANINGS[labels['kind']]}; all 0 = any picture."
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
        f"{about.capitalize()}.",
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
