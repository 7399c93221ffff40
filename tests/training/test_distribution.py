"""Several replicas end where one does: real processes, and real logical devices."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from dfcvae_tf.files import read_arrays
from dfcvae_tf.run_dir import RunDir

ROOT = Path(__file__).parents[2]
ARGUMENTS = [
    "--dataset=synthetic",
    "--objective=dfc_vae",
    "--network=conv",
    "--width=2",
    "--batch_size=16",
    # Unlike Adam, it shows a gradient that is off by a factor.
    "--optimizer=sgd",
    "--learning_rate=0.003",
    "--perceptual_normalization=none",
    "--ema_decay=0.9",
    "--clip_norm=1",
    "--steps_per_call=5",
    "--checkpoint_every=20",
    "--log_every=20",
]
TWO_CPUS = """
import sys
import tensorflow as tf
tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0],
    [tf.config.LogicalDeviceConfiguration()] * 2,
)
from dfcvae_tf.train import run
run()
"""

pytestmark = pytest.mark.slow


def start(run_dir, *arguments, program=("-m", "dfcvae_tf.train"), tf_config=None):
    environment = dict(os.environ, CUDA_VISIBLE_DEVICES="")
    environment.pop("TF_CONFIG", None)
    if tf_config:
        environment["TF_CONFIG"] = json.dumps(tf_config)
    return subprocess.Popen(
        [sys.executable, *program, *ARGUMENTS, f"--run_dir={run_dir}", *arguments],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def start_workers(run_dir, *arguments, first="worker"):
    """Starts two tasks; the first of them is of type `first`, and the chief."""
    sockets = [socket.socket() for _ in range(2)]
    for s in sockets:
        s.bind(("127.0.0.1", 0))
    cluster: dict[str, list[str]] = {}
    tasks = []
    for kind, s in zip((first, "worker"), sockets, strict=True):
        hosts = cluster.setdefault(kind, [])
        tasks.append({"type": kind, "index": len(hosts)})
        hosts.append(f"127.0.0.1:{s.getsockname()[1]}")
        s.close()
    return [
        start(
            run_dir,
            "--distribution=multi_worker_mirrored",
            *arguments,
            tf_config={"cluster": cluster, "task": task},
        )
        for task in tasks
    ]


def finish(*processes):
    for process in processes:
        _, errors = process.communicate(timeout=300)
        assert process.returncode == 0, errors[-3000:]


def weights_of(run_dir):
    arrays = read_arrays(RunDir(run_dir).weights)
    return np.concatenate([arrays[name].ravel() for name in sorted(arrays)])


@pytest.fixture(name="one_process", scope="module")
def _one_process(tmp_path_factory):
    run_dir = tmp_path_factory.mktemp("one") / "run"
    finish(start(run_dir, "--steps=60"))
    return run_dir


def test_two_logical_devices_end_where_one_does(tmp_path, one_process):
    run_dir = tmp_path / "run"
    finish(
        start(
            run_dir,
            "--steps=60",
            "--distribution=mirrored",
            "--device=cpu",
            program=("-c", TWO_CPUS),
        )
    )
    np.testing.assert_allclose(weights_of(run_dir), weights_of(one_process), atol=1e-6)
    # The logged means are those of the whole batch, not of one replica.
    lines = [RunDir(d).metrics.read_text().splitlines() for d in (run_dir, one_process)]
    for mine, theirs in zip(*(map(json.loads, x) for x in lines), strict=True):
        assert mine["loss"] == pytest.approx(theirs["loss"], rel=1e-4)
        if mine["split"] == "train":
            norms = mine["gradient_norm"], theirs["gradient_norm"]
            assert norms[0] == pytest.approx(norms[1], rel=1e-3)


def test_batch_norm_over_two_devices_is_that_of_one(tmp_path):
    arguments = [
        "--objective=vae",
        "--network=hou64",
        "--image_size=64",
        "--batch_size=8",
        "--learning_rate=1e-4",
        "--eval_every=6",
    ]
    mirrored = ["--distribution=mirrored", "--device=cpu"]
    alone, both = tmp_path / "alone", tmp_path / "both"
    finish(start(alone, *arguments, "--steps=6"))
    program = ("-c", TWO_CPUS)
    compiled = start(both, *arguments, *mirrored, "--jit_compile", program=program)
    _, errors = compiled.communicate(timeout=240)
    assert compiled.returncode == 2 and "cannot average batch norm" in errors
    finish(start(both, *arguments, *mirrored, "--steps=3", program=program))
    # Goes on from a checkpoint, with the statistics of both devices.
    longer = ["--steps=6", "--override"]
    finish(start(both, *arguments, *mirrored, *longer, program=program))
    found, expected = (read_arrays(RunDir(d).weights) for d in (both, alone))
    for name in expected:
        # On one device, Keras 2 divides by N - 1 values, of which there are 128 or more.
        rtol = 1 / 127 if name.endswith("moving_variance") else 0
        np.testing.assert_allclose(
            found[name], expected[name], rtol, atol=2e-5, err_msg=name
        )


def test_two_processes_end_where_one_does(tmp_path, one_process):
    run_dir = tmp_path / "run"
    finish(*start_workers(run_dir, "--steps=60", first="chief"))
    np.testing.assert_allclose(weights_of(run_dir), weights_of(one_process), atol=1e-6)
    # Only one of them wrote.
    lines = RunDir(run_dir).metrics.read_text().splitlines()
    assert len(lines) == len(RunDir(one_process).metrics.read_text().splitlines())


def test_a_lost_worker_stops_the_other_and_the_same_command_resumes(tmp_path):
    run_dir = tmp_path / "run"
    # Many more steps than are done when the first checkpoint is seen.
    chief, worker = start_workers(run_dir, "--steps=600")
    end = time.monotonic() + 240
    while not list(RunDir(run_dir).checkpoints.glob("*.index")):
        assert chief.poll() is None, chief.communicate()
        assert time.monotonic() < end
        time.sleep(0.05)
    worker.send_signal(signal.SIGKILL)
    worker.communicate()
    _, errors = chief.communicate(timeout=240)
    assert chief.returncode == 1, errors[-3000:]
    assert "Traceback" not in errors
    assert re.search(r"a worker stopped answering .* same command", errors)
    assert not RunDir(run_dir).weights.exists()
    finish(*start_workers(run_dir, "--steps=600"))
    assert RunDir(run_dir).weights.is_file()
