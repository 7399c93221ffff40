"""What a GPU makes of a file: whether it takes all of it, and how close it comes.

A file that a GPU does not take, or from which it makes something else, is one for CPUs.
"""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from dfcvae_tf.exporting.accelerator import PRECISIONS, Device, Failure, run_whole
from dfcvae_tf.exporting.gpu_operators import refusals

# Largest errors, of files in float32 and float16 computed in float32.
_MAX_ERROR = {"float32": 1e-4, "float16": 5e-3}
# PSNR of what comes out, of everything else: 8-bit files, arithmetic in half the bits, and
# generators, whose priors amplify rounding.
_MIN_PSNR_DB = 35.0


@dataclasses.dataclass(frozen=True)
class GpuCheck:
    """What a GPU makes of a file.

    Attributes:
      whole: whether it takes every operator, and what it makes of them is right; where
        there was no device, as far as operators, versions and ranks tell.
      refused: why it does not, in words.
      device: what the file ran on; None where there was none.
      max_error: precision of the arithmetic -> largest error against Keras; of those that
        the file ran with.
    """

    whole: bool
    refused: tuple[str, ...]
    device: str | None = None
    max_error: dict[str, float] = dataclasses.field(default_factory=dict)


def check_on_gpu(
    device: Device | None,
    model: bytes,
    signature: str,
    variant: str,
    values: Sequence[np.ndarray],
    expected: Mapping[str, np.ndarray],
) -> GpuCheck:
    """Looks at a file's operators, and where there is a device runs it there.

    Args:
      device: see `accelerator.find_device`.
      model: the file.
      signature: of the file.
      variant: one of `settings.VARIANTS`.
      values: [M, ...] float32, of each argument.
      expected: name of result -> [M, ...], what Keras makes of them.
    """
    refused = refusals(model)
    if refused or device is None:
        return GpuCheck(not refused, tuple(refused))
    max_error: dict[str, float] = {}
    for precision in PRECISIONS:
        try:
            found = run_whole(device, model, signature, values, precision)
        except Failure as failure:
            return GpuCheck(False, (str(failure),), device.name, max_error)
        errors = [found[name] - value for name, value in expected.items()]
        max_error[precision] = max(float(np.abs(error).max()) for error in errors)
        exact = precision == "float32" and signature != "generate"
        if exact and variant in _MAX_ERROR:
            good = max_error[precision] <= _MAX_ERROR[variant]
        else:
            good = all(
                _psnr_db(error, value) >= _MIN_PSNR_DB
                for error, value in zip(errors, expected.values(), strict=True)
            )
        if not good:
            reason = f"other results in {precision}, by {max_error[precision]:.2g}"
            return GpuCheck(False, (reason,), device.name, max_error)
    return GpuCheck(True, (), device.name, max_error)


def _psnr_db(error: np.ndarray, value: np.ndarray) -> float:
    """Peak signal to noise, of a peak of 1 or what the values reach; -inf of no numbers."""
    peak = max(1.0, float(np.abs(value).max()))
    mean_square = float(np.mean(np.square(error)))
    if not np.isfinite(mean_square):
        return -np.inf
    return 10 * np.log10(peak**2 / max(mean_square, 1e-20))
