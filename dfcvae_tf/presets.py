"""Settings to start from: published recipes, and what suits the bundled data.

Every weight is in the units of `config.ObjectiveConfig`, whatever those of the source.
"""

import dataclasses
import textwrap
from collections.abc import Mapping
from typing import Any

from dfcvae_tf.config import (
    PLAIN_VAE,
    SETTINGS,
    AdversarialConfig,
    Config,
    DataConfig,
    ModelConfig,
    ObjectiveConfig,
    OptimizerConfig,
    TrainingConfig,
    apply_settings,
)
from dfcvae_tf.errors import unknown_name

_ARTICLE = Config(
    data=DataConfig(dataset="mnist"),
    optimizer=OptimizerConfig(optimizer="rmsprop", learning_rate=1e-3),
    training=TrainingConfig(epochs=15, batch_size=32),
)

# The bundled runs are these two with --dataset=mnist and more steps. A short warm-up
# keeps the encoder's few dense units alive (see models/article.py).
_MNIST = Config(
    optimizer=OptimizerConfig(
        optimizer="adam",
        learning_rate=1e-3,
        schedule="cosine",
        warmup_steps=150,
        ema_decay=0.999,
    ),
    training=TrainingConfig(steps=1000, batch_size=128, prior="flow"),
)

# What both objectives ask for, so that they compare at the same rate: about what 5
# latents carry where the KL counts once beside the Bernoulli loss of the pixels.
_MNIST_NATS = 12.4

# Early layers alone blur, late ones alone leave a texture that only looks sharp.
_MNIST_DFC = ObjectiveConfig(
    kl_weight=None,
    target_kl=_MNIST_NATS,
    perceptual_layers=("conv1", "conv2", "conv3", "dense1"),
    perceptual_layer_weights=(50.0, 60.0, 80.0, 60.0),
    perceptual_normalization="energy",
)

# After Hou, Sun, Shen and Qiu, "Improving variational autoencoder with deep feature
# consistent and generative adversarial training" (2019). The discriminator asks for
# strokes like the originals', whichever digit they make; the last layer, which knows the
# digit, counts eight times as much to keep it. Smaller batches, because what is sharp comes
# with the number of steps.
_MNIST_GAN = dataclasses.replace(
    _MNIST,
    preset="mnist-dfc-vae-gan",
    objective=dataclasses.replace(
        _MNIST_DFC, perceptual_layer_weights=(50.0, 60.0, 80.0, 480.0)
    ),
    adversarial=AdversarialConfig(adversarial_weight=0.5),
    training=dataclasses.replace(_MNIST.training, steps=2500, batch_size=64),
)

# Hou, Shen, Sun and Qiu, "Deep feature consistent variational autoencoder" (WACV 2017,
# arXiv:1610.00291): batch 64, 5 epochs of CelebA, Adam at 0.0005, halved after each epoch,
# faces cut to x 30-168, y 40-178. Their code (github.com/houxianxu/DFC-VAE) makes 128x128
# pixels (--network=hou128 --image_size=128) in batches of 40, has Adam's beta1 at 0.5,
# and in its second epoch halves the rate after each step, which ends the learning; its
# decoder's last layer is linear and its padding replicated (--decoder_output=linear
# --decoder_padding=replicate).
_HOU2017 = Config(
    data=DataConfig(dataset="tfds:celeb_a", image_size=(64, 64), crop="hou"),
    model=ModelConfig(network="hou64", latent_dim=100),
    optimizer=OptimizerConfig(
        optimizer="adam",
        learning_rate=5e-4,
        schedule="staircase",
        decay_factor=0.5,
        decay_stages=5,
    ),
    training=TrainingConfig(epochs=5, batch_size=64),
)

# What the three of them ask for, so that they compare at the same rate: what came of 12
# epochs of 10,000 faces with the weights of their code (--kl_weight=1), of VAE-123.
_HOU2017_NATS = 90.0

