"""Code in reports: what it says of GPUs, and the Kotlin, with stand-ins for Android.

`test_export` runs the Python, `test_web` the JavaScript.
"""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from dfcvae_tf.exporting.snippets import snippets

STAND_INS = sorted((Path(__file__).parent / "kotlin").glob("*.kt"))


def manifest(network="decoder", channels=3, batch_size=1, labels=None, whole=True):
    """What snippets take of a manifest: 3 latents, pictures of 2x2 pixels."""
    files = {"decoder": "decoder_float32.tflite", "generator": None}
    files[network] = f"{network}_float32.tflite"
    prior = {} if labels is None else {"labels": {"kind": "classes", "names": labels}}
    return {
        "variants": [files | {"gpu": {network: {"whole": whole}}}],
        "latent": {"dim": 3},
        "image": {"height": 2, "width": 2, "channels": channels},
        "batch_size": batch_size,
        "prior": prior,
    }


def test_code_for_gpus_is_of_files_that_they_take_whole():
    whole, not_whole = snippets(manifest()), snippets(manifest(whole=False))
    assert set(whole) == {"python", "python_gpu", "kotlin", "javascript"}
    assert set(not_whole) == set(whole) - {"python_gpu"}
    assert "accelerator: Accelerator = Accelerator.GPU" in whole["kotlin"].code
    assert "accelerator: Accelerator = Accelerator.CPU" in not_whole["kotlin"].code
    for name in ("kotlin", "javascript"):
        assert "GPUs do not take all of it" in not_whole[name].code
    assert 'with "webgpu" all of it' in whole["javascript"].code


@pytest.mark.slow
@pytest.mark.current_stack
def test_the_kotlin_of_the_report_draws_on_what_is_asked_for_and_closes_all(tmp_path):
    kotlinc, java = shutil.which("kotlinc"), shutil.which("java")
    if not kotlinc or not java:
        pytest.skip("needs kotlinc and java")
    made = {
        "decoder": manifest(),
        "generator": manifest("generator", 1, batch_size=2, labels=["a", "b"]),
    }
    for name, content in made.items():
        (tmp_path / f"{name}.kt").write_text(snippets(content)["kotlin"].code)
    sources = [*STAND_INS, *(tmp_path / f"{name}.kt" for name in made)]
    subprocess.run(
        [kotlinc, *sources, "-include-runtime", "-d", tmp_path / "all.jar"],
        # It ends before it has gained by better code of its own.
        env={**os.environ, "JAVA_OPTS": "-Xmx256M -XX:TieredStopAtLevel=1"},
        check=True,
    )
    done = subprocess.run(
        [java, "-cp", tmp_path / "all.jar", "MainKt"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    # Twelve values from 0 to 1 and to 1/2, four from 0 to 2 * 1/2, and a label of zeros.
    assert done.stdout.splitlines() == [
        "ff00172e ff465d74 ff8ba2b9 ffd1e8ff",
        "ff000c17 ff232e3a ff46515d ff687480",
        "ff000000 ff555555 ffaaaaaa ffffffff",
        "ff000000 ff000000 ff000000 ff000000",
        "[GPU, CPU] 0",
    ]
