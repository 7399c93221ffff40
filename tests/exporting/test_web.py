"""The web page of an export: what is copied, and the page in a real browser."""

import contextlib
import gzip
import json
import os
import shutil
import threading
import time
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from dfcvae_tf import export, interpolate
from dfcvae_tf.checkpoints import load_for_inference
from dfcvae_tf.data.mnist_sample import SAMPLE_PATH
from dfcvae_tf.data.prepare import CROP_FRAME, GREY_WEIGHTS, PARTS, prepare_image
from dfcvae_tf.errors import UserError
from dfcvae_tf.exporting import web
from dfcvae_tf.exporting.device_form import device_decode
from dfcvae_tf.exporting.joining import convert_prior, join
from dfcvae_tf.exporting.snippets import snippets
from dfcvae_tf.files import read_arrays, read_json, write_json
from dfcvae_tf.models.flow import CouplingFlow
from dfcvae_tf.picture_files import read_picture
from tests.programs import run_here, run_python
from tools.serve_web import open_server

CHECKOUT_DIR = Path(__file__).parents[2] / "export" / "web"
# A script that takes features from a browser. LiteRT.js looks for JSPI by this name, and
# for relaxed SIMD with a module of a few bytes.
FEWER_FEATURES = """
    delete WebAssembly.Suspending;
    const { instantiate } = WebAssembly;
    WebAssembly.instantiate = (code, ...rest) => code.length < 100
      ? Promise.reject(new Error("no")) : instantiate(code, ...rest);
"""
RANGES = [[-3.0, 3.0], [-2.5, 3.5], [-3.0, 2.9], [-1.0, 4.0], [-3.3, 3.1]]


# ---- What is copied


def test_copies_what_the_page_needs(litert_dir, tmp_path):
    output = tmp_path / "export"
    web.write_web_page(output, litert_dir)
    written = {str(p.relative_to(output)) for p in output.rglob("*") if p.is_file()}
    assert {name for name in written if "/" not in name} == set(web.PAGE_FILES)
    assert (output / "litert/core.js").read_text() == 'import from "./wasm-utils.js"'
    packed = (output / f"litert/wasm/{web.WASM_BUILD}.wasm.gz").read_bytes()
    assert gzip.decompress(packed) == b"wasm"
    assert "Apache License" in (output / "litert/LICENSE").read_text()
    assert len(written) == len(web.PAGE_FILES) + 5


def test_the_page_says_how_much_it_loads_and_names_the_build():
    folder = CHECKOUT_DIR / web.PACKAGES / "core/wasm"
    if not folder.is_dir():
        pytest.skip("needs make web")
    script = (folder / f"{web.WASM_BUILD}.js").stat().st_size
    packed = gzip.compress((folder / f"{web.WASM_BUILD}.wasm").read_bytes())
    said = f"loads {(script + len(packed)) / 1e6:.1f} MB once"
    for name in ("index.html", "app.js"):
        assert said in (web.PAGE_DIR / name).read_text()
    assert f'/{web.WASM_BUILD}"' in (web.PAGE_DIR / "networks.js").read_text()


def npm_command(folder) -> str:
    return (
        f"npm install --no-save --prefix {folder} "
        "@litertjs/core@2.5.3 @litertjs/wasm-utils@2.5.3"
    )


def hint(folder) -> str:
    """The end of an error's text."""
    return (
        f"get it with: {npm_command(folder)} "
        f"and export with --web --litert_dir={folder}$"
    )


def test_absent_or_other_litert_names_the_command_and_writes_nothing(
    litert_dir, tmp_path
):
    how = hint(f"'{litert_dir}'")
    core = litert_dir / web.PACKAGES / "core"
    write_json(core / "package.json", {"version": "2.5.4"})
    with pytest.raises(UserError, match=f"another version of LiteRT.js; {how}"):
        web.write_web_page(tmp_path / "export", litert_dir)
    shutil.rmtree(core)
    with pytest.raises(UserError, match=f"No such file or directory; {how}"):
        web.write_web_page(tmp_path / "export", litert_dir)
    assert not (tmp_path / "export").exists()


def test_litert_is_where_the_flag_says_else_in_the_checkout(monkeypatch, tmp_path):
    assert web.find_litert("some/where") == Path("some/where")
    checkout = tmp_path / "web"
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(web, "CHECKOUT_DIR", checkout)
    with pytest.raises(UserError, match=f"needs LiteRT.js; {hint('litert')}"):
        web.find_litert(None)
    checkout.mkdir()
    shutil.copy(CHECKOUT_DIR / "package.json", checkout)
    with pytest.raises(UserError, match="needs LiteRT.js; get it with: make web$"):
        web.find_litert(None)
    (checkout / web.PACKAGES).mkdir(parents=True)
    assert web.find_litert(None) == Path("web")


def test_checkout_and_readme_install_the_version_that_the_page_is_for():
    wanted = read_json(CHECKOUT_DIR / "package.json")["dependencies"]
    assert wanted == {f"@litertjs/{name}": web.LITERT_VERSION for name in web.NAMES}
    assert npm_command("litert") in (CHECKOUT_DIR.parents[1] / "USAGE.md").read_text()


# ---- The page in a browser


@pytest.fixture(name="driver", scope="module")
def _driver(tmp_path_factory):
    chromium, chromedriver = shutil.which("chromium"), shutil.which("chromedriver")
    if not chromium or not chromedriver:
        pytest.skip("needs chromium and chromedriver")
    if not (CHECKOUT_DIR / web.PACKAGES).is_dir():
        pytest.skip("needs make web")
    webdriver = pytest.importorskip("selenium.webdriver", reason="needs selenium")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for argument in (
        "--headless=new",
        "--no-sandbox",  # root may not have one
        "--window-size=1280,800",
        # WebGPU in software.
        "--enable-unsafe-webgpu",
        "--use-webgpu-adapter=swiftshader",
        "--enable-features=Vulkan",
    ):
        options.add_argument(argument)
    options.set_capability(
        "goog:loggingPrefs", {"performance": "ALL", "browser": "ALL"}
    )
    driver = webdriver.Chrome(options, webdriver.ChromeService(chromedriver))
    driver.set_script_timeout(20)
    yield driver
    driver.quit()


