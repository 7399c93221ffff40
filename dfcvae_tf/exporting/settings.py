"""What is exported, as settings; needs no TensorFlow, so wrong flags answer at once."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from dfcvae_tf.errors import UserError, unknown_name
from dfcvae_tf.exporting.accelerator import ACCELERATORS
from dfcvae_tf.exporting.signatures import NETWORKS

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
    signatures: what .tflite files are written for, out of NETWORKS; () for all there are.
    saved_model: whether one is written.
    name: of the model; None for that of the run.
    model_version: of the model, whoever exports it counts; None for none.
    """

    variants: tuple[str, ...] = tuple(VARIANTS)
    batch_size: BatchSize = 1
    seed: int = 0
    accelerator: str = "auto"
    signatures: tuple[str, ...] = ()
    saved_model: bool = True
    name: str | None = None
    model_version: str | None = None


def parse_settings(given: Mapping[str, Any]) -> ExportSettings:
    """Returns the settings of flags, by their names.

    Args:
      given: "quantize", "batch_size", "seed", "accelerator", "signatures", "saved_model",
        "name", "model_version".

    Raises:
      UserError: a variant, a signature or the accelerator is unknown, there is no variant,
        decode is not among the signatures, the batch size is no size, or a name or version
        is no line of text.
    """
    variants = _names(given["quantize"], "variant in --quantize", VARIANTS)
    if not variants:
        raise UserError(f"--quantize is empty; it takes some of {', '.join(VARIANTS)}")
    signatures = _names(
        given["signatures"] or (), "signature in --signatures", NETWORKS
    )
    if signatures and "decode" not in signatures:
        raise UserError(
            "--signatures must have decode: generate is made of it; it takes some of "
            + ", ".join(NETWORKS)
        )
    if given["accelerator"] not in ACCELERATORS:
        raise unknown_name("--accelerator", given["accelerator"], ACCELERATORS)
    for flag in ("name", "model_version"):
        text = given[flag]
        if text is not None and not (text.strip() and text.isprintable()):
            raise UserError(f"--{flag} must be a line of text, got {text!r}")
    return ExportSettings(
        variants,
        _batch_size(given["batch_size"]),
        given["seed"],
        given["accelerator"],
        # In the order in which files are made of one another.
        tuple(name for name in NETWORKS if name in signatures),
        given["saved_model"] == "yes",
        given["name"],
        given["model_version"],
    )


def _names(given: Sequence[str], what: str, known: Collection[str]) -> tuple[str, ...]:
    """Returns each name once."""
    names = dict.fromkeys(name.strip() for name in given if name.strip())
    for name in names:
        if name not in known:
            raise unknown_name(what, name, known)
    return tuple(names)


def _batch_size(text: str) -> BatchSize:
    if text == "dynamic":
        return "dynamic"
    try:
        size = int(text)
    except ValueError:
        size = 0
    if size < 1:
        raise UserError(
            f"--batch_size must be a whole number from 1, or 'dynamic', got {text!r}"
        )
    return size
