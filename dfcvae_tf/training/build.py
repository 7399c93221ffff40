"""From settings to what trains: perceptual model, networks, optimizer, steps.

The one place that wires them; the loop, the benchmarks and the tests use it.
"""

from collections.abc import Callable
from dataclasses import dataclass

import tensorflow as tf

from dfcvae_tf.adversarial import AdversarialWeight, Adversary
from dfcvae_tf.config import Config
from dfcvae_tf.models.discriminator import build_discriminator
from dfcvae_tf.models.vae import VAE, build_vae
from dfcvae_tf.objective import Objective
from dfcvae_tf.own_code import OwnCode
from dfcvae_tf.perceptual.feature_extractor import FeatureExtractor
from dfcvae_tf.perceptual.registry import build_perceptual_model
from dfcvae_tf.training import keras_compat, optimizers, steps


@dataclass(frozen=True)
class Training:
    """What a run is trained with.

    Attributes:
      state: the networks and who trains them.
      schedule: the learning rate over the steps.
      train_steps: see `steps.build_train_steps`.
      inference_vae: float32 networks outside of any strategy, for what is evaluated and
        shipped; `state.copy_inference_weights` fills them.
      eval_step: of these, see `steps.build_eval_step`.
      encoded_kl: of these, see `steps.build_encoded_kl`.
    """

    state: steps.TrainState
    schedule: optimizers.LearningRate
    train_steps: Callable
    inference_vae: VAE
    eval_step: Callable
    encoded_kl: Callable


def build_features(
    config: Config, strategy: tf.distribute.Strategy
) -> FeatureExtractor | None:
    """Returns the perceptual model; None without a perceptual loss.

    Raises:
      UserError: see `build_perceptual_model`.
    """
    if not config.objective.is_perceptual:
        return None
    assert config.image_shape is not None
    with strategy.scope():  # its weights must be where the replicas are
        return build_perceptual_model(
            config.objective, config.image_shape, config.training.seed
        )


def build_adversary(
    config: Config, strategy: tf.distribute.Strategy
) -> Adversary | None:
    """Returns the discriminator with fresh weights; None without an adversarial loss."""
    settings, training = config.adversarial, config.training
    if not settings.adversarial_weight:
        return None
    assert config.image_shape is not None
    with strategy.scope():
        discriminator = build_discriminator(
            config.image_shape,
            settings.discriminator_width,
            training.precision,
            training.seed,
        )
        weight = AdversarialWeight(settings)
    return Adversary(settings, discriminator, weight, config.model.decoder_output)


def build_training(
    config: Config,
    strategy: tf.distribute.Strategy,
    objective: Objective,
    adversary: Adversary | None = None,
    own_network: OwnCode | None = None,
) -> Training:
    """Builds networks, optimizers and steps.

    Args:
      config: resolved settings: `image_shape` and `training.steps` are there, and the
        precision is not "auto".
      strategy: how replicas run.
      objective: what the VAE minimises.
      adversary: what the objective's adversarial term is of, if it has one.
      own_network: what builds the networks, where a user wrote it.

    Raises:
      UserError: the network cannot take these images, the optimizer is unknown, or what a
        user wrote builds no VAE.
    """
    training, settings = config.training, config.adversarial
    assert training.steps is not None and config.image_shape is not None
    schedule = optimizers.LearningRate(config.optimizer, training.steps)
    with strategy.scope():
        vae = build_vae(
            config.model,
            config.image_shape,
            training.precision,
            training.seed,
            own_network,
        )
        optimizer = optimizers.build_optimizer(config.optimizer, schedule)
        ema = config.optimizer.ema_decay > 0
        players = [
            steps.Player(
                "vae", vae.networks, _scaled(optimizer, config), objective, ema
            )
        ]
        if adversary is not None:
            networks = {"discriminator": adversary.discriminator}
            optimizer = optimizers.build_discriminator_optimizer(config)
            players.append(
                steps.Player(
                    "discriminator", networks, _scaled(optimizer, config), adversary
                )
            )
        state = steps.TrainState(
            vae, players, objective.rate, adversary.weight if adversary else None
        )
    inference_vae = build_vae(
        config.model, config.image_shape, "float32", own=own_network
    )
    train_step = steps.build_train_step(
        state, training.batch_size, config.optimizer.clip_norm, training.jit_compile
    )
    train_steps = steps.build_train_steps(
        state,
        train_step,
        strategy,
        steps.DrawNoise(
            training.seed,
            training.batch_size,
            config.model.latent_dim,
            samples=adversary is not None and bool(settings.adversarial_sample_weight),
            draws=adversary is not None and settings.discriminator_augment,
        ),
        config.optimizer.ema_decay,
    )
    eval_step = steps.build_eval_step(inference_vae, objective, training.seed)
    encoded_kl = steps.build_encoded_kl(inference_vae)
    return Training(state, schedule, train_steps, inference_vae, eval_step, encoded_kl)


def _scaled(
    optimizer: tf.keras.optimizers.Optimizer, config: Config
) -> tf.keras.optimizers.Optimizer:
    """The optimizer, in float16 with a loss scale of its own."""
    if config.training.precision != "mixed_float16":
        return optimizer
    return keras_compat.LossScaleOptimizer(optimizer)
