"""Devices, precision, strategies."""

import json
from types import SimpleNamespace

import pytest
import tensorflow as tf

from dfcvae_tf.config import TrainingConfig
from dfcvae_tf.errors import UserError
from dfcvae_tf.training import devices

NO_GPU = not tf.config.list_physical_devices("GPU")


@pytest.mark.skipif(not NO_GPU, reason="there is a GPU")
def test_a_gpu_that_is_not_there_is_named():
    with pytest.raises(UserError, match="no GPU.*'gpu' extra.*--device=cpu"):
        devices.set_up_devices(TrainingConfig(steps=1, device="gpu"))


@pytest.mark.parametrize(
    "tf_config",
    [
        "",
        "{",
        "{}",
        json.dumps({"cluster": {"worker": ["a:1"]}, "task": {"index": 0}}),
        json.dumps(
            {"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "index": 1}}
        ),
    ],
)
def test_a_wrong_tf_config_shows_a_right_one(monkeypatch, tf_config):
    monkeypatch.setenv("TF_CONFIG", tf_config)
    with pytest.raises(UserError, match='TF_CONFIG, e.g. .*"index": 0'):
        devices.set_up_devices(
            TrainingConfig(steps=1, distribution="multi_worker_mirrored")
        )


@pytest.mark.parametrize("kind", ["evaluator", "ps"])
def test_a_task_that_does_not_train_is_refused(monkeypatch, kind):
    cluster = {"worker": ["a:1"], kind: ["b:1"]}
    monkeypatch.setenv(
        "TF_CONFIG",
        json.dumps({"cluster": cluster, "task": {"type": kind, "index": 0}}),
    )
    with pytest.raises(UserError, match=f"type '{kind}'; only .* chief and worker"):
        devices.set_up_devices(
            TrainingConfig(steps=1, distribution="multi_worker_mirrored")
        )


@pytest.mark.parametrize(
    ("jobs", "chief"), [(("chief", "worker"), "chief"), (("worker",), "worker")]
)
def test_one_task_of_a_cluster_is_the_chief(jobs, chief):
    cluster = {job: [f"{job}{i}:1" for i in range(2)] for job in jobs}
    cluster["chief"] = cluster["chief"][:1] if "chief" in cluster else []
    cluster = {job: hosts for job, hosts in cluster.items() if hosts}
    chiefs = [
        (job, index)
        for job, hosts in cluster.items()
        for index in range(len(hosts))
        if devices.is_chief(
            SimpleNamespace(
                cluster_resolver=tf.distribute.cluster_resolver.SimpleClusterResolver(
                    tf.train.ClusterSpec(cluster), task_type=job, task_id=index
                )
            )
        )
    ]
    assert chiefs == [(chief, 0)]


def test_one_device_is_its_own_chief():
    strategy = devices.set_up_devices(TrainingConfig(steps=1))
    assert devices.is_chief(strategy)


@pytest.mark.skipif(not NO_GPU, reason="there is a GPU")
def test_auto_precision_is_what_the_cpu_can(monkeypatch):
    monkeypatch.setattr(devices, "cpu_has_bfloat16", lambda: True)
    assert devices.resolve_precision("auto") == "mixed_bfloat16"
    monkeypatch.setattr(devices, "cpu_has_bfloat16", lambda: False)
    assert devices.resolve_precision("auto") == "float32"
    assert devices.resolve_precision("mixed_bfloat16") == "mixed_bfloat16"


@pytest.mark.skipif(not NO_GPU, reason="there is a GPU")
def test_float16_on_a_cpu_warns(caplog):
    caplog.set_level("WARNING")
    assert devices.resolve_precision("mixed_float16") == "mixed_float16"
    assert "emulated" in caplog.text
