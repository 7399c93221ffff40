"""manifest.json: what an export holds, how it was made, and how good it is.

A folder with a manifest is a finished export, as it is written last. Programs that use the
files, such as the web page, read everything they need to know about them from it. It is
made to be published: it tells what the model is, and nothing of where it was made.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dfcvae_tf import attribute_vectors
from dfcvae_tf import config as config_lib
from dfcvae_tf.checkpoints import read_provenance
from dfcvae_tf.data.prepare import CROP_FRAME, GREY_WEIGHTS, PARTS
from dfcvae_tf.exporting.folder import FORMAT_VERSION, file_list
from dfcvae_tf.exporting.gpu_check import GpuCheck
from dfcvae_tf.exporting.latency import Latency, describe_machine
from dfcvae_tf.exporting.licences import licences
from dfcvae_tf.exporting.parity import Parity
from dfcvae_tf.exporting.recommendation import recommend
from dfcvae_tf.exporting.runtime import interpreter_class
from dfcvae_tf.exporting.samples import Samples
from dfcvae_tf.exporting.settings import ExportSettings
from dfcvae_tf.exporting.signatures import (
    LABEL,
    NETWORKS,
    PRIOR_SIGNATURES,
    SIGNATURES,
    arguments,
)
from dfcvae_tf.loaded_run import LoadedRun
from dfcvae_tf.models.prior import STANDARD
from dfcvae_tf.prior_file import read_facts
from dfcvae_tf.provenance import describe_process

SAVED_MODEL = "saved_model"
# The prior's, where it is a learned one.
PRIOR = "prior.tflite"
COLOR_ORDERS = {1: "grey", 3: "RGB"}
# Sliders reach at least this far in every dimension.
MIN_LATENT_RANGE = 2.0
# Of what a run's config.json tells of its origin; command line and changes are private.
_PUBLIC_PROVENANCE = (
    "dataset",
    "num_images",
    "data_digest",
    "model_digests",
    "git_revision",
    "python",
    "versions",
)
_PACKAGES = ("dfcvae-tf", "tensorflow", "keras", "ai-edge-litert", "numpy")


@dataclass(frozen=True)
class File:
    """One .tflite file that was tried.

    Attributes:
      variant: one of `settings.VARIANTS`.
      signature: one of NETWORKS, or the prior's first.
      name: of the file.
      num_bytes: its size; 0 when it failed.
      parity: how close it comes to Keras; None when it failed.
      latency: how fast it is; None when it failed.
      gpu: what a GPU makes of it; None when it failed, and for a prior by itself.
      failures: why it was left out, in words; empty when it passed.
    """

    variant: str
    signature: str
    name: str
    num_bytes: int = 0
    parity: Parity | None = None
    latency: Latency | None = None
    gpu: GpuCheck | None = None
    failures: tuple[str, ...] = ()


def describe(model: LoadedRun, settings: ExportSettings) -> dict[str, Any]:
    """Returns what a manifest says before there are files."""
    return {
        "name": settings.name or model.run.path.resolve().name,
        "model_version": settings.model_version,
        "image": _image(model),
        "preprocessing": _preprocessing(model),
        "licences": licences(model.run, model.config.data.dataset),
    }


def build_manifest(
    folder: Path,
    model: LoadedRun,
    step: int | None,
    settings: ExportSettings,
    calibration: Samples,
    checks: Samples,
    saved_model_parity: dict[str, Parity],
    files: Sequence[File],
    attributes: Mapping[str, list[float]],
) -> dict[str, Any]:
    """Returns the manifest, ready for JSON.

    Args:
      folder: the export; its files so far are listed.
      model: the run.
      step: of the checkpoint it was loaded from; None for a finished run.
      settings: what was asked for.
      calibration: what int8 was calibrated on.
      checks: what the files were checked on.
      saved_model_parity: signature -> how close the SavedModel comes.
      files: the .tflite files that were tried.
      attributes: name -> direction, [D] each; see `attribute_directions`.
    """
    process = describe_process(_PACKAGES)
    passed = {(f.variant, f.signature): f for f in files if not f.failures}
    listed = file_list(folder)
    prior = _prior(model, settings, passed)
    variants = [
        _variant(name, passed)
        for name in settings.variants
        if (name, "decode") in passed
    ]
    return {
        "format_version": FORMAT_VERSION,
        **describe(model, settings),
        "latent": {
            "dim": model.latent_dim,
            "ranges": latent_ranges(checks.z_mean),
            "dtype": "float32",
        },
        **({"attributes": dict(attributes)} if attributes else {}),
        "batch_size": settings.batch_size,
        "prior": prior,
        "signatures": _signatures(model, settings),
        "variants": variants,
        "recommended": recommend(variants, listed, _drawn_by(variants, prior)),
        "rejected": [
            {"name": f.variant, "file": f.name, "reason": ", ".join(f.failures)}
            for f in files
            if f.failures
        ],
        "files": listed,
        "saved_model": SAVED_MODEL if settings.saved_model else None,
        "saved_model_parity": {
            signature: _parity(parity)
            for signature, parity in saved_model_parity.items()
        },
        "trained": _trained(model, step),
        "calibration": {"seed": settings.seed, **_samples(calibration)},
        "checks": _samples(checks),
        "versions": {
            **process["versions"],
            "python": process["python"],
            "git_revision": process["git_revision"],
        },
        "runtime": interpreter_class()[1],
        "machine": describe_machine(),
    }


def attribute_directions(
    model: LoadedRun, step: int | None, progress: Callable[[str], None]
) -> dict[str, list[float]]:
    """Returns the run's attribute vectors, name -> [D], {} where it has none.

    A checkpoint gets none: they are those of the weights that training ended with.

    Args:
      model: the run.
      step: of the checkpoint it was loaded from; None for a finished run.
      progress: told when vectors are left out.

    Raises:
      UserError: the vectors are those of other weights, or damaged.
    """
    folder = model.run.attributes
    if not (folder / attribute_vectors.FACTS).is_file():
        return {}
    if step is not None:
        progress("attributes are left out: their vectors are not of a checkpoint")
        return {}
    found = attribute_vectors.load(folder, model.run, model.config.model.latent_dim)
    return dict(zip(found.names, found.vectors.tolist(), strict=True))


def latent_ranges(z_mean: np.ndarray) -> list[list[float]]:
    """Returns [low, high] of each dimension of encoder means [M, D].

    Their 1st and 99th percentile, and at least -+MIN_LATENT_RANGE.
    """
    low, high = np.percentile(z_mean, (1, 99), axis=0)
    low, high = np.minimum(low, -MIN_LATENT_RANGE), np.maximum(high, MIN_LATENT_RANGE)
    return np.stack([low, high], axis=1).round(3).tolist()


def _drawn_by(variants: Sequence[dict[str, Any]], prior: dict[str, Any]) -> str:
    """What pictures are drawn by; of a learned prior whose generators failed, decoders."""
    return prior["signature"] if any(v["generator"] for v in variants) else "decode"


def _image(model: LoadedRun) -> dict[str, Any]:
    height, width, channels = model.image_shape
    return {
        "height": height,
        "width": width,
        "channels": channels,
        "color_order": COLOR_ORDERS[channels],
        "range": [0.0, 1.0],
        "dtype": "float32",
    }


def _preprocessing(model: LoadedRun) -> dict[str, Any]:
    """How a photo becomes what `encode` takes, in this order."""
    data = model.config.data
    part = None
    if data.crop in PARTS:
        names = ("top", "left", "height", "width")
        part = dict(zip(names, PARTS[data.crop], strict=True))
        part |= dict(zip(("of_height", "of_width"), CROP_FRAME, strict=True))
    grey = {"grey_weights": list(GREY_WEIGHTS)} if model.image_shape[2] == 1 else {}
    return {
        "background": data.background,
        "crop": data.crop if part is None else "part",
        "part": part,
        "resize": "bilinear, antialiased",
        **grey,
        "ground": model.ground,
    }


def _trained(model: LoadedRun, step: int | None) -> dict[str, Any]:
    """What a stranger may know of the training."""
    provenance = read_provenance(model.run)
    return {
        "checkpoint_step": step,
        "settings": config_lib.to_public_dict(model.config),
        "provenance": {
            key: value for key, value in provenance.items() if key in _PUBLIC_PROVENANCE
        },
    }


def _samples(samples: Samples) -> dict[str, Any]:
    return {
        "source": samples.source,
        "num_images": len(samples.images),
        "num_latents": len(samples.all_latents),
        "latents": {kind: len(z) for kind, z in samples.latents.items()},
    }


def _signatures(model: LoadedRun, settings: ExportSettings) -> dict[str, Any]:
    """Shapes of the arguments and results; None where any size will do."""
    batch = None if settings.batch_size == "dynamic" else settings.batch_size
    latents = [batch, model.config.model.latent_dim]
    images = [batch, *(model.config.image_shape or ())]
    shapes = {
        "noise": latents,
        "z": latents,
        "z_mean": latents,
        "z_log_var": latents,
        "image": images,
        LABEL: [batch, model.prior.num_labels],
    }
    names = () if settings.saved_model else settings.signatures
    signatures = {name: SIGNATURES[name] for name in names or NETWORKS}
    if model.has_learned_prior:
        signatures |= PRIOR_SIGNATURES
    return {
        signature: {
            "inputs": {
                argument: {"shape": shapes[argument], "dtype": "float32"}
                for argument in arguments(signature, model.prior.num_labels)
            },
            "outputs": {
                name: {"shape": shapes[name], "dtype": "float32"} for name in results
            },
        }
        for signature, (_, results) in signatures.items()
    }


def _prior(
    model: LoadedRun,
    settings: ExportSettings,
    passed: Mapping[tuple[str, str], File],
) -> dict[str, Any]:
    """What pictures are drawn from, and how: noise goes into `signature`."""
    if not model.has_learned_prior:
        return {
            "kind": STANDARD,
            "noise": "standard normal",
            "signature": "decode",
            "file": None,
        }
    facts = read_facts(model.run)
    assert facts is not None
    file = passed["float32", "from_noise"]
    joined = not settings.signatures or "generate" in settings.signatures
    return {
        **facts,
        "noise": "standard normal",
        "signature": "generate" if joined else "from_noise",
        "file": file.name,
        "bytes": file.num_bytes,
        "parity": _parity(file.parity),
        "quality": _quality(file.parity),
        "latency": _latency(file.latency),
    }


def _variant(name: str, passed: dict[tuple[str, str], File]) -> dict[str, Any]:
    """A variant that has a decoder; what else it has not is None."""
    files = {
        network: passed[name, signature]
        for signature, network in NETWORKS.items()
        if (name, signature) in passed
    }
    return {
        "name": name,
        **{network: None for network in NETWORKS.values()},
        **{network: file.name for network, file in files.items()},
        "bytes": files["decoder"].num_bytes,
        "parity": {network: _parity(file.parity) for network, file in files.items()},
        "quality": {network: _quality(file.parity) for network, file in files.items()},
        "latency": {network: _latency(file.latency) for network, file in files.items()},
        "gpu": {network: _gpu(file.gpu) for network, file in files.items()},
    }


def _parity(parity: Parity | None) -> dict[str, Any]:
    assert parity is not None
    return {
        "max_error": parity.max_error,
        "batch_difference": parity.batch_difference,
        "z_log_var_rmse": parity.log_var_rmse,
    }


def _quality(parity: Parity | None) -> dict[str, Any]:
    assert parity is not None
    return {
        "psnr_db": parity.psnr_db,
        "worst_psnr_db": parity.worst_psnr_db,
        "sharpness_ratio": parity.sharpness_ratio,
        "label_agreement": parity.agreement,
        "keras_label_agreement": parity.reference_agreement,
    }


def _gpu(gpu: GpuCheck | None) -> dict[str, Any]:
    assert gpu is not None
    return {**dataclasses.asdict(gpu), "refused": list(gpu.refused)}


def _latency(latency: Latency | None) -> dict[str, Any]:
    assert latency is not None
    return dataclasses.asdict(latency)
