"""Code for REPORT.md that draws a picture with an exported file, in three languages.

The Kotlin is for LiteRT's `CompiledModel` of 2.3 (litert/kotlin/src/main/kotlin in
github.com/google-ai-edge/LiteRT), where the GPU is an artifact of its own.
"""

import dataclasses
import json
from typing import Any

from dfcvae_tf.labels import ATTRIBUTES, CLASSES

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

PYTHON_GPU = """\
# pip install ai-edge-litert numpy pillow
import numpy as np
from ai_edge_litert.compiled_model import (
    CompiledModel, GpuOptions, HardwareAccelerator, Options
)
from PIL import Image

model = CompiledModel.from_file(
    "{file}",
    options=Options(
        hardware_accelerators=HardwareAccelerator.GPU,
        # False: in 16 bits where the GPU has them, faster and less exact.
        gpu_options=GpuOptions(enforce_f32=True),
    ),
)
{argument} = np.random.default_rng(0).standard_normal(({batch}, {dim})).astype(np.float32)
{label_python}inputs = {{}}
for name, values in {{"{argument}": {argument}{given_python_gpu}}}.items():
    inputs[name] = model.create_input_buffer_by_name("{signature}", name)
    inputs[name].write(values)
output = model.create_output_buffer_by_name("{signature}", "image")
model.run_by_name("{signature}", inputs, {{"image": output}})
shape = ({batch}, {height}, {width}, {channels})
image = output.read(int(np.prod(shape)), np.float32).reshape(shape)  # in [0, 1]
pixels = np.rint(image[0] * 255).astype(np.uint8)
Image.fromarray(pixels.squeeze()).save("image.png")
"""

KOTLIN = """\
// {file} lies in src/main/assets. In build.gradle.kts, with minSdk 24 or higher:
//   android {{ androidResources {{ noCompress += "tflite" }} }}
//   implementation("com.google.ai.edge.litert:litert:2.3.0")
//   implementation("com.google.ai.edge.litert:litert-gpu:2.3.0")  // for Accelerator.GPU
import android.content.Context
import android.graphics.Bitmap
import android.graphics.Color
import com.google.ai.edge.litert.Accelerator
import com.google.ai.edge.litert.CompiledModel
import kotlin.math.roundToInt

/** {kotlin_doc} */
class {network}(
    context: Context,
    accelerator: Accelerator = Accelerator.{kotlin_accelerator}
) : AutoCloseable {{
    private val model = CompiledModel.create(
        context.assets, "{file}", CompiledModel.Options(accelerator)
    )
    private val inputs = listOf("{argument}"{input_kotlin}).associateWith {{
        model.createInputBuffer(it, "{signature}")
    }}
    private val output = model.createOutputBuffer("image", "{signature}")

    /** {argument}: {dim} numbers, as from a standard normal distribution.{label_doc} */
    fun {signature}({argument}: FloatArray{parameter_kotlin}): Bitmap {{
        inputs.getValue("{argument}").writeFloat({rows_kotlin})
{given_kotlin}        model.run(inputs, mapOf("image" to output), "{signature}")
        val image = output.readFloat() // {height} x {width} x {channels} in [0, 1], row by row
        val bitmap = Bitmap.createBitmap({width}, {height}, Bitmap.Config.ARGB_8888)
        for (y in 0 until {height}) for (x in 0 until {width}) {{
            val pixel = {channels} * ({width} * y + x)
            val (r, g, b) = List(3) {{ (image[pixel + it % {channels}] * 255).roundToInt() }}
            bitmap.setPixel(x, y, Color.rgb(r, g, b))
        }}
        return bitmap
    }}

    override fun close() = (inputs.values + output + model).forEach {{ it.close() }}
}}
"""

JAVASCRIPT = """\
// npm install @litertjs/core; its wasm folder and {file} lie beside the page.
import {{ loadAndCompile, loadLiteRt, Tensor }} from "@litertjs/core";

const accelerator = "wasm"; // {javascript_doc}
await loadLiteRt("wasm/");
const model = await loadAndCompile("{file}", {{ accelerator }});

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
    "given_python_gpu": ', "label": label',
    "label_doc": " label: {count} numbers, see manifest.json;"
    " 0 = not asked for, {meaning}.",
    "input_kotlin": ', "label"',
    "parameter_kotlin": ", label: FloatArray = FloatArray({count})",
    "given_kotlin": '        inputs.getValue("label").writeFloat({rows})\n',
    "parameter_javascript": ", label = new Float32Array({count})",
    "given_javascript": ", label: tensor(label)",
}
MEANINGS = {CLASSES: "1 = of this class", ATTRIBUTES: "1 = with, -1 = without it"}

# What is said of accelerators, by whether GPUs take the file whole.
_ACCELERATORS = {
    True: {
        "kotlin_accelerator": "GPU",
        "kotlin_doc": "All of it runs on the GPU; a LiteRtException says that there is "
        "none: then take Accelerator.CPU.",
        "javascript_doc": 'the CPU; with "webgpu" all of it runs on the GPU',
    },
    False: {
        "kotlin_accelerator": "CPU",
        "kotlin_doc": "GPUs do not take all of it.",
        "javascript_doc": "the CPU; GPUs do not take all of it",
    },
}


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


def snippets(manifest: dict[str, Any]) -> dict[str, Snippet]:
    """Returns name -> code that draws a picture with the first file that does.

    The names are python, python_gpu, kotlin and javascript. Of a file that GPUs do not take
    whole there is no python_gpu, and the others are for the CPU.
    """
    variants = manifest["variants"]
    generators = [v for v in variants if v["generator"]]
    variant, network = (
        (generators[0], "generator") if generators else (variants[0], "decoder")
    )
    on_gpu = variant["gpu"][network]["whole"]
    image, batch = manifest["image"], manifest["batch_size"]
    batch = 1 if batch == "dynamic" else batch
    argument, dim = "noise" if generators else "z", manifest["latent"]["dim"]
    values = {
        "file": variant[network],
        "signature": "generate" if generators else "decode",
        "argument": argument,
        "network": network.capitalize(),
        "batch": batch,
        "dim": dim,
        "rows_kotlin": _rows(argument, dim, batch),
        **{key: image[key] for key in ("height", "width", "channels")},
        **_ACCELERATORS[on_gpu],
        **dict.fromkeys(_WITH_LABELS, ""),
    }
    labels = manifest["prior"].get("labels")
    if labels is not None and generators:
        count = len(labels["names"])
        about = {
            "names": json.dumps(labels["names"], ensure_ascii=False),
            "example": json.dumps(labels["names"][-1], ensure_ascii=False),
            "count": count,
            "meaning": MEANINGS[labels["kind"]],
            "batch": batch,
            "rows": _rows("label", count, batch),
        }
        values |= {k: part.format(**about) for k, part in _WITH_LABELS.items()}
    found = {
        "python": Snippet("Python", "python", PYTHON),
        "python_gpu": Snippet("Python, on a GPU", "python", PYTHON_GPU),
        "kotlin": Snippet("Android (Kotlin)", "kotlin", KOTLIN),
        "javascript": Snippet("Browser (LiteRT.js)", "javascript", JAVASCRIPT),
    }
    return {
        name: dataclasses.replace(snippet, code=snippet.code.format(**values).rstrip())
        for name, snippet in found.items()
        if on_gpu or name != "python_gpu"
    }


def _rows(name: str, count: int, batch: int) -> str:
    """Kotlin for a row, once for each row of a batch."""
    if batch == 1:
        return name
    return f"FloatArray({batch * count}) {{ {name}[it % {count}] }}"
