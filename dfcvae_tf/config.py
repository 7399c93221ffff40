"""Every setting of a run as frozen dataclasses, their checks, and JSON in and out.

Each field is one command-line flag of the same name (`train.py` makes the flags from
these fields), one entry of the run's `config.json`, and is explained here only, with all
that it takes. This module does not import TensorFlow, so `--help` answers at once.
"""

import dataclasses
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from dfcvae_tf.errors import UserError
from dfcvae_tf.settings import has_type, setting, settings_of

# What --dataset takes; `data/registry.py` opens them.
DATASET_FORMS = (
    "mnist_sample",
    "mnist",
    "tfds:NAME",
    "celeba:PATH",
    "folder:PATH",
    "synthetic",
)
# A part of a user's own: a function of a file, and how the flags name it; or one that was
# handed over in Python and stands in no file; `own_code.py` reads both.
FILE, HANDED = OWN_PREFIXES = ("file:", "function:")
OWN_FORM = "file:PATH.py:FUNCTION"


def _size(text: str) -> tuple[int, int]:
    """Reads "64" as (64, 64) and "48x64" as (48, 64)."""
    sizes = [int(part) for part in text.lower().split("x")]
    if len(sizes) > 2:
        raise ValueError
    return sizes[0], sizes[-1]


def _names(text: str) -> tuple[str, ...]:
    """Reads "a,b" as ("a", "b")."""
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _numbers(text: str) -> tuple[float, ...]:
    """Reads "1,0.5" as (1.0, 0.5)."""
    return tuple(float(part) for part in text.split(","))


