"""The held-out classifier: its features for distances, its labels for agreement.

It is the judge of runs and had no part in training. Were it the perceptual model of a run, that run would be
measured by what it was optimised for.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from dfcvae_tf.config import Config, ObjectiveConfig
from dfcvae_tf.data.digits import are_like_mnist
from dfcvae_tf.errors import UserError
from dfcvae_tf.perceptual.classifiers import load_classifier
from dfcvae_tf.perceptual.feature_extractor import FeatureExtractor, KerasFeatures
from dfcvae_tf.perceptual.registry import build_perceptual_model

MNIST_JUDGE = "mnist_judge"
_MNIST_JUDGE_LAYERS = ("pool3", "logits")


@dataclass(frozen=True)
class Judgement:
    """What a judge says of N images.

    Attributes:
      features: [N, F] float32.
      labels: [N] int64, the most probable class; None without a layer of class scores.
      confidence: [N] float32 in [0, 1], that class' probability; None likewise.
    """

    features: np.ndarray
    labels: np.ndarray | None
    confidence: np.ndarray | None

    def same_label(self, other: "Judgement") -> np.ndarray | None:
        """[N] float64, 1 where both have one label, else 0; None without labels."""
        if self.labels is None or other.labels is None:
            return None
        return (self.labels == other.labels).astype(np.float64)


def join_judgements(parts: Sequence[Judgement]) -> Judgement:
    """Puts judgements of batches by one judge, at least one, one behind the other."""

    def join(values: list[np.ndarray | None]) -> np.ndarray | None:
        there = [value for value in values if value is not None]
        return np.concatenate(there) if there else None

    return Judgement(
        np.concatenate([part.features for part in parts]),
        join([part.labels for part in parts]),
        join([part.confidence for part in parts]),
    )


class Judge:
    """A frozen network with a layer of features and, if it has one, of class scores.

    Attributes:
      name: the network.
      layers: the layer of features, then that of class scores (logits) if there is one.
    """

    def __init__(self, extractor: FeatureExtractor):
        """Takes one or two layers; see `layers`.

        Raises:
          UserError: there are more than two, or the second is not [N, classes].
        """
        self.name = extractor.name
        self.layers = extractor.layers
        if len(self.layers) > 2:
            raise UserError(
                f"choose with --judge_layers one layer of {self.name} for features and, "
                f"after it, one of class scores if it has one; {', '.join(self.layers)} "
                "are too many"
            )
        self._extractor = extractor
        self._compute = tf.function(self._features_and_scores, reduce_retracing=True)

    def __call__(self, images: np.ndarray) -> Judgement:
        """Judges a batch of images, [N, H, W, C] float32 in [0, 1]."""
        features, *scores = (values.numpy() for values in self._compute(images))
        if not scores:
            return Judgement(features, None, None)
        return Judgement(
            features, scores[0].argmax(-1), tf.nn.softmax(scores[0]).numpy().max(-1)
        )

    def _features_and_scores(self, images: tf.Tensor) -> list[tf.Tensor]:
        features, *scores = self._extractor(images)
        if features.shape.rank == 4:
            features = tf.reduce_mean(features, axis=(1, 2))
        if scores and scores[0].shape.rank != 2:
            raise UserError(
                f"layer {self.layers[1]} of {self.name} has no class scores [N, classes]"
            )
        return [tf.reshape(features, [tf.shape(features)[0], -1]), *scores]


def build_judge(
    name: str | None,
    layers: Sequence[str],
    weights: str,
    image_shape: tuple[int, int, int],
    class_names: Sequence[str],
    runs: Sequence[Config],
) -> Judge | None:
    """Builds the judge of some runs.

    Args:
      name: "mnist_judge", or a network as in --perceptual_model; None chooses
        mnist_judge for 28x28x1 digits and no judge for anything else.
      layers: the layer of features and, optionally, that of class scores; () for the
        network's default.
      weights: of a network of keras.applications, as in --perceptual_weights.
      image_shape: (height, width, channels).
      class_names: of the data.
      runs: the settings of the runs to be judged.

    Raises:
      UserError: the network is a perceptual model of one of the runs, is unknown, or
        cannot take these images.
    """
    if name is None:
        name = MNIST_JUDGE if are_like_mnist(image_shape, class_names) else "none"
    if name == "none":
        return None
    if any(run.objective.perceptual_model == name for run in runs):
        raise UserError(
            f"--judge={name} is the perceptual model of one of the runs and would judge "
            "its own work; choose another"
        )
    if name == MNIST_JUDGE:
        layers = layers or _MNIST_JUDGE_LAYERS
        return Judge(KerasFeatures(name, load_classifier(name), tuple(layers)))
    objective = ObjectiveConfig(
        perceptual_model=name,
        perceptual_layers=tuple(layers),
        perceptual_weights=weights,
    )
    return Judge(build_perceptual_model(objective, image_shape, seed=0))
