"""The static web page beside exported models: it decodes in the browser with LiteRT.js.

LiteRT.js (Apache-2.0, https://github.com/google-ai-edge/LiteRT) comes from npm; the page
needs three of its four WebAssembly builds: with JSPI where the browser has it, else with
relaxed SIMD, else for any browser. The fourth has threads.
"""

import os
from pathlib import Path

from dfcvae_tf.errors import UserError
from dfcvae_tf.files import atomic_file

PAGE_FILES = (
    "index.html",
    "style.css",
    "icon.svg",
    "app.js",
    "decoder.js",
    "manifest.js",
    "picture.js",
    "points.js",
    "slider.js",
)
PACKAGES = Path("node_modules/@litertjs")
UTILS_IMPORT = b'from "@litertjs/wasm-utils"'
WASM_BUILDS = (
    "litert_wasm_jspi_internal",
    "litert_wasm_internal",
    "litert_wasm_compat_internal",
)


def write_web_page(output_dir: Path, page_dir: Path) -> None:
    """Writes the page beside the models of an export.

    Args:
      output_dir: the export; the page reads its manifest.json and its decoders.
      page_dir: the page's source, with LiteRT.js in node_modules.

    Raises:
      UserError: LiteRT.js is not there or not of the version the page is for, or the
        disk is full or not writable.
    """
    files = {name: page_dir / name for name in PAGE_FILES}
    core = page_dir / PACKAGES / "core"
    files["litert/wasm-utils.js"] = page_dir / PACKAGES / "wasm-utils/dist/bundle.js"
    for build in WASM_BUILDS:
        for name in (f"{build}.js", f"{build}.wasm"):
            files[f"litert/wasm/{name}"] = core / "wasm" / name
    try:
        contents = {name: path.read_bytes() for name, path in files.items()}
        module = (core / "dist/index.js").read_bytes()
    except FileNotFoundError as error:
        raise _no_litert(page_dir, f"{error.filename} is missing") from error
    if module.count(UTILS_IMPORT) != 1:
        raise _no_litert(page_dir, "@litertjs/core has another version")
    # Browsers find packages by name only with an inline import map, which a strict
    # Content-Security-Policy forbids.
    contents["litert/core.js"] = module.replace(UTILS_IMPORT, b'from "./wasm-utils.js"')
    for name, content in contents.items():
        with atomic_file(output_dir / name) as file:
            file.write(content)


def _no_litert(page_dir: Path, reason: str) -> UserError:
    return UserError(
        f"{reason}; fetch what the web page needs with: "
        f"npm install --prefix {os.path.relpath(page_dir)}"
    )
