"""What a GPU makes of a file: whether it takes all of it, and how close it comes.

A file that a GPU does not take, or from which it makes something else, is one for CPUs. The
limits are the gate's (`parity`); of arithmetic in half the bits, those of 8-bit files.
"""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from dfcvae_tf.exporting.accelerator import PRECISIONS, Device, Failure, run_whole
from dfcvae_tf.exporting.gpu_operators import refusals
from dfcvae_tf.exporting.parity import (
    MAX_ERROR,
    MIN_PSNR_DB,
    MIN_PSNR_WITH_PRIOR_DB,
    mse_to_psnr_db,
)


@dataclasses.dataclass(frozen=True)
class GpuCheck:
    """What a GPU makes of a file.

    Attributes:
      whole: whether it takes every operator, and what it makes of them is right; where
        there was no device, as far as operators, versions and ranks tell, and of one row
        per call alone.
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
    rows: int,
    values: Sequence[np.ndarray],
    expected: Mapping[str, np.ndarray],
) -> GpuCheck:
    """Looks at a file's operators, and where there is a device runs it there.

    Args:
      device: see `accelerator.find_device`.
      model: the file.
      signature: of the file.
      variant: one of `settings.VARIANTS`.
      rows: per call.
      values: [M, ...] float32, of each argument, M a multiple of `rows`.
      expected: name of result -> [M, ...], what Keras makes of them.
    """
    refused = refusals(model)
    if device is None and rows > 1:
        # LiteRT 2.3 takes such files and makes other pictures of them, without an error.
        refused.append(f"{rows} rows per call, and no GPU here to see if it is right")
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
        in_float = precision == "float32" and variant in MAX_ERROR
        if in_float and signature != "generate":
            good = max_error[precision] <= MAX_ERROR[variant]
        else:
            least = MIN_PSNR_WITH_PRIOR_DB if in_float else MIN_PSNR_DB
            good = all(
                _psnr_db(error, value) >= least
                for error, value in zip(errors, expected.values(), strict=True)
            )
        if not good:
            reason = f"other results in {precision}, by {max_error[precision]:.2g}"
            return GpuCheck(False, (reason,), device.name, max_error)
    return GpuCheck(True, (), device.name, max_error)


def _psnr_db(error: np.ndarray, value: np.ndarray) -> float:
    """Of pictures, or of latents with what they reach as the peak; -inf of no numbers."""
    peak = max(1.0, float(np.abs(value).max()))
    mse = float(np.mean(np.square(error / peak)))
    return mse_to_psnr_db(mse) if np.isfinite(mse) else -np.inf
