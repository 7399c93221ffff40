"""Code in reports: what it says of GPUs, how it prepares photos, and the Kotlin.

Android has stand-ins. `test_export` runs the Python, `test_web` the JavaScript.
"""

import os
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from dfcvae_tf.data.ground import put_on
from dfcvae_tf.data.prepare import CROP_FRAME, GREY_WEIGHTS, PARTS, prepare_image
from dfcvae_tf.exporting.snippets import snippets
from dfcvae_tf.picture_files import read_picture

STAND_INS = sorted((Path(__file__).parent / "kotlin").glob("*.kt"))
# Height, width and channels, and how photos become that: all the ways there are.
PREPARED = {
    "none": ((2, 2, 3), "none", "black", None),
    "dark": ((9, 6, 1), "center", "white", "dark"),
    "light": ((7, 8, 1), "none", "black", "light"),
    "part": ((5, 5, 3), "hou", "white", None),
    "grey": ((28, 28, 1), "center", "black", None),
}


def manifest(
    network="decoder",
    shape=(2, 2, 3),
    batch_size=1,
    labels=None,
    whole=True,
    preprocessing=None,
):
    """What snippets take of a manifest: 3 latents; with an encoder for `preprocessing`."""
    files = {"decoder": "decoder_float32.tflite", "generator": None, "encoder": None}
    files[network] = f"{network}_float32.tflite"
    if preprocessing is not None:
        files["encoder"] = "encoder_float32.tflite"
    prior = {} if labels is None else {"labels": {"kind": "classes", "names": labels}}
    taken = {"variant": "float32", "file": files[network]}
    gpu = {name: {"whole": whole} for name in files}
    height, width, channels = shape
    return {
        "variants": [{"name": "float32", **files, "gpu": gpu}],
        "recommended": {"cpu": taken, "gpu": taken if whole else None},
        "latent": {"dim": 3},
        "image": {"height": height, "width": width, "channels": channels},
        "batch_size": batch_size,
        "prior": prior,
        "preprocessing": preprocessing,
    }


def of_photos(name):
    """The manifest of one of `PREPARED`."""
    shape, crop, background, ground = PREPARED[name]
    part = None
    if crop in PARTS:
        part = dict(zip(("top", "left", "height", "width"), PARTS[crop], strict=True))
        part |= dict(zip(("of_height", "of_width"), CROP_FRAME, strict=True))
    preprocessing = {
        "background": background,
        "crop": "part" if part else crop,
        "part": part,
        "resize": "bilinear, antialiased",
        "grey_weights": list(GREY_WEIGHTS),
        "ground": ground,
    }
    return manifest(shape=shape, preprocessing=preprocessing)


@pytest.fixture(name="photo")
def _photo(tmp_path):
    """A photo that is transparent in part: ink on paper, on an uneven edge."""
    random = np.random.default_rng(0)
    pixels = np.full((61, 43, 4), 255, np.uint8)
    pixels[..., :3] = random.integers(150, 200, (61, 43, 3))
    pixels[20:40, 10:30, :3] = random.integers(20, 120, (20, 20, 3))
    pixels[50:, 30:, 3] = random.integers(100, 256, (11, 13))
    Image.fromarray(pixels).save(tmp_path / "photo.png")
    return tmp_path / "photo.png"


def prepared(name, photo):
    """What the encoder of one of `PREPARED` gets in training of a photo."""
    shape, crop, background, ground = PREPARED[name]
    pixels = read_picture(photo, background).pixels
    image = prepare_image(tf.constant(pixels), shape, crop).numpy() / np.float32(255)
    return put_on(image, ground)[0]


@pytest.mark.parametrize("name", PREPARED)
def test_the_python_of_the_report_prepares_photos_as_training_does(name, photo):
    encoder_input = function_of_report(name)
    image = encoder_input(photo)
    assert image.shape == PREPARED[name][0] and image.dtype == np.float32
    np.testing.assert_allclose(image, prepared(name, photo), atol=1e-6)


def test_the_python_of_the_report_reads_16_bits_a_value(tmp_path):
    values = np.random.default_rng(0).integers(0, 65536, (28, 28), np.uint16)
    Image.fromarray(values).save(tmp_path / "16.png")
    image = function_of_report("grey")(tmp_path / "16.png")
    np.testing.assert_allclose(image[..., 0], values / 65535, atol=0.6 / 255)


def function_of_report(name):
    """`encoder_input` of the report for one of `PREPARED`."""
    code = snippets(of_photos(name))["python_photos"].code
    function, _ = code.split("\nencode = ")
    function = function.replace(
        "from ai_edge_litert.interpreter import Interpreter\n", ""
    )
    names = {}
    exec(function, names)  # noqa: S102
    return names["encoder_input"]