def convert(network, decode, latent_dim, folder):
    """Writes two variants of a decoder and returns their entries in the manifest.

    `decode` makes images of latents with the weights of `network`.
    """
    archive = tf.keras.export.ExportArchive()
    archive.track(network)
    spec = tf.TensorSpec([1, latent_dim], tf.float32, name="z")
    archive.add_endpoint("decode", lambda z: {"image": decode(z)}, [spec])
    archive.write_out(str(folder / "saved_model"))
    variants = []
    for name in ("float32", "float16"):
        converter = tf.lite.TFLiteConverter.from_saved_model(
            str(folder / "saved_model"), signature_keys=["decode"]
        )
        if name == "float16":
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
            converter.target_spec.supported_types = [tf.float16]
        content = converter.convert()
        file_name = f"decoder_{name}.tflite"
        (folder / file_name).write_bytes(content)
        variants.append({"name": name, "decoder": file_name, "bytes": len(content)})
    return variants


def write_manifest(folder, variants, ranges, shape, **more):
    height, width, channels = shape
    content = {
        "format_version": 1,
        "name": "some_run",
        "latent": {"dim": len(ranges), "ranges": ranges},
        "image": {
            "height": height,
            "width": width,
            "channels": channels,
            "color_order": "grey" if channels == 1 else "RGB",
            "range": [0, 1],
        },
        "batch_size": 1,
        "variants": variants,
    }
    write_json(folder / "manifest.json", content | more)


@pytest.fixture(name="digits", scope="module")
def _digits(driver, tmp_path_factory):
    """An export of the bundled DFC-VAE and the run in Keras."""
    folder = tmp_path_factory.mktemp("digits")
    model = load_for_inference("pretrained:mnist_dfc_vae", prior="standard")
    decode = device_decode(model.vae, model.vae.to_images)
    variants = convert(model.vae.decoder, decode, len(RANGES), folder)
    write_manifest(folder, variants, RANGES, (28, 28, 1))
    web.write_web_page(folder, CHECKOUT_DIR)
    return folder, lambda z: model.decoder(z).numpy()


@pytest.fixture(name="drawn", scope="module")
def _drawn(digits, flow_parameters, tmp_path_factory):
    """The same with a learned prior; the folder, the run in Keras and the prior."""
    folder = tmp_path_factory.mktemp("drawn") / "export"
    shutil.copytree(digits[0], folder, copy_function=os.link)
    flow = CouplingFlow(flow_parameters(len(RANGES)))
    content = convert_prior(flow, len(RANGES), 1)
    (folder / "prior.tflite").write_bytes(content)
    decoder = (folder / "decoder_float32.tflite").read_bytes()
    (folder / "generator_float32.tflite").write_bytes(join(content, decoder))
    variants = read_json(folder / "manifest.json")["variants"]
    variants[0]["generator"] = "generator_float32.tflite"
    variants[1]["generator"] = None
    prior = {"kind": "flow", "file": "prior.tflite", "bytes": len(content)}
    (folder / "manifest.json").unlink()
    write_manifest(folder, variants, RANGES, (28, 28, 1), prior=prior)
    return folder, digits[1], flow


@pytest.fixture(name="asked")
def _asked(drawn, flow_parameters, label_kernel, tmp_path, kind):
    """The same with a prior that knows three labels; the folder and the prior."""
    folder = tmp_path / "export"
    shutil.copytree(drawn[0], folder, copy_function=os.link)
    dim = len(RANGES)
    kernel = label_kernel(3, dim)
    flow = CouplingFlow({**flow_parameters(dim), "label_kernel": kernel})
    content = convert_prior(flow, dim, 1)
    (folder / "prior.tflite").unlink()
    (folder / "prior.tflite").write_bytes(content)
    manifest = read_json(folder / "manifest.json")
    (folder / "generator_float32.tflite").unlink()
    decoder = (folder / "decoder_float32.tflite").read_bytes()
    (folder / "generator_float32.tflite").write_bytes(join(content, decoder))
    labels = {"kind": kind, "names": ["Sad", "5_o_Clock", "7"]}
    manifest["prior"] |= {"bytes": len(content), "labels": labels}
    (folder / "manifest.json").unlink()
    write_json(folder / "manifest.json", manifest)
    return folder, flow


PREPROCESSING = {
    "crop": "center",
    "part": None,
    "resize": "bilinear, antialiased",
    "background": "white",
    "ground": None,
}


@pytest.fixture(name="colour", scope="module")
def _colour(driver, tmp_path_factory):
    """An export of 20x12 colour pictures with an encoder of random weights."""
    folder = tmp_path_factory.mktemp("colour")
    random = np.random.default_rng(3)
    z = tf.keras.Input([4])
    flat = tf.keras.layers.Dense(20 * 12 * 3, activation="sigmoid")(z)
    decoder = tf.keras.Model(z, tf.keras.layers.Reshape([20, 12, 3])(flat))
    decoder.set_weights([random.normal(size=w.shape) for w in decoder.get_weights()])
    variants = convert(decoder, decoder, 4, folder)[:1]
    kernel = tf.constant(random.normal(size=(20 * 12 * 3, 4), scale=0.1), tf.float32)

    @tf.function(input_signature=[tf.TensorSpec([1, 20, 12, 3], name="image")])
    def encode(image):
        z_mean = tf.reshape(image, [1, -1]) @ kernel
        return {"z_mean": z_mean, "z_log_var": z_mean - 1}

    module = tf.Module()
    module.encode = encode
    saved = str(folder / "saved_encoder")
    tf.saved_model.save(module, saved, signatures={"encode": encode})
    content = tf.lite.TFLiteConverter.from_saved_model(
        saved, signature_keys=["encode"]
    ).convert()
    variants[0]["encoder"] = "encoder_float32.tflite"
    (folder / "encoder_float32.tflite").write_bytes(content)
    write_manifest(
        folder,
        variants,
        [[-2.0, 2.0]] * 4,
        (20, 12, 3),
        files={"encoder_float32.tflite": {"bytes": len(content)}},
        preprocessing=PREPROCESSING,
    )
    web.write_web_page(folder, CHECKOUT_DIR)
    return folder


