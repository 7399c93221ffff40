"""Whole exports of a small run, of broken ones, and of unfinished ones."""

import dataclasses
import hashlib
import json
import os
import re
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from dfcvae_tf.checkpoints import Checkpoints, load_for_inference
from dfcvae_tf.errors import Stopped, UserError
from dfcvae_tf.exporting import exporter, samples
from dfcvae_tf.exporting.glossary import FIELDS
from dfcvae_tf.exporting.latency import Latency
from dfcvae_tf.exporting.report import terminal_table
from dfcvae_tf.exporting.runtime import TFLiteFunction
from dfcvae_tf.exporting.saved_model import load_signature
from dfcvae_tf.exporting.settings import ExportSettings
from dfcvae_tf.picture_files import read_picture
from dfcvae_tf.prior_file import save_prior
from tests.programs import run_python

QUICK = ExportSettings(variants=("float32",))
DIRECTIONS = {"Smiling": [1.0, 0.0, -2.5]}


@pytest.fixture(autouse=True, scope="module")
def _few_samples():
    latency = Latency(2.0, {"1": 1.0, "2": 0.5}, {"1": 1.5, "2": 0.7}, 1000, 200, 1)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(samples, "CHECK_IMAGES", 60)
        patched.setattr(samples, "CALIBRATION_IMAGES", 60)
        patched.setattr(samples, "DRAWN", 100)
        patched.setattr(exporter, "measure_latency", lambda path, signature: latency)
        patched.setattr(exporter, "find_device", lambda choice: None)
        yield


def export(model, output, settings=QUICK, **arguments):
    return exporter.export_run(model, output, settings, model.config.data, **arguments)


@pytest.fixture(name="whole", scope="module")
def _whole(tmp_path_factory, model):
    """An export of a checkpoint with attributes, and what was said; to be read only."""
    output = tmp_path_factory.mktemp("whole") / "export"
    told: list[str] = []
    settings = ExportSettings(("float32", "int8"), seed=2)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(exporter, "attribute_directions", lambda *_: DIRECTIONS)
        returned = export(model, output, settings, step=10, progress=told.append)
    return output, returned, told


def test_an_export_holds_what_its_manifest_says(whole):
    output, returned, told = whole
    manifest = json.loads((output / "manifest.json").read_text())
    assert returned == manifest  # nothing that JSON would change, such as infinities

    variants = ["float32", "int8"]
    names = {f"{n}_{v}.tflite" for n in ("decoder", "encoder") for v in variants}
    assert {p.name for p in output.glob("*.tflite")} == names
    assert [v["name"] for v in manifest["variants"]] == variants
    assert manifest["rejected"] == [] and manifest["attributes"] == DIRECTIONS
    prior = {"kind": "standard", "noise": "standard normal", "signature": "decode"}
    assert manifest["prior"] == {**prior, "file": None}
    found = {str(p.relative_to(output)) for p in output.rglob("*") if p.is_file()}
    assert set(manifest["files"]) == found - {"manifest.json"}
    for name, entry in manifest["files"].items():
        content = (output / name).read_bytes()
        assert entry["bytes"] == len(content)
        assert entry["sha256"] == hashlib.sha256(content).hexdigest()
    for variant in manifest["variants"]:
        assert variant["bytes"] == manifest["files"][variant["decoder"]]["bytes"]
        assert variant["latency"]["decoder"]["median_ms"] == {"1": 1.0, "2": 0.5}
        assert variant["gpu"]["decoder"]["device"] is None  # there is none here

    assert manifest["format_version"] == 1
    assert manifest["latent"]["dim"] == len(manifest["latent"]["ranges"]) == 3
    assert manifest["image"] == {
        "height": 8,
        "width": 8,
        "channels": 1,
        "color_order": "grey",
        "range": [0.0, 1.0],
        "dtype": "float32",
    }
    assert manifest["preprocessing"] == {
        "background": "white",
        "crop": "center",
        "part": None,
        "resize": "bilinear, antialiased",
        "grey_weights": [0.299, 0.587, 0.114],
        "ground": None,
    }
    assert manifest["batch_size"] == 1
    outputs = manifest["signatures"]["decode"]["outputs"]
    assert outputs == {"image": {"shape": [1, 8, 8, 1], "dtype": "float32"}}
    calibration = manifest["calibration"]
    assert (calibration["seed"], calibration["num_images"]) == (2, 60)
    assert calibration["num_latents"] == 60 + 3 * 100
    assert manifest["trained"]["checkpoint_step"] == 10
    assert manifest["trained"]["provenance"]["dataset"] == "made up"
    assert manifest["trained"]["settings"]["model"]["latent_dim"] == 3
    assert manifest["versions"]["tensorflow"] == tf.__version__

    report = (output / "REPORT.md").read_text()
    for name in [
        *names,
        "1.000 (1.500) ms",
        "ai_edge_litert",
        "CompiledModel.create(",
        "LiteRt",
    ]:
        assert name in report
    assert "{" + "dim}" not in report
    table = terminal_table(manifest).splitlines()
    assert len(table) == 5 and len({len(line) for line in table}) == 1
    assert told[0].startswith("reading images") and told[-1] == "report and manifest"
    assert os.listdir(output.parent) == ["export"]


