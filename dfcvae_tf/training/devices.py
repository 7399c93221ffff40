"""Which device, which numeric precision, and how work is spread over replicas."""

import json
import os
from pathlib import Path

import tensorflow as tf
from absl import logging

from dfcvae_tf.config import TrainingConfig
from dfcvae_tf.errors import UserError

# Types of tasks in TF_CONFIG that train.
_WORKERS = ("chief", "worker")


def set_up_devices(config: TrainingConfig) -> tf.distribute.Strategy:
    """Chooses devices, makes runs repeatable, and returns the distribution strategy.

    Must run before anything else of TensorFlow does.

    Raises:
      UserError: a GPU is asked for and there is none, or TF_CONFIG is missing or wrong.
    """
    gpus = tf.config.list_physical_devices("GPU")
    if config.device == "gpu" and not gpus:
        raise UserError(
            "--device=gpu, but TensorFlow sees no GPU: install the 'gpu' extra and a "
            "driver, or use --device=cpu"
        )
    if config.device == "cpu":
        tf.config.set_visible_devices([], "GPU")
    if config.deterministic:
        tf.config.experimental.enable_op_determinism()
    strategy = _strategy(config)
    replicas = strategy.num_replicas_in_sync
    if config.batch_size % replicas:
        raise UserError(
            f"--batch_size={config.batch_size} is split over {replicas} replicas; "
            f"{max(1, round(config.batch_size / replicas)) * replicas} would fit"
        )
    return strategy


def _strategy(config: TrainingConfig) -> tf.distribute.Strategy:
    if config.distribution == "one_device":
        return tf.distribute.get_strategy()
    if config.distribution == "mirrored":
        devices = tf.config.list_logical_devices("GPU")
        devices = devices if config.device != "cpu" else []
        devices = devices or tf.config.list_logical_devices("CPU")
        return tf.distribute.MirroredStrategy([device.name for device in devices])
    try:
        found = json.loads(os.environ.get("TF_CONFIG", ""))
        kind, index = str(found["task"]["type"]), int(found["task"]["index"])
        if kind in _WORKERS and not 0 <= index < len(found["cluster"][kind]):
            raise ValueError
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(
            "--distribution=multi_worker_mirrored needs the cluster in TF_CONFIG, e.g. "
            '\'{"cluster": {"worker": ["host1:2222", "host2:2222"]}, '
            '"task": {"type": "worker", "index": 0}}\''
        ) from error
    if kind not in _WORKERS:
        raise UserError(
            f"TF_CONFIG makes this process a task of type {kind!r}; only those of type "
            f"{' and '.join(_WORKERS)} train: start no other"
        )
    return tf.distribute.MultiWorkerMirroredStrategy()


def is_chief(strategy: tf.distribute.Strategy) -> bool:
    """True in the one process that writes the run directory."""
    resolver = strategy.cluster_resolver
    if resolver is None or not resolver.task_type:
        return True
    # Where no task is called chief, the first worker is.
    first = "chief" if "chief" in resolver.cluster_spec().jobs else "worker"
    return (resolver.task_type, resolver.task_id) == (first, 0)


def resolve_precision(name: str) -> str:
    """Returns the Keras dtype policy for a precision setting.

    auto = mixed_float16 on a GPU with tensor cores (compute capability 7.0 and up),
    mixed_bfloat16 on a CPU with native bfloat16 arithmetic, else float32.
    """
    gpus = tf.config.get_visible_devices("GPU")
    if name == "mixed_float16" and not gpus:
        logging.warning(
            "float16 is emulated on a CPU and slow; mixed_bfloat16 or float32 is better"
        )
    if name != "auto":
        return name
    if gpus:
        details = tf.config.experimental.get_device_details(gpus[0])
        tensor_cores = details.get("compute_capability", (0, 0)) >= (7, 0)
        return "mixed_float16" if tensor_cores else "float32"
    return "mixed_bfloat16" if cpu_has_bfloat16() else "float32"


def cpu_has_bfloat16() -> bool:
    """True where the CPU multiplies bfloat16 natively (AVX512_BF16 or AMX)."""
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:  # not Linux: no way to know
        return False
    flags = next((line for line in text.splitlines() if line.startswith("flags")), "")
    return not {"avx512_bf16", "amx_bf16"}.isdisjoint(flags.split())
