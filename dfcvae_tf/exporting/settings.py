"""What is exported, as settings; needs no TensorFlow, so wrong flags answer at once."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from dfcvae_tf.errors import UserError, unknown_name

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
    """

    variants: tuple[str, ...] = tuple(VARIANTS)
    batch_size: BatchSize = 1
    seed: int = 0


def parse_settings(
    variants: Sequence[str], batch_size: str, seed: int
) -> ExportSettings:
    """Returns the settings of the flags --quantize, --batch_size and --seed.

    Raises:
      UserError: a variant is unknown or there is none, or the batch size is no size.
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
    return ExportSettings(tuple(names), size, seed)
