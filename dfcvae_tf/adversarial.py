"""The adversarial loss: a discriminator tells images from what the decoder makes.

Goodfellow et al. (2014); beside a reconstruction loss as in Larsen et al. (2016),
"Autoencoding beyond pixels using a learned similarity metric", and Hou et al. (2019),
"Improving variational autoencoder with deep feature consistent and generative adversarial
training". Both players take their gradients from the same forward pass, before either
moves.
"""

from dataclasses import dataclass

import tensorflow as tf

from dfcvae_tf.config import AdversarialConfig
from dfcvae_tf.models.augmentation import augment
from dfcvae_tf.models.vae import ForwardPass, shown

Terms = dict[str, tf.Tensor]

# Of the ratio of gradients; Esser et al. (2021) let it rise to 10^4 in float32.
_MOST = 1e4
# How many steps the ratio is of, about 20: a single one is a matter of chance.
_MEMORY = 0.95
# A discriminator that is right this often has won; one that gives originals and
# reconstructions the same logits to within this knows nothing.
_WON, _NO_DIFFERENCE = 0.99, 0.02


class AdversarialWeight:
    """The weight of the adversarial term, by step.

    0 before `adversarial_start`. With `adversarial_adaptive` the setting is multiplied by

        ||gradient of all other terms|| / ||gradient of the adversarial term||

    at the outputs of the decoder's last layer, as a root mean square over images and about
    20 steps, and at most 10^4 (Esser et al. 2021, "Taming Transformers", equation 7, of
    one step and that layer's kernel): at 1 both pull equally hard at a picture, whatever
    the scale of the losses.

    Attributes:
      variables: its whole state.
    """

    def __init__(self, config: AdversarialConfig):
        """Makes the state; under a distribution strategy, inside its scope."""
        self._config = config
        self._squares = tf.Variable(
            [0.0, 0.0],
            trainable=False,
            aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA,
        )
        self.variables = [self._squares] if config.adversarial_adaptive else []

    def __call__(self, step: tf.Tensor | None) -> tf.Tensor:
        """Step of training, [] int64, or None in evaluation -> weight, [] float32."""
        weight = tf.constant(self._config.adversarial_weight)
        if self._config.adversarial_adaptive:
            others, own = tf.unstack(self._squares)
            ratio = tf.sqrt(others / tf.maximum(own, 1e-30))
            weight *= tf.minimum(ratio, _MOST)
        if step is None:
            return weight
        return tf.where(step < self._config.adversarial_start, 0.0, weight)

    def update(self, others: tf.Tensor, own: tf.Tensor) -> None:
        """Takes squared gradients, [] float32 each, summed over images and outputs.

        Args:
          others: of all other terms.
          own: of the adversarial term, unweighted. Both may carry the same factor.
        """
        squares = tf.stack([others, own])
        finite = tf.reduce_all(tf.math.is_finite(squares))  # else float16 overflowed
        mean = _MEMORY * self._squares + (1.0 - _MEMORY) * squares
        self._squares.assign(tf.where(finite, mean, self._squares))


class AdversarialLoss:
    """How little the discriminator takes what the decoder makes for originals.

    -log of the probability it gives them to be originals ("logistic", the non-saturating
    loss of Goodfellow et al. 2014), or minus its logits ("hinge", Lim and Ye 2017); mean
    over patches.
    """

    name = "adversarial_loss"

    def __init__(self, adversary: "Adversary"):
        self._adversary = adversary

    def __call__(self, forward: ForwardPass) -> Terms:
        """Returns "adversarial_weight" and "adversarial_loss", [N] float32 each."""
        loss = self._adversary.fooling_loss(forward)
        weight = self._adversary.weight(forward.step)
        # Gradients are weighed on their way from `judged` to the decoder; this is the
        # value's.
        return {
            "adversarial_weight": tf.fill(tf.shape(loss), weight),
            self.name: loss + tf.stop_gradient((weight - 1.0) * loss),
        }


