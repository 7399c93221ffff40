"""How fast a .tflite file is, and how much memory it takes, in its own runtime.

Each file is measured in a process of its own that has loaded nothing but the runtime: with
TensorFlow beside it, neither its memory nor its threads would be the file's alone.
"""

import json
import os
import platform
import re
import resource
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dfcvae_tf.exporting.runtime import (
    TFLiteFunction,
    child_environment,
    interpreter_class,
)

NUM_THREADS = (1, 2)
RUNS = 200
WARM_UP_RUNS = 20
_CPU_INFO = Path("/proc/cpuinfo")
_STATUS = Path("/proc/self/status")


@dataclass(frozen=True)
class Latency:
    """Milliseconds per call of one batch.

    Attributes:
      first_run_ms: the first call after loading, with one thread.
      median_ms: number of threads ("1", "2") -> median of `runs` calls after the warm-up.
      p95_ms: number of threads -> 95th percentile of the same calls.
      peak_memory_bytes: highest resident memory while loading and running with one
        thread, above that of the runtime with nothing loaded.
      runs: calls measured per number of threads.
      batch_size: rows per call.
    """

    first_run_ms: float
    median_ms: dict[str, float]
    p95_ms: dict[str, float]
    peak_memory_bytes: int
    runs: int
    batch_size: int


def measure_latency(path: Path, signature: str, runs: int = RUNS) -> Latency:
    """Measures a .tflite file; with a dynamic batch, one row per call.

    Args:
      path: the file.
      signature: of the file.
      runs: calls measured per number of threads.
    """
    call = f"latency._print_latency({str(path)!r}, {signature!r}, {runs})"
    done = subprocess.run(
        [sys.executable, "-c", f"from dfcvae_tf.exporting import latency; {call}"],
        env=child_environment(),
        capture_output=True,
        check=True,
    )
    return Latency(**json.loads(done.stdout))


def describe_machine() -> str:
    """Returns processor, cores and system in one line."""
    processor = platform.processor() or platform.machine()
    if _CPU_INFO.exists():  # Linux, where platform says little
        for line in _CPU_INFO.read_text().splitlines():
            if line.startswith("model name"):
                processor = line.split(":")[1].strip()
    return f"{processor}, {os.cpu_count()} cores, {platform.system()}"


def _print_latency(path: str, signature: str, runs: int) -> None:
    """Measures in this process and prints the fields of a `Latency` as JSON."""
    interpreter_class()
    before = peak_memory_bytes()
    median_ms, p95_ms = {}, {}
    for num_threads in NUM_THREADS:
        function = TFLiteFunction(Path(path), signature, num_threads)
        rng = np.random.default_rng(0)
        shapes = [np.maximum(1, shape) for shape in function.input_shapes]
        values = [rng.random(shape, np.float32) for shape in shapes]
        times = [_time_ms(function, values) for _ in range(1 + WARM_UP_RUNS + runs)]
        if num_threads == NUM_THREADS[0]:
            first_run_ms = times[0]
            added_memory_bytes = peak_memory_bytes() - before
        median_ms[num_threads] = float(np.median(times[-runs:]))
        p95_ms[num_threads] = float(np.percentile(times[-runs:], 95))
    fields = {
        "first_run_ms": first_run_ms,
        "median_ms": median_ms,
        "p95_ms": p95_ms,
        "peak_memory_bytes": added_memory_bytes,
        "runs": runs,
        "batch_size": int(shapes[0][0]),
    }
    print(json.dumps(fields))


def _time_ms(function: TFLiteFunction, values: Sequence[np.ndarray]) -> float:
    start = time.perf_counter()
    function.call(*values)
    return (time.perf_counter() - start) * 1e3


def peak_memory_bytes() -> int:
    """Highest resident memory of this process so far."""
    if _STATUS.exists():  # Linux, where getrusage begins with the parent's memory
        (line,) = re.findall(r"VmHWM:\s*(\d+) kB", _STATUS.read_text())
        return int(line) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
