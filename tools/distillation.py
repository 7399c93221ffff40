"""Trains the `photos` network to imitate VGG19, its distances and their gradients.

First the features of crops are learned: their squared error relative to their energy.
Batch normalisation, without which this takes many times as long, keeps the statistics it
has then, and becomes part of the convolutions in the end. Then pairs (crop, distorted
crop) are, with two terms more of the same weight: one minus the cosine between the
gradients of both networks' distances to the distorted crop (Czarnecki et al. 2017,
"Sobolev training", arXiv:1706.04859), and the squared logarithm of the ratio of their
distances, layer by layer. What is summed over layers for the gradient is drawn for each
pair between the two sums that training a VAE offers, so that both are learned.
"""

import contextlib
import dataclasses
import math
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from tqdm import tqdm

from dfcvae_tf import losses
from dfcvae_tf.config import DataConfig
from dfcvae_tf.data.pipeline import prepared_shape, train_batches
from dfcvae_tf.data.source import Source
from dfcvae_tf.errors import Stopped, UserError
from dfcvae_tf.files import read_json, write_json
from dfcvae_tf.perceptual.feature_extractor import KerasFeatures
from dfcvae_tf.perceptual.photos import photos_network
from dfcvae_tf.perceptual.preprocessing import to_caffe
from dfcvae_tf.training.keras_compat import build_optimizer_variables
from dfcvae_tf.training.signals import StopSignals
from dfcvae_tf.weights import draw, get_arrays
from tools.distorted_photos import draw_pairs

# The convolution of VGG19 that the network has, too, in Keras' name.
_FIRST = "block1_conv1"
_READ_OUTS = ("relu2_1", "relu3_1")
_LOGGED_STEPS = 20
CHECKPOINT_SECONDS = 120.0
_TINY = 1e-20

Features = Callable[[tf.Tensor], Sequence[tf.Tensor]]
# Crops, distorted crops and mixtures (see `_look`) -> terms of the loss.
Step = Callable[[tf.Tensor, tf.Tensor, tf.Tensor], dict[str, tf.Tensor]]


@dataclasses.dataclass(frozen=True)
class Settings:
    """How the network is trained.

    Attributes:
      feature_steps, pair_steps: of the first and of the second phase.
      batch_size: pairs per step.
      learning_rate: of Adam, at the start; it falls to 0 in a cosine.
      seed: of weights, data order and what is drawn.
    """

    feature_steps: int
    pair_steps: int
    batch_size: int
    learning_rate: float
    seed: int

    @property
    def steps(self) -> int:
        """Of both phases."""
        return self.feature_steps + self.pair_steps

    def learning_rate_at(self, step: int) -> float:
        """The learning rate of a step."""
        return self.learning_rate * 0.5 * (1 + math.cos(math.pi * step / self.steps))


class Student(tf.Module):
    """The network in training, with its optimizer and step.

    Its read-outs give features divided by `scales`, so that all weights are of one size;
    `arrays` has them as they are used.
    """

    def __init__(self, teacher: KerasFeatures, crops: np.ndarray, settings: Settings):
        """Starts from the teacher's first convolution and random weights.

        Args:
          teacher: relu1_1, relu2_1 and relu3_1 of VGG19.
          crops: float32 [N, H, W, 3] in [0, 1]; the size of features is measured on them.
          settings: the learning rate, and the seed of the weights.
        """
        super().__init__()
        self.network = photos_network(batch_norm=True)
        draw(self.network, self.network.name, settings.seed)
        sizes = [float(tf.sqrt(tf.reduce_mean(f**2))) for f in teacher(crops)[1:]]
        self.scales = tf.Variable([1.0, *sizes], trainable=False)
        self.step = tf.Variable(0, dtype=tf.int64, trainable=False)
        relu1_1 = self.network.get_layer("relu1_1")
        relu1_1.set_weights(teacher.model.get_layer(_FIRST).get_weights())
        relu1_1.trainable = False
        self.optimizer = tf.keras.optimizers.Adam(settings.learning_rate)
        build_optimizer_variables(self.optimizer, self.network.trainable_variables)

    def features(self, images: tf.Tensor, training: bool = False) -> list[tf.Tensor]:
        """Images [N, H, W, 3] in [0, 1] -> features like the teacher's."""
        outputs = self.network(to_caffe(images), training=training)
        return [
            f * scale for f, scale in zip(outputs, tf.unstack(self.scales), strict=True)
        ]

    def learn(self, tape: tf.GradientTape, loss: tf.Tensor) -> None:
        """Takes a step against the gradient of a loss."""
        variables = self.network.trainable_variables
        gradients = tape.gradient(loss, variables)
        self.optimizer.apply_gradients(zip(gradients, variables, strict=True))
        self.step.assign_add(1)

    def arrays(self) -> dict[str, np.ndarray]:
        """The weights of `photos_network()` that computes the same."""
        arrays = get_arrays(self.network)
        for name in [name for name in arrays if name.endswith("_norm/gamma")]:
            layer = name.removesuffix("_norm/gamma")
            gamma, beta, mean, variance = (
                arrays.pop(f"{layer}_norm/{weight}")
                for weight in ("gamma", "beta", "moving_mean", "moving_variance")
            )
            epsilon = self.network.get_layer(f"{layer}_norm").epsilon
            factor = gamma / np.sqrt(variance + epsilon)
            arrays[f"{layer}/kernel"] *= factor
            arrays[f"{layer}/bias"] = (arrays[f"{layer}/bias"] - mean) * factor + beta
        # A ReLU keeps positive factors.
        scales = self.scales.numpy()[1:]
        for name, scale in zip(_READ_OUTS, scales, strict=True):
            for weight in ("kernel", "bias"):
                arrays[f"{name}/{weight}"] *= scale
        return arrays


