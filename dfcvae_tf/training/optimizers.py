"""Optimizers by name and the learning rate over time."""

import dataclasses
import inspect
import math
from typing import Any

import tensorflow as tf

from dfcvae_tf.config import Config, OptimizerConfig
from dfcvae_tf.errors import UserError, unknown_name

# Optimizers of tensorflow-addons that have no equal in Keras and need no more than a
# learning rate. "ranger" is Lookahead around RectifiedAdam.
ADDONS_OPTIMIZERS = (
    "adabelief",
    "lazyadam",
    "novograd",
    "ranger",
    "rectifiedadam",
    "yogi",
)


class LearningRate(tf.keras.optimizers.schedules.LearningRateSchedule):
    """Linear warm-up from 0 to the peak, then constant, a half cosine to 0, or a staircase.

    The half cosine is that of Loshchilov and Hutter (2017), equation 5, without
    restarts. The staircase has equal steps over the whole run, the warm-up included. The
    value for step s (counted from 0) is used by the s-th update.
    """

    def __init__(self, config: OptimizerConfig, total_steps: int):
        self.config = config
        self.total_steps = total_steps

    def __call__(self, step: tf.Tensor) -> tf.Tensor:
        done = tf.cast(tf.convert_to_tensor(step), tf.float32)
        warmup = self.config.warmup_steps
        rate = tf.constant(self.config.learning_rate, tf.float32)
        if self.config.schedule == "cosine":
            length = max(self.total_steps - warmup, 1)
            progress = tf.clip_by_value((done - warmup) / length, 0.0, 1.0)
            rate *= 0.5 * (1.0 + tf.cos(math.pi * progress))
        elif self.config.schedule == "staircase":
            stages = self.config.decay_stages
            # In integers: float32 would move an edge by a step in long runs.
            stage = tf.cast(step, tf.int64) * stages // self.total_steps
            stage = tf.cast(tf.minimum(stage, stages - 1), tf.float32)
            rate *= self.config.decay_factor**stage
        if warmup:
            rate *= tf.minimum((done + 1.0) / warmup, 1.0)
        return rate

    def get_config(self) -> dict:
        return {"config": self.config, "total_steps": self.total_steps}


def build_optimizer(
    config: OptimizerConfig, schedule: LearningRate
) -> tf.keras.optimizers.Optimizer:
    """Returns the named optimizer.

    Raises:
      UserError: the name is unknown, or it needs tensorflow-addons, which is missing.
    """
    name = config.optimizer.lower()
    keras_optimizers = _keras_optimizers()
    if name in keras_optimizers:
        return keras_optimizers[name](learning_rate=schedule)
    if name not in ADDONS_OPTIMIZERS:
        raise unknown_name(
            "optimizer", config.optimizer, [*keras_optimizers, *ADDONS_OPTIMIZERS]
        )
    try:
        import tensorflow_addons as tfa
    except ImportError as error:
        raise UserError(
            f"--optimizer={config.optimizer} needs tensorflow-addons: install the "
            "'addons' extra (TensorFlow 2.15, Python <= 3.11), or choose one of "
            + ", ".join(keras_optimizers)
        ) from error
    if name == "ranger":
        return tfa.optimizers.Lookahead(tfa.optimizers.RectifiedAdam(schedule))
    # Modules of the package have the same names as classes, but for their case.
    classes: dict[str, Any] = {
        n.lower(): c for n, c in vars(tfa.optimizers).items() if inspect.isclass(c)
    }
    return classes[name](learning_rate=schedule)


def build_discriminator_optimizer(config: Config) -> tf.keras.optimizers.Optimizer:
    """Returns Adam, with as little memory as players that move need (Radford et al. 2016)."""
    assert config.training.steps is not None
    rate = config.adversarial.discriminator_learning_rate
    settings = dataclasses.replace(config.optimizer, learning_rate=rate)
    schedule = LearningRate(settings, config.training.steps)
    return tf.keras.optimizers.Adam(schedule, beta_1=0.5, beta_2=0.99)


def decay_at(ema_decay: float, steps: tf.Tensor) -> tf.Tensor:
    """The decay of moving averages after so many steps, [] float32.

    Early averages follow faster, so that they do not remember the random start (the same
    rule as tf.train.ExponentialMovingAverage with num_updates).
    """
    done = tf.cast(steps, tf.float32)
    return tf.minimum(ema_decay, (1.0 + done) / (10.0 + done))


def _keras_optimizers() -> dict[str, type]:
    base = tf.keras.optimizers.Optimizer
    # Muon must be told which variables are matrices of hidden layers.
    wrappers = {"optimizer", "lossscaleoptimizer", "muon"}
    return {
        name.lower(): cls
        for name, cls in sorted(vars(tf.keras.optimizers).items())
        if isinstance(cls, type)
        and issubclass(cls, base)
        and name.lower() not in wrappers
    }