def test_every_field_of_a_manifest_is_explained(whole):
    manifest = json.loads((whole[0] / "manifest.json").read_text())
    explained = [name.split(".") for name in FIELDS]
    used = set()

    def look(value, path):
        for place, known in enumerate(explained):
            pairs = zip(path, known, strict=False)
            if len(path) >= len(known) and all(k in (p, "*") for p, k in pairs):
                used.add(place)
                return
        assert isinstance(value, dict | list) and value, (
            f"{'.'.join(path)}: no word on it"
        )
        fields = value.items() if isinstance(value, dict) else enumerate(value)
        for name, below in fields:
            look(below, [*path, str(name)])

    look(manifest, [])
    # And nothing is explained that there is not.
    assert len(used) == len(explained)


def test_what_is_not_asked_for_is_left_out(tmp_path, model):
    settings = ExportSettings(
        ("float32",),
        signatures=("decode",),
        saved_model=False,
        name="Faces",
        model_version="1.2",
    )
    output = tmp_path / "export"
    manifest = export(model, output, settings)
    assert {p.name for p in output.iterdir()} == {
        "decoder_float32.tflite",
        "LICENCES.md",
        "README.md",
        "REPORT.md",
        "manifest.json",
    }
    assert manifest["saved_model"] is None and manifest["saved_model_parity"] == {}
    assert list(manifest["variants"][0]["parity"]) == ["decoder"]
    assert list(manifest["signatures"]) == ["decode"]
    report = (output / "REPORT.md").read_text()
    # The glossary tells of all fields, the text of what is here.
    about, _ = report.split("# What was measured")
    assert "Signatures: `decode(z) -> image`. All" in about and "encoder" not in about
    assert report.startswith("# Faces, version 1.2\n\n**Take decoder_float32.tflite: ")
    with pytest.raises(UserError, match="leave generate out of --signatures, or fit"):
        export(model, output, ExportSettings(signatures=("decode", "generate")))


def test_an_export_tells_a_stranger_nothing_of_where_it_was_made(
    tmp_path, whole, make_run, make_config, vae, monkeypatch
):
    home = tmp_path / "home" / "alice"
    config = make_config(
        objective="dfc_vae",
        perceptual_model=f"graphdef:{home}/net.pb",
        perceptual_layers=("conv1",),
        data_dir=str(home / "data"),
    )
    monkeypatch.setattr(
        sys, "argv", ["export", f"--output_dir={home}/out", "--token=secret"]
    )
    run = make_run(home / "runs [1]" / "faces", vae, config)
    model = load_for_inference(str(run))
    output = home / "out [*]"
    shutil.copytree(whole[0], output)  # it is replaced
    manifest = export(model, output, ExportSettings(variants=("float32", "int8")))
    assert manifest["name"] == "faces" and not manifest["rejected"]
    assert (
        manifest["trained"]["settings"]["objective"]["perceptual_model"] == "graphdef"
    )
    assert manifest["trained"]["provenance"]["data_digest"] == "digest"
    private = (
        str(tmp_path),
        "alice",
        "secret",
        "runs [1]",
        str(Path(__file__).parents[2]),
    )
    for path in output.rglob("*"):
        content = path.read_bytes() if path.is_file() else b""
        for text in private:
            assert text.encode() not in content, (path.name, text)