def train(
    source: Source,
    data: DataConfig,
    teacher: KerasFeatures,
    settings: Settings,
    folder: Path,
) -> dict[str, np.ndarray]:
    """Trains the network and returns its weights as named arrays.

    What is drawn at a step depends on the seed and the step alone, so an interrupted
    training goes on as it would have.

    Args:
      source: photos, of which the training split is used.
      data: how they are prepared.
      teacher: relu1_1, relu2_1 and relu3_1 of VGG19.
      settings: see there.
      folder: where the state is saved, and looked for.

    Raises:
      Stopped: a signal asked for it; the state is saved.
      UserError: the photos are unusable, training diverged, or the state in the folder
        is of other settings.
    """
    _check_same(folder, {"dataset": source.name, **dataclasses.asdict(settings)})
    batches = _photos(source, data, settings, 0)
    first = draw_pairs(next(batches), np.random.default_rng(settings.seed))[0]
    student = Student(teacher, first, settings)
    state = tf.train.Checkpoint(student=student)
    manager = tf.train.CheckpointManager(state, str(folder), max_to_keep=2)
    if manager.latest_checkpoint:
        state.restore(manager.latest_checkpoint).assert_consumed()
    start = int(student.step)
    batches = _photos(source, data, settings, start)
    learn_features, learn_pairs = _build_steps(student, teacher)
    saved = time.monotonic()
    logged: list[dict[str, tf.Tensor]] = []
    with (
        StopSignals() as stop,
        contextlib.closing(tqdm(total=settings.steps, initial=start)) as progress,
    ):
        for step in range(start, settings.steps):
            learn = learn_features if step < settings.feature_steps else learn_pairs
            rng = np.random.default_rng([settings.seed, step])
            student.optimizer.learning_rate.assign(settings.learning_rate_at(step))
            pairs = draw_pairs(next(batches), rng)
            mixtures = rng.random((len(pairs[0]), 1), np.float32)
            logged.append(learn(*map(tf.constant, (*pairs, mixtures))))
            progress.update()
            if (step + 1) % _LOGGED_STEPS == 0 or step + 1 == settings.steps:
                progress.set_postfix(_mean(logged, step))
                logged = []
            if stop.requested or time.monotonic() - saved > CHECKPOINT_SECONDS:
                manager.save()
                saved = time.monotonic()
            if stop.requested and step + 1 < settings.steps:
                raise Stopped(f"stopped at step {step + 1}; the same command goes on")
    manager.save()
    return student.arrays()


def _check_same(folder: Path, settings: dict[str, Any]) -> None:
    """Writes settings beside the state; raises UserError when it is of others."""
    path = folder / "settings.json"
    if path.is_file() and read_json(path) != settings:
        raise UserError(
            f"{folder} has a training of other settings: {read_json(path)}; remove it, "
            "or choose another --output"
        )
    write_json(path, settings)


