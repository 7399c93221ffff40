"""Every setting of a run as frozen dataclasses, their checks, and JSON in and out.

Each field is one command-line flag of the same name (`train.py` makes the flags from
these fields), one entry of the run's `config.json`, and is explained here only.
This module does not import TensorFlow, so `--help` answers at once.
"""

import dataclasses
import json
import math
import typing
from dataclasses import dataclass, field
from typing import Any, Literal

from dfcvae_tf.errors import UserError, unknown_name


def setting(default: Any, help_text: str) -> Any:
    """A dataclass field with its help text."""
    return field(default=default, metadata={"help": help_text})


@dataclass(frozen=True)
class DataConfig:
    """Where the images come from and how they are prepared."""

    dataset: str = setting(
        "mnist_sample",
        "mnist_sample (bundled) | mnist | tfds:NAME | celeba:PATH | folder:PATH | "
        "synthetic",
    )
    data_dir: str | None = setting(
        None, "folder of prepared TensorFlow Datasets (their default when not given)"
    )
    offline: bool = setting(
        False, "never touch the network: read only what is already prepared"
    )
    image_size: tuple[int, int] | None = setting(
        None, "HEIGHTxWIDTH, or one number for both; the source's own when not given"
    )
    color: Literal["source", "grey", "rgb"] = setting(
        "source", "grey or rgb images, or as the source has them"
    )
    crop: Literal["center", "none", "hou", "center148", "facenet160"] = setting(
        "center",
        "before resizing: center = cut the largest centred part of the wanted aspect "
        "ratio, none = stretch; for faces, as shares of the 178x218 pixels of CelebA: "
        "hou = x 30-168, y 40-178, center148 = the central 148x148, facenet160 = the "
        "central 160x160",
    )
    cache: Literal["auto", "memory", "disk", "none"] = setting(
        "auto",
        "where decoded uint8 images are kept; auto = in memory when they fit, else on "
        "disk when they fit, else nowhere",
    )


@dataclass(frozen=True)
class ModelConfig:
    """The encoder and the decoder."""

    network: str = setting(
        "article",
        "article (28x28x1) | conv (any size that fits) | hou64, hou128, facenet64, "
        "facenet128 (faces of 64x64 or 128x128)",
    )
    latent_dim: int = setting(5, "number of latent dimensions")
    depth: int = setting(2, "conv: number of times height and width are halved")
    width: int = setting(32, "conv: channels at full resolution; doubled per halving")
    decoder_padding: Literal["same", "replicate"] = setting(
        "same",
        "hou*, facenet*: what the decoder's convolutions see beyond the border; same = "
        "zeros, replicate = the border again (as published; converts badly for devices)",
    )
    decoder_output: Literal["sigmoid", "linear"] = setting(
        "sigmoid",
        "what makes the image of the decoder's last layer; linear = nothing in training, "
        "and images are cut off at 0 and 1",
    )


@dataclass(frozen=True)
class ObjectiveConfig:
    """What is minimised. Every term is per image; weights multiply per-image values."""

    objective: Literal["vae", "dfc_vae"] = setting(
        "dfc_vae", "vae = pixel loss + KL, dfc_vae = perceptual loss + KL"
    )
    kl_weight: float = setting(1.0, "weight of the KL term (nats)")
    kl_warmup_steps: int = setting(
        0, "steps over which the KL weight rises linearly from 0"
    )
    free_bits: float = setting(
        0.0, "KL below this many bits per latent dimension is not penalised"
    )
    pixel_weight: float = setting(
        0.0, "weight of the pixel loss (1 for vae, 0 for dfc_vae unless set)"
    )
    pixel_loss: Literal["bernoulli", "gaussian"] = setting(
        "bernoulli",
        "bernoulli = binary cross-entropy in nats, gaussian = half squared error",
    )
    pixel_reduction: Literal["sum", "mean"] = setting(
        "sum", "over the pixels of an image"
    )
    perceptual_weight: float = setting(1.0, "weight of the whole perceptual loss")
    perceptual_model: str | None = setting(
        "mnist_classifier",
        "mnist_classifier (bundled) | keras:NAME | file:PATH.keras or .h5 | "
        "graphdef:PATH.pb (frozen TensorFlow graph; images are whitened for it)",
    )
    perceptual_weights: str = setting(
        "imagenet",
        "weights of a keras:NAME network: imagenet | random | path of an .h5 file",
    )
    perceptual_preprocessing: Literal[
        "none", "0_255", "-1_1", "caffe", "torch", "whiten"
    ] = setting(
        "none",
        "what a file:PATH network expects: none = [0, 1], 0_255, -1_1, caffe = BGR "
        "minus ImageNet means, torch = ImageNet mean and deviation, whiten = each image "
        "with mean 0 and deviation 1",
    )
    perceptual_layers: tuple[str, ...] = setting(
        (),
        "comma-separated layer names (of a graph: tensor names); keras:VGG19 also takes "
        "123 or 345 = the first convolution of those blocks; the model's own default "
        "when not given",
    )
    perceptual_layer_weights: tuple[float, ...] = setting(
        (), "comma-separated weights, one per layer; all 1 when not given"
    )
    perceptual_reduction: Literal["sum", "mean"] = setting(
        "sum", "over the features of a layer"
    )
    perceptual_normalization: Literal["none", "energy"] = setting(
        "none",
        "energy = divide each layer's distance by that layer's mean feature energy on "
        "training images, so that weights mean the same with any network",
    )

    @property
    def is_perceptual(self) -> bool:
        """Whether there is a perceptual loss."""
        return self.perceptual_model is not None


