"""Files on a GPU, or in software where there is none; skipped where there is neither."""

import itertools
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from dfcvae_tf.config import ModelConfig
from dfcvae_tf.errors import UserError
from dfcvae_tf.exporting import accelerator
from dfcvae_tf.exporting.accelerator import Failure, find_device, run_whole
from dfcvae_tf.exporting.gpu_check import check_on_gpu
from dfcvae_tf.exporting.runtime import TFLiteFunction
from dfcvae_tf.models.vae import build_vae
from tests.exporting.files import exported, tflite_file
from tests.exporting.test_gpu_operators import UNSUITABLE, X


@pytest.fixture(scope="module")
def device():
    found = find_device("auto")
    if found is None:
        pytest.skip(f"no GPU: {accelerator._find()[1]}")
    return found


NETWORKS = [
    ("article", (28, 28, 1), {}),
    ("conv", (32, 48, 3), {"depth": 3, "width": 8}),
    ("conv", (32, 32, 3), {"conv_design": "full_resolution", "width": 8}),
    *(
        (name, (size, size, 3), {"decoder_padding": padding})
        for (name, size), padding in itertools.product(
            (("hou64", 64), ("facenet64", 64)), ("same", "replicate")
        )
    ),
    # They share the code of the small ones, and untrained they make large latents.
    *(
        pytest.param(
            name,
            (128, 128, 3),
            {"decoder_padding": padding},
            marks=(pytest.mark.slow, pytest.mark.current_stack),
        )
        for name, padding in (("hou128", "replicate"), ("facenet128", "same"))
    ),
]


@pytest.mark.parametrize(("network", "shape", "settings"), NETWORKS)
def test_every_network_runs_whole_and_makes_the_same(device, network, shape, settings):
    config = ModelConfig(network=network, latent_dim=6, **settings)
    vae = build_vae(config, shape, "float32")
    rng = np.random.default_rng(0)
    z = rng.normal(size=(2, 6)).astype(np.float32)
    images = rng.random((2, *shape), np.float32)
    z_mean, z_log_var = (code.numpy() for code in vae.encoder(images))
    made = {
        "decode": (z, {"image": vae.to_images(vae.decoder(z)).numpy()}),
        "encode": (images, {"z_mean": z_mean, "z_log_var": z_log_var}),
    }
    for (signature, variant), content in exported(vae).items():
        values, expected = made[signature]
        if variant == "float16" and shape[0] == 128:
            # Weights of 16 bits alone take them farther from Keras than is allowed.
            expected = TFLiteFunction(content, signature, 2)(values)
        check = check_on_gpu(device, content, signature, variant, 1, [values], expected)
        assert check.whole and check.device == device.name, check.refused
        assert set(check.max_error) == {"float32", "float16"}


@pytest.mark.parametrize(("function", "reason"), UNSUITABLE)
def test_the_gpu_refuses_what_the_table_says_it_does(device, function, reason):
    content = tflite_file(function, X)
    with pytest.raises(Failure):
        run_whole(device, content, "decode", [X])
    check = check_on_gpu(device, content, "decode", "float32", 1, [X], {})
    assert not check.whole and any(reason in told for told in check.refused)


def test_other_results_are_no_match(device):
    content = tflite_file(tf.nn.relu, X)
    check = check_on_gpu(
        device, content, "decode", "float32", 1, [X], {"image": X + 0.01}
    )
    assert not check.whole and "other results in float32, by 0.01" in check.refused


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("import os; os.kill(os.getpid(), 11)", "ended the process with signal 11"),
        ("import time; time.sleep(60)", "did not end within 1 s"),
        ("raise SystemExit('Failure: only a part')", "only a part"),
    ],
)
def test_a_driver_that_crashes_or_hangs_is_said(code, reason, monkeypatch):
    run = subprocess.run
    if "sleep" in code:
        monkeypatch.setattr(accelerator, "_TIMEOUT_S", 1)
    monkeypatch.setattr(
        accelerator.subprocess,
        "run",
        lambda command, **rest: run([sys.executable, "-c", code], **rest),
    )
    device = accelerator.Device("broken", {})
    content = tflite_file(tf.nn.relu, X)
    check = check_on_gpu(device, content, "decode", "float32", 1, [X], {"image": X})
    assert not check.whole and reason in check.refused[0]
    assert check.device == "broken"


def test_no_gpu_where_one_is_asked_for(monkeypatch):
    monkeypatch.setattr(accelerator, "_find", lambda: (None, "no driver"))
    assert find_device("auto") is None and find_device("none") is None
    with pytest.raises(UserError, match=r"finds no GPU here \(no driver\)"):
        find_device("gpu")


def test_without_the_runtime_there_is_no_gpu(monkeypatch):
    monkeypatch.setitem(sys.modules, "ai_edge_litert", None)
    device, reason = accelerator._find.__wrapped__()
    assert device is None and "ai-edge-litert is not installed" in reason