def _build_steps(student: Student, teacher: KerasFeatures) -> tuple[Step, Step]:
    """Returns what trains on a batch of pairs in the first, and in the second phase."""

    @tf.function
    def learn_features(crops, distorted, mixtures):
        del mixtures
        images = tf.concat([crops, distorted], axis=0)
        targets = teacher(images)
        with tf.GradientTape() as tape:
            found = student.features(images, training=True)
            terms = {"features": _feature_error(found, targets)}
        student.learn(tape, terms["features"])
        return terms

    @tf.function
    def learn_pairs(crops, distorted, mixtures):
        wanted = _look(teacher, crops, distorted, mixtures)
        with tf.GradientTape() as tape:
            found = _look(student.features, crops, distorted, mixtures, wanted.of_crops)
            terms = {
                "features": 0.5
                * (
                    _feature_error(found.of_crops, wanted.of_crops)
                    + _feature_error(found.of_distorted, wanted.of_distorted)
                ),
                "gradients": _angle(found.gradient, wanted.gradient),
                "distances": _ratio(found.distances, wanted.distances),
            }
            loss = tf.add_n(list(terms.values()))
        student.learn(tape, loss)
        return terms

    return learn_features, learn_pairs


class _Seen(NamedTuple):
    """What a network makes of N pairs.

    Attributes:
      of_crops, of_distorted: features, by layer.
      distances: [N, layers].
      gradient: [N, H, W, C], of their weighted sum to the distorted crops.
    """

    of_crops: list[tf.Tensor]
    of_distorted: list[tf.Tensor]
    distances: tf.Tensor
    gradient: tf.Tensor


def _look(
    features: Features,
    crops: tf.Tensor,
    distorted: tf.Tensor,
    mixtures: tf.Tensor,
    targets: list[tf.Tensor] | None = None,
) -> _Seen:
    """Looks at pairs.

    Args:
      features: of a network.
      crops, distorted: float32 [N, H, W, 3] in [0, 1].
      mixtures: float32 [N, 1] in [0, 1]: the weights of layers in what the gradient is
        of, from 0, 1 / energy of a layer, to 1, 1 / number of its features.
      targets: the teacher's features of the crops, whose energies count; None if these
        are the teacher's.
    """
    of_crops = list(features(crops))
    energies = [tf.reduce_mean(_energy(f)) for f in targets or of_crops]
    sizes = [float(np.prod(f.shape[1:])) for f in of_crops]
    weights = tf.exp(
        -(1 - mixtures) * tf.math.log(energies) - mixtures * tf.math.log(sizes)
    )
    with tf.GradientTape() as tape:
        tape.watch(distorted)
        of_distorted = list(features(distorted))
        both = zip(of_crops, of_distorted, strict=True)
        distances = tf.stack([losses.squared_error(a, b) for a, b in both], axis=1)
        total = tf.reduce_sum(weights * distances, axis=1)
    return _Seen(of_crops, of_distorted, distances, tape.gradient(total, distorted))


def _feature_error(found: list[tf.Tensor], targets: list[tf.Tensor]) -> tf.Tensor:
    """Squared error relative to the energy, mean over the layers that are learned."""
    errors = [
        tf.reduce_mean(losses.squared_error(a, b)) / tf.reduce_mean(_energy(b))
        for a, b in zip(found[1:], targets[1:], strict=True)
    ]
    return tf.add_n(errors) / len(errors)


def _angle(found: tf.Tensor, wanted: tf.Tensor) -> tf.Tensor:
    """One minus the cosine between images [N, H, W, C], mean over them."""
    product = tf.reduce_sum(found * wanted, axis=(1, 2, 3))
    squares = _energy(found) * _energy(wanted)
    return 1.0 - tf.reduce_mean(product * tf.math.rsqrt(squares + _TINY))


def _ratio(found: tf.Tensor, wanted: tf.Tensor) -> tf.Tensor:
    """Squared logarithm of the ratio of distances [N, layers], of layers learned."""
    ratio = tf.math.log((found[:, 1:] + _TINY) / (wanted[:, 1:] + _TINY))
    return tf.reduce_mean(ratio**2)


def _energy(features: tf.Tensor) -> tf.Tensor:
    return losses.squared_error(features, tf.zeros_like(features))


def _photos(
    source: Source, data: DataConfig, settings: Settings, start: int
) -> Iterator[np.ndarray]:
    shape = prepared_shape(source, data)
    batches = train_batches(
        source, data, shape, settings.batch_size, settings.seed, start_step=start
    )
    return (batch["image"] for batch in batches.as_numpy_iterator())


def _mean(logged: list[dict[str, tf.Tensor]], step: int) -> dict[str, str]:
    """Means of what the latest steps logged, as text."""
    last = [terms for terms in logged if terms.keys() == logged[-1].keys()]
    means = {name: float(np.mean([terms[name] for terms in last])) for name in last[0]}
    if not all(math.isfinite(value) for value in means.values()):
        raise UserError(
            f"the loss is not finite at step {step + 1}; choose a smaller --learning_rate"
        )
    return {name: f"{value:.4f}" for name, value in means.items()}
