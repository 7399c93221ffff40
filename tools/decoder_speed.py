"""How long each runtime takes to decode one picture, side by side.

All decode the same latents one by one, from and to NumPy arrays, and must show what Keras
shows. They have their turns in rounds: what else the machine does hits all of them alike.
"""

import contextlib
import importlib.util
import math
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dfcvae_tf.command_line import import_tensorflow
from dfcvae_tf.errors import Stopped
from dfcvae_tf.exporting import latency
from dfcvae_tf.exporting.settings import VARIANTS, ExportSettings
from dfcvae_tf.messages import held_back_messages
from dfcvae_tf.provenance import describe_process
from tools import decoder_runtimes
from tools.contestants import Contestant, answer

# Largest difference of a float32 picture from Keras' with which it still counts as one.
MAX_ERROR = 1e-4
NUM_LATENTS = 32
# Pictures before each measurement, and seconds before those: threads of the one before may
# still be waiting for work at full speed.
WARM_UP_PICTURES = 30
PAUSE_S = 0.05
BASE = "TensorFlow SavedModel"
LITERT_FLOAT32 = "LiteRT float32"
NOT_INSTALLED = "not installed: pip install -e '.[compare]'"
_PACKAGES = ("tensorflow", "ai-edge-litert", "onnxruntime", "torch", "numpy")
_EXPLANATION = """\
Microseconds per picture, {rounds} rounds of {repeats} pictures, all runtimes in turn; the
first call is the one after loading. "times as fast" as the SavedModel: median (lowest to
highest) of the rounds, each by its medians. Memory is the peak of the whole process. The
SavedModel's size is with the encoder; PyTorch's is that of the weights.
"""


@dataclass(frozen=True)
class Runtime:
    """One way to decode.

    Attributes:
      load: (source, number of threads) -> what decodes a batch.
      source: what it loads.
      num_bytes: size of the source on disk.
      max_error: largest difference from Keras' pictures that is allowed.
      batch_size: pictures per call; NUM_LATENTS is a multiple of it.
    """

    load: Callable[[Any, int], decoder_runtimes.Decode]
    source: Any
    num_bytes: int
    max_error: float = MAX_ERROR
    batch_size: int = 1


@dataclass(frozen=True)
class Speed:
    """Of one runtime, with one number of threads.

    Attributes:
      num_bytes: size on disk.
      first_us: microseconds of the first call after loading.
      times_us: [rounds, calls] microseconds per call.
      peak_mib: highest resident memory of the process.
    """

    num_bytes: int
    first_us: float
    times_us: np.ndarray
    peak_mib: float

    def times_as_fast(self, other: "Speed") -> tuple[float, float, float]:
        """Median, lowest and highest ratio to another, of medians of the same round."""
        ratios = np.median(other.times_us, 1) / np.median(self.times_us, 1)
        return float(np.median(ratios)), float(ratios.min()), float(ratios.max())


def compare(
    run_dir: str,
    images: tuple[str | None, str | None, bool],
    threads: Sequence[int],
    repeats: int,
    rounds: int,
    trust_code: bool = False,
) -> str:
    """Exports a run, measures its decoder in all runtimes that are installed.

    Args:
      run_dir: a finished run, or `pretrained:NAME`.
      images: --dataset, --data_dir and --offline: what the export is checked on, see
        `run_images.evaluation_data`.
      threads: numbers of threads, each measured by itself.
      repeats: pictures of each runtime per round.
      rounds: how often each runtime has its turn.
      trust_code: see `load_for_inference`.

    Returns:
      Machine, versions, a Markdown table per number of threads, what they say.

    Raises:
      UserError: the run cannot be exported.
      Stopped: a runtime's pictures are not Keras'.
    """
    with tempfile.TemporaryDirectory() as scratch:
        found, latents, pictures = _prepare(run_dir, images, Path(scratch), trust_code)
        runtimes = {n: r for n, r in found.items() if isinstance(r, Runtime)}
        speeds = {
            count: measure(runtimes, latents, pictures, count, repeats, rounds)
            for count in threads
        }
    versions = describe_process(_PACKAGES)["versions"]
    size = "x".join(map(str, pictures.shape[1:]))
    lines = [
        latency.describe_machine(),
        ", ".join(f"{name} {version}" for name, version in versions.items()),
        f"decoder of {run_dir}: {latents.shape[1]} latents -> {size}, one per call",
        "",
    ]
    for count, measured in speeds.items():
        lines += [table(measured, count), ""]
    lines += [f"{name}: {why}" for name, why in found.items() if isinstance(why, str)]
    lines += [_EXPLANATION.format(rounds=rounds, repeats=repeats)]
    lines += [conclusion(measured, count) for count, measured in speeds.items()]
    return "\n".join(lines)