class Page:
    """The page of an export, loaded, or another one from a server that is not ours."""

    def __init__(self, driver, folder, is_ours=True):
        from selenium.webdriver import ActionChains, Keys

        self.keys, self.chain = Keys, ActionChains
        self.driver = driver
        if is_ours:
            self._server = open_server(str(folder), "127.0.0.1", 0)
        else:
            handler = partial(SimpleHTTPRequestHandler, directory=str(folder))
            self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        threading.Thread(target=self._server.serve_forever, args=(0.01,)).start()
        port = self._server.server_address[1]
        driver.get_log("performance")
        driver.get(f"http://127.0.0.1:{port}/")
        self.wait(
            "const c = document.body.classList;"
            "return c.contains('failed') || !c.contains('loading')"
        )

    def close(self):
        self.driver.get("about:blank")
        self._server.shutdown()
        self._server.server_close()

    def run(self, script, *arguments):
        return self.driver.execute_script(script, *arguments)

    def wait(self, condition, *arguments, seconds=20):
        deadline = time.monotonic() + seconds
        while not self.run(condition, *arguments):
            assert time.monotonic() < deadline, (condition, self.text("status"))
            time.sleep(0.02)

    def find(self, selector):
        return self.driver.find_element("css selector", selector)

    def find_all(self, selector):
        return self.driver.find_elements("css selector", selector)

    def text(self, name):
        return self.run(f"return document.getElementById('{name}').textContent")

    def press(self, key):
        self.find("body").send_keys(key)
        self.settle()

    def click(self, element, share):
        """Clicks at a share of the element's width."""
        chain = self.chain(self.driver)
        across = int((share - 0.5) * element.size["width"])
        chain.move_to_element_with_offset(element, across, 0).click().perform()

    def settle(self):
        self.driver.execute_async_script("dfcvae.settled().then(arguments[0])")

    def pick(self, select, value):
        """Picks a variant or accelerator and waits for it or for an error."""
        self.run(
            "const [id, value] = arguments, select = document.getElementById(id);"
            "select.value = value; select.dispatchEvent(new Event('change'));",
            select,
            value,
        )
        self.wait(f"return !document.getElementById('{select}').disabled")

    def give(self, which, path):
        """Gives a photo for A or B and waits until it is used or refused."""
        self.find(f"#photos-{which} input").send_keys(str(path))
        self.wait(
            f"return document.querySelector('#photos-{which} input').value === ''"
        )
        self.settle()

    def latents(self):
        return np.array(self.run("return [...dfcvae.latents()]"), np.float32)

    def noise(self):
        return np.array(self.run("return [...dfcvae.noise()]"), np.float32)

    def decode(self, latents):
        """What the model gives: [N, D] -> [N, height * width * channels]."""
        return self.call("decode", latents)

    def call(self, function, rows):
        """One of the functions of `dfcvae` of a row, for each row."""
        results = self.driver.execute_async_script(
            "const [name, rows, done] = arguments;"
            "(async () => { const all = [];"
            "for (const row of rows) all.push([...await dfcvae[name](row)]);"
            "return all; })().then(done)",
            function,
            np.asarray(rows, np.float64).tolist(),
        )
        return np.array(results, np.float32)

    def canvas(self, selector="#picture"):
        """The drawn picture, [height, width, 3] uint8."""
        width, height, pixels = self.run(
            "const c = document.querySelector(arguments[0]);"
            "const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;"
            "return [c.width, c.height, [...d]]",
            selector,
        )
        pixels = np.array(pixels, np.uint8).reshape(height, width, 4)
        assert (pixels[..., 3] == 255).all()
        return pixels[..., :3]

    def sliders(self, group="latents"):
        return np.array(
            self.run(
                "return [...document.querySelectorAll(`#${arguments[0]} input`)]"
                ".map((input) => input.valueAsNumber)",
                group,
            )
        )


@pytest.fixture(name="open_page")
def _open_page(driver):
    pages = []

    def open_page(folder, is_ours=True):
        pages.append(Page(driver, folder, is_ours))
        return pages[-1]

    yield open_page
    for page in pages:
        page.close()


def assert_shows(page, image):
    """The canvas shows an image [H, W, C] of floats in [0, 1], within 1/255."""
    difference = page.canvas().astype(float) - np.asarray(image) * 255
    assert np.abs(difference).max() <= 1.0


@pytest.mark.slow
def test_decodes_as_keras_does(digits, open_page):
    folder, keras = digits
    page = open_page(folder)
    z = np.random.default_rng(0).normal(size=(20, 5)).astype(np.float32)
    z[-2:] = [[4] * 5, [-4, 4, -4, 4, -4]]
    np.testing.assert_allclose(page.decode(z), keras(z).reshape(20, -1), atol=1e-5)


@pytest.mark.slow
def test_sliders_move_the_picture(digits, open_page):
    folder, keras = digits
    page = open_page(folder)
    assert page.text("name") == "some_run"
    page.press("0")
    np.testing.assert_array_equal(page.latents(), 0)
    first, last = (page.find(f"#latents label:nth-of-type({i}) input") for i in (1, 5))
    first.send_keys(page.keys.ARROW_RIGHT * 30)
    page.click(last, share=0.75)
    page.settle()
    z = page.latents()
    np.testing.assert_allclose(z[:4], [30 * 6 / 200, 0, 0, 0], atol=1e-6)
    np.testing.assert_allclose(z[4], -3.3 + 0.75 * 6.4, atol=0.2)
    np.testing.assert_allclose(page.sliders(), z, atol=0.02)
    assert_shows(page, keras(z[np.newaxis])[0])
    page.find("#random").click()
    page.settle()
    assert np.abs(page.latents() - z).min() > 0
    np.testing.assert_array_equal(page.latents(), page.noise())
    assert_shows(page, keras(page.latents()[np.newaxis])[0])
    assert 0 < float(page.text("time").removesuffix(" ms")) < 1000
    # As large as its frame allows, in whole screen pixels per pixel.
    size, *frame = page.run(
        "const frame = document.getElementById('frame');"
        "return [document.getElementById('picture').clientWidth,"
        "frame.clientWidth, frame.clientHeight]"
    )
    assert size % 28 == 0 and min(frame) - 28 < size <= min(frame)