@dataclass(frozen=True)
class DataConfig:
    """Where the images come from and how they are prepared."""

    dataset: str = setting(
        "mnist_sample", f"{' | '.join(DATASET_FORMS)}; mnist_sample is bundled"
    )
    data_dir: str | None = setting(
        None,
        "folder of prepared TensorFlow Datasets (their default when not given)",
        runtime=True,
    )
    offline: bool = setting(
        False,
        "never touch the network: read only what is already prepared",
        runtime=True,
    )
    image_size: tuple[int, int] | None = setting(
        None,
        "HEIGHTxWIDTH, or one number for both; the source's own when not given",
        above=0,
        parse=_size,
        form="64 or 48x64",
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
    subfolders: Literal["auto", "ignore"] = setting(
        "auto",
        "what folders in folder:PATH mean; auto = train and test (or val) are the splits, "
        "and folders are classes when all images lie in some (a run that goes on keeps "
        "what they meant); ignore = nothing: one set without labels, split by file name",
        # Where the images are; that they are the same is told by their digest.
        runtime=True,
    )
    background: Literal["white", "black"] = setting(
        "white", "what transparent pixels of image files and of tfds:NAME are laid on"
    )
    bit_depth: int | None = setting(
        None,
        "of image files with 16 bits a value those in use: with 12, 4,095 is white; "
        "when not given 65,535 is, and files that use fewer bits are refused",
        at_least=1,
        below=17,
    )
    cache: Literal["auto", "memory", "disk", "none"] = setting(
        "auto",
        "where decoded uint8 images are kept; auto = in memory when they fit, else on "
        "disk when they fit, else nowhere",
        runtime=True,
    )


@dataclass(frozen=True)
class ModelConfig:
    """The encoder and the decoder."""

    network: str = setting(
        "article",
        "article (28x28x1) | conv (any size that fits) | hou64, hou128, facenet64, "
        "facenet128 (faces of 64x64 or 128x128) | file:PATH.py:FUNCTION (your own: "
        "FUNCTION(config, image_shape, dtype) returns encoder and decoder)",
    )
    latent_dim: int = setting(5, "number of latent dimensions", above=0)
    depth: int = setting(
        2, "conv: number of times height and width are halved", above=0
    )
    width: int = setting(
        32, "conv: channels of the first convolution; doubled per halving", above=0
    )
    conv_design: Literal["auto", "strided", "full_resolution"] = setting(
        "auto",
        "conv: auto = strided, but a run that goes on keeps its own; strided = each "
        "convolution of the encoder halves the size, with batch normalisation; "
        "full_resolution = convolutions at full size as well, without batch "
        "normalisation (slower; what runs made before have)",
    )
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
    kl_weight: float | None = setting(
        1.0, "weight of the KL term (nats); none with --target_kl", at_least=0
    )
    target_kl: float | None = setting(
        None,
        "KL in nats per (test) image to end with; the KL weight is found for it",
        at_least=0.001,
        below=1_000_000,
    )
    kl_warmup_steps: int = setting(
        0, "steps over which the KL weight rises linearly from 0", at_least=0
    )
    free_bits: float = setting(
        0.0, "KL below this many bits per latent dimension is not penalised", at_least=0
    )
    pixel_weight: float = setting(
        0.0,
        "weight of the pixel loss (1 for vae, 0 for dfc_vae unless set)",
        at_least=0,
    )
    pixel_loss: Literal["bernoulli", "gaussian"] = setting(
        "bernoulli",
        "bernoulli = binary cross-entropy in nats, gaussian = half squared error",
    )
    pixel_reduction: Literal["sum", "mean"] = setting(
        "sum", "over the pixels of an image"
    )
    perceptual_weight: float = setting(
        1.0, "weight of the whole perceptual loss", at_least=0
    )
    perceptual_model: str | None = setting(
        "mnist_classifier",
        "mnist_classifier (bundled; the default, on grey digits alone) | photos "
        "(bundled: the first three blocks of VGG19, distilled) | keras:NAME | "
        "file:PATH.keras or .h5 | graphdef:PATH.pb (frozen TensorFlow graph; images are "
        "whitened for it)",
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
        parse=_names,
    )
    perceptual_layer_weights: tuple[float, ...] = setting(
        (),
        "comma-separated weights, one per layer; all 1 when not given",
        at_least=0,
        parse=_numbers,
        form="1,0.5",
    )
    perceptual_reduction: Literal["sum", "mean"] = setting(
        "sum", "over the features of a layer"
    )
    perceptual_normalization: Literal["none", "energy"] = setting(
        "none",
        "energy = divide each layer's distance by that layer's mean feature energy on "
        "training images, so that weights mean the same with any network",
    )
    term: str | None = setting(
        None,
        "file:PATH.py:FUNCTION: one more term, your own: FUNCTION(config) returns an object "
        "with a name, which called with the forward pass returns {name: one number an "
        "image}",
    )
    term_weight: float = setting(1.0, "weight of that --term", above=0)

    @property
    def is_perceptual(self) -> bool:
        """Whether there is a perceptual loss."""
        return bool(self.perceptual_model)


@dataclass(frozen=True)
class OptimizerConfig:
    """How the weights are updated."""

    optimizer: str = setting("adam", "a Keras optimizer, or one of tensorflow-addons")
    learning_rate: float = setting(1e-3, "peak learning rate", above=0)
    schedule: Literal["constant", "cosine", "staircase"] = setting(
        "constant",
        "cosine = decay to 0 at the last step, staircase = times decay_factor after "
        "each of decay_stages equal parts of the run",
    )
    decay_factor: float = setting(
        0.5, "staircase: factor from one part to the next", above=0
    )
    decay_stages: int = setting(
        5,
        "staircase: number of parts; with as many epochs, one part is an epoch",
        above=0,
    )
    warmup_steps: int = setting(
        0, "steps over which the learning rate rises from 0", at_least=0
    )
    clip_norm: float = setting(
        0.0, "clip gradients to this global norm; 0 = off", at_least=0
    )
    ema_decay: float = setting(
        0.0,
        "decay of the moving average used as inference weights; 0 = off",
        at_least=0,
        below=1,
    )


@dataclass(frozen=True)
class AdversarialConfig:
    """A discriminator that learns beside the VAE, and what the VAE hears of it."""

    adversarial_weight: float = setting(
        0.0,
        "weight of the adversarial loss; 0 = no discriminator",
        at_least=0,
    )
    adversarial_adaptive: bool = setting(
        True,
        "the weight is relative: at 1 the adversarial loss pulls as hard at a picture as "
        "all others together",
    )
    adversarial_loss: Literal["logistic", "hinge"] = setting(
        "logistic", "of both players; logistic = non-saturating"
    )
    adversarial_start: int = setting(
        500,
        "step from which the VAE feels the discriminator, which learns from step 0; from "
        "0 on, latents of few nats may never come to carry anything",
        at_least=0,
    )
    adversarial_sample_weight: float = setting(
        0.0,
        "how much samples from N(0, I) count in both losses, beside reconstructions, "
        "which count 1; 0 = none are made",
        at_least=0,
    )
    discriminator_width: int = setting(
        32, "channels of its first convolution; doubled per halving", above=0
    )
    discriminator_learning_rate: float = setting(
        5e-4, "peak of Adam's (beta1 0.5); it has the schedule of the VAE", above=0
    )
    discriminator_r1: float = setting(
        0.05, "weight of the penalty on its gradient at originals; 0 = off", at_least=0
    )
    discriminator_r1_every: int = setting(
        16, "steps from one penalty to the next, which counts so many times", above=0
    )
    discriminator_augment: bool = setting(
        False,
        "it sees images changed at random (brightness, saturation, contrast, place, a "
        "square cut out), so that it does not learn a few by heart",
    )


@dataclass(frozen=True)
class TrainingConfig:
    """How long, how fast, and what is written when. Every interval is in steps."""

    steps: int | None = setting(None, "training steps", above=0)
    epochs: float | None = setting(
        None, "training length in epochs instead of steps", above=0, runtime=True
    )
    batch_size: int = setting(128, "images per step, over all replicas", above=0)
    seed: int = setting(  # NumPy takes none from 2**32 on
        0, "seed of weights, data order and latent noise", at_least=0, below=2**32
    )
    precision: Literal["float32", "mixed_float16", "mixed_bfloat16", "auto"] = setting(
        "float32",
        "auto = mixed_float16 on a GPU with tensor cores, mixed_bfloat16 on a CPU with "
        "native bfloat16, else float32",
    )
    jit_compile: bool = setting(False, "compile the training step with XLA")
    deterministic: bool = setting(False, "repeatable on GPU too (slower)")
    device: Literal["auto", "cpu", "gpu"] = setting(
        "auto", "auto = GPU when there is one", runtime=True
    )
    distribution: Literal["one_device", "mirrored", "multi_worker_mirrored"] = setting(
        "one_device",
        "tf.distribute strategy; multi_worker_mirrored reads TF_CONFIG",
        runtime=True,
    )
    prior: Literal["standard", "flow", "gmm"] = setting(
        "standard",
        "what samples are drawn from: standard = N(0, I), flow | gmm = fitted to the "
        "latents of the training images when training ends",
        runtime=True,
    )
    prior_labels: Literal["auto", "none"] = setting(
        "auto",
        "auto = a flow learns the images' classes or attributes, where they have some, "
        "and can be asked for them",
        runtime=True,
    )
    steps_per_call: int = setting(
        50,
        "steps run on the device between two looks from Python",
        above=0,
        runtime=True,
    )
    log_every: int = setting(
        100, "steps between two logged lines", above=0, runtime=True
    )
    eval_every: int = setting(
        1000, "steps between two passes over the test split", above=0, runtime=True
    )
    checkpoint_every: int = setting(
        1000, "steps between two checkpoints", above=0, runtime=True
    )
    keep_checkpoints: int = setting(
        3, "number of newest checkpoints kept", above=0, runtime=True
    )


@dataclass(frozen=True, repr=False)
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
    adversarial: AdversarialConfig = AdversarialConfig()
    training: TrainingConfig = TrainingConfig()
    image_shape: tuple[int, int, int] | None = None

    def __repr__(self) -> str:
        """The preset and all that is not a default; `dataclasses.asdict` has everything."""
        default = Config()
        different = [f"preset={self.preset!r}"]
        for name, each in SETTINGS.items():
            value = each.of(self)
            if value != each.of(default):
                different.append(f"{name}={value!r}")
        if self.image_shape is not None:
            different.append(f"image_shape={self.image_shape}")
        return f"Config({', '.join(different)})"


SECTIONS: dict[str, type] = {
    "data": DataConfig,
    "model": ModelConfig,
    "objective": ObjectiveConfig,
    "optimizer": OptimizerConfig,
    "adversarial": AdversarialConfig,
    "training": TrainingConfig,
}

SETTINGS = settings_of(SECTIONS)

# What settings were before there was a choice, where that is not their default now.
BEFORE = {
    "data": {"subfolders": "ignore"},
    "model": {"conv_design": "full_resolution"},
}
# Sections that runs made before do not have.
LATER = ("adversarial",)

# What a plain VAE starts from, whatever was set before for a perceptual loss.
PLAIN_VAE = ObjectiveConfig(objective="vae", pixel_weight=1.0, perceptual_model=None)


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
        if (target_kl := config.objective.target_kl) is not None:
            # A rate means the same with any objective.
            base = dataclasses.replace(base, target_kl=target_kl, kl_weight=None)
        config = dataclasses.replace(config, objective=base)
    model = settings.get("perceptual_model", config.objective.perceptual_model)
    if model != config.objective.perceptual_model:
        # Layers and their weights are those of the preset's perceptual model.
        settings = {"perceptual_layers": (), "perceptual_layer_weights": (), **settings}
    elif "perceptual_layers" in settings:
        settings = {"perceptual_layer_weights": (), **settings}
    if settings.get("target_kl") is not None:
        if settings.get("kl_weight") is not None:
            raise UserError(
                "both --target_kl and --kl_weight are given; the first finds the second: "
                "give one of them"
            )
        settings["kl_weight"] = None
    elif settings.get("kl_weight") is not None:
        settings["target_kl"] = None
    if settings.get("steps") is not None and settings.get("epochs") is not None:
        raise UserError("both --steps and --epochs are given; give one of them")
    if settings.get("steps") is not None:
        settings["epochs"] = None
    elif settings.get("epochs") is not None:
        settings["steps"] = None
    config = replace_settings(config, settings)
    check(config)
    return config


def replace_settings(config: Config, settings: Mapping[str, Any]) -> Config:
    """Returns `config` with some settings (by field name) replaced, and nothing else."""
    for name, value in settings.items():
        section = SETTINGS[name].section
        changed = dataclasses.replace(getattr(config, section), **{name: value})
        config = dataclasses.replace(config, **{section: changed})
    return config


def check(config: Config) -> None:
    """Raises UserError when a setting is out of range or settings contradict each other."""
    for each in SETTINGS.values():
        each.check(each.of(config))
    shape = config.image_shape
    if not has_type(shape, tuple[int, int, int] | None) or min(shape or (1,)) < 1:
        raise UserError(f"image_shape must be three sizes greater than 0, got {shape}")
    _check_together(config)


def _check_together(config: Config) -> None:
    model, objective, training = config.model, config.objective, config.training
    if training.steps is None and training.epochs is None:
        raise UserError("the length of training is missing: give --steps or --epochs")
    adversarial, steps = config.adversarial, training.steps
    start = adversarial.adversarial_start
    if adversarial.adversarial_weight and steps is not None and start >= steps:
        raise UserError(
            f"--adversarial_start={start} is not before the end of {steps} steps: the VAE "
            "would never feel the discriminator; give an earlier one, or more steps"
        )
    bernoulli = objective.pixel_weight > 0 and objective.pixel_loss == "bernoulli"
    if model.decoder_output == "linear" and bernoulli:
        raise UserError(
            "--decoder_output=linear gives no probabilities for --pixel_loss=bernoulli; "
            "choose --pixel_loss=gaussian, or --decoder_output=sigmoid"
        )
    free_nats = model.latent_dim * objective.free_bits * math.log(2)
    if objective.target_kl is not None and free_nats >= objective.target_kl:
        raise UserError(
            f"--free_bits={objective.free_bits:g} leaves {free_nats:.4g} nats of "
            f"{model.latent_dim} latents unpenalised, and no KL weight brings them to "
            f"--target_kl={objective.target_kl:g}; leave --free_bits out"
        )
    _check_objective(objective)


def check_new(config: Config) -> None:
    """Raises UserError where a new run must not have what runs made before may have."""
    objective = config.objective
    if (objective.perceptual_normalization, objective.perceptual_reduction) == (
        "energy",
        "mean",
    ):
        raise UserError(
            "--perceptual_normalization=energy and --perceptual_reduction=mean both "
            "divide by the number of features, together twice; add "
            "--perceptual_reduction=sum, or leave the normalization out"
        )


def _check_objective(objective: ObjectiveConfig) -> None:
    if (objective.target_kl is None) == (objective.kl_weight is None):
        raise UserError("give either --kl_weight or --target_kl")
    if objective.target_kl is not None and objective.kl_warmup_steps:
        raise UserError(
            "--kl_warmup_steps is for a --kl_weight; with --target_kl the weight moves "
            "by itself"
        )
    if objective.term is not None and not objective.term.startswith(OWN_PREFIXES):
        raise UserError(f"--term={objective.term} must look like {OWN_FORM}")
    if objective.term is None and objective.term_weight != 1:
        raise UserError("--term_weight is of a --term, and none is given")
    if objective.objective == "vae":
        if objective.pixel_weight == 0 and objective.term is None:
            raise UserError(
                "--objective=vae needs a --pixel_weight greater than 0, or a --term"
            )
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


def differing_settings(old: Config, new: Config) -> dict[str, tuple[Any, Any]]:
    """Returns name -> (old, new) of the settings that change what a run computes."""
    different = {}
    if old.image_shape != new.image_shape:
        different["image_shape"] = (old.image_shape, new.image_shape)
    for name, each in SETTINGS.items():
        was, now = each.of(old), each.of(new)
        if was != now and not each.runtime:
            different[name] = (was, now)
    return different


def preparation(config: Config) -> dict[str, Any]:
    """Returns name -> value of the settings by which an image becomes what a run sees.

    That is every setting of the data but those that say where and how it is read. The
    size and the channels that images are brought to are `image_shape`.
    """
    elsewhere = ("dataset", "image_size", "color")
    return {
        name: each.of(config)
        for name, each in SETTINGS.items()
        if each.section == "data" and not each.runtime and name not in elsewhere
    }


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
    for section, name in (("model", "network"), ("objective", "term")):
        if ":" in (values[section][name] or ""):
            values[section][name] = "own"
    return values


def from_dict(values: dict[str, Any]) -> Config:
    """Returns the settings that `to_dict` wrote, also one of an earlier version.

    A setting that is missing gets what was done before there was a choice: its default,
    unless `BEFORE` has another.

    Raises:
      UserError: a section is missing, a setting unknown, or a value is not valid.
    """
    values = dict(values)
    sections: dict[str, Any] = {}
    for section, cls in SECTIONS.items():
        fields = {f.name for f in dataclasses.fields(cls)}
        found = values.pop(section, {} if section in LATER else None)
        if not isinstance(found, dict) or set(found) - fields:
            odd = sorted(set(found) - fields) if isinstance(found, dict) else []
            raise UserError(
                f"settings in section {section!r} are not those of this version"
                + (f": {', '.join(odd)}" if odd else "")
            )
        found = {**BEFORE.get(section, {}), **found}
        sections[section] = cls(**{k: _from_json(v) for k, v in found.items()})
    shape = _from_json(values.pop("image_shape", None))
    name = values.pop("preset", None)
    if values or not isinstance(name, str):
        raise UserError(f"unknown settings: {', '.join(sorted(values)) or 'preset'}")
    config = Config(preset=name, image_shape=shape, **sections)
    check(config)
    return config


def _from_json(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
