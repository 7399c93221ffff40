"""From settings to what trains: perceptual model, networks, optimizer, steps.

The one place that wires them; the loop, the benchmarks and the tests use it.
"""

from collections.abc import Callable
from dataclasses import dataclass

import tensorflow as tf

from dfcvae_tf.config import Config
from dfcvae_tf.models.vae import VAE, build_vae
from dfcvae_tf.objective import Objective
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


def build_training(
    config: Config, strategy: tf.distribute.Strategy, objective: Objective
) -> Training:
    """Builds networks, optimizer and steps.

    Args:
      config: resolved settings: `image_shape` and `training.steps` are there, and the
        precision is not "auto".
      strategy: how replicas run.
      objective: what is minimised.

    Raises:
      UserError: the network cannot take these images, or the optimizer is unknown.
    """
    training = config.training
    assert training.steps is not None and config.image_shape is not None
    schedule = optimizers.LearningRate(config.optimizer, training.steps)
    with strategy.scope():
        vae = build_vae(
            config.model, config.image_shape, training.precision, training.seed
        )
        optimizer = optimizers.build_optimizer(config.optimizer, schedule)
        if training.precision == "mixed_float16":
            optimizer = keras_compat.LossScaleOptimizer(optimizer)
        ema = config.optimizer.ema_decay > 0
        player = steps.Player("vae", vae.networks, optimizer, objective, ema)
        state = steps.TrainState(vae, [player], objective.rate)
    inference_vae = build_vae(config.model, config.image_shape, "float32")
    train_step = steps.build_train_step(
        state, training.batch_size, config.optimizer.clip_norm, training.jit_compile
    )
    train_steps = steps.build_train_steps(
        state,
        train_step,
        strategy,
        (training.batch_size, config.model.latent_dim),
        training.seed,
        config.optimizer.ema_decay,
    )
    eval_step = steps.build_eval_step(inference_vae, objective, training.seed)
    encoded_kl = steps.build_encoded_kl(inference_vae)
    return Training(state, schedule, train_steps, inference_vae, eval_step, encoded_kl)