@pytest.mark.slow
@pytest.mark.current_stack
def test_another_variant_is_another_model(digits, open_page):
    folder, keras = digits
    page = open_page(folder)
    page.pick("variant", "float16")
    assert page.text("status") == ""
    z = page.latents()[np.newaxis]
    runner = tf.lite.Interpreter(str(folder / "decoder_float16.tflite"))
    (expected,) = runner.get_signature_runner("decode")(z=z).values()
    np.testing.assert_allclose(page.decode(z)[0], expected.ravel(), atol=1e-5)
    assert 1e-5 < np.abs(expected - keras(z)).max() < 5e-3
    assert_shows(page, expected[0])
    page.pick("variant", "float32")
    np.testing.assert_allclose(page.decode(z)[0], keras(z).ravel(), atol=1e-5)


@pytest.mark.slow
@pytest.mark.current_stack
def test_plays_between_two_remembered_points(digits, open_page):
    folder, keras = digits
    page = open_page(folder)
    page.press("r")
    page.press("a")
    a = page.latents()
    page.press("r")
    page.press("b")
    b = page.latents()
    label = page.find("#picture").get_attribute("aria-label")
    page.press(" ")
    shares = []
    deadline = time.monotonic() + 10
    while np.ptp(shares or [0]) < 0.5 and time.monotonic() < deadline:
        z = page.latents()
        shares.append((z - a) @ (b - a) / ((b - a) @ (b - a)))
        np.testing.assert_allclose(z, a + shares[-1] * (b - a), atol=1e-5)
    assert len(set(shares)) > 5 and np.ptp(shares) >= 0.5
    # Nothing is read out at every step.
    announced = "return document.querySelectorAll('output, [aria-live], [role=status]')"
    assert len(page.run(announced)) == 1
    assert page.find("#picture").get_attribute("aria-label") == label
    page.press(" ")
    assert page.find("#picture").get_attribute("aria-label") != label
    assert_shows(page, keras(page.latents()[np.newaxis])[0])
    for selector, z in (("#remember-a", a), ("#remember-b", b)):
        thumbnail = page.canvas(f"{selector} canvas") - 255.0 * keras(z[np.newaxis])[0]
        assert np.abs(thumbnail).max() <= 1
    blend = page.find("#blend input")
    # It may have stopped less than a step of the slider from an end.
    blend.send_keys(page.keys.END, page.keys.HOME)
    page.settle()
    np.testing.assert_array_equal(page.latents(), a)
    blend.send_keys(page.keys.END)
    page.settle()
    np.testing.assert_array_equal(page.latents(), b)


@pytest.mark.slow
@pytest.mark.current_stack
def test_random_pictures_come_through_the_prior(drawn, open_page, driver):
    folder, keras, flow = drawn
    driver.get_log("browser")
    page = open_page(folder)
    z = np.random.default_rng(0).normal(size=(5, 5)).astype(np.float32)
    noise = page.call("toNoise", z)
    np.testing.assert_allclose(noise, flow.to_noise(z), atol=1e-4)
    np.testing.assert_allclose(page.call("fromNoise", noise), z, atol=1e-4)

    def assert_drawn_at(temperature):
        page.settle()
        expected = flow.from_noise(temperature * page.noise()[np.newaxis]).numpy()
        np.testing.assert_allclose(page.latents(), expected[0], atol=1e-4)
        within = np.clip(page.latents(), *np.transpose(RANGES))
        np.testing.assert_allclose(page.sliders(), within, atol=0.033)  # a step
        assert_shows(page, keras(page.latents()[np.newaxis])[0])

    first = page.noise()
    page.press("r")
    assert np.abs(page.noise() - first).min() > 0
    assert_drawn_at(1.0)
    warmth = page.find("#temperature input")
    for key, temperature in (("END", 1.5), ("HOME", 0), ("ARROW_RIGHT", 0.05)):
        warmth.send_keys(getattr(page.keys, key))
        assert_drawn_at(temperature)
    page.find("#random").click()
    assert_drawn_at(0.05)
    # Dragging stays in latents.
    before = page.latents()
    page.find("#latents label:nth-of-type(2) input").send_keys(page.keys.HOME)
    page.settle()
    np.testing.assert_array_equal(page.latents(), [before[0], -2.5, *before[2:]])
    log = driver.get_log("browser")
    assert [entry for entry in log if entry["level"] == "SEVERE"] == []


@pytest.mark.slow
@pytest.mark.current_stack
def test_the_way_between_two_points_leads_through_latents_or_noise(drawn, open_page):
    folder, keras, flow = drawn
    page = open_page(folder)
    ends = []
    for name, key in (("a", page.keys.HOME), ("b", page.keys.END)):
        for slider in page.find_all("#latents input"):
            slider.send_keys(key)
        page.press(name)
        ends.append(page.latents())
    noise = flow.to_noise(np.stack(ends)).numpy()
    blend, box = page.find("#blend input"), page.find("#through-noise")
    page.click(blend, share=0.3)
    page.settle()
    share = page.run("return arguments[0].valueAsNumber", blend)
    assert 0.2 < share < 0.4
    straight = page.latents()
    np.testing.assert_allclose(
        straight, (1 - share) * ends[0] + share * ends[1], atol=1e-5
    )
    box.send_keys(" ")  # ticks it, and does not play
    page.settle()
    assert page.find("#play").get_attribute("aria-pressed") == "false"
    expected = flow.from_noise(((1 - share) * noise[0] + share * noise[1])[np.newaxis])
    np.testing.assert_allclose(page.latents(), expected[0], atol=1e-4)
    assert np.abs(page.latents() - straight).max() > 1
    assert_shows(page, keras(page.latents()[np.newaxis])[0])
    for key, end in (("HOME", ends[0]), ("END", ends[1])):
        blend.send_keys(getattr(page.keys, key))
        page.settle()
        np.testing.assert_allclose(page.latents(), end, atol=1e-4)