def _prepare(
    run_dir: str,
    images: tuple[str | None, str | None, bool],
    scratch: Path,
    trust_code: bool,
) -> tuple[dict[str, Runtime | str], np.ndarray, np.ndarray]:
    """Exports a run, and makes the same decoder for the other runtimes.

    Returns:
      Name -> a runtime, or why there is none; latents [K, D]; what Keras makes of them,
      [K, H, W, C] in [0, 1].
    """
    import_tensorflow()
    from dfcvae_tf.data.run_images import evaluation_data
    from dfcvae_tf.exporting import exporter
    from dfcvae_tf.exporting.manifest import SAVED_MODEL
    from dfcvae_tf.exporting.signatures import NETWORKS

    model, step = exporter.load_run(run_dir, None, trust_code)
    data = evaluation_data(model.config, *images)
    folder = scratch / "export"
    manifest = exporter.export_run(
        model, folder, ExportSettings(), data, step, progress=_say
    )
    saved_model = folder / SAVED_MODEL
    num_bytes = sum(p.stat().st_size for p in saved_model.rglob("*") if p.is_file())
    runtimes: dict[str, Runtime | str] = {
        BASE: Runtime(decoder_runtimes.saved_model_decode, saved_model, num_bytes)
    }
    reasons = {file["file"]: file["reason"] for file in manifest["rejected"]}
    for variant in VARIANTS:
        path = folder / f"{NETWORKS['decode']}_{variant}.tflite"
        # How far the others may differ, the export has checked.
        allowed = MAX_ERROR if variant == "float32" else math.inf
        runtimes[f"LiteRT {variant}"] = (
            f"left out of the export: {reasons[path.name]}"
            if path.name in reasons
            else Runtime(
                decoder_runtimes.tflite_decode, path, path.stat().st_size, allowed
            )
        )
    runtimes |= _other_runtimes(model, scratch)

    shape = (NUM_LATENTS, model.config.model.latent_dim)
    latents = np.random.default_rng(0).standard_normal(shape, np.float32)
    return runtimes, latents, model.vae.decode(latents).numpy()


def _other_runtimes(model: Any, scratch: Path) -> dict[str, Runtime | str]:
    """Those that decode with the PyTorch twin; name -> one, or why there is none."""
    network = model.config.model.network
    if network != "article":
        why = f"left out: their decoder is that of network 'article', not {network!r}"
        return {"ONNX Runtime, PyTorch": why}
    from dfcvae_tf.weights import get_arrays

    found: dict[str, Runtime | str] = dict.fromkeys(
        ("ONNX Runtime", "PyTorch"), NOT_INSTALLED
    )
    if not _installed("torch"):
        return found
    arrays = get_arrays(model.vae.decoder)
    source = arrays, model.vae.decoder_output
    num_bytes = sum(array.nbytes for array in arrays.values())
    found["PyTorch"] = Runtime(decoder_runtimes.torch_decode, source, num_bytes)
    if _installed("onnxruntime", "onnxscript"):
        path = scratch / "decoder.onnx"
        decoder_runtimes.write_onnx(source, path)
        found["ONNX Runtime"] = Runtime(
            decoder_runtimes.onnx_decode, path, path.stat().st_size
        )
    return found


