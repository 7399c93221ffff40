"""The export, as its users run it."""

import contextlib
import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter

from dfcvae_tf import export
from dfcvae_tf.checkpoints import load_for_inference
from dfcvae_tf.data.mnist_sample import SAMPLE_PATH
from dfcvae_tf.exporting.accelerator import find_device
from dfcvae_tf.exporting.runtime import TFLiteFunction
from dfcvae_tf.files import read_arrays, write_arrays
from dfcvae_tf.models.flow import initial_parameters
from dfcvae_tf.perceptual.classifiers import load_classifier
from dfcvae_tf.picture_files import read_picture
from dfcvae_tf.prior_file import save_prior
from dfcvae_tf.run_dir import RunDir, resolve
from tests.programs import run_here, run_python

PRETRAINED = "pretrained:mnist_dfc_vae"


def broken_run(path: Path, weight: str) -> RunDir:
    """The bundled run with one weight that is not finite."""
    run = RunDir(shutil.copytree(resolve(PRETRAINED).path, path))
    arrays = read_arrays(run.weights)
    arrays[weight][...] = np.nan
    write_arrays(run.weights, arrays)
    run.prior.unlink()  # it was fitted to the weights as they were
    return run


def with_prior(path: Path, **changes) -> RunDir:
    """The bundled run with a flow as its prior; some parameters are times a number."""
    run = RunDir(shutil.copytree(resolve(PRETRAINED).path, path))
    parameters = initial_parameters(np.zeros(5), np.ones(5), seed=0)
    for name, factor in changes.items():
        parameters[name] *= np.float32(factor)
    save_prior(run, "flow", parameters, {})
    return run


def test_a_prior_of_nan_or_of_other_weights_is_one_line(tmp_path, capsys):
    of_nan = with_prior(tmp_path / "nan", shift_kernel=np.nan)
    other = with_prior(tmp_path / "other")
    arrays = read_arrays(other.weights)
    arrays["decoder/deconv1/kernel"] += 0.1
    write_arrays(other.weights, arrays)
    for run, words in ((of_nan, "not finite"), (other, "fitted to other weights")):
        before = sorted(os.listdir(run.path))
        assert run_here(export, f"--run_dir={run}") == 2
        error = capsys.readouterr().err
        assert error.startswith("error: ") and error.count("\n") == 1
        assert words in error and "fit_prior" in error
        assert sorted(os.listdir(run.path)) == before


@pytest.mark.slow
@pytest.mark.current_stack
def test_a_prior_that_fails_the_gate_is_said_in_a_line(tmp_path, capsys):
    run = with_prior(tmp_path / "run", shift_kernel=1e9)
    few = ("--quantize=float32", "--saved_model=no", "--accelerator=none")
    assert run_here(export, f"--run_dir={run}", *few) == 1
    *_, line = capsys.readouterr().err.splitlines()
    assert line.startswith("left out of the export: prior.tflite: ")
    files = {path.name for path in run.export.glob("*.tflite")}
    assert files == {"decoder_float32.tflite", "encoder_float32.tflite"}


def test_an_encoder_of_nan_is_one_line(tmp_path, capsys):
    run = broken_run(tmp_path / "run", "encoder/z_mean/bias")
    assert run_here(export, f"--run_dir={run}") == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ") and error.count("\n") == 1
    assert "encodes images to values that are not finite" in error


@pytest.mark.slow
def test_a_broken_decoder_is_exit_code_1_and_leaves_nothing(tmp_path, capsys):
    run = broken_run(tmp_path / "run", "decoder/deconv1/kernel")
    before = sorted(os.listdir(run.path))
    assert run_here(export, f"--run_dir={run}") == 1
    error = capsys.readouterr().err
    assert "not all values are finite; nothing was written" in error
    assert "Traceback" not in error
    assert sorted(os.listdir(run.path)) == before