@pytest.mark.slow
@pytest.mark.current_stack
@pytest.mark.parametrize(
    ("kind", "choices"),
    [
        (
            "classes",
            [("7", [0, 0, 1]), ("5 o Clock", [0, 1, 0]), ("any class", [0, 0, 0])],
        ),
        (
            "attributes",
            [
                ("with 7", [0, 0, 1]),
                ("without Sad", [-1, 0, 1]),
                ("with or without 7", [-1, 0, 0]),
            ],
        ),
    ],
)
def test_what_is_asked_for_changes_and_the_noise_stays(
    asked, drawn, open_page, choices
):
    folder, flow = asked
    page = open_page(folder)
    page.press("r")
    assert page.find("#asking").is_displayed()
    row, before = np.zeros(3), page.latents()
    noise = page.noise()[np.newaxis]
    np.testing.assert_allclose(before, flow.from_noise(noise)[0], atol=1e-4)
    for name, wanted in choices:
        page.run("arguments[0].click()", page.find(f"#asking [aria-label='{name}']"))
        page.settle()
        wanted = np.float32([wanted])
        expected = flow.given(wanted).from_noise(noise).numpy()[0]
        np.testing.assert_allclose(page.latents(), expected, atol=1e-3)
        assert np.abs(page.latents() - before).max() > 0.05
        assert_shows(page, drawn[1](page.latents()[np.newaxis])[0])
        row, before = wanted, page.latents()
    page.press("r")  # another noise, the same asked for
    expected = flow.given(row).from_noise(page.noise()[np.newaxis])
    np.testing.assert_allclose(page.latents(), expected[0], atol=1e-4)
    page.press("0")
    assert page.run("return document.querySelectorAll('#asking input:checked').length")
    for checked in page.run(
        "return [...document.querySelectorAll('#asking :checked')]"
    ):
        assert checked.get_attribute("aria-label").startswith(
            ("any", "with or without")
        )
    page.press("r")  # whatever comes
    expected = flow.from_noise(page.noise()[np.newaxis])
    np.testing.assert_allclose(page.latents(), expected[0], atol=1e-4)
    # A radio button that has the focus keeps the space bar.
    page.find("#asking input").send_keys(" ")
    assert page.find("#play").get_attribute("aria-pressed") == "false"


@pytest.mark.slow
@pytest.mark.current_stack
@pytest.mark.parametrize("kind", ["classes"])
def test_the_javascript_of_the_report_asks_for_a_label(asked, drawn, open_page):
    folder, flow = asked
    noise = np.random.default_rng(0).normal(size=(1, 5)).astype(np.float32)
    label = np.float32([[0, 1, 0]])
    found = drawn_by_javascript(
        folder, open_page, f"generate({noise[0].tolist()}, {label[0].tolist()})"
    )
    expected = drawn[1](flow.given(label).from_noise(noise).numpy())[0]
    np.testing.assert_allclose(found, expected.repeat(3, axis=-1), atol=1 / 255)


@pytest.mark.slow
@pytest.mark.current_stack
def test_without_a_learned_prior_latents_are_the_noise(digits, open_page):
    page = open_page(digits[0])
    assert not page.find("#through-noise").is_displayed()
    page.press("r")
    page.find("#temperature input").send_keys(page.keys.END)
    page.settle()
    np.testing.assert_allclose(page.latents(), 1.5 * page.noise(), rtol=1e-6)
    assert_shows(page, digits[1](page.latents()[np.newaxis])[0])


@pytest.mark.slow
@pytest.mark.current_stack
@pytest.mark.parametrize("accelerator", ["wasm", "webgpu"])
@pytest.mark.parametrize("learned", [False, True])
def test_the_javascript_of_the_report_draws_as_keras_does(
    digits, drawn, open_page, driver, tmp_path, learned, accelerator
):
    source, keras, flow = drawn if learned else (*digits, None)
    if accelerator == "webgpu" and not has_webgpu(driver, open_page, source):
        pytest.skip("needs a WebGPU adapter")
    folder = tmp_path / "export"
    shutil.copytree(source, folder, copy_function=os.link)
    function = "generate" if learned else "decode"
    noise = np.random.default_rng(0).normal(size=(1, 5)).astype(np.float32)
    call = f"{function}({noise[0].tolist()})"
    found = drawn_by_javascript(folder, open_page, call, accelerator)
    z = flow.from_noise(noise).numpy() if learned else noise
    np.testing.assert_allclose(found, keras(z)[0].repeat(3, axis=-1), atol=1 / 255)


def has_webgpu(driver, open_page, folder) -> bool:
    open_page(folder)  # only pages of a server have it
    return driver.execute_async_script(
        "navigator.gpu.requestAdapter().then((found) => arguments[0](found !== null))"
    )


def drawn_by_javascript(folder, open_page, call, accelerator="wasm"):
    """What a call of the report's code draws, [28, 28, 3] in [0, 1]."""
    manifest = {"prior": {}, **read_json(folder / "manifest.json")}
    for variant in manifest["variants"]:
        variant |= {"encoder": None, "generator": variant.get("generator")}
        variant["gpu"] = {key: {"whole": True} for key in ("decoder", "generator")}
    first = manifest["variants"][0]
    taken = {"variant": first["name"], "file": first["generator"] or first["decoder"]}
    manifest["recommended"] = {"cpu": taken, "gpu": None}
    code = snippets(manifest)["javascript"].code
    assert 'accelerator = "wasm"' in code
    code = code.replace('accelerator = "wasm"', f'accelerator = "{accelerator}"')
    more = f"window.whole = model.isFullyAccelerated;window.picture = await {call};"
    page = open_snippet(
        folder, open_page, f"{code.removesuffix('</script>')}{more}</script>"
    )
    # A GPU in software takes its time where other work is done, too.
    page.wait("return window.picture !== undefined", seconds=100)
    assert page.run("return window.whole")
    pixels = page.run("return [...picture.data]")
    return np.reshape(pixels, (28, 28, 4))[..., :3] / 255


def open_snippet(folder, open_page, code):
    """Opens the report's code for browsers where npm has been."""
    (folder / "index.html").unlink(missing_ok=True)
    (folder / "index.html").write_text(code)
    (folder / "node_modules").symlink_to(CHECKOUT_DIR / "node_modules")
    return open_page(folder, is_ours=False)  # ours forbids scripts inside of pages


