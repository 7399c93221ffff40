"""The parts of the objective and their weights -> one total.

    loss = pixel_weight * pixel + perceptual_weight * sum_l w_l * distance_l
           + kl_weight(step) * KL

Every value is per image. A plain VAE is an objective without a perceptual model.
"""

import math
from collections.abc import Callable, Sequence

import tensorflow as tf

from dfcvae_tf import losses
from dfcvae_tf.config import ObjectiveConfig
from dfcvae_tf.errors import UserError

# images [N, H, W, C] float32 in [0, 1] -> one float32 tensor [N, ...] per layer
Features = Callable[[tf.Tensor], Sequence[tf.Tensor]]


class Objective:
    """Computes the loss of a batch from images, the decoder's outputs and latents.

    Attributes:
      parts: names of the weighted parts that add up to "loss".
    """

    def __init__(
        self,
        config: ObjectiveConfig,
        features: Features | None = None,
        layers: Sequence[str] = (),
        layer_energies: Sequence[float] | None = None,
        decoder_output: str = "sigmoid",
    ):
        """Makes the objective.

        Args:
          config: kinds of terms, weights, reductions.
          features: the perceptual model; None for a plain VAE.
          layers: names of the layers that `features` returns, in order.
          layer_energies: mean of ||Phi_l(x)||^2 over training images, one per layer;
            needed with perceptual_normalization="energy".
          decoder_output: what makes the reconstruction of the decoder's outputs, see
            `ModelConfig`.

        Raises:
          UserError: the number of layer weights is not the number of layers.
        """
        self.config = config
        self.features = features
        self.layers = tuple(layers)
        self.decoder_output = decoder_output
        weights = config.perceptual_layer_weights or (1.0,) * len(self.layers)
        if features is not None and len(weights) != len(self.layers):
            raise UserError(
                f"--perceptual_layer_weights has {len(weights)} values for "
                f"{len(self.layers)} layers ({', '.join(self.layers)}); "
                "give one per layer"
            )
        if config.perceptual_normalization == "energy" and features is not None:
            if layer_energies is None or len(layer_energies) != len(self.layers):
                raise ValueError("energy normalization needs one energy per layer")
            weights = tuple(w / e for w, e in zip(weights, layer_energies, strict=True))
        self.layer_weights = tuple(weights)
        self.parts: tuple[str, ...] = ("kl_loss",)
        if features is not None:
            self.parts = ("perceptual_loss", *self.parts)
        if config.pixel_weight > 0:
            self.parts = ("pixel_loss", *self.parts)

    def __call__(
        self,
        images: tf.Tensor,
        outputs: tf.Tensor,
        z_mean: tf.Tensor,
        z_log_var: tf.Tensor,
        step: tf.Tensor,
    ) -> dict[str, tf.Tensor]:
        """Returns the terms of a batch, [N] float32 where not said otherwise.

        Args:
          images: [N, H, W, C] float32 in [0, 1].
          outputs: [N, H, W, C] float32 of the decoder.
          z_mean: [N, D].
          z_log_var: [N, D].
          step: [] integer, the number of steps done so far; drives the KL warm-up.

        Returns:
          "loss" and its weighted parts (`self.parts`, which add up to it), and
          unweighted "kl_nats", "distance/LAYER" (reduced, before any weight) and
          "kl_nats_per_dimension", which is [N, D].
        """
        config = self.config
        images = tf.convert_to_tensor(images, tf.float32)
        terms: dict[str, tf.Tensor] = {}
        if config.pixel_weight > 0:
            pixel = self._pixel_term(images, outputs)
            terms["pixel_loss"] = config.pixel_weight * pixel
        if self.features is not None:
            terms |= self.perceptual_terms(images, self._reconstruction(outputs))
        kl_per_dimension = losses.kl_nats_per_dimension(z_mean, z_log_var)
        terms["kl_nats_per_dimension"] = kl_per_dimension
        terms["kl_nats"] = tf.reduce_sum(kl_per_dimension, axis=-1)
        # Kingma et al. (2016), equation 15, applied to each image instead of to the
        # batch mean, so that the term stays per image and independent of the batch.
        free_nats = config.free_bits * math.log(2)
        penalised = tf.reduce_sum(tf.maximum(kl_per_dimension, free_nats), axis=-1)
        terms["kl_loss"] = self.kl_weight(step) * penalised
        terms["loss"] = tf.add_n([terms[part] for part in self.parts])
        return terms

    def perceptual_terms(
        self, images: tf.Tensor, others: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        """Compares images by the features of the perceptual model (there must be one).

        Args:
          images: [N, H, W, C] float32 in [0, 1]; no gradient flows to them.
          others: the same; their gradient is that of "perceptual_loss".

        Returns:
          "distance/LAYER" (reduced, before any weight) and the weighted
          "perceptual_loss"; [N] float32 each.
        """
        config = self.config
        assert self.features is not None
        terms: dict[str, tf.Tensor] = {}
        total = tf.constant(0.0)
        targets = [tf.stop_gradient(f) for f in self.features(images)]
        features = self.features(others)
        for layer, weight, target, feature in zip(
            self.layers, self.layer_weights, targets, features, strict=True
        ):
            distance = _reduce(
                losses.squared_error(target, feature),
                config.perceptual_reduction,
                target,
            )
            terms[f"distance/{layer}"] = distance
            total += weight * distance
        terms["perceptual_loss"] = config.perceptual_weight * total
        return terms

    def kl_weight(self, step: tf.Tensor) -> tf.Tensor:
        """The KL weight at a step: rises linearly during the warm-up, then constant."""
        config = self.config
        if config.kl_warmup_steps == 0:
            return tf.constant(config.kl_weight, tf.float32)
        progress = tf.cast(step + 1, tf.float32) / config.kl_warmup_steps
        return config.kl_weight * tf.minimum(progress, 1.0)

    def _reconstruction(self, outputs: tf.Tensor) -> tf.Tensor:
        # Linear outputs beyond [0, 1] stay there: cut off, as an image is, they would
        # have no gradient to come back by.
        return outputs if self.decoder_output == "linear" else tf.sigmoid(outputs)

    def _pixel_term(self, images: tf.Tensor, outputs: tf.Tensor) -> tf.Tensor:
        if self.config.pixel_loss == "bernoulli":
            term = losses.bernoulli_nll_nats(images, outputs)
        else:
            # -log p(x|z) of a Gaussian with unit variance, without its constant.
            term = 0.5 * losses.squared_error(images, self._reconstruction(outputs))
        return _reduce(term, self.config.pixel_reduction, images)


def _reduce(per_image_sum: tf.Tensor, reduction: str, values: tf.Tensor) -> tf.Tensor:
    if reduction == "sum":
        return per_image_sum
    return per_image_sum / values.shape[1:].num_elements()


def measure_layer_energies(features: Features, batches) -> list[float]:
    """Returns the mean of ||Phi_l(x)||^2 over images, one value per layer.

    Args:
      features: the perceptual model.
      batches: iterable of images, [N, H, W, C] float32 in [0, 1]; at least one.

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