def _installed(*packages: str) -> bool:
    return all(importlib.util.find_spec(package) for package in packages)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def measure(
    runtimes: Mapping[str, Runtime],
    latents: np.ndarray,
    pictures: np.ndarray,
    num_threads: int,
    repeats: int,
    rounds: int,
) -> dict[str, Speed]:
    """Measures runtimes in turn, each in a process of its own.

    Args:
      runtimes: name -> what is measured.
      latents: [K, D] float32, decoded in batches of the runtime's size.
      pictures: [K, H, W, C], what should come of them.
      num_threads: of each runtime.
      repeats: pictures per round, at least one call.
      rounds: how often each has its turn.

    Raises:
      Stopped: a runtime's pictures are others.
    """
    with contextlib.ExitStack() as stack:
        contestants = {}
        for name, runtime in runtimes.items():
            _say(f"{_threads(num_threads)}: {name}")
            batches = np.split(latents, len(latents) // runtime.batch_size)
            contestant = Contestant(
                serve_decoding, runtime.load, runtime.source, num_threads, batches
            )
            stack.callback(contestant.close)
            _, made = contestant.facts
            error = np.abs(made - pictures).max()
            if not error <= runtime.max_error:
                raise Stopped(
                    f"{name} does not show what Keras does: the largest difference is "
                    f"{error:.1e}, allowed is {runtime.max_error:.0e}"
                )
            contestants[name] = contestant
        times: dict[str, list[np.ndarray]] = {name: [] for name in contestants}
        peak_mib = {}
        for index in range(rounds):
            # Every other round backwards, so that none always follows the same one.
            for name in contestants if index % 2 == 0 else reversed(contestants):
                time.sleep(PAUSE_S)
                round_us, peak_mib[name] = contestants[name].run(repeats)
                times[name].append(round_us)
        return {
            name: Speed(
                runtimes[name].num_bytes,
                contestant.facts[0],
                np.stack(times[name]),
                peak_mib[name],
            )
            for name, contestant in contestants.items()
        }


def serve_decoding(
    pipe: Any,
    load: Callable[[Any, int], decoder_runtimes.Decode],
    source: Any,
    num_threads: int,
    batches: Sequence[np.ndarray],
) -> None:
    """Decodes in a process of its own, for `Contestant`.

    Facts: microseconds of the first call; all pictures. Work: decoding so many.
    Answers: microseconds of each call, and the peak memory so far in MiB.
    """
    size = len(batches[0])
    with held_back_messages():
        decode = load(source, num_threads)

    def time_us(index: int) -> float:
        start = time.perf_counter()
        decode(batches[index % len(batches)])
        return (time.perf_counter() - start) * 1e6

    def work(count: int) -> tuple[np.ndarray, float]:
        for index in range(max(1, WARM_UP_PICTURES // size)):
            decode(batches[index % len(batches)])
        calls = max(1, count // size)
        times_us = np.array([time_us(index) for index in range(calls)])
        return times_us, latency.peak_memory_bytes() / 2**20

    answer(pipe, (time_us(0), np.concatenate([*map(decode, batches)])), work)


def table(measured: Mapping[str, Speed], num_threads: int) -> str:
    """Returns a Markdown table."""
    titles = ("first call", "median", "p95", "times as fast", "kB", "memory MiB")
    rows = [(_threads(num_threads), *titles)]
    for name, speed in measured.items():
        ratio, low, high = speed.times_as_fast(measured[BASE])
        rows.append(
            (
                name,
                f"{speed.first_us:.0f}",
                f"{np.median(speed.times_us):.0f}",
                f"{np.percentile(speed.times_us, 95):.0f}",
                f"{ratio:.2f} ({low:.2f} to {high:.2f})",
                f"{speed.num_bytes / 1e3:.0f}",
                f"{speed.peak_mib:.0f}",
            )
        )
    return markdown_table(rows)


def markdown_table(rows: Sequence[Sequence[str]]) -> str:
    """Returns a Markdown table; the first row has the titles, the first column names."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        cells = [row[0].ljust(widths[0])]
        cells += [cell.rjust(w) for cell, w in zip(row[1:], widths[1:], strict=True)]
        lines.append(f"| {' | '.join(cells)} |")
    rules = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    lines.insert(1, f"| {' | '.join(rules)} |")
    return "\n".join(lines)


def conclusion(measured: Mapping[str, Speed], num_threads: int) -> str:
    """Returns how the float32 .tflite file compares, in words."""
    if LITERT_FLOAT32 not in measured:
        return f"{LITERT_FLOAT32}: not measured"
    own = measured[LITERT_FLOAT32]
    parts = []
    for name in (BASE, "ONNX Runtime", "PyTorch"):
        if name in measured:
            ratio, low, high = own.times_as_fast(measured[name])
            parts.append(
                f"{ratio:.2f} ({low:.2f} to {high:.2f}) times as fast as {name}"
            )
    return f"{LITERT_FLOAT32}, {_threads(num_threads)}: {', '.join(parts)}"


def _threads(count: int) -> str:
    return f"{count} thread{'s' if count > 1 else ''}"
