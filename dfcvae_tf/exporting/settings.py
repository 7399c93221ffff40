"""What is exported, as settings; needs no TensorFlow, so wrong flags answer at once."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from dfcvae_tf.errors import UserError, unknown_name
from dfcvae_tf.exporting.accelerator import ACCELERATORS

BatchSize = int | Literal["dynamic"]

# What becomes of weights and activations inside; input and output are float32 always.
VARIANTS = {
    "float32": "everything float32",
    "float16": "weights float16, computed in float32",
    "dynamic": "weights int8, activations float32 or int8 as the runtime sees fit",
    "int8": "weights and activations int8",
}


@dataclass(frozen=True)
class ExportSettings:
    """Attributes:
    variants: names out of VARIANTS, each at most once.
    batch_size: rows per call of the .tflite files, or "dynamic".
    seed: of all latents drawn for calibration and checks.
    accelerator: one of ACCELERATORS, whether files also run on a GPU.
    """

    variants: tuple[str, ...] = tuple(VARIANTS)
    batch_size: BatchSize = 1
    seed: int = 0
    accelerator: str = "auto"


def parse_settings(
    variants: Sequence[str], batch_size: str, seed: int, accelerator: str = "auto"
) -> ExportSettings:
    """Returns the settings of the flags --quantize, --batch_size, --seed, --accelerator.

    Raises:
      UserError: a variant or the accelerator is unknown, there is no variant, or the batch
        size is no size.
    """
    names = dict.fromkeys(name.strip() for name in variants if name.strip())
    for name in names:
        if name not in VARIANTS:
            raise unknown_name("variant in --quantize", name, VARIANTS)
    if not names:
        raise UserError(f"--quantize is empty; it takes some of {', '.join(VARIANTS)}")
    size: BatchSize = "dynamic"
    if batch_size != "dynamic":
        try:
            size = int(batch_size)
        except ValueError:
            size = 0
        if size < 1:
            raise UserError(
                "--batch_size must be a whole number from 1, or 'dynamic', got "
                f"{batch_size!r}"
            )
    if accelerator not in ACCELERATORS:
        raise unknown_name("--accelerator", accelerator, ACCELERATORS)
    return ExportSettings(tuple(names), size, seed, accelerator)