@pytest.fixture(name="exported", scope="module")
def _exported(tmp_path_factory) -> Path:
    """The bundled DFC-VAE, exported with every default."""
    output = tmp_path_factory.mktemp("whole") / "export"
    done = run_python(
        "-m", "export", f"--run_dir={PRETRAINED}", f"--output_dir={output}"
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert "decoder_int8.tflite" in done.stdout
    return output


@pytest.fixture(name="model", scope="module")
def _model():
    return load_for_inference(PRETRAINED)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("variant", "max_error", "min_psnr_db", "max_bytes"),
    [
        ("float32", 1e-4, 100, 400e3),
        ("float16", 5e-3, 70, 200e3),
        ("dynamic", 0.3, 40, 150e3),
        ("int8", 0.3, 38, 150e3),
    ],
)
def test_every_decoder_of_the_bundled_run_matches_keras(
    exported, model, variant, max_error, min_psnr_db, max_bytes
):
    """With other latents and other code than the export's own checks."""
    path = exported / f"decoder_{variant}.tflite"
    assert path.stat().st_size < max_bytes
    decode = Interpreter(str(path)).get_signature_runner("decode")
    rng = np.random.default_rng(99)
    for z in (rng.standard_normal((300, 5)), rng.uniform(-4, 4, (300, 5))):
        z = z.astype(np.float32)
        expected = model.decoder(z).numpy()
        found = np.concatenate([decode(z=row[None])["image"] for row in z])
        assert np.abs(found - expected).max() <= max_error
        assert -10 * np.log10(np.square(found - expected).mean()) >= min_psnr_db


@pytest.mark.slow
def test_encoders_of_the_bundled_run_match_keras(exported, model):
    images = read_arrays(SAMPLE_PATH)["test_images"][-200:] / np.float32(255)
    z_mean, z_log_var = model.encoder(images)
    for variant, limit in (("float32", 1e-4), ("float16", 5e-3), ("int8", 0.5)):
        path = str(exported / f"encoder_{variant}.tflite")
        encode = Interpreter(path).get_signature_runner("encode")
        for index in range(0, 200, 10):
            found = encode(image=images[index : index + 1])
            for name, value in (("z_mean", z_mean), ("z_log_var", z_log_var)):
                np.testing.assert_allclose(found[name][0], value[index], atol=limit)


