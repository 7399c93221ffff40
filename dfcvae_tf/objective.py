"""The objective: a list of terms, each of a forward pass, that add up to the loss.

    loss = pixel_weight * pixel + perceptual_weight * sum_l w_l * distance_l
           + kl_weight(step) * KL + adversarial_weight(step) * adversarial
           + term_weight * what a user wrote

Every value is per image. `build_objective` makes the terms that settings ask for; a plain
VAE is an objective without the perceptual one, and few have the adversarial one.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol, TypeVar

import numpy as np
import tensorflow as tf

from dfcvae_tf import losses
from dfcvae_tf.adversarial import AdversarialLoss, Adversary
from dfcvae_tf.config import ObjectiveConfig
from dfcvae_tf.errors import UserError
from dfcvae_tf.kl_weight import GivenWeight, KLWeight, TargetRate
from dfcvae_tf.models.vae import ForwardPass
from dfcvae_tf.own_code import OwnCode, keras_seeded

Terms = dict[str, tf.Tensor]
T = TypeVar("T")


class Features(Protocol):
    """What a perceptual model is to the objective; see `FeatureExtractor`."""

    layers: tuple[str, ...]

    def __call__(self, images: tf.Tensor) -> Sequence[tf.Tensor]:
        """images [N, H, W, C] float32 in [0, 1] -> float32 [N, ...] per layer."""


class Term(Protocol):
    """A part of the loss.

    Attributes:
      name: of the weighted part.
    """

    name: str

    def __call__(self, forward: ForwardPass) -> Terms:
        """Returns `name`, [N] float32, and what else is logged, [N, ...] float32."""


class Objective:
    """The sum of its terms.

    Attributes:
      parts: names of the terms; the values of these names add up to "loss".
      rate: what finds the KL weight in training; None where it is given.
    """

    def __init__(self, terms: Iterable[Term], rate: TargetRate | None = None):
        self._terms = tuple(terms)
        self.parts = tuple(term.name for term in self._terms)
        self.rate = rate

    def term(self, kind: type[T]) -> T | None:
        """Returns the term of a kind; None where there is none."""
        return next((each for each in self._terms if isinstance(each, kind)), None)

    def __call__(self, forward: ForwardPass) -> Terms:
        """Returns every term by its name, what else the terms log, and "loss"."""
        values: Terms = {}
        for term in self._terms:
            values |= term(forward)
        values["loss"] = tf.add_n([values[part] for part in self.parts])
        return values


def build_objective(
    config: ObjectiveConfig,
    features: Features | None = None,
    layer_energies: Sequence[float] | None = None,
    adversary: Adversary | None = None,
    own: OwnCode | None = None,
    seed: int = 0,
) -> Objective:
    """Returns the objective that settings ask for.

    Args:
      config: kinds of terms, weights, reductions.
      features: the perceptual model; None for a plain VAE.
      layer_energies: mean of ||Phi_l(x)||^2 over training images, one per layer; needed
        with perceptual_normalization="energy".
      adversary: the discriminator; None without an adversarial loss.
      own: what builds a term that a user wrote; None without one.
      seed: of what that term draws for itself.

    Raises:
      UserError: the number of layer weights is not the number of layers, or what a user
        wrote raises or returns no term.
    """
    terms: list[Term] = []
    if config.pixel_weight > 0:
        terms.append(
            PixelLoss(config.pixel_weight, config.pixel_loss, config.pixel_reduction)
        )
    if features is not None:
        terms.append(build_perceptual_loss(config, features, layer_energies))
    weight: KLWeight
    rate = None
    if config.target_kl is not None:
        weight = rate = TargetRate(config.target_kl)
    else:
        assert config.kl_weight is not None  # config.check saw to it
        weight = GivenWeight(config.kl_weight, config.kl_warmup_steps)
    terms.append(KLLoss(weight, config.free_bits))
    if adversary is not None:
        terms.append(AdversarialLoss(adversary))
    if own is not None:
        terms.append(OwnTerm(own, config, seed))
    return Objective(terms, rate)


def build_perceptual_loss(
    config: ObjectiveConfig,
    features: Features,
    layer_energies: Sequence[float] | None = None,
) -> "PerceptualLoss":
    """Returns the perceptual term; arguments and errors are those of `build_objective`."""
    layers = features.layers
    weights = config.perceptual_layer_weights or (1.0,) * len(layers)
    if len(weights) != len(layers):
        raise UserError(
            f"--perceptual_layer_weights has {len(weights)} values for {len(layers)} "
            f"layers ({', '.join(layers)}); give one per layer"
        )
    if config.perceptual_normalization == "energy":
        if layer_energies is None or len(layer_energies) != len(layers):
            raise ValueError("energy normalization needs one energy per layer")
        weights = tuple(w / e for w, e in zip(weights, layer_energies, strict=True))
    return PerceptualLoss(
        features, weights, config.perceptual_weight, config.perceptual_reduction
    )


class PixelLoss:
    """Compares images with reconstructions pixel by pixel."""

    name = "pixel_loss"

    def __init__(self, weight: float, kind: str, reduction: str):
        """Takes `pixel_weight`, `pixel_loss` and `pixel_reduction` of the settings."""
        self._weight = weight
        self._kind = kind
        self._reduction = reduction

    def __call__(self, forward: ForwardPass) -> Terms:
        if self._kind == "bernoulli":
            term = losses.bernoulli_nll_nats(forward.images, forward.outputs)
        else:
            # -log p(x|z) of a Gaussian with unit variance, without its constant.
            squared = losses.squared_error(forward.images, forward.reconstruction)
            term = 0.5 * squared
        return {
            self.name: self._weight * _reduce(term, self._reduction, forward.images)
        }


class PerceptualLoss:
    """Compares images with reconstructions by the features of a frozen network.

    Hou et al. (2017), equations 4 and 5, with a weight per layer.
    """

    name = "perceptual_loss"

    def __init__(
        self,
        features: Features,
        layer_weights: Sequence[float],
        weight: float,
        reduction: str,
    ):
        """Takes the perceptual model, a weight per layer, and one for the sum of all.

        Args:
          features: the perceptual model.
          layer_weights: one per layer of it, energies included.
          weight: of their sum.
          reduction: "sum" or "mean", over the features of a layer.
        """
        self._features = features
        self._layer_weights = tuple(layer_weights)
        self._weight = weight
        self._reduction = reduction

    def __call__(self, forward: ForwardPass) -> Terms:
        return self.compare(forward.images, forward.reconstruction)

    def compare(self, images: tf.Tensor, others: tf.Tensor) -> Terms:
        """Compares two batches of images.

        Args:
          images: [N, H, W, C] float32 in [0, 1]; no gradient flows to them.
          others: the same; their gradient is that of "perceptual_loss".

        Returns:
          "distance/LAYER" (reduced, before any weight) and the weighted
          "perceptual_loss"; [N] float32 each.
        """
        terms: Terms = {}
        total = tf.constant(0.0)
        targets = [tf.stop_gradient(f) for f in self._features(images)]
        features = self._features(others)
        for layer, weight, target, feature in zip(
            self._features.layers, self._layer_weights, targets, features, strict=True
        ):
            distance = _reduce(
                losses.squared_error(target, feature), self._reduction, target
            )
            terms[f"distance/{layer}"] = distance
            total += weight * distance
        terms[self.name] = self._weight * total
        return terms


class KLLoss:
    """The divergence of the posterior from the prior, in nats."""

    name = "kl_loss"

    def __init__(self, weight: KLWeight, free_bits: float = 0.0):
        """Takes its weight, and `free_bits` of the settings."""
        self.weight = weight
        self._free_nats = free_bits * math.log(2)

    def __call__(self, forward: ForwardPass) -> Terms:
        """Returns "kl_nats_per_dimension" [N, D]; "kl_nats", "kl_weight", "kl_loss" [N]."""
        per_dimension = forward.prior.kl(forward.z_mean, forward.z_log_var)
        # Kingma et al. (2016), equation 15, applied to each image instead of to the
        # batch mean, so that the term stays per image and independent of the batch.
        penalised = tf.reduce_sum(tf.maximum(per_dimension, self._free_nats), axis=-1)
        weight = self.weight(forward.step)
        return {
            "kl_nats_per_dimension": per_dimension,
            "kl_nats": tf.reduce_sum(per_dimension, axis=-1),
            "kl_weight": tf.fill(tf.shape(penalised), weight),
            self.name: weight * penalised,
        }


class OwnTerm:
    """A term that a user wrote, times its weight.

    Weights of its own, such as a frozen network's, follow from its code and the seed, and
    stay as they start: the VAE is what is trained and kept.
    """

    def __init__(self, code: OwnCode, config: ObjectiveConfig, seed: int):
        """Has the code build the term.

        Raises:
          UserError: it raises, or returns what has no name or cannot be called.
        """
        self._code = code
        self._weight = config.term_weight
        self._seed = seed
        self._term = code.build({"config": config}, seed)
        self.name = getattr(self._term, "name", "")
        if not callable(self._term) or not isinstance(self.name, str) or not self.name:
            raise UserError(
                f"{code} must return an object that can be called and has a name, a text, "
                f"got {type(self._term).__name__}"
            )
        if self.name in _LOGGED:
            raise UserError(
                f"{code}: the name {self.name!r} is taken; choose another one"
            )

    def __call__(self, forward: ForwardPass) -> Terms:
        values = dict(self._term(forward))
        values[self.name] = self._weight * values[self.name]
        return values

    def check(self, compute_forward: Callable[[], ForwardPass], count: int) -> None:
        """Has the term look at a forward pass once, as it will in training.

        Args:
          compute_forward: computes it, in a graph.
          count: number of images in it.

        Raises:
          UserError: the term raises, or returns something else than finite numbers, one an
            image, by its name.
        """
        # Raised in there, AutoGraph would wrap what is said below.
        compute = tf.function(lambda: self._term(compute_forward()))
        # Layers may draw their weights when they are first called.
        with self._code.told(), keras_seeded(self._seed):
            values: Any = compute()
        wanted = f"{{{self.name!r}: [N] float32}}, one number an image"
        if not isinstance(values, Mapping) or self.name not in values:
            found = type(values).__name__
            if isinstance(values, Mapping):
                found = f"{{{', '.join(map(repr, values))}}}"
            raise UserError(f"{self._code}: the term must return {wanted}, got {found}")
        for name, value in values.items():
            value = tf.convert_to_tensor(value)
            if name != self.name and not str(name).startswith(f"{self.name}/"):
                raise UserError(
                    f"{self._code}: what the term logs beside {self.name!r} must be called "
                    f"'{self.name}/…', got {name!r}"
                )
            per_image = value.shape.rank and value.shape[0] == count
            if name == self.name and value.shape.rank != 1:
                per_image = False
            if not per_image or value.dtype != tf.float32:
                raise UserError(
                    f"{self._code}: the term must return {wanted}; of {count} images "
                    f"{name!r} is {list(value.shape)} {value.dtype.name}"
                )
            if not np.isfinite(value).all():
                raise UserError(
                    f"{self._code}: {name!r} is not finite on images as they come out of "
                    "an untrained network"
                )


# What else is called by these names in the logs.
_LOGGED = {
    "loss",
    PixelLoss.name,
    PerceptualLoss.name,
    KLLoss.name,
    AdversarialLoss.name,
    "kl_nats",
    "kl_nats_per_dimension",
    "kl_weight",
    "adversarial_weight",
    "gradient_norm",
    "skipped_steps",
    "active_dimensions",
    "learning_rate",
}


def _reduce(per_image_sum: tf.Tensor, reduction: str, values: tf.Tensor) -> tf.Tensor:
    if reduction == "sum":
        return per_image_sum
    return per_image_sum / values.shape[1:].num_elements()


def measure_layer_energies(
    features: Callable[[tf.Tensor], Sequence[tf.Tensor]], batches: Iterable[tf.Tensor]
) -> list[float]:
    """Returns the mean of ||Phi_l(x)||^2 over images, one value per layer.

    Args:
      features: the perceptual model.
      batches: images, [N, H, W, C] float32 in [0, 1] each; at least one.

    Raises:
      UserError: a layer answers 0 to every image, so nothing can be divided by it.
    """
    totals: list[float] = []
    count = 0
    compute = tf.function(
        lambda images: [
            tf.reduce_sum(losses.squared_error(f, tf.zeros_like(f)))
            for f in features(images)
        ]
    )
    for images in batches:
        sums = [float(value) for value in compute(images)]
        totals = [t + s for t, s in zip(totals or [0.0] * len(sums), sums, strict=True)]
        count += int(images.shape[0])
    if not all(math.isfinite(total) and total > 0 for total in totals):
        raise UserError(
            "a perceptual layer has no finite, positive energy on the training images "
            f"({', '.join(f'{t / count:g}' for t in totals)}); choose other layers"
        )
    return [total / count for total in totals]
