"""The held-out classifier: its features for distances, its labels for agreement.

It is the judge of runs and had no part in training. Were it the perceptual model of a run,
that run would be measured by what it was optimised for. Where the data has labels, the
judge is asked first what its own are worth.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import tensorflow as tf
from scipy import stats

from dfcvae_tf.checkpoints import read_provenance
from dfcvae_tf.config import Config, ObjectiveConfig
from dfcvae_tf.data.digits import are_like_mnist
from dfcvae_tf.errors import UserError
from dfcvae_tf.loaded_run import LoadedRun
from dfcvae_tf.metrics.sharpness_verdict import SIGNIFICANCE
from dfcvae_tf.perceptual.classifiers import load_classifier
from dfcvae_tf.perceptual.feature_extractor import FeatureExtractor, KerasFeatures
from dfcvae_tf.perceptual.registry import build_perceptual_model, model_files

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

    def distance(self, other: "Judgement") -> np.ndarray:
        """Squared distance of the features over the square of one's own, [N] float64."""
        own, others = self.features.astype(float), other.features.astype(float)
        squares = np.square(own - others).sum(axis=1)
        return squares / np.maximum(np.square(own).sum(axis=1), np.finfo(float).tiny)


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


@dataclass(frozen=True)
class Worth:
    """What a judge's labels are worth, measured on originals whose labels are known.

    Label agreement of a judge that is hardly better than a guess compares guesses. So it
    gives a verdict only if the judge is right more often than somebody who always says the
    commonest label, by a one-sided binomial test, and at least half way from there to
    always.

    Attributes:
      accuracy: share of the originals that get their label, in [0, 1].
      majority: share of the commonest label.
      needed: the least accuracy for a verdict, (1 + majority) / 2.
      p_value: of the binomial test.
    """

    accuracy: float
    majority: float
    needed: float
    p_value: float

    @property
    def is_enough(self) -> bool:
        """Whether label agreement may give a verdict."""
        return self.accuracy >= self.needed and self.p_value < SIGNIFICANCE


def assess_worth(predicted: np.ndarray, labels: np.ndarray) -> Worth:
    """Measures a judge's labels, [N] int, against the true ones, [N] int."""
    right = int((predicted == labels).sum())
    majority = np.unique(labels, return_counts=True)[1].max() / len(labels)
    test = stats.binomtest(right, len(labels), majority, alternative="greater")
    return Worth(right / len(labels), majority, (1 + majority) / 2, test.pvalue)


class Judge:
    """A frozen network with a layer of features and, if it has one, of class scores.

    Attributes:
      name: the network.
      layers: the layer of features, then that of class scores (logits) if there is one.
      kernel_digests: see `FeatureExtractor`.
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
        self.kernel_digests = extractor.kernel_digests()
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


def check_is_held_out(
    judge: Judge, models: Mapping[str, LoadedRun], read_model_files: bool
) -> list[str]:
    """Looks for the judge's weights in the runs' perceptual models, whatever their names.

    Args:
      judge: the judge.
      models: the runs by name.
      read_model_files: whether files that runs name may be read.

    Returns:
      A note on each run whose perceptual model could not be compared.

    Raises:
      UserError: the weights of one of the two networks are all in the other.
    """
    notes = []
    for name, model in models.items():
        kernels, reason = _perceptual_kernels(model, read_model_files)
        if reason:
            notes.append(
                f"Whether {judge.name} has the weights of the perceptual model of {name} "
                f"is not known: {reason}."
            )
        fewer, more = sorted((kernels, judge.kernel_digests), key=len)
        if fewer and fewer <= more:
            raise UserError(
                f"--judge={judge.name} has the weights of the perceptual model of {name}, "
                f"{model.config.objective.perceptual_model}, and would judge its own "
                "work; choose another"
            )
    return notes


def _perceptual_kernels(
    model: LoadedRun, read_model_files: bool
) -> tuple[frozenset[str], str]:
    """Returns the digests of a run's perceptual model, and why there are none."""
    objective, image_shape = model.config.objective, model.image_shape
    if not objective.is_perceptual:
        return frozenset(), ""
    # Runs of earlier versions have none.
    if stored := read_provenance(model.run).get("perceptual_kernels"):
        return frozenset(map(str, stored)), ""
    if model_files(objective) and not read_model_files:
        return frozenset(), "it is in a file; --read_model_files reads it"
    try:
        built = build_perceptual_model(
            objective, image_shape, model.config.training.seed
        )
    except UserError as error:
        return frozenset(), str(error)
    return built.kernel_digests(), ""