@dataclass(frozen=True)
class OptimizerConfig:
    """How the weights are updated."""

    optimizer: str = setting("adam", "a Keras optimizer, or one of tensorflow-addons")
    learning_rate: float = setting(1e-3, "peak learning rate")
    schedule: Literal["constant", "cosine", "staircase"] = setting(
        "constant",
        "cosine = decay to 0 at the last step, staircase = times decay_factor after "
        "each of decay_stages equal parts of the run",
    )
    decay_factor: float = setting(0.5, "staircase: factor from one part to the next")
    decay_stages: int = setting(
        5, "staircase: number of parts; with as many epochs, one part is an epoch"
    )
    warmup_steps: int = setting(0, "steps over which the learning rate rises from 0")
    clip_norm: float = setting(0.0, "clip gradients to this global norm; 0 = off")
    ema_decay: float = setting(
        0.0, "decay of the moving average used as inference weights; 0 = off"
    )


@dataclass(frozen=True)
class TrainingConfig:
    """How long, how fast, and what is written when. Every interval is in steps."""

    steps: int | None = setting(None, "training steps")
    epochs: float | None = setting(None, "training length in epochs instead of steps")
    batch_size: int = setting(128, "images per step, over all replicas")
    seed: int = setting(0, "seed of weights, data order and latent noise")
    precision: Literal["float32", "mixed_float16", "mixed_bfloat16", "auto"] = setting(
        "float32",
        "auto = mixed_float16 on a GPU with tensor cores, mixed_bfloat16 on a CPU with "
        "native bfloat16, else float32",
    )
    jit_compile: bool = setting(False, "compile the training step with XLA")
    deterministic: bool = setting(False, "repeatable on GPU too (slower)")
    device: Literal["auto", "cpu", "gpu"] = setting(
        "auto", "auto = GPU when there is one"
    )
    distribution: Literal["one_device", "mirrored", "multi_worker_mirrored"] = setting(
        "one_device",
        "tf.distribute strategy; multi_worker_mirrored reads TF_CONFIG",
    )
    steps_per_call: int = setting(
        50, "steps run on the device between two looks from Python"
    )
    log_every: int = setting(100, "steps between two logged lines")
    eval_every: int = setting(1000, "steps between two passes over the test split")
    checkpoint_every: int = setting(1000, "steps between two checkpoints")
    keep_checkpoints: int = setting(3, "number of newest checkpoints kept")


@dataclass(frozen=True)
class Config:
    """All settings of one run.

    `image_shape` (height, width, channels) and `training.steps` are None until the data
    is opened; `config.json` always has both.
    """

    preset: str = "mnist-dfc-vae"
    data: DataConfig = DataConfig()
    model: ModelConfig = ModelConfig()
    objective: ObjectiveConfig = ObjectiveConfig()
    optimizer: OptimizerConfig = OptimizerConfig()
    training: TrainingConfig = TrainingConfig()
    image_shape: tuple[int, int, int] | None = None


SECTIONS: dict[str, type] = {
    "data": DataConfig,
    "model": ModelConfig,
    "objective": ObjectiveConfig,
    "optimizer": OptimizerConfig,
    "training": TrainingConfig,
}