@pytest.mark.slow
@pytest.mark.current_stack
def test_two_photos_become_the_same_pictures_wherever_they_morph(open_page, tmp_path):
    photos = [tmp_path / "a.png", tmp_path / "b.jpg"]
    for path, index in zip(photos, (3, 8), strict=True):
        write_on_paper(path, index)
    folder, run = tmp_path / "export", "--run_dir=pretrained:mnist_dfc_vae"
    given = ("--quantize=float32", "--signatures=decode,encode", "--saved_model=no")
    given += ("--accelerator=none", "--web", f"--output_dir={folder}")
    assert run_here(export, run, *given) == 0
    ways = {}
    ends = (f"--start={photos[0]}", f"--end={photos[1]}")
    assert (
        run_here(interpolate, run, *ends, f"--output={tmp_path}/way", "--scale=1") == 0
    )
    ways["program"] = [
        read_picture(path).pixels for path in sorted((tmp_path / "way").iterdir())
    ]
    page = open_page(folder)
    page.give("a", photos[0])
    page.give("b", photos[1])
    ways["page"] = []
    for step in range(11):
        page.run(
            "const input = document.querySelector('#blend input');"
            f"input.value = {step / 10}; input.dispatchEvent(new Event('input'));"
        )
        page.settle()
        ways["page"].append(page.canvas()[..., :1])
    found = snippets(read_json(folder / "manifest.json"))
    (folder / "morph.py").write_text(found["python_photos"].code)
    done = run_python("morph.py", *photos, cwd=folder)
    assert done.returncode == 0, done.stderr
    whole = read_picture(folder / "morph.png").pixels
    ways["python"] = np.split(whole, 11, axis=1)
    code = found["javascript_photos"].code.removesuffix("</script>")
    page = open_snippet(folder, open_page, f"{code}window.ready = true;</script>")
    page.wait("return window.ready")
    page.run(
        "window.draws = 0; const canvas = CanvasRenderingContext2D.prototype;"
        "const put = canvas.putImageData; canvas.putImageData = function (...all) {"
        "  put.apply(this, all); window.draws++; };"
    )
    for field, path in zip(page.find_all("input"), photos, strict=True):
        field.send_keys(str(path))
    page.wait("return window.draws === 11", seconds=60)
    ways["javascript"] = np.split(page.canvas("canvas")[..., :1], 11, axis=1)
    expected = np.stack(ways.pop("program")).astype(int)
    assert len(expected) == 11 and expected.std(axis=0).max() > 30
    for name, pictures in ways.items():
        assert np.abs(np.stack(pictures) - expected).max() <= 1, name


def write_on_paper(path, index):
    """A digit of the bundled sample as if a pen had written it on grey paper."""
    digit = Image.fromarray(read_arrays(SAMPLE_PATH)["test_images"][index].squeeze())
    digit = np.asarray(digit.resize((300, 320), Image.Resampling.BICUBIC), np.float32)
    paper = np.random.default_rng(index).normal(210, 3, digit.shape)
    Image.fromarray(np.clip(paper - 0.7 * digit, 0, 255).astype(np.uint8)).save(path)


def run_file(path, **inputs):
    """What Python's runtime makes of one row, by the results' names."""
    runner = tf.lite.Interpreter(str(path)).get_signature_runner()
    rows = {name: np.float32(value)[np.newaxis] for name, value in inputs.items()}
    return {name: result[0] for name, result in runner(**rows).items()}


@pytest.mark.slow
@pytest.mark.current_stack
def test_the_encoder_gets_what_training_gets_of_photos(colour, open_page, tmp_path):
    random = np.random.default_rng(0)
    coarse = Image.fromarray(random.integers(0, 256, (9, 12, 3), np.uint8))
    turned, clear, large, one, same = (
        tmp_path / name
        for name in ("turned.jpg", "clear.png", "large.png", "1x1.png", "20x12.png")
    )
    exif = Image.Exif()
    exif[0x0112] = 6  # a quarter to the right
    coarse.resize((90, 60), Image.Resampling.BICUBIC).save(
        turned, quality=95, exif=exif
    )
    ramp = Image.linear_gradient("L").resize((80, 70))
    Image.merge("RGBA", (*coarse.resize((80, 70)).split(), ramp)).save(clear)
    coarse.resize((3000, 2000)).save(large)
    Image.new("RGB", (1, 1), (200, 30, 90)).save(one)
    coarse.resize((12, 20)).save(same)
    page = open_page(colour)
    for path in (turned, clear, large, one, same):
        page.give("a", path)
        pixels = read_picture(path).pixels
        expected = prepare_image(tf.constant(pixels), (20, 12, 3), "center").numpy()
        found = page.canvas("#seen-a canvas")
        assert np.abs(found.astype(int) - expected).max() <= 1, path
        encoder = colour / "encoder_float32.tflite"
        z = run_file(encoder, image=found / np.float32(255))["z_mean"]
        np.testing.assert_allclose(page.latents(), z, atol=1e-4)
    # A part goes by its shares, also of a picture of the right size.
    part = dict(zip(("top", "left", "height", "width"), PARTS["hou"], strict=True))
    part |= dict(zip(("of_height", "of_width"), CROP_FRAME, strict=True))
    crops = {
        "none": ({"crop": "none"}, pixels),
        "hou": ({"crop": "part", "part": part}, pixels),
    }
    for crop, (changes, pixels) in crops.items():
        values, _ = prepare_in_browser(page, pixels, (20, 12, 3), **changes)
        expected = prepare_image(tf.constant(pixels), (20, 12, 3), crop).numpy()
        np.testing.assert_allclose(values * 255, expected, atol=1.001)


def prepare_in_browser(page, pixels, image_shape, **changes):
    """Runs photo.js on RGB of [H, W, 3] uint8; the encoder's input and the note."""
    height, width, channels = image_shape
    manifest = {
        "image": {"height": height, "width": width, "channels": channels},
        "preprocessing": PREPROCESSING | changes,
    }
    values, note = page.driver.execute_async_script(
        "const [manifest, rgb, height, width, done] = arguments;"
        "const read = (left, top, w, h) => {"
        "  const part = new Uint8ClampedArray(w * h * 4);"
        "  for (let i = 0; i < w * h; i++) {"
        "    const at = (top + Math.floor(i / w)) * width + left + (i % w);"
        "    part.set(rgb.slice(at * 3, at * 3 + 3), i * 4);"
        "  }"
        "  return part; };"
        "import('./photo.js').then(({ preparePhoto }) => {"
        "  const { values, note } = preparePhoto({ height, width, read }, manifest);"
        "  done([[...values], note]); });",
        manifest,
        pixels.ravel().tolist(),
        *pixels.shape[:2],
    )
    return np.reshape(values, image_shape), note