@dataclass(frozen=True)
class Adversary:
    """The discriminator and what it makes of a forward pass.

    Attributes:
      config: the settings.
      discriminator: images [N, H, W, C] float32 -> logits [N, P] float32, of P patches.
      weight: of the VAE's term.
      decoder_output: see `ModelConfig`.
    """

    config: AdversarialConfig
    discriminator: tf.keras.Model
    weight: AdversarialWeight
    decoder_output: str = "sigmoid"

    def fooling_loss(self, forward: ForwardPass) -> tf.Tensor:
        """What the VAE is to lower, [N] float32, unweighted."""
        hinge = self.config.adversarial_loss == "hinge"
        return self._of_fakes(
            [
                _per_image(-logits if hinge else tf.nn.softplus(-logits))
                for logits in self._judge_fakes(forward)
            ]
        )

    def __call__(self, forward: ForwardPass) -> Terms:
        """What the discriminator is to lower; nothing of it reaches the VAE.

        Returns:
          "loss", and of it "gradient_penalty"; of originals and reconstructions the mean
          logits, "real_logits" and "fake_logits", and how often they are of the right
          sign, "real_right" and "fake_right"; [N] float32 each.
        """
        real = self._judge(forward.images, forward)
        fakes = self._judge_fakes(forward)
        penalty = self._gradient_penalty(forward)
        loss = _per_image(self._wrongness(real))
        loss += self._of_fakes([_per_image(self._wrongness(-fake)) for fake in fakes])
        return {
            "loss": loss + penalty,
            "gradient_penalty": penalty,
            "real_logits": _per_image(real),
            "fake_logits": _per_image(fakes[0]),
            "real_right": _per_image(tf.cast(real > 0, tf.float32)),
            "fake_right": _per_image(tf.cast(fakes[0] < 0, tf.float32)),
        }

    def _judge_fakes(self, forward: ForwardPass) -> list[tf.Tensor]:
        """Logits [N, P] of reconstructions and, where there are any, of samples."""
        made = [forward.judged]
        if forward.samples is not None:
            made.append(forward.samples)
        images = [shown(outputs, self.decoder_output) for outputs in made]
        return [self._judge(fakes, forward) for fakes in images]

    def _judge(self, images: tf.Tensor, forward: ForwardPass) -> tf.Tensor:
        if forward.draws is not None:
            images = augment(images, forward.draws)
        return self.discriminator(images, training=True)

    def _of_fakes(self, values: list[tf.Tensor]) -> tf.Tensor:
        """The mean of reconstructions and samples, which count by their weight, [N]."""
        weights = [1.0, self.config.adversarial_sample_weight][: len(values)]
        total = tf.add_n([w * v for w, v in zip(weights, values, strict=True)])
        return total / sum(weights)

    def _wrongness(self, logits: tf.Tensor) -> tf.Tensor:
        """The loss of logits that should be positive."""
        if self.config.adversarial_loss == "hinge":
            return tf.nn.relu(1.0 - logits)
        return tf.nn.softplus(-logits)

    def _gradient_penalty(self, forward: ForwardPass) -> tf.Tensor:
        """R1 of Mescheder et al. (2018), equation 9, [N] float32.

        With verdicts of P patches the square of the gradient of their sum is divided by P,
        so that a weight means the same at any size. It is computed in one step of
        `discriminator_r1_every`, and counts so much more there (Karras et al. 2020,
        "Analyzing and Improving the Image Quality of StyleGAN", appendix B).
        """
        weight, every = self.config.discriminator_r1, self.config.discriminator_r1_every

        def penalty() -> tf.Tensor:
            with tf.GradientTape() as tape:
                tape.watch(forward.images)
                logits = self._judge(forward.images, forward)
                total = tf.reduce_sum(logits)
            gradient = tape.gradient(total, forward.images)
            squares = tf.reduce_sum(tf.square(gradient), axis=[1, 2, 3])
            return 0.5 * weight * every * squares / logits.shape[1]

        none = tf.zeros(tf.shape(forward.images)[:1])
        if not weight:
            return none
        assert forward.step is not None  # only in training is there a second player
        return tf.cond(forward.step % every == 0, penalty, lambda: none)


def _per_image(values: tf.Tensor) -> tf.Tensor:
    """Means over patches, [N, P] -> [N]."""
    return tf.reduce_mean(values, axis=1)


def verdict(means: dict[str, float]) -> str | None:
    """Returns a sentence about a discriminator that teaches nothing; None of a fair one.

    Args:
      means: of what `Adversary` returns, over the last steps of training.
    """
    right = min(means["real_right"], means["fake_right"])
    if right > _WON:
        return (
            f"the discriminator tells {right:.1%} of originals and reconstructions apart: "
            "it has won, and the decoder learns little from it; a lower "
            "--discriminator_learning_rate, a higher --discriminator_r1 or, with few "
            "images, --discriminator_augment may help"
        )
    if abs(means["real_logits"] - means["fake_logits"]) < _NO_DIFFERENCE:
        return (
            "the discriminator gives originals and reconstructions the same logits "
            f"({means['real_logits']:.3f}, {means['fake_logits']:.3f}): it knows no "
            "difference, and the decoder learns nothing from it; a higher "
            "--discriminator_learning_rate or a lower --discriminator_r1 may help"
        )
    return None