# Settings that may differ when a run is continued: they say where data is found, what is
# shown and kept, or how the same computation is spread, not what is computed.
RUNTIME_SETTINGS = frozenset(
    {
        "preset",
        "data_dir",
        "offline",
        "cache",
        "epochs",
        "device",
        "distribution",
        "steps_per_call",
        "log_every",
        "eval_every",
        "checkpoint_every",
        "keep_checkpoints",
    }
)

# What a plain VAE starts from, whatever was set before for a perceptual loss.
PLAIN_VAE = ObjectiveConfig(objective="vae", pixel_weight=1.0, perceptual_model=None)


def section_of(name: str) -> str:
    """Returns the section that has a setting of this name."""
    for section, cls in SECTIONS.items():
        if name in {f.name for f in dataclasses.fields(cls)}:
            return section
    raise KeyError(name)


def apply_settings(config: Config, settings: dict[str, Any]) -> Config:
    """Returns `config` with some settings (by field name) replaced, and checked.

    Choosing another objective than the config has starts from that objective's own
    defaults, so that a plain VAE never carries weights meant for a DFC-VAE.

    Raises:
      UserError: a value is out of range, or settings contradict each other.
    """
    settings = dict(settings)
    objective = settings.get("objective")
    if objective is not None and objective != config.objective.objective:
        base = PLAIN_VAE if objective == "vae" else ObjectiveConfig()
        config = dataclasses.replace(config, objective=base)
    model = settings.get("perceptual_model", config.objective.perceptual_model)
    if model != config.objective.perceptual_model:
        # Layers and their weights are those of the preset's perceptual model.
        settings = {"perceptual_layers": (), "perceptual_layer_weights": (), **settings}
    elif "perceptual_layers" in settings:
        settings = {"perceptual_layer_weights": (), **settings}
    if settings.get("steps") is not None and settings.get("epochs") is not None:
        raise UserError("both --steps and --epochs are given; give one of them")
    if settings.get("steps") is not None:
        settings["epochs"] = None
    elif settings.get("epochs") is not None:
        settings["steps"] = None
    by_section: dict[str, dict[str, Any]] = {}
    for name, value in settings.items():
        by_section.setdefault(section_of(name), {})[name] = value
    for section, values in by_section.items():
        changed = dataclasses.replace(getattr(config, section), **values)
        config = dataclasses.replace(config, **{section: changed})
    check(config)
    return config


def check(config: Config) -> None:
    """Raises UserError when a setting is out of range or settings contradict each other."""
    for section, cls in SECTIONS.items():
        values = getattr(config, section)
        for name, hint in typing.get_type_hints(cls).items():
            value = getattr(values, name)
            if typing.get_origin(hint) is Literal:
                valid = typing.get_args(hint)
                if value not in valid:
                    raise unknown_name(f"--{name}", str(value), valid)
            if isinstance(value, float) and not math.isfinite(value):
                raise UserError(f"--{name} must be a finite number, got {value}")

    data, model, training = config.data, config.model, config.training
    objective, optimizer = config.objective, config.optimizer
    positive = {
        "latent_dim": model.latent_dim,
        "depth": model.depth,
        "width": model.width,
        "learning_rate": optimizer.learning_rate,
        "decay_factor": optimizer.decay_factor,
        "decay_stages": optimizer.decay_stages,
        "batch_size": training.batch_size,
        "steps_per_call": training.steps_per_call,
        "log_every": training.log_every,
        "eval_every": training.eval_every,
        "checkpoint_every": training.checkpoint_every,
        "keep_checkpoints": training.keep_checkpoints,
    }
    if training.steps is not None:
        positive["steps"] = training.steps
    if training.epochs is not None:
        positive["epochs"] = training.epochs
    for size in data.image_size or ():
        positive["image_size"] = min(size, positive.get("image_size", size))
    not_negative = {
        "seed": training.seed,
        "kl_weight": objective.kl_weight,
        "kl_warmup_steps": objective.kl_warmup_steps,
        "free_bits": objective.free_bits,
        "pixel_weight": objective.pixel_weight,
        "perceptual_weight": objective.perceptual_weight,
        "warmup_steps": optimizer.warmup_steps,
        "clip_norm": optimizer.clip_norm,
        "ema_decay": optimizer.ema_decay,
    }
    for name, value in positive.items():
        if value <= 0:
            raise UserError(f"--{name} must be greater than 0, got {value}")
    for name, value in not_negative.items():
        if value < 0:
            raise UserError(f"--{name} must not be negative, got {value}")
    if training.seed >= 2**32:  # NumPy takes no larger one
        raise UserError(f"--seed must be below 2**32, got {training.seed}")
    if optimizer.ema_decay >= 1:
        raise UserError(f"--ema_decay must be below 1, got {optimizer.ema_decay}")
    if training.steps is None and training.epochs is None:
        raise UserError("the length of training is missing: give --steps or --epochs")
    bernoulli = objective.pixel_weight > 0 and objective.pixel_loss == "bernoulli"
    if model.decoder_output == "linear" and bernoulli:
        raise UserError(
            "--decoder_output=linear gives no probabilities for --pixel_loss=bernoulli; "
            "choose --pixel_loss=gaussian, or --decoder_output=sigmoid"
        )
    _check_objective(objective)