@pytest.mark.slow
@pytest.mark.current_stack
def test_photos_get_the_ground_of_the_training_data(colour, open_page):
    page = open_page(colour)
    random = np.random.default_rng(1)
    picture = np.full((28, 28, 1), 190, np.uint8)
    picture[8:20, 8:20] = random.integers(20, 150, (12, 12, 1))
    rgb = picture.repeat(3, axis=-1)
    x = picture / 255
    lifted = np.clip((x - x.min()) / (190 / 255 - x.min()), 0, 1)
    for ground, pixels, expected, words in [
        ("dark", rgb, 1 - lifted, "dark on light: inverted"),
        ("light", rgb, lifted, "light ground: stretched"),
        ("light", 255 - rgb, lifted, "light on dark: inverted"),
        ("dark", np.full_like(rgb, 255), 0 * x, "dark on light: inverted"),
        (None, rgb, x, ""),
    ]:
        values, note = prepare_in_browser(
            page, pixels, (28, 28, 1), ground=ground, grey_weights=GREY_WEIGHTS
        )
        np.testing.assert_allclose(values, expected, atol=1e-6)
        assert note == words


@pytest.mark.slow
@pytest.mark.current_stack
def test_two_photos_morph_and_what_is_none_is_said(colour, open_page, tmp_path):
    page = open_page(colour)
    asked = "return performance.getEntriesByType('resource').map((e) => e.name).join()"
    assert "encoder" not in page.run(asked)
    random = np.random.default_rng(2)
    means = []
    for which in ("a", "b"):
        path = tmp_path / f"{which}.png"
        pixels = random.integers(0, 256, (20, 12, 3), np.uint8)
        Image.fromarray(pixels).save(path)
        page.give(which, path)
        encoder = colour / "encoder_float32.tflite"
        means.append(run_file(encoder, image=pixels / np.float32(255))["z_mean"])
    page.run(
        "const input = document.querySelector('#blend input');"
        "input.value = 0.5; input.dispatchEvent(new Event('input'));"
    )
    page.settle()
    expected = run_file(colour / "decoder_float32.tflite", z=np.mean(means, axis=0))
    assert_shows(page, expected["image"])
    label = page.find("#picture").get_attribute("aria-label")
    assert label == "Picture decoded from 4 latents, half way from A to B"
    (tmp_path / "note.txt").write_text("hello")
    page.give("a", tmp_path / "note.txt")
    assert page.text("status") == "note.txt is no picture that this browser can read."
    assert page.find("#seen-a").is_displayed()
    page.press("a")
    assert not page.find("#seen-a").is_displayed()
    assert_shows(page, expected["image"])


@pytest.mark.slow
@pytest.mark.current_stack
def test_a_link_restores_latents(digits, open_page, driver):
    folder, keras = digits
    page = open_page(folder)
    assert not page.find("#photos").is_displayed()  # an export that cannot encode
    page.press("r")
    z = page.latents()
    page.find("#copy-link").click()
    link = page.run("return location.href")
    page.press("r")
    assert np.abs(page.latents() - z).min() > 0
    driver.get("about:blank")
    driver.get(link)
    page.wait("return !document.body.classList.contains('loading')")
    page.wait("return document.getElementById('picture').ariaLabel.endsWith('link')")
    page.settle()
    np.testing.assert_array_equal(page.latents(), z)
    assert_shows(page, keras(z[np.newaxis])[0])
    for wrong in ("#z=1,2", "#z=1,2,3,4,x", "#z=1,,3,4,5", "#z=1,2,3,4,1e99", "#y"):
        page.run("location.hash = arguments[0]", wrong)
        page.wait("return document.getElementById('status').textContent")
        assert "address" in page.text("status")
        np.testing.assert_array_equal(page.latents(), z)
        page.run("document.getElementById('status').textContent = ''")
    page.run("location.hash = '#z=0,3.75,-1234,0,0'")
    page.wait("return document.querySelector('.slider.below')")
    beyond = page.run(
        "return [...document.querySelectorAll('#latents .slider')]"
        ".map((slider) => [slider.className, slider.textContent])"
    )
    assert beyond[1] == ["slider above", "z13.75"]
    assert beyond[2] == ["slider below", "z2−1.2e+3"]


@pytest.mark.slow
@pytest.mark.current_stack
def test_a_gpu_is_tried_and_left_where_it_is_slower(digits, open_page, driver):
    """One in software, that does not say so."""
    script = (
        "Object.defineProperty(GPUAdapterInfo.prototype, 'isFallbackAdapter', "
        "{get() { window.asked = true; return false; }})"
    )
    before = driver.execute_cdp_cmd(
        "Page.addScriptToEvaluateOnNewDocument", {"source": script}
    )
    try:
        page = open_page(digits[0])
    finally:
        driver.execute_cdp_cmd(
            "Page.removeScriptToEvaluateOnNewDocument",
            {"identifier": before["identifier"]},
        )
    page.wait("return window.asked")
    z = page.latents()[np.newaxis]
    np.testing.assert_allclose(page.decode(z)[0], digits[1](z).ravel(), atol=1e-4)
    assert page.text("ran") == "WebAssembly on the CPU"


@pytest.mark.slow
@pytest.mark.current_stack
def test_webgpu_decodes_alike(digits, open_page):
    folder, keras = digits
    page = open_page(folder)
    assert page.text("ran") == "WebAssembly on the CPU"  # faster than a GPU in software
    page.pick("accelerator", "webgpu")
    if page.text("status") == "This browser finds no GPU for WebGPU.":
        assert page.find("#accelerator").get_property("value") == "wasm"
        pytest.skip("needs a WebGPU adapter")
    assert page.text("status") == ""
    assert page.text("ran") == "every operator on the GPU"
    z = page.latents()[np.newaxis]
    np.testing.assert_allclose(page.decode(z)[0], keras(z).ravel(), atol=1e-4)
    assert_shows(page, keras(z)[0])


@pytest.mark.slow
@pytest.mark.current_stack
def test_a_browser_with_fewer_features_decodes_alike(digits, open_page, driver):
    folder, keras = digits
    before = driver.execute_cdp_cmd(
        "Page.addScriptToEvaluateOnNewDocument", {"source": FEWER_FEATURES}
    )
    try:
        page = open_page(folder)
    finally:
        driver.execute_cdp_cmd("Page.removeScriptToEvaluateOnNewDocument", before)
    z = np.random.default_rng(1).normal(size=(5, 5)).astype(np.float32)
    np.testing.assert_allclose(page.decode(z), keras(z).reshape(5, -1), atol=1e-5)


