"""Runs .tflite files on a GPU, every operator of them, through LiteRT's `CompiledModel`.

A driver may crash or hang, so that each file runs in a process of its own. Where there is
no GPU, a software device for Vulkan does: SwiftShader, which comes with Chromium.
"""

import dataclasses
import functools
import importlib.util
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dfcvae_tf.errors import UserError
from dfcvae_tf.exporting.runtime import child_environment
from dfcvae_tf.exporting.signatures import LABEL

# --accelerator: whether files also run on a GPU.
ACCELERATORS = ("auto", "gpu", "none")
# Float arithmetic on the GPU: as in the file, or in half the bits where it has them.
PRECISIONS = ("float32", "float16")

_SOFTWARE_DRIVERS = (
    Path("/usr/lib/chromium/vk_swiftshader_icd.json"),
    Path("/usr/lib64/chromium-browser/vk_swiftshader_icd.json"),
    Path("/opt/google/chrome/vk_swiftshader_icd.json"),
)
# Vulkan's loader takes drivers from these, by its version.
_DRIVER_VARIABLES = ("VK_DRIVER_FILES", "VK_ICD_FILENAMES")
_TIMEOUT_S = 120
# In what LiteRT prints: the device; operators that it refuses; the error it ends with.
_ADAPTER = re.compile(r"Selected adapter:? *(?:name: *)?([^,\n]*)")
_REFUSED = re.compile(r"not supported by GPU delegate:\n(.*)")
_ERROR = re.compile(r"(?:RuntimeError|Failure): (?:ERROR: .*\n\W*)?(.*)")


class Failure(Exception):
    """A file did not run on the GPU; the message says why, in one line."""


@dataclasses.dataclass(frozen=True)
class Device:
    """A GPU, or what stands for one.

    Attributes:
      name: as the driver calls it.
      environment: what a process needs to find it.
    """

    name: str
    environment: dict[str, str]


def find_device(choice: str) -> Device | None:
    """Returns the device that files are to run on; None for none.

    Args:
      choice: one of ACCELERATORS; with "auto" a device is taken if there is one.

    Raises:
      UserError: the choice is "gpu", and there is none.
    """
    if choice == "none":
        return None
    device, reason = _find()
    if device is None and choice == "gpu":
        raise UserError(
            f"--accelerator=gpu: LiteRT finds no GPU here ({reason}); with "
            "--accelerator=auto files are checked on one where there is one, and "
            "Debian's packages chromium and libvulkan1 bring one in software"
        )
    return device


@functools.cache
def _find() -> tuple[Device | None, str]:
    """The device, and where there is none, why."""
    try:
        has_runtime = importlib.util.find_spec("ai_edge_litert.compiled_model")
    except ModuleNotFoundError:  # not even the package
        has_runtime = None
    if has_runtime is None:
        return None, "ai-edge-litert is not installed, or older than CompiledModel"
    drivers = [path for path in _SOFTWARE_DRIVERS if path.is_file()]
    tries = [{}, *(dict.fromkeys(_DRIVER_VARIABLES, str(path)) for path in drivers)]
    probe, values = _probe()
    reason = ""
    for environment in tries:
        try:
            run = _run(probe, "probe", [values], "float32", environment)
        except Failure as failure:
            reason = reason or str(failure)
            continue
        return Device(run.adapter, environment), ""
    return None, reason


def run_whole(
    device: Device,
    model: bytes,
    signature: str,
    values: Sequence[np.ndarray],
    precision: str = "float32",
) -> dict[str, np.ndarray]:
    """Runs a file on a device and nowhere else.

    Args:
      device: see `find_device`.
      model: the file; its arguments have a fixed number of rows.
      signature: of the file.
      values: [M, ...] float32, of each argument in the file's order, a label last; M is a
        multiple of its rows.
      precision: one of PRECISIONS.

    Returns:
      Name of result -> [M, ...] float32.

    Raises:
      Failure: the device refused an operator, the driver crashed, or it took too long.
    """
    return _run(model, signature, values, precision, device.environment).results


@dataclasses.dataclass(frozen=True)
class _Run:
    results: dict[str, np.ndarray]
    adapter: str