def _check_objective(objective: ObjectiveConfig) -> None:
    if objective.objective == "vae":
        if objective.pixel_weight == 0:
            raise UserError("--objective=vae needs a --pixel_weight greater than 0")
        for name in (
            "perceptual_model",
            "perceptual_layers",
            "perceptual_layer_weights",
        ):
            if getattr(objective, name):
                raise UserError(
                    f"--{name} is set, but --objective=vae has no perceptual loss; "
                    "choose --objective=dfc_vae (with --pixel_weight for both losses)"
                )
        return
    if not objective.perceptual_model:
        raise UserError("--objective=dfc_vae needs a --perceptual_model")
    weights, layers = objective.perceptual_layer_weights, objective.perceptual_layers
    # One name may stand for several layers; the objective counts those.
    if weights and len(layers) > 1 and len(weights) != len(layers):
        raise UserError(
            f"--perceptual_layer_weights has {len(weights)} values for {len(layers)} "
            f"--perceptual_layers ({', '.join(layers)}); give one per layer"
        )
    if any(not math.isfinite(w) or w < 0 for w in weights):
        raise UserError(
            "--perceptual_layer_weights must be finite and not negative, got "
            + ", ".join(str(w) for w in weights)
        )


def differing_settings(old: Config, new: Config) -> dict[str, tuple[Any, Any]]:
    """Returns name -> (old, new) of the settings that change what a run computes."""
    different = {}
    if old.image_shape != new.image_shape:
        different["image_shape"] = (old.image_shape, new.image_shape)
    for section, cls in SECTIONS.items():
        for f in dataclasses.fields(cls):
            was = getattr(getattr(old, section), f.name)
            now = getattr(getattr(new, section), f.name)
            if was != now and f.name not in RUNTIME_SETTINGS:
                different[f.name] = (was, now)
    return different


def to_dict(config: Config) -> dict[str, Any]:
    """Returns the settings as nested plain values, ready for JSON."""
    return json.loads(json.dumps(dataclasses.asdict(config)))


def to_public_dict(config: Config) -> dict[str, Any]:
    """Returns what `to_dict` does without paths: a file or folder is only said to be one."""
    values = to_dict(config)
    for name in ("data_dir", "offline", "cache"):
        del values["data"][name]
    kind, separator, _ = config.data.dataset.partition(":")
    if separator and kind != "tfds":
        values["data"]["dataset"] = kind
    kind = (config.objective.perceptual_model or "").partition(":")[0]
    if kind in ("file", "graphdef"):
        values["objective"]["perceptual_model"] = kind
    if config.objective.perceptual_weights not in ("imagenet", "random"):
        values["objective"]["perceptual_weights"] = "file"
    return values


def from_dict(values: dict[str, Any]) -> Config:
    """Returns the settings that `to_dict` wrote, also one of an earlier version.

    A setting that is missing gets its default: a default of a new setting means what was
    done before there was a choice.

    Raises:
      UserError: a section is missing, a setting unknown, or a value is not valid.
    """
    values = dict(values)
    sections: dict[str, Any] = {}
    for section, cls in SECTIONS.items():
        fields = {f.name for f in dataclasses.fields(cls)}
        found = values.pop(section, None)
        if not isinstance(found, dict) or set(found) - fields:
            odd = sorted(set(found) - fields) if isinstance(found, dict) else []
            raise UserError(
                f"settings in section {section!r} are not those of this version"
                + (f": {', '.join(odd)}" if odd else "")
            )
        sections[section] = cls(
            **{k: tuple(v) if isinstance(v, list) else v for k, v in found.items()}
        )
    shape = values.pop("image_shape", None)
    name = values.pop("preset", None)
    if values or not isinstance(name, str):
        raise UserError(f"unknown settings: {', '.join(sorted(values)) or 'preset'}")
    config = Config(
        preset=name, image_shape=tuple(shape) if shape else None, **sections
    )
    check(config)
    return config