def test_with_a_learned_prior_pictures_are_drawn_through_it(tmp_path, flow_model):
    output = tmp_path / "export"
    settings = ExportSettings(("float32", "int8"), batch_size=2)
    manifest = export(flow_model, output, settings)
    names = {"decoder", "encoder", "generator"}
    files = {f"{n}_{v}.tflite" for n in names for v in settings.variants}
    assert {p.name for p in output.glob("*.tflite")} == files | {"prior.tflite"}
    assert manifest["rejected"] == []
    prior = manifest["prior"]
    assert (prior["kind"], prior["seed"]) == ("flow", 0)
    assert (prior["noise"], prior["signature"]) == ("standard normal", "generate")
    assert prior["bytes"] == (output / prior["file"]).stat().st_size
    assert prior["parity"]["max_error"] < 1e-3
    assert set(prior["quality"]["psnr_db"]) == {"noise", "encoder means"}
    assert manifest["signatures"]["to_noise"] == {
        "inputs": {"z": {"shape": [2, 3], "dtype": "float32"}},
        "outputs": {"noise": {"shape": [2, 3], "dtype": "float32"}},
    }
    assert "prior.tflite" in terminal_table(manifest)
    noise = np.random.default_rng(0).standard_normal((2, 3)).astype(np.float32)
    picture = flow_model.generate(noise)[0]
    assert np.abs(picture - flow_model.decode(noise)[0]).max() > 0.05

    report = (output / "REPORT.md").read_text()
    assert "`prior.tflite`" in report and "class Generator(" in report
    assert "writeFloat(FloatArray(6) { noise[it % 3] })" in report
    (code,) = re.findall(
        r"^## Python\n\n```python\n(.*?)```", report, re.DOTALL | re.MULTILINE
    )
    assert manifest["recommended"]["cpu"]["file"] in code
    done = run_python("-c", code, cwd=output)
    assert done.returncode == 0, done.stderr
    shown = read_picture(output / "image.png").pixels / np.float32(255)
    atol = 1 / 255 + error_of_recommended(manifest)
    np.testing.assert_allclose(shown, picture, atol=atol)


def test_labels_go_with_the_noise_into_what_draws(tmp_path, labelled_model):
    output = tmp_path / "export"
    manifest = export(labelled_model, output, ExportSettings(("float32", "int8")))
    assert manifest["rejected"] == []
    labels = manifest["prior"]["labels"]
    assert labels == labelled_model.labels.facts()
    given = {
        signature: {name: entry["shape"] for name, entry in about["inputs"].items()}
        for signature, about in manifest["signatures"].items()
    }
    assert (
        given["generate"] == given["from_noise"] == {"noise": [1, 3], "label": [1, 3]}
    )
    assert given["to_noise"] == {"z": [1, 3], "label": [1, 3]}
    assert given["decode"] == {"z": [1, 3]}
    noise = np.random.default_rng(0).standard_normal((1, 3)).astype(np.float32)
    last = np.float32([[0, 0, 1]])
    picture = labelled_model.generate(noise, last)
    assert np.abs(picture - labelled_model.generate(noise)).max() > 0.05
    generate = load_signature(output / "saved_model", "generate")
    np.testing.assert_allclose(generate(noise, last)["image"], picture, atol=1e-4)

    report = (output / "REPORT.md").read_text()
    assert "1 = of this class; all 0 = any picture" in report
    assert 'inputs.getValue("label").writeFloat(label)' in report
    (code,) = re.findall(
        r"^## Python\n\n```python\n(.*?)```", report, re.DOTALL | re.MULTILINE
    )
    done = run_python("-c", code, cwd=output)
    assert done.returncode == 0, done.stderr
    shown = read_picture(output / "image.png").pixels / np.float32(255)
    atol = 1 / 255 + error_of_recommended(manifest)
    np.testing.assert_allclose(shown, picture[0], atol=atol)