@pytest.mark.slow
@pytest.mark.current_stack
def test_saves_the_picture_as_png(digits, open_page, driver, tmp_path):
    page = open_page(digits[0])
    driver.execute_cdp_cmd(
        "Browser.setDownloadBehavior",
        {"behavior": "allow", "downloadPath": str(tmp_path)},
    )
    page.press("s")
    path = tmp_path / "some_run-float32.png"
    deadline = time.monotonic() + 10
    while not path.is_file() and time.monotonic() < deadline:
        time.sleep(0.02)
    np.testing.assert_allclose(read_picture(path).pixels, page.canvas(), atol=1e-3)


@pytest.mark.slow
@pytest.mark.current_stack
def test_no_request_leaves_the_server(digits, open_page, driver):
    driver.get_log("browser")
    page = open_page(digits[0])
    page.press("r")
    page.pick("variant", "float16")
    events = [
        json.loads(entry["message"])["message"]
        for entry in driver.get_log("performance")
    ]
    urls = [
        urlsplit(event["params"]["request"]["url"])
        for event in events
        if event["method"] == "Network.requestWillBeSent"
    ]
    assert {url.hostname for url in urls} == {"127.0.0.1"}
    assert "/decoder_float16.tflite" in {url.path for url in urls}
    messages = [entry["message"] for entry in driver.get_log("browser")]
    assert not [m for m in messages if "Content Security Policy" in m or "404" in m]


@pytest.mark.slow
@pytest.mark.current_stack
@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("manifest.json", None, "manifest.json is missing from this folder."),
        ("manifest.json", "{", "not JSON: this is no finished export."),
        (
            "manifest.json",
            '{"format_version": 2}',
            "format 2; this page reads format 1",
        ),
        ("manifest.json", '{"format_version": 1}', "no usable latent.dim."),
        ("decoder_float32.tflite", None, "decoder_float32.tflite is missing"),
        ("decoder_float32.tflite", "cut", "has 3 bytes, but "),
        (f"litert/wasm/{web.WASM_BUILD}.js", None, "in litert/wasm/ is missing"),
        (f"litert/wasm/{web.WASM_BUILD}.wasm.gz", None, "in litert/wasm/ is missing"),
    ],
)
def test_errors_are_shown_in_words(digits, open_page, tmp_path, name, content, words):
    folder = tmp_path / "export"
    shutil.copytree(digits[0], folder, copy_function=os.link)
    (folder / name).unlink()
    if content:
        (folder / name).write_text(content)
    page = open_page(folder)
    assert words in page.text("status")
    assert page.find("#status").is_displayed()


@pytest.mark.slow
@pytest.mark.current_stack
def test_a_prior_that_is_missing_is_shown_in_words(drawn, open_page, tmp_path):
    folder = tmp_path / "export"
    shutil.copytree(drawn[0], folder, copy_function=os.link)
    (folder / "prior.tflite").unlink()
    page = open_page(folder)
    assert page.text("status") == "prior.tflite is missing from this folder."


@pytest.mark.slow
@pytest.mark.current_stack
def test_a_variant_that_fails_leaves_the_one_in_use(digits, open_page, tmp_path):
    folder = tmp_path / "export"
    shutil.copytree(digits[0], folder, copy_function=os.link)
    size = (folder / "decoder_float16.tflite").stat().st_size
    (folder / "decoder_float16.tflite").unlink()
    (folder / "decoder_float16.tflite").write_bytes(bytes(size))
    page = open_page(folder)
    page.pick("variant", "float16")
    assert "decoder_float16.tflite does not run here" in page.text("status")
    assert page.find("#variant").get_property("value") == "float32"
    page.press("r")
    assert_shows(page, digits[1](page.latents()[np.newaxis])[0])


@pytest.mark.slow
@pytest.mark.current_stack
def test_shapes_colours_and_attributes_come_from_the_manifest(
    driver, open_page, tmp_path
):
    random = np.random.default_rng(2)
    z = tf.keras.Input([100])
    flat = tf.keras.layers.Dense(6 * 8 * 3, activation="sigmoid")(z)
    model = tf.keras.Model(z, tf.keras.layers.Reshape([6, 8, 3])(flat))
    kernel, bias = (random.normal(size=w.shape) / 3 for w in model.get_weights())
    model.set_weights([kernel, bias])
    directions = {"Wearing_Hat": random.normal(size=100), "Smiling": np.eye(100)[3]}
    write_manifest(
        tmp_path,
        convert(model, model, 100, tmp_path),
        [[-2.0, 2.0]] * 100,
        (6, 8, 3),
        attributes={name: list(values) for name, values in directions.items()},
    )
    web.write_web_page(tmp_path, CHECKOUT_DIR)
    driver.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": 390, "height": 844, "deviceScaleFactor": 2, "mobile": True},
    )
    with contextlib.ExitStack() as stack:
        stack.callback(
            driver.execute_cdp_cmd, "Emulation.clearDeviceMetricsOverride", {}
        )
        page = open_page(tmp_path)
        # On a phone: nothing is cut off at the side, every slider can be used.
        overflow, narrowest = page.run(
            "return [document.documentElement.scrollWidth - innerWidth,"
            "Math.min(...[...document.querySelectorAll('.sliders input')]"
            ".map((input) => input.clientWidth))]"
        )
        assert overflow == 0 and narrowest > 80
        base = page.latents()
        page.find("#attributes label:nth-of-type(1) input").send_keys(page.keys.END)
        page.find("#attributes label:nth-of-type(2) input").send_keys(page.keys.HOME)
        page.settle()
        strengths = page.sliders("attributes")
        assert strengths[0] > 0 and strengths[1] == -2.0
        expected = base + strengths @ np.stack(list(directions.values()))
        np.testing.assert_allclose(page.latents(), expected, atol=1e-5)
        image = 1 / (1 + np.exp(-(expected @ kernel + bias)))
        assert_shows(page, image.reshape(6, 8, 3))
        assert page.text("facts") == "100 latents, 8 × 6 pixels, colour"