# Their code minimises KL + 0.5 * sum over layers of the mean squared difference of
# features (of pixels from 0 to 255); the mean is also over the batch, but the KL is
# summed over it: per image 0.5 / 64. Equations 4 and 5 of the paper, read per image, give
# --perceptual_weight=0.25 (another half, no batch): the KL is then five times that of the
# plain VAE after as many steps, and samples look less like faces.
_HOU2017_DFC = ObjectiveConfig(
    kl_weight=None,
    target_kl=_HOU2017_NATS,
    perceptual_weight=0.5 / 64,
    perceptual_reduction="mean",
    perceptual_model="keras:VGG19",
    perceptual_layers=("block1_conv1", "block2_conv1", "block3_conv1"),
)

# As `_MNIST_GAN`, of faces, in batches of 16 for the same reason: at 64 reconstructions of
# as many images had two thirds of the sharpness. With samples at a quarter of the weight
# they were sharper than with none and than at a half.
_CELEBA_GAN = dataclasses.replace(
    _HOU2017,
    preset="celeba-dfc-vae-gan",
    objective=_HOU2017_DFC,
    adversarial=AdversarialConfig(
        adversarial_weight=0.5, adversarial_sample_weight=0.25, adversarial_start=1500
    ),
    training=dataclasses.replace(_HOU2017.training, batch_size=16, prior="flow"),
)

# Pictures of one's own, without a download: any size that is a multiple of 16 (depth 4).
_PHOTOS = Config(
    preset="photos",
    # Which folder, only the user can say.
    data=DataConfig(dataset="folder:", image_size=(64, 64)),
    model=ModelConfig(network="conv", depth=4, latent_dim=64),
    objective=ObjectiveConfig(
        kl_weight=None,
        target_kl=100.0,
        perceptual_model="photos",
        perceptual_normalization="energy",
    ),
    optimizer=OptimizerConfig(
        optimizer="adam",
        learning_rate=1e-3,
        schedule="cosine",
        warmup_steps=100,
        ema_decay=0.999,
    ),
    training=TrainingConfig(steps=1000, batch_size=32, prior="flow"),
)

