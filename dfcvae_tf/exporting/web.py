"""The static web page beside exported models: it decodes in the browser with LiteRT.js.

LiteRT.js (Apache-2.0, https://github.com/google-ai-edge/LiteRT) comes from npm. Of its four
WebAssembly builds the page takes the one that runs in any browser: WebGPU works with it as
with the others. They would add 9 MB each, for relaxed SIMD, for threads, and for decoders
that a GPU takes in part, which JSPI needs.
"""

import gzip
import os
import shlex
from pathlib import Path

from dfcvae_tf.errors import UserError
from dfcvae_tf.files import atomic_file

PAGE_DIR = Path(__file__).parent / "page"
PHOTO_MODULE = "photo.js"
PAGE_FILES = (
    "index.html",
    "style.css",
    "icon.svg",
    "app.js",
    "asking.js",
    "links.js",
    "manifest.js",
    "networks.js",
    PHOTO_MODULE,
    "photos.js",
    "picture.js",
    "points.js",
    "slider.js",
)
# In a checkout `make web` puts LiteRT.js here; elsewhere the folder does not exist.
CHECKOUT_DIR = Path(__file__).parents[2] / "export" / "web"
LITERT_VERSION = "2.5.3"
PACKAGES = Path("node_modules/@litertjs")
NAMES = ("core", "wasm-utils")
PACKAGES_TO_INSTALL = " ".join(f"@litertjs/{name}@{LITERT_VERSION}" for name in NAMES)
UTILS_IMPORT = b'from "@litertjs/wasm-utils"'
WASM_BUILD = "litert_wasm_compat_internal"


def find_litert(litert_dir: str | None) -> Path:
    """Returns the folder with LiteRT.js: the one given, else that of the checkout.

    Raises:
      UserError: none was given, and this is no checkout, or one where `make web` never ran.
    """
    if litert_dir:
        return Path(litert_dir)
    if not (CHECKOUT_DIR / "package.json").is_file():
        raise _no_litert(Path("litert"), "--web needs LiteRT.js")
    if not (CHECKOUT_DIR / PACKAGES).is_dir():
        raise UserError("--web needs LiteRT.js; get it with: make web")
    return Path(os.path.relpath(CHECKOUT_DIR))


def write_photo_module(output_dir: Path) -> None:
    """Writes the JavaScript that makes the encoder's input of photos, for any page."""
    with atomic_file(output_dir / PHOTO_MODULE) as file:
        file.write((PAGE_DIR / PHOTO_MODULE).read_bytes())


def write_web_page(output_dir: Path, litert_dir: Path) -> None:
    """Writes the page beside the models of an export.

    Args:
      output_dir: the export; the page reads its manifest.json, its decoders and its prior.
      litert_dir: a folder with LiteRT.js in node_modules.

    Raises:
      UserError: LiteRT.js is not there or not of the version the page is for, or the
        disk is full or not writable.
    """
    packages = litert_dir / PACKAGES
    litert = {"wasm-utils.js": "wasm-utils/dist/bundle.js"}
    for name in (f"{WASM_BUILD}.js", f"{WASM_BUILD}.wasm"):
        litert[f"wasm/{name}"] = f"core/wasm/{name}"
    contents = {name: (PAGE_DIR / name).read_bytes() for name in PAGE_FILES}
    # The packages come without it.
    contents["litert/LICENSE"] = (PAGE_DIR / "LICENSE-LiteRT.js.txt").read_bytes()
    try:
        for name, source in litert.items():
            contents[f"litert/{name}"] = (packages / source).read_bytes()
        module = (packages / "core/dist/index.js").read_bytes()
        about = [(packages / name / "package.json").read_bytes() for name in NAMES]
    except OSError as error:
        raise _no_litert(litert_dir, f"{error.filename}: {error.strerror}") from error
    version = f'"version": "{LITERT_VERSION}"'.encode()
    if not all(version in text for text in about) or module.count(UTILS_IMPORT) != 1:
        raise _no_litert(litert_dir, f"{packages} has another version of LiteRT.js")
    # A third of the size, also from servers that compress nothing.
    wasm = contents.pop(f"litert/wasm/{WASM_BUILD}.wasm")
    contents[f"litert/wasm/{WASM_BUILD}.wasm.gz"] = gzip.compress(wasm, mtime=0)
    # Browsers find packages by name only with an inline import map, which a strict
    # Content-Security-Policy forbids.
    contents["litert/core.js"] = module.replace(UTILS_IMPORT, b'from "./wasm-utils.js"')
    for name, content in contents.items():
        with atomic_file(output_dir / name) as file:
            file.write(content)


def _no_litert(litert_dir: Path, reason: str) -> UserError:
    folder = shlex.quote(str(litert_dir))
    return UserError(
        f"{reason}; get it with: npm install --no-save --prefix {folder} "
        f"{PACKAGES_TO_INSTALL} "
        f"and export with --web --litert_dir={folder}"
    )
