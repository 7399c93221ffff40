"""Several replicas end where one does: real processes, and real logical devices."""

import json
import re
import signal
import socket
import time

import numpy as np
import pytest

from dfcvae_tf.files import read_arrays
from dfcvae_tf.run_dir import RunDir
from tests.programs import metrics_of, run_python, start_python, weights_of

ARGUMENTS = [
    "--dataset=synthetic",
    "--network=conv",
    "--conv_design=full_resolution",
    "--width=2",
    "--batch_size=16",
    # Unlike Adam, it shows a gradient that is off by a factor.
    "--optimizer=sgd",
    "--learning_rate=0.003",
    "--perceptual_normalization=none",
    "--ema_decay=0.9",
    "--clip_norm=1",
    "--prior=standard",
    "--steps_per_call=5",
    "--checkpoint_every=20",
    "--log_every=20",
]
DFC = [
    "--objective=dfc_vae",
    "--perceptual_model=mnist_classifier",
    "--adversarial_weight=0.5",
    "--adversarial_start=0",
    "--adversarial_sample_weight=0.5",
    "--discriminator_width=2",
    "--discriminator_augment",
]
MIRRORED = ["--distribution=mirrored", "--device=cpu"]
# Trains in turn, with each of the lists of arguments that it is given; prints exit codes.
ON_TWO_CPUS = """
import json, sys
import tensorflow as tf
from dfcvae_tf import train
from tests.programs import run_here
tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0],
    [tf.config.LogicalDeviceConfiguration()] * 2,
)
print([run_here(train, *arguments) for arguments in json.loads(sys.argv[1])])
"""

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True, scope="module")
def _on_cpus():
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("CUDA_VISIBLE_DEVICES", "")
        environment.delenv("TF_CONFIG", raising=False)
        yield


def train_on_two_cpus(*runs):
    """Trains in a process that has two devices; returns exit codes and messages."""
    lists = [[*ARGUMENTS, *arguments] for arguments in runs]
    done = run_python("-c", ON_TWO_CPUS, json.dumps(lists))
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1]), done.stderr


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
        start_python(
            "-m",
            "dfcvae_tf.train",
            *ARGUMENTS,
            f"--run_dir={run_dir}",
            "--distribution=multi_worker_mirrored",
            *arguments,
            TF_CONFIG=json.dumps({"cluster": cluster, "task": task}),
        )
        for task in tasks
    ]


def finish(*processes):
    for process in processes:
        _, errors = process.communicate(timeout=300)
        assert process.returncode == 0, errors[-3000:]


@pytest.fixture(name="runs", scope="module")
def _runs(tmp_path_factory):
    """The same run on one device and on two."""
    folder = tmp_path_factory.mktemp("runs")
    runs = [folder / "one", folder / "two"]
    one, two = ([*DFC, "--steps=60", f"--run_dir={run_dir}"] for run_dir in runs)
    assert train_on_two_cpus(one, [*two, *MIRRORED])[0] == [0, 0]
    return runs


def test_two_logical_devices_end_where_one_does(runs):
    one, two = runs
    np.testing.assert_allclose(weights_of(two), weights_of(one), atol=1e-6)
    # The logged means are those of the whole batch, not of one replica.
    for mine, theirs in zip(metrics_of(two), metrics_of(one), strict=True):
        assert mine["loss"] == pytest.approx(theirs["loss"], rel=1e-4)
        if mine["split"] == "train":
            norms = mine["gradient_norm"], theirs["gradient_norm"]
            assert norms[0] == pytest.approx(norms[1], rel=1e-3)


@pytest.mark.current_stack
def test_batch_norm_over_two_devices_is_that_of_one(tmp_path):
    arguments = [
        "--objective=vae",
        "--conv_design=strided",
        "--batch_size=8",
        "--learning_rate=1e-4",
        "--eval_every=6",
    ]
    one, two = tmp_path / "one", tmp_path / "two"
    both = [*arguments, *MIRRORED, f"--run_dir={two}"]
    codes, messages = train_on_two_cpus(
        [*arguments, f"--run_dir={one}", "--steps=6"],
        [*both, "--steps=6", "--jit_compile"],
        [*both, "--steps=3"],
        # Goes on from a checkpoint, with the statistics of both devices.
        [*both, "--steps=6", "--override"],
    )
    assert codes == [0, 2, 0, 0], messages
    assert "cannot average batch norm" in messages
    found, expected = (read_arrays(RunDir(run).weights) for run in (two, one))
    for name in expected:
        # On one device, Keras 2 divides by N - 1 values, of which there are 128 or more.
        rtol = 1 / 127 if name.endswith("moving_variance") else 0
        np.testing.assert_allclose(
            found[name], expected[name], rtol, atol=2e-5, err_msg=name
        )


def test_two_processes_end_where_one_does(tmp_path, runs):
    run_dir = tmp_path / "run"
    finish(*start_workers(run_dir, *DFC, "--steps=60", first="chief"))
    np.testing.assert_allclose(weights_of(run_dir), weights_of(runs[0]), atol=1e-6)
    # Only one of them wrote.
    assert len(metrics_of(run_dir)) == len(metrics_of(runs[0]))


@pytest.mark.current_stack
def test_a_lost_worker_stops_the_other_and_the_same_command_resumes(tmp_path):
    run_dir = tmp_path / "run"
    # Many more steps than are done when the first checkpoint is seen.
    arguments = "--steps=300", "--objective=vae"
    chief, worker = start_workers(run_dir, *arguments)
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
    finish(*start_workers(run_dir, *arguments))
    assert RunDir(run_dir).weights.is_file()