def error_of_recommended(manifest):
    """The largest that the export found of the file that its report's code takes."""
    name = manifest["recommended"]["cpu"]["variant"]
    (variant,) = (v for v in manifest["variants"] if v["name"] == name)
    error = variant["parity"]["generator"]["max_error"]
    assert error < 0.1
    return error


@pytest.mark.parametrize(
    ("bend", "reason"),
    [
        (1e3, "dB on encoder means, 48 dB are needed"),
        (1e38, "not all values are finite"),
    ],
)
def test_a_prior_that_fails_is_left_out_and_its_decoder_stays(
    tmp_path, vae, make_run, flow_parameters, latents, bend, reason
):
    run = make_run(tmp_path / "run", vae)
    save_prior(run, "flow", flow_parameters(bend=bend), {})
    model = load_for_inference(str(run))
    assert model.has_learned_prior
    output = tmp_path / "export"
    manifest = export(model, output, ExportSettings(("int8",)))
    files = {path.name for path in output.glob("*.tflite")}
    assert files == {"decoder_int8.tflite", "encoder_int8.tflite"}
    (rejected,) = manifest["rejected"]
    assert rejected["file"] == "prior.tflite" and reason in rejected["reason"]
    assert manifest["prior"]["kind"] == "standard"
    assert manifest["prior"]["signature"] == "decode"
    assert {v["generator"] for v in manifest["variants"]} == {None}
    generate = load_signature(output / "saved_model", "generate")
    np.testing.assert_allclose(
        generate(latents)["image"], vae.decode(tf.constant(latents)), atol=1e-5
    )
    report = (output / "REPORT.md").read_text()
    assert f"- `prior.tflite`: {rejected['reason']}" in report
    assert "drawn by `decode`" in report and "generator_" not in report


def test_int8_calibrated_on_far_too_small_a_range_is_left_out(
    tmp_path, model, monkeypatch
):
    convert = exporter.convert

    def squeezed(source, signature, variant, calibration, batch_size):
        return convert(source, signature, variant, 0.05 * calibration, batch_size)

    monkeypatch.setattr(exporter, "convert", squeezed)
    output = tmp_path / "export"
    manifest = export(model, output, ExportSettings(variants=("int8", "dynamic")))
    assert [v["name"] for v in manifest["variants"]] == ["dynamic"]
    assert "attributes" not in manifest
    (rejected,) = manifest["rejected"]
    assert rejected["file"] == "decoder_int8.tflite"
    assert "PSNR" in rejected["reason"] and "35 dB are needed" in rejected["reason"]
    assert {p.name for p in output.glob("*.tflite")} == {
        "decoder_dynamic.tflite",
        "encoder_dynamic.tflite",
    }
    assert "`decoder_int8.tflite`: PSNR" in (output / "REPORT.md").read_text()


@pytest.mark.slow
def test_a_bad_encoder_leaves_its_decoder(tmp_path, model, monkeypatch):
    convert = exporter.convert

    def squeezed(source, signature, variant, calibration, batch_size):
        scale = 0.02 if signature == "encode" else 1
        return convert(source, signature, variant, scale * calibration, batch_size)

    monkeypatch.setattr(exporter, "convert", squeezed)
    manifest = export(model, tmp_path / "export", ExportSettings(variants=("int8",)))
    (variant,) = manifest["variants"]
    assert (variant["decoder"], variant["encoder"]) == ("decoder_int8.tflite", None)
    assert [r["file"] for r in manifest["rejected"]] == ["encoder_int8.tflite"]
    assert not (tmp_path / "export" / "encoder_int8.tflite").exists()


def test_a_decoder_of_nan_is_not_exported_and_the_old_export_stays(
    tmp_path, whole, model, make_vae
):
    output = shutil.copytree(whole[0], tmp_path / "export")
    broken = make_vae()
    layer = broken.decoder.get_layer("conv0")
    layer.set_weights([np.full_like(w, np.nan) for w in layer.get_weights()])
    with pytest.raises(
        Stopped,
        match="(signature decode of the SavedModel|decoder_float32.tflite).*not all values "
        "are finite; nothing was",
    ):
        export(dataclasses.replace(model, vae=broken), output)
    assert json.loads((output / "manifest.json").read_text()) == whole[1]
    assert os.listdir(tmp_path) == ["export"]