def test_code_for_gpus_is_of_files_that_they_take_whole():
    whole, not_whole = snippets(manifest()), snippets(manifest(whole=False))
    assert set(whole) == {"python", "python_gpu", "kotlin", "javascript"}
    assert set(not_whole) == set(whole) - {"python_gpu"}
    assert "accelerator: Accelerator = Accelerator.GPU" in whole["kotlin"].code
    assert "accelerator: Accelerator = Accelerator.CPU" in not_whole["kotlin"].code
    for name in ("kotlin", "javascript"):
        assert "GPUs do not take all of it" in not_whole[name].code
    assert 'with "webgpu" all of it' in whole["javascript"].code


def test_code_that_draws_takes_what_is_recommended_and_of_photos_the_most_exact():
    found = of_photos("none")
    (first,) = found["variants"]
    small = {
        name: file and file.replace("32", "16")
        for name, file in first.items()
        if name != "gpu"
    }
    found["variants"].append(small | {"gpu": first["gpu"]})
    taken = {"variant": "float16", "file": "decoder_float16.tflite"}
    found["recommended"] = {"cpu": taken, "gpu": taken}
    for name, snippet in snippets(found).items():
        used = re.findall(r"coder_(\w+)\.tflite", snippet.code)
        assert set(used) == {"float32" if name.endswith("photos") else "float16"}


def test_without_a_generator_noise_goes_through_the_prior_first():
    found = manifest(labels=["a", "b"])
    found["prior"]["file"] = "prior.tflite"
    code = {name: snippet.code for name, snippet in snippets(found).items()}
    for name in ("python", "python_gpu"):
        assert "z = from_noise(noise=noise, label=label)" in code[name]
    assert "await prior.run(" in code["javascript"]
    assert "3 numbers, from `from_noise` of prior.tflite" in code["kotlin"]
    assert not any("from_noise" in s.code for s in snippets(manifest()).values())


@pytest.mark.slow
@pytest.mark.current_stack
def test_the_kotlin_of_the_report_draws_on_what_is_asked_for_and_closes_all(
    photo, tmp_path
):
    kotlinc, java = shutil.which("kotlinc"), shutil.which("java")
    if not kotlinc or not java:
        pytest.skip("needs kotlinc and java")
    codes = {
        "decoder": snippets(manifest())["kotlin"].code,
        "generator": snippets(
            manifest("generator", (2, 2, 1), batch_size=2, labels=["a", "b"])
        )["kotlin"].code,
    }
    for name in ("none", "dark", "light", "part"):
        code = snippets(of_photos(name))["kotlin_photos"].code
        codes[name] = f"package {name}\n{code}"
    for name, code in codes.items():
        (tmp_path / f"{name}.kt").write_text(code)
    sources = [*STAND_INS, *(tmp_path / f"{name}.kt" for name in codes)]
    subprocess.run(
        [kotlinc, *sources, "-include-runtime", "-d", tmp_path / "all.jar"],
        # It ends before it has gained by better code of its own.
        env={**os.environ, "JAVA_OPTS": "-Xmx256M -XX:TieredStopAtLevel=1"},
        check=True,
    )
    with Image.open(photo) as picture:
        red, green, blue, alpha = np.moveaxis(np.asarray(picture, np.int64), -1, 0)
        argb = (alpha << 24 | red << 16 | green << 8 | blue).ravel()
        numbers = " ".join(map(str, [picture.width, *argb]))
    (tmp_path / "photo.txt").write_text(numbers)
    done = subprocess.run(
        [java, "-cp", tmp_path / "all.jar", "MainKt", tmp_path / "photo.txt"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    *drawn, dark, light, part = done.stdout.splitlines()
    # Twelve values from 0 to 1 and to 1/2, four from 0 to 2 * 1/2, a label of zeros, and
    # from 0 to 1.5 times the sum of a photo that fades.
    assert drawn == [
        "ff00172e ff465d74 ff8ba2b9 ffd1e8ff",
        "ff000c17 ff232e3a ff46515d ff687480",
        "ff000000 ff555555 ffaaaaaa ffffffff",
        "ff000000 ff000000 ff000000 ff000000",
        "ff000e1c ff2a3846 ff53616f ff7d8b99",
        "ff00070e ff151c23 ff2a3138 ff3f464d",
        "ff000000 ff000000 ff000000 ff000000",
        "[GPU, CPU, GPU, GPU] 0",
    ]
    for name, line in (("dark", dark), ("light", light), ("part", part)):
        found = np.reshape(np.fromstring(line, np.float32, sep=" "), PREPARED[name][0])
        np.testing.assert_allclose(found, prepared(name, photo), atol=1.5 / 255)