def _run(
    model: bytes,
    signature: str,
    values: Sequence[np.ndarray],
    precision: str,
    environment: dict[str, str],
) -> _Run:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "model.tflite").write_bytes(model)
        np.savez(folder / "values.npz", *values)
        call = f"accelerator._run_here({name!r}, {signature!r}, {precision!r})"
        try:
            done = subprocess.run(  # noqa: PLW1510 (its exit code is looked at)
                [
                    sys.executable,
                    "-c",
                    f"from dfcvae_tf.exporting import accelerator; {call}",
                ],
                # Vulkan's loader looks for a display's folder, and says so if it is none.
                env={"XDG_RUNTIME_DIR": name} | child_environment() | environment,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=_TIMEOUT_S,
            )
        except subprocess.TimeoutExpired:
            raise Failure(f"did not end within {_TIMEOUT_S} s") from None
        results = folder / "results.npz"
        if done.returncode or not results.is_file():
            raise Failure(_reason(done))
        with np.load(results) as arrays:
            found = {key: arrays[key] for key in arrays.files}
    adapter = _ADAPTER.search(done.stdout + done.stderr)
    return _Run(found, adapter[1].strip() if adapter else "a GPU")


def _reason(done: subprocess.CompletedProcess[str]) -> str:
    if done.returncode < 0:
        return f"the driver ended the process with signal {-done.returncode}"
    told = [*_REFUSED.findall(done.stderr), *_ERROR.findall(done.stderr)]
    return told[0].strip() if told else f"it ended with exit code {done.returncode}"


def compile_here(path: Path, precision: str) -> Any:
    """LiteRT's CompiledModel of a file, in this process, on its GPU and nowhere else.

    With any operator that a GPU has not, LiteRT raises an error or ends the process.

    Args:
      path: of the file.
      precision: one of PRECISIONS.
    """
    from ai_edge_litert.compiled_model import (
        CompiledModel,
        GpuOptions,
        HardwareAccelerator,
        Options,
    )

    options = Options(
        hardware_accelerators=HardwareAccelerator.GPU,
        gpu_options=GpuOptions(enforce_f32=precision == "float32"),
    )
    return CompiledModel.from_file(str(path), options=options)


def _run_here(name: str, signature: str, precision: str) -> None:
    """Runs in this process what a folder holds, and leaves the results there."""
    folder = Path(name)
    model = compile_here(folder / "model.tflite", precision)
    if not model.is_fully_accelerated():
        sys.exit("Failure: only a part of its operators ran there")
    inputs = model.get_input_tensor_details(signature)
    outputs = model.get_output_tensor_details(signature)
    arguments = sorted(inputs, key=lambda name: name == LABEL)
    with np.load(folder / "values.npz") as arrays:
        values = [arrays[key] for key in arrays.files]
    rows = int(inputs[arguments[0]]["shape"][0])
    results: dict[str, list[np.ndarray]] = {key: [] for key in outputs}
    into = {a: model.create_input_buffer_by_name(signature, a) for a in arguments}
    out = {key: model.create_output_buffer_by_name(signature, key) for key in outputs}
    for start in range(0, len(values[0]), rows):
        for argument, value in zip(arguments, values, strict=True):
            part = value[start : start + rows]
            into[argument].write(np.ascontiguousarray(part, np.float32))
        model.run_by_name(signature, into, out)
        for key, details in outputs.items():
            shape = [int(size) for size in details["shape"]]
            flat = out[key].read(int(np.prod(shape)), np.float32)
            results[key].append(np.array(flat, np.float32).reshape(shape))
    arrays = {key: np.concatenate(parts) for key, parts in results.items()}
    np.savez(folder / "results.npz", **arrays)


def _probe() -> tuple[bytes, np.ndarray]:
    """A file of one operator, and an argument for it."""
    import tensorflow as tf

    from dfcvae_tf.messages import held_back_messages

    module = tf.Module()
    module.probe = tf.function(
        lambda x: {"y": 2.0 * x}, input_signature=[tf.TensorSpec([1, 4], name="x")]
    )
    with tempfile.TemporaryDirectory() as folder, held_back_messages():
        tf.saved_model.save(module, folder, {"probe": module.probe})
        converter = tf.lite.TFLiteConverter.from_saved_model(
            folder, signature_keys=["probe"]
        )
        return converter.convert(), np.ones((1, 4), np.float32)