PRESETS: dict[str, Config] = {
    "photos": _PHOTOS,
    # Krasser, "Deep feature consistent variational auto-encoder" (2018): the plain VAE.
    "article-vae": dataclasses.replace(
        _ARTICLE, preset="article-vae", objective=PLAIN_VAE
    ),
    # The same article's DFC-VAE: two layers, weights 1, sums of squared differences.
    "article-dfc-vae": dataclasses.replace(_ARTICLE, preset="article-dfc-vae"),
    "mnist-vae": dataclasses.replace(
        _MNIST,
        preset="mnist-vae",
        objective=dataclasses.replace(PLAIN_VAE, kl_weight=None, target_kl=_MNIST_NATS),
    ),
    "mnist-dfc-vae": dataclasses.replace(
        _MNIST, preset="mnist-dfc-vae", objective=_MNIST_DFC
    ),
    "mnist-dfc-vae-gan": _MNIST_GAN,
    # The plain VAE of Hou et al. The paper does not give its weights; their code adds the
    # squared error of pixels in [0, 1] to the KL, both summed: half of it twice. (It is
    # the one thing their code trains at a constant 0.0002, in batches of 20 with twice
    # the channels; here it differs from the two below in nothing but the loss.)
    "hou2017-vae": dataclasses.replace(
        _HOU2017,
        preset="hou2017-vae",
        objective=dataclasses.replace(
            PLAIN_VAE,
            kl_weight=None,
            target_kl=_HOU2017_NATS,
            pixel_loss="gaussian",
            pixel_weight=2.0,
            pixel_reduction="sum",
        ),
    ),
    # relu1_1, relu2_1 and relu3_1 of VGG19.
    "hou2017-vae-123": dataclasses.replace(
        _HOU2017, preset="hou2017-vae-123", objective=_HOU2017_DFC
    ),
    "celeba-dfc-vae-gan": _CELEBA_GAN,
    # relu3_1, relu4_1 and relu5_1.
    "hou2017-vae-345": dataclasses.replace(
        _HOU2017,
        preset="hou2017-vae-345",
        objective=dataclasses.replace(
            _HOU2017_DFC,
            perceptual_layers=("block3_conv1", "block4_conv1", "block5_conv1"),
        ),
    ),
    # The VAE of github.com/davidsandberg/facenet, as its wiki trains it: batch 128, 50,000
    # steps, Adam at a constant 0.0002 (the script's default is 0.0005), 1 * KL + 0.5 *
    # squared differences of the first three convolutions, summed over layer and batch,
    # though the KL is averaged over it: per image 0.5 * 128. There, faces of CASIA-WebFace
    # are aligned by MTCNN, FaceNet sees the original at 160x160 beside the enlarged
    # 64x64 reconstruction, both scaled by the mean colour of all faces; here both are
    # 64x64 and whitened image by image, as FaceNet was trained. The decoder ends in a
    # batch normalisation there, which fixes the contrast of a batch. The graph is to be
    # downloaded from the links in that repository: --perceptual_model=graphdef:PATH.pb.
    # These weights reconstruct well, but with a thousand nats the prior's samples are no
    # faces; with a KL weight of some 300 times the perceptual weight they are.
    "facenet-dfc-vae": Config(
        preset="facenet-dfc-vae",
        data=DataConfig(dataset="tfds:celeb_a", image_size=(64, 64), crop="facenet160"),
        model=ModelConfig(network="facenet64", latent_dim=100),
        objective=ObjectiveConfig(
            kl_weight=1.0,
            perceptual_weight=0.5 * 128,
            perceptual_reduction="sum",
            perceptual_model="graphdef:20170512-110547.pb",
        ),
        optimizer=OptimizerConfig(optimizer="adam", learning_rate=2e-4),
        training=TrainingConfig(steps=50_000, batch_size=128),
    ),
}

# The one for each objective, where none is named.
DEFAULT_PRESETS = {"dfc_vae": "mnist-dfc-vae", "vae": "mnist-vae"}
# Of the flag --preset.
PRESET_HELP = (
    f"settings to start from, which every other flag overrides: {' | '.join(PRESETS)} "
    "(default: mnist-dfc-vae, with --objective=vae mnist-vae)"
)


def configured(preset: str | None, settings: Mapping[str, Any]) -> Config:
    """Returns the settings of a preset with some (by name) replaced, and checked.

    Args:
      preset: its name; None for that of the objective.
      settings: what was given besides.

    Raises:
      UserError: no such preset, a value is out of range, or settings contradict each
        other.
    """
    default = DEFAULT_PRESETS.get(settings.get("objective", "dfc_vae"))
    # No objective of that name: `apply_settings` says so.
    config = preset_config(preset or default or "mnist-dfc-vae")
    return apply_settings(config, dict(settings))


def presets_help() -> str:
    """What each preset sets, as flags; all else has its default."""
    lines = ["Presets, and what each sets; all other settings have their defaults:"]
    for name, config in PRESETS.items():
        # What is none follows from the others.
        changed = [
            f"{setting.name}={text}"
            for setting in SETTINGS.values()
            if (value := setting.of(config)) != setting.default
            and (text := setting.to_flag(value))
        ]
        lines.append(f"  {name}")
        lines += _wrap(" ".join(changed))
    return "\n".join(lines)


_wrap = textwrap.TextWrapper(
    78, initial_indent=" " * 6, subsequent_indent=" " * 6, break_on_hyphens=False
).wrap


def preset_config(name: str) -> Config:
    """Returns the settings of a preset.

    Raises:
      UserError: the name is unknown.
    """
    if name not in PRESETS:
        raise unknown_name("preset", name, PRESETS)
    return PRESETS[name]
