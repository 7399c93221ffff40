"""The weight of the KL term: one that is given, or one that is found for a rate."""

import math
from typing import Protocol

import tensorflow as tf

# How far a KL may be from what was asked for without a word, relative.
_TOLERANCE = 0.02
# How `TargetRate` moves. Found by trying: with these the KL comes to 12 nats of digits and
# to 100 nats of faces without swinging.
_START = 0.02
_GAIN, _SPEED = 6.0, 0.2
_LOWEST, _HIGHEST = -0.3, 0.1  # of errors that count
_FAR_PUSH = -0.02  # of an error below the lowest
# How `TargetRate` compares training steps, of which it remembers about 50, with a
# measurement, and how much more or less nats they may be asked for, in logarithms.
_MEMORY = 0.98
_EXCESS = (-0.1, 0.3)


class KLWeight(Protocol):
    """What the KL term asks for its weight."""

    def __call__(self, step: tf.Tensor | None) -> tf.Tensor:
        """Step of training, [] int64, or None in evaluation -> weight, [] float32."""


class GivenWeight:
    """A weight that rises linearly from 0 during a warm-up and is constant afterwards."""

    def __init__(self, weight: float, warmup_steps: int = 0):
        """Takes `kl_weight` and `kl_warmup_steps` of the settings."""
        self._weight = weight
        self._warmup_steps = warmup_steps

    def __call__(self, step: tf.Tensor | None) -> tf.Tensor:
        """Returns the weight at a step; in evaluation the one after the warm-up."""
        if step is None or self._warmup_steps == 0:
            return tf.constant(self._weight, tf.float32)
        progress = tf.cast(step + 1, tf.float32) / self._warmup_steps
        return self._weight * tf.minimum(progress, 1.0)


class TargetRate:
    """The weight with which the KL is as large as asked for.

    Training finds the lowest loss under the constraint KL = target, and the weight is its
    multiplier (Rezende and Viola 2018, "Taming VAEs"; there the reconstruction is
    constrained). With e = log(KL / target) of the last step, within -0.3 and 0.1,

        log weight = I + 6 e,    I += 0.2 e  (e within +-0.1)

    The first part is quick and damps; the second sums errors up, which leaves none (the
    two parts of Shao et al. 2020, "ControlVAE", equation 8, there of the weight itself).
    In logarithms nothing depends on the scale of the other terms.

    Training begins with a KL term that is at the target a fiftieth of the others, times
    exp(6 * -0.3), so the rate is high before it is pressed down. As long as e is below
    -0.3, latents still learn to carry something, which no weight hurries: I falls by 0.004
    a step and no more. Upwards the quick part is held to exp(6 * 0.1): latents that a
    sudden weight once made carry nothing may never learn to again.

    The encoder gives images that no step sees fewer nats, the more so the fewer training
    images there are. `measure` is told of them, and e above becomes log(KL / target) less
    the excess of training steps over what was measured: it is measured images that come
    to the target.

    Attributes:
      target: nats per image, of images that no step sees where they are measured.
      variables: its whole state.
    """

    def __init__(self, target: float):
        """Makes the state; under a distribution strategy, inside its scope."""
        self.target = target
        # The last two: the average log(KL / target) of steps, their excess over what was
        # measured.
        self._log_weight, self._error, self._average, self._excess = (
            tf.Variable(
                value,
                trainable=False,
                aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA,
            )
            for value in (0.0, _LOWEST, 0.0, 0.0)
        )
        self.variables = [self._log_weight, self._error, self._average, self._excess]

    def __call__(self, step: tf.Tensor | None) -> tf.Tensor:
        """Returns the weight of the next step; in evaluation without its quick part."""
        if step is None:
            return tf.exp(self._log_weight)
        return tf.exp(self._log_weight + _GAIN * self._error)

    def update(self, step: tf.Tensor, kl_nats: tf.Tensor, others: tf.Tensor) -> None:
        """Takes means over the whole batch of a step.

        Args:
          step: [] int64.
          kl_nats: [] float32.
          others: [] float32, the loss without its KL term.
        """
        start = tf.math.log(_START * tf.maximum(others, 1e-30) / self.target)
        log_weight = tf.where(step == 0, start, self._log_weight)
        error = tf.math.log(tf.maximum(kl_nats / self.target, 1e-30))
        # The first steps count least: latents begin in them.
        memory = tf.minimum(_MEMORY, tf.cast(step, tf.float32) / 10.0)
        self._average.assign(memory * self._average + (1.0 - memory) * error)
        error -= self._excess
        push = tf.clip_by_value(error, -_HIGHEST, _HIGHEST)
        push = tf.where(error < _LOWEST, _FAR_PUSH, push)
        self._log_weight.assign(log_weight + _SPEED * push)
        self._error.assign(tf.clip_by_value(error, _LOWEST, _HIGHEST))

    def measure(self, kl_nats: float) -> None:
        """Takes the mean KL of images that no step sees, with the weights to be used.

        Now and then: a half of what it tells is taken, as it is not without chance.
        """
        if self._average < _LOWEST:  # latents begin, and averaged weights lag behind
            return
        measured = math.log(max(kl_nats / self.target, 1e-30))
        excess = tf.clip_by_value(self._average - measured, *_EXCESS)
        self._excess.assign(0.5 * (self._excess + excess))

    def missed(self, test_kl: float, train_kl: float | None) -> str | None:
        """Returns a sentence about a rate that was not reached; None where it was.

        Args:
          test_kl: nats, of the test split when training ended.
          train_kl: nats, of the last steps; None where there were none.
        """
        if self._is_near(test_kl):
            return None
        said = (
            f"the KL is {test_kl:.4g} nats on the test split, not the {self.target:g} that "
            "--target_kl asks for"
        )
        if train_kl is not None and self._is_near(train_kl):
            return (
                f"{said} and training images have ({train_kl:.4g}): there are few images, "
                "or those of the test split are others"
            )
        if test_kl > self.target:
            return f"{said}; longer training may reach it"
        return (
            f"{said}; longer training or more --latent_dim may reach it, or it is more "
            "than these images can carry"
        )

    def _is_near(self, kl_nats: float) -> bool:
        return abs(kl_nats / self.target - 1) <= _TOLERANCE