def test_when_nothing_passes_nothing_is_written(tmp_path, model, monkeypatch):
    convert = exporter.convert

    def fail(source, signature, variant, *arguments):
        if variant == "float32":
            raise ZeroDivisionError("division by zero")
        return convert(source, signature, variant, *arguments)

    monkeypatch.setattr(exporter, "convert", fail)
    monkeypatch.setattr(exporter, "forbidden_operators", lambda *_: ["VAR_HANDLE"])
    with pytest.raises(Stopped) as stop:
        export(model, tmp_path / "export", ExportSettings(("float32", "float16")))
    message = str(stop.value)
    assert "decoder_float32.tflite: no conversion: division by zero" in message
    assert "decoder_float16.tflite: holds the operators VAR_HANDLE" in message
    assert os.listdir(tmp_path) == []


@pytest.mark.slow
def test_a_dynamic_batch_of_a_run_trained_in_mixed_precision(
    tmp_path, vae, make_config, make_run, latents
):
    run = make_run(tmp_path / "run", vae, make_config(precision="mixed_float16"))
    model, step = exporter.load_run(str(run), None)
    assert step is None
    output = tmp_path / "export"
    manifest = export(model, output, ExportSettings(("float32",), "dynamic"))
    assert manifest["batch_size"] == "dynamic"
    assert manifest["signatures"]["encode"]["inputs"]["image"]["shape"][0] is None
    for decode in (
        TFLiteFunction(output / "decoder_float32.tflite", "decode", 1).call,
        load_signature(output / "saved_model", "decode"),
    ):
        found = decode(latents[:9])["image"]
        expected = vae.decode(tf.constant(latents[:9]))
        np.testing.assert_allclose(found, expected, atol=1e-5)


def unfinished_run(path, make_config, make_run, make_vae):
    """A run with EMA and checkpoints of steps 10 and 20, whose weights differ."""
    run = make_run(path, make_vae(), make_config(ema_decay=0.9))
    run.weights.unlink()
    for step in (10, 20):
        lists = {
            "network": make_vae(seed=step).variables,
            "ema": make_vae(seed=step + 1).variables,
        }
        lists = {k: [tf.Variable(v) for v in values] for k, values in lists.items()}
        Checkpoints(run.checkpoints, 3, {**lists, "step": [tf.Variable(step)]}).save(
            step
        )
    return run


def test_an_unfinished_run_offers_its_newest_checkpoint(
    tmp_path, make_config, make_run, make_vae, latents
):
    run = unfinished_run(tmp_path / "run", make_config, make_run, make_vae)
    with pytest.raises(UserError, match=r"\(step 20\) with --checkpoint=newest"):
        exporter.load_run(str(run), None)
    for checkpoint, step in (("newest", 20), ("10", 10)):
        model, found = exporter.load_run(str(run), checkpoint)
        assert found == step
        averaged = make_vae(seed=step + 1).decode(tf.constant(latents))
        np.testing.assert_allclose(model.decoder(latents), averaged, atol=1e-6)
    for checkpoint, message in (
        ("30", "no checkpoint of step 30; it has those of steps 10, 20"),
        ("last", "--checkpoint must be 'newest' or a step, got 'last'"),
    ):
        with pytest.raises(UserError, match=message):
            exporter.load_run(str(run), checkpoint)


def test_a_finished_run_without_checkpoints(model):
    run_dir = str(model.run)
    assert exporter.load_run(run_dir, None)[1] is None
    with pytest.raises(UserError, match="has no checkpoint; leave --checkpoint out"):
        exporter.load_run(run_dir, "newest")
    with pytest.raises(UserError, match="no checkpoint of step 3; it has none"):
        load_for_inference(run_dir, step=3)


def test_default_folders():
    assert str(exporter.default_output_dir("runs/a")) == "runs/a/export"
    assert (
        str(exporter.default_output_dir("pretrained:mnist_vae")) == "exports/mnist_vae"
    )