@pytest.mark.slow
def test_the_saved_model_needs_tensorflow_alone(exported, model, tmp_path):
    z = np.random.default_rng(3).standard_normal((4, 5)).astype(np.float32)
    np.save(tmp_path / "z.npy", z)
    code = (
        "import sys; sys.modules['dfcvae_tf'] = None\n"
        "import numpy as np, tensorflow as tf\n"
        f"model = tf.saved_model.load({str(exported / 'saved_model')!r})\n"
        "z = tf.constant(np.load('z.npy'))\n"
        "image = model.signatures['decode'](z=z)['image']\n"
        "encoded = model.signatures['encode'](image=image)\n"
        "assert set(encoded) == {'z_mean', 'z_log_var'}\n"
        "again = model.signatures['reconstruct'](image=image)['image']\n"
        "assert again.shape == image.shape == (4, 28, 28, 1)\n"
        "np.save('image.npy', image)\n"
    )
    done = run_python("-c", code, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    found = np.load(tmp_path / "image.npy")
    np.testing.assert_allclose(found, model.decoder(z), atol=1e-4)


@pytest.mark.slow
def test_the_python_of_the_report_makes_the_picture_it_says(exported, model, tmp_path):
    image = run_python_of_report(exported, "Python", tmp_path)
    noise = np.random.default_rng(0).standard_normal((1, 5)).astype(np.float32)
    nine = np.eye(10, dtype=np.float32)[[9]]
    taken = recommended_file(exported, "cpu")
    expected = TFLiteFunction(exported / taken, "generate", 2)(noise, nine)["image"]
    np.testing.assert_allclose(image, expected, atol=1e-6)
    assert np.abs(image - model.generate(noise, nine)).max() < 0.15
    found = read_picture(tmp_path / "image.png").pixels / np.float32(255)
    np.testing.assert_allclose(found, expected[0], atol=1 / 255)


def recommended_file(exported: Path, where: str) -> str:
    manifest = json.loads((exported / "manifest.json").read_text())
    return manifest["recommended"][where]["file"]


@pytest.mark.slow
def test_the_python_of_the_report_makes_the_same_on_a_gpu(exported, model, tmp_path):
    device = find_device("auto")
    if device is None:
        pytest.skip("needs a GPU, or Chromium's in software")
    title = "Python, on a GPU"
    image = run_python_of_report(exported, title, tmp_path, **device.environment)
    noise = np.random.default_rng(0).standard_normal((1, 5)).astype(np.float32)
    nine = np.eye(10, dtype=np.float32)[[9]]
    taken = recommended_file(exported, "gpu")
    expected = TFLiteFunction(exported / taken, "generate", 2)(noise, nine)["image"]
    np.testing.assert_allclose(image, expected, atol=1e-4)
    assert (tmp_path / "image.png").is_file()


def run_python_of_report(
    exported: Path, title: str, folder: Path, **environment: str
) -> np.ndarray:
    """Runs the code of a section as it stands; returns its `image`."""
    report = (exported / "REPORT.md").read_text()
    pattern = rf"^## {re.escape(title)}\n\n```python\n(.*?)```"
    (code,) = re.findall(pattern, report, re.DOTALL | re.MULTILINE)
    code += '\nnp.save("image.npy", image)\n'
    (folder / "snippet.py").write_text(code)
    for path in exported.glob("*.tflite"):
        (folder / path.name).symlink_to(path)
    done = run_python("snippet.py", cwd=folder, **environment)
    assert done.returncode == 0, done.stderr
    return np.load(folder / "image.npy")


@pytest.mark.slow
@pytest.mark.parametrize("variant", ["float32", "int8"])
def test_generators_draw_the_digit_that_is_asked_for(exported, variant):
    path = exported / f"generator_{variant}.tflite"
    noise = np.random.default_rng(0).standard_normal((1000, 5)).astype(np.float32)
    digits = np.arange(1000) % 10
    label = np.eye(10, dtype=np.float32)[digits]
    pictures = TFLiteFunction(path, "generate", 2)(noise, label)["image"]
    judge = load_classifier("mnist_judge")
    found = judge(tf.constant(pictures), training=False).numpy().argmax(-1)
    assert np.mean(found == digits) > 0.95


@pytest.mark.slow
def test_the_manifest_of_the_bundled_run(exported):
    manifest = json.loads((exported / "manifest.json").read_text())
    assert manifest["rejected"] == []
    assert manifest["trained"]["settings"]["preset"] == "mnist-dfc-vae"
    assert manifest["checks"]["num_images"] == 3000
    assert manifest["checks"]["num_latents"] >= 1000
    assert manifest["calibration"]["num_latents"] >= 256
    for variant in manifest["variants"]:
        latency = variant["latency"]["decoder"]
        assert latency["runs"] >= 200 and set(latency["median_ms"]) == {"1", "2"}
        quality = variant["quality"]["decoder"]
        assert quality["label_agreement"] > 0.96
    assert manifest["versions"]["tensorflow"] == tf.__version__


@pytest.mark.slow
def test_the_manifest_says_what_a_gpu_makes_of_every_file(exported):
    manifest = json.loads((exported / "manifest.json").read_text())
    device = find_device("auto")
    for variant in manifest["variants"]:
        assert set(variant["gpu"]) == {"decoder", "encoder", "generator"}
        for gpu in variant["gpu"].values():
            assert gpu["whole"] and gpu["refused"] == []
            assert gpu["device"] == (device and device.name)
            assert set(gpu["max_error"]) == (
                {"float32", "float16"} if device else set()
            )
    report = (exported / "REPORT.md").read_text()
    assert ("| GPU | whole; largest errors: float32" in report) == bool(device)


@pytest.mark.slow
@pytest.mark.current_stack
def test_a_full_disk_is_one_line_and_the_old_export_stays(exported, tmp_path):
    with contextlib.ExitStack() as stack:
        disk = tmp_path / "disk"
        disk.mkdir()
        # Room for the SavedModel of the new export, and for little more.
        used = sum(p.stat().st_size for p in exported.rglob("*") if p.is_file())
        mounted = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={used + 4_000_000}", "tmpfs", disk],
            capture_output=True,
            check=False,
        )
        if mounted.returncode:
            pytest.skip("needs the right to mount a small file system")
        stack.callback(subprocess.run, ["umount", "-l", disk], check=True)
        shutil.copytree(exported, disk / "export")
        before = (disk / "export" / "manifest.json").read_bytes()
        done = run_python(
            "-m",
            "export",
            f"--run_dir={PRETRAINED}",
            f"--output_dir={disk / 'export'}",
            "--quantize=float32",
            "--accelerator=none",
        )
        assert done.returncode == 2, done.stderr
        (line,) = done.stderr.splitlines()
        assert line.startswith("error:") and str(disk) in line
        assert os.listdir(disk) == ["export"]
        assert (disk / "export" / "manifest.json").read_bytes() == before
        assert (disk / "export" / "encoder_float32.tflite").stat().st_size > 1e6
