"""Pictures per second of the exported decoder, by the size of the batch and what computes.

All must show what Keras shows, and have their turns in rounds, as in `decoder_speed`.
"""

import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from dfcvae_tf.command_line import import_tensorflow
from dfcvae_tf.exporting.accelerator import Device, Failure, find_device, run_whole
from tools import decoder_runtimes
from tools.decoder_speed import (
    MAX_ERROR,
    NUM_LATENTS,
    Runtime,
    markdown_table,
    measure,
)

BATCH_SIZES = (1, 8, 32)


def compare(run_dir: str, repeats: int, rounds: int, trust_code: bool = False) -> str:
    """Measures the float32 decoder of a run on the CPU, and on a GPU where there is one.

    Args:
      run_dir: a finished run, or `pretrained:NAME`.
      repeats: pictures of each per round, at least one batch.
      rounds: how often each has its turn.
      trust_code: see `load_for_inference`.

    Returns:
      A Markdown table, and what is missing in it.

    Raises:
      UserError: the run cannot be exported.
      Stopped: the CPU's pictures are not Keras'.
    """
    import_tensorflow()
    from dfcvae_tf.exporting import exporter

    model, _ = exporter.load_run(run_dir, None, trust_code)
    shape = (NUM_LATENTS, model.config.model.latent_dim)
    latents = np.random.default_rng(0).standard_normal(shape, np.float32)
    pictures = model.vae.decode(latents).numpy()
    device = find_device("auto")
    rates = {}
    with tempfile.TemporaryDirectory() as scratch:
        paths = {size: _export(model, size, Path(scratch)) for size in BATCH_SIZES}

        def measured(load: Any, sources: dict[int, Any], threads: int) -> list[str]:
            runtimes = {
                str(size): Runtime(load, source, 0, batch_size=size)
                for size, source in sources.items()
            }
            speeds = measure(runtimes, latents, pictures, threads, repeats, rounds)
            return [
                f"{size * 1e6 / np.median(speeds[str(size)].times_us):.0f}"
                if size in sources
                else "-"
                for size in BATCH_SIZES
            ]

        for threads in dict.fromkeys((1, os.cpu_count() or 1)):
            name = f"CPU, threads: {threads}"
            rates[name] = measured(decoder_runtimes.tflite_decode, paths, threads)
        if device is not None:
            sources = {
                size: (path, device)
                for size, path in paths.items()
                if _runs_on(device, path, latents, pictures)
            }
            rates[device.name] = measured(decoder_runtimes.gpu_decode, sources, 1)
    titles = ("pictures per second", *(f"batches of {size}" for size in BATCH_SIZES))
    table = markdown_table([titles, *((name, *rate) for name, rate in rates.items())])
    missing = "-: not right on the GPU" if device else "LiteRT finds no GPU here"
    return f"{table}\n{missing}"


def _runs_on(
    device: Device, path: Path, latents: np.ndarray, pictures: np.ndarray
) -> bool:
    """Whether a device takes a file whole and shows what Keras does."""
    try:
        found = run_whole(device, path.read_bytes(), "decode", [latents])["image"]
    except Failure:
        return False
    return bool(np.abs(found - pictures).max() <= MAX_ERROR)


def _export(model: Any, batch_size: int, folder: Path) -> Path:
    """Writes the decoder for so many rows per call, as an export has it."""
    from dfcvae_tf.exporting.device_form import device_decode
    from dfcvae_tf.exporting.saved_model import write_saved_model
    from dfcvae_tf.exporting.tflite import convert
    from dfcvae_tf.messages import held_back_messages
    from dfcvae_tf.models.prior import StandardNormal

    saved_model, path = folder / f"{batch_size}", folder / f"{batch_size}.tflite"
    decode = device_decode(model.vae, model.vae.to_images)
    with held_back_messages():
        write_saved_model(model.vae, StandardNormal(), saved_model, batch_size, decode)
        path.write_bytes(convert(saved_model, "decode", "float32"))
    return path
