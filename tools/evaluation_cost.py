"""How long an evaluation takes and how much memory, by size and number of images.

Two runs that were never trained are compared on generated images: what that costs does not
depend on what they learned.
"""

import dataclasses
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from dfcvae_tf.command_line import import_tensorflow
from dfcvae_tf.config import Config, apply_settings
from dfcvae_tf.exporting import latency
from dfcvae_tf.images import inference_batch
from dfcvae_tf.presets import preset_config
from tools.contestants import Contestant, answer

SIZES = (28, 64, 128, 256)
WHOLE_SPLIT = 10_000  # images of MNIST's test split
IMPORTANCE_SAMPLES = 4
NUM_KEPT = 100  # of the images, for maps; what is above it grows with the images alone
_CLASSES = ("a", "b", "c")
_CHANNELS = 3
# Encoders end, and decoders begin, at 7 or 8 pixels a side.
_DEPTHS = {28: 2, 64: 3, 128: 4, 256: 5}
_REPORT = """\
{machine}; TensorFlow {tensorflow}
two conv networks, {channels} channels; random MobileNetV2 as held-out classifier;
{draws} importance samples, {kept} images on maps

pixels  images  seconds  loaded MiB  peak MiB  KiB/image  MiB, whole
{rows}

peak: resident memory of the process, of which loaded was there before the evaluation;
per image: growth from half as many, where these are more than a batch and the maps hold;
whole: the peak of {whole} images if that goes on"""


def compare(sizes: Sequence[int], images: int) -> str:
    """Evaluates half as many images, then so many, at each size, each in a process.

    Args:
      sizes: height and width of the images, out of SIZES.
      images: how many, at least 8.

    Returns:
      Machine, a table, and what its numbers are.
    """
    rows = []
    facts: dict[str, Any] = {}
    for size in sizes:
        peaks = []
        for count in (images // 2, images):
            contestant = Contestant(_serve, size)
            try:
                seconds, peak = contestant.run(count)
                facts = contestant.facts
            finally:
                contestant.close()
            peaks.append(peak)
            rows.append(
                f"{size:6} {count:7} {seconds:8.0f} {facts['loaded']:11.0f} {peak:9.0f}"
            )
        if images // 2 > max(inference_batch((size, size, _CHANNELS)), NUM_KEPT):
            per_image = (peaks[1] - peaks[0]) / (images - images // 2)
            at_most = peaks[1] + max(0.0, per_image) * (WHOLE_SPLIT - images)
            rows[-1] += f" {1024 * per_image:10.0f} {at_most:11.0f}"
    return _REPORT.format(
        **facts,
        channels=_CHANNELS,
        draws=IMPORTANCE_SAMPLES,
        kept=NUM_KEPT,
        rows="\n".join(rows),
        whole=WHOLE_SPLIT,
    )


def generated_images(count: int, size: int, batch: int) -> Iterator[np.ndarray]:
    """Batches [batch, size, size, 3] float32 in [0, 1], smooth and of 8 bits a value.

    An image depends on its place alone.
    """
    for start in range(0, count, batch):
        yield np.stack(
            [
                _generate(place, size)
                for place in range(start, min(start + batch, count))
            ]
        )


def _generate(place: int, size: int) -> np.ndarray:
    coarse = np.random.default_rng(place).random((6, 6, _CHANNELS), np.float32)
    smooth = cv2.resize(coarse, (size, size), interpolation=cv2.INTER_CUBIC)
    return np.rint(255 * np.clip(smooth, 0, 1)).astype(np.float32) / 255


def _serve(pipe: Any, size: int) -> None:
    """Work: an evaluation of so many images, once. Answers: seconds, peak in MiB."""
    import_tensorflow()
    import tensorflow as tf

    from dfcvae_tf.evaluation import evaluator

    with tempfile.TemporaryDirectory() as folder:
        runs = {name: _make_run(Path(folder) / name, size) for name in ("one", "other")}
        models = evaluator.load_runs(runs)
        facts = {
            "machine": latency.describe_machine(),
            "tensorflow": tf.__version__,
            "loaded": latency.peak_memory_bytes() / 2**20,
        }

        def work(count: int) -> tuple[float, float]:
            start = time.perf_counter()
            _evaluate(models, size, count, Path(folder) / "report")
            return time.perf_counter() - start, latency.peak_memory_bytes() / 2**20

        answer(pipe, facts, work)


def _make_run(path: Path, size: int) -> str:
    """Writes a run as training leaves it, with the weights it began with."""
    from dfcvae_tf import checkpoints
    from dfcvae_tf.models.vae import build_vae
    from dfcvae_tf.run_dir import RunDir

    run, config = RunDir(path), _config(size)
    assert config.image_shape is not None
    inputs = checkpoints.Inputs("generated images", {}, "", {})
    checkpoints.write_config(run, config, inputs)
    vae = build_vae(config.model, config.image_shape, "float32")
    checkpoints.save_inference_weights(run, vae)
    return str(path)


def _config(size: int) -> Config:
    settings = {
        "prior": "standard",
        "dataset": "synthetic",
        "image_size": (size, size),
        "network": "conv",
        "depth": _DEPTHS[size],
        "width": 16,
        "latent_dim": 64,
    }
    config = apply_settings(preset_config("mnist-vae"), settings)
    return dataclasses.replace(config, image_shape=(size, size, _CHANNELS))


def _evaluate(models: Any, size: int, count: int, folder: Path) -> None:
    from dfcvae_tf.evaluation import evaluator, report
    from dfcvae_tf.evaluation.dataset import EvaluationImages
    from dfcvae_tf.evaluation.settings import Settings

    data = EvaluationImages(
        read=lambda number, batch: generated_images(number, size, batch),
        read_train=lambda number, batch: generated_images(number, size, batch),
        image_shape=(size, size, _CHANNELS),
        num_images=count,
        places=np.arange(count),
        labels=np.arange(count) % len(_CLASSES),
        class_names=_CLASSES,
        name="generated",
        description="generated images",
        total=count,
        num_training=count,
        total_training=count,
    )
    settings = Settings(
        judge="keras:MobileNetV2",
        judge_layers=("block_3_expand_relu",),
        judge_weights="random",
        importance_samples=IMPORTANCE_SAMPLES,
        num_interpolations=NUM_KEPT,
        num_embedded=NUM_KEPT,
        num_moved=NUM_KEPT,
    )
    found = evaluator.evaluate(models, data, settings, lambda text: None)
    report.write_report(folder, found)
