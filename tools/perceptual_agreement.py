"""How far the distances of a perceptual model are those of VGG19, and what they cost.

A perceptual loss is used for its distances and for their gradients. Both are compared
on pairs of photos with what becomes of photos: reconstructions, blurred, shifted and
noised ones, and other photos. Two sums over layers are looked at: each layer divided by
its mean energy on the photos ("energy"), and the mean over each layer's features
("mean"), as the settings of the same names do in training.
"""

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
import tensorflow as tf
from scipy import stats

import dfcvae_tf
from dfcvae_tf import losses
from dfcvae_tf.config import Config
from dfcvae_tf.data.choice import representative
from dfcvae_tf.data.registry import open_source
from dfcvae_tf.data.run_images import first_batches
from dfcvae_tf.errors import UserError
from dfcvae_tf.exporting import latency
from dfcvae_tf.perceptual.feature_extractor import FeatureExtractor
from dfcvae_tf.perceptual.keras_applications import build_keras_application
from dfcvae_tf.perceptual.registry import build_perceptual_model

SUMS = ("energy", "mean")
ALL = "all"
_COMPONENTS = 32
_BATCH_PIXELS = 32 * 64 * 64
_TIMED_BATCH = 64
_LEAST_PHOTOS = 8
_SEED = 0
_REPORT = """\
{machine}; TensorFlow {tensorflow}
{model}, compared with relu1_1, relu2_1 and relu3_1 of VGG19 on {count} photos of {source}

{head}
{rows}

rank correlation (Spearman) of the distances over pairs / mean cosine of their gradients;
energy: each layer divided by its mean energy on the photos; mean: over its features"""


@dataclass(frozen=True)
class Compared:
    """What a model makes of N pairs of images, layer by layer.

    Attributes:
      distances: [N, layers] float64, squared, summed over the features of each layer.
      gradients: [layers, N, H, W, C] float32, of the distances to the second images.
      energies: [layers] float64, mean of the squared length of the first's features.
      sizes: [layers], number of features.
    """

    distances: np.ndarray
    gradients: np.ndarray
    energies: np.ndarray
    sizes: np.ndarray

    def total(self, kind: str) -> tuple[np.ndarray, np.ndarray]:
        """Returns the distances [N] of one of SUMS, and their gradients [N, H, W, C]."""
        weights = 1.0 / (self.energies if kind == "energy" else self.sizes)
        return self.distances @ weights, np.tensordot(weights, self.gradients, 1)


@dataclass(frozen=True)
class Agreement:
    """How two models agree on pairs.

    Attributes:
      correlation: Spearman's, of the distances over pairs.
      cosine: of the gradients of a pair, mean over pairs.
    """

    correlation: float
    cosine: float


def compare(
    config: Config,
    weights: str,
    sizes: Sequence[int],
    count: int,
    run_dir: str | None,
    repeats: int,
    trust_code: bool = False,
) -> str:
    """Compares a perceptual model with VGG19 at each size.

    Args:
      config: the perceptual model and the photos.
      weights: of VGG19, as `build_keras_application` takes them.
      sizes: heights and widths of the photos.
      count: photos, of the test split.
      run_dir: a run whose reconstructions are pairs too; photos are then cropped as it
        has them, and its size is the only one.
      repeats: rounds of timing; none with 0.
      trust_code: see `load_for_inference`.

    Returns:
      Machine, a table, and what its numbers are.

    Raises:
      UserError: the photos, a network or the run cannot be had, or there are too few.
    """
    run = dfcvae_tf.load_run(run_dir, trust_code=trust_code) if run_dir else None
    shapes = [(size, size, 3) for size in sizes]
    data = replace(config.data, color="rgb")
    if run:
        shapes = [run.image_shape]
        data = replace(data, crop=run.config.data.crop)
    source = representative(open_source(data, _SEED), "test", count, _SEED)
    count = min(count, source.num_examples["test"])
    if count < _LEAST_PHOTOS:
        raise UserError(f"{source.name} has {count} photos to test on, not 8 or more")
    rows = []
    for shape in shapes:
        batches = first_batches(
            replace(config, image_shape=shape), source, data, "test", count
        )
        photos = np.concatenate([batch["image"] for batch in batches])
        pairs = make_pairs(photos, _SEED)
        if run:
            pairs = {"reconstructed": run.reconstruct(photos), **pairs}
        model = build_perceptual_model(config.objective, shape, _SEED)
        vgg19 = build_keras_application("VGG19", (), weights, shape, _SEED)
        found, wanted = (
            compare_pairs(features, photos, pairs) for features in (model, vgg19)
        )
        for kind in SUMS:
            agreements = agree(found, wanted, kind).values()
            numbers = [f"{a.correlation:7.4f}/{a.cosine:5.3f}" for a in agreements]
            rows.append(f"{shape[0]}x{shape[1]} {kind:>6} " + " ".join(numbers))
        if repeats:
            ratio = relative_time(model, vgg19, shape, repeats)
            rows.append(f"{shape[0]}x{shape[1]} time, of VGG19's: {ratio:.3f}")
    return _REPORT.format(
        machine=latency.describe_machine(),
        tensorflow=tf.__version__,
        model=model.name,
        count=count,
        source=source.name,
        head=" " * 13 + " ".join(f"{name:>13}" for name in (*pairs, ALL)),
        rows="\n".join(rows),
    )


def make_pairs(photos: np.ndarray, seed: int) -> dict[str, np.ndarray]:
    """Returns kind -> what stands against each photo, in strengths that vary.

    "projected" ones are made of the photos' mean and first principal components, blurred
    and wrong in colour as reconstructions of a VAE are.

    Args:
      photos: [N, H, W, C] float32 in [0, 1].
      seed: of all that is drawn.

    Returns:
      float32 like `photos` each.
    """
    rng = np.random.default_rng(seed)
    return {
        "projected": _projected(photos),
        "blurred": np.stack([_blurred(photo, rng) for photo in photos]),
        "shifted": np.stack([_shifted(photo, rng) for photo in photos]),
        "noised": np.stack([_noised(photo, rng) for photo in photos]),
        "another": np.roll(photos, 1, axis=0),
    }


def compare_pairs(
    features: FeatureExtractor, photos: np.ndarray, pairs: Mapping[str, np.ndarray]
) -> dict[str, Compared]:
    """Takes distances and gradients of pairs.

    Args:
      features: of the model.
      photos: [N, H, W, C] float32 in [0, 1].
      pairs: kind -> what stands against each photo, likewise.
    """

    @tf.function(reduce_retracing=True)
    def compute(images, images_with_gradient):
        targets = features(images)
        with tf.GradientTape(persistent=True) as tape:
            tape.watch(images_with_gradient)
            distances = [
                losses.squared_error(target, feature)
                for target, feature in zip(
                    targets, features(images_with_gradient), strict=True
                )
            ]
        gradients = [tape.gradient(d, images_with_gradient) for d in distances]
        energies = [losses.squared_error(t, tf.zeros_like(t)) for t in targets]
        return tf.stack(distances, 1), tf.stack(gradients), tf.stack(energies, 1)

    batch = max(1, _BATCH_PIXELS // (photos.shape[1] * photos.shape[2]))
    parts = [slice(first, first + batch) for first in range(0, len(photos), batch)]
    sizes = [np.prod(feature.shape[1:]) for feature in features(photos[:1])]
    found = {}
    for kind, others in pairs.items():
        computed = [
            compute(tf.constant(photos[part]), tf.constant(others[part]))
            for part in parts
        ]
        distances, gradients, energies = zip(*computed, strict=True)
        found[kind] = Compared(
            np.concatenate(distances).astype(np.float64),
            np.concatenate(gradients, axis=1),
            np.concatenate(energies).astype(np.float64).mean(axis=0),
            np.array(sizes, np.float64),
        )
    return found


def agree(
    model: Mapping[str, Compared], reference: Mapping[str, Compared], kind: str
) -> dict[str, Agreement]:
    """Compares what two models make of the same pairs.

    Args:
      model: what pairs there are -> what the model makes of them.
      reference: the same pairs.
      kind: one of SUMS.

    Returns:
      What pairs -> their agreement, and that of ALL of them.
    """
    found, of_all = {}, []
    for name in model:
        (a, da), (b, db) = model[name].total(kind), reference[name].total(kind)
        cosines = np.sum(da * db, axis=(1, 2, 3)) / np.sqrt(
            np.sum(da**2, axis=(1, 2, 3)) * np.sum(db**2, axis=(1, 2, 3))
        )
        found[name] = Agreement(_correlation(a, b), float(cosines.mean()))
        of_all.append((a, b, cosines))
    a, b, cosines = (np.concatenate(values) for values in zip(*of_all, strict=True))
    return found | {ALL: Agreement(_correlation(a, b), float(cosines.mean()))}


def relative_time(
    model: FeatureExtractor,
    reference: FeatureExtractor,
    image_shape: tuple[int, int, int],
    repeats: int,
) -> float:
    """Median, over rounds, of the time that distances and gradients take of a batch of 64.

    As in training: no gradient flows to the first images.

    Args:
      model, reference: take turns; the time of the first is divided by the second's.
      image_shape: (H, W, C).
      repeats: rounds.
    """
    steps = [_timed(model, image_shape), _timed(reference, image_shape)]
    rounds = [[step() for step in steps] for _ in range(repeats + 1)]
    return statistics.median(a / b for a, b in rounds[1:])


def _timed(
    features: FeatureExtractor, image_shape: tuple[int, int, int]
) -> Callable[[], float]:
    rng = np.random.default_rng(0)
    shape = (_TIMED_BATCH, *image_shape)
    images, others = (tf.constant(rng.random(shape, np.float32)) for _ in range(2))

    @tf.function
    def compute(images, others):
        targets = [tf.stop_gradient(feature) for feature in features(images)]
        with tf.GradientTape() as tape:
            tape.watch(others)
            distance = tf.add_n(
                [
                    losses.squared_error(target, feature)
                    for target, feature in zip(targets, features(others), strict=True)
                ]
            )
        return distance, tape.gradient(distance, others)

    def step() -> float:
        start = time.perf_counter()
        compute(images, others)[1].numpy()
        return time.perf_counter() - start

    return step


def _correlation(a: np.ndarray, b: np.ndarray) -> float:
    return float(stats.spearmanr(a, b).statistic)


def _projected(photos: np.ndarray) -> np.ndarray:
    flat = photos.reshape(len(photos), -1)
    mean = flat.mean(axis=0)
    directions = np.linalg.svd(flat - mean, full_matrices=False)[2]
    # As many components as photos would give the photos themselves.
    directions = directions[: min(_COMPONENTS, len(photos) // 4)]
    projected = mean + (flat - mean) @ directions.T @ directions
    return np.clip(projected, 0.0, 1.0).reshape(photos.shape).astype(np.float32)


def _blurred(photo: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return cv2.GaussianBlur(photo, (0, 0), rng.uniform(0.5, 3.0)).reshape(photo.shape)


def _shifted(photo: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    shift = rng.integers(-3, 4, 2)
    if not shift.any():
        shift[0] = 1
    height, width = photo.shape[:2]
    padded = np.pad(photo, ((3, 3), (3, 3), (0, 0)), mode="reflect")
    top, left = 3 + shift
    return padded[top : top + height, left : left + width]


def _noised(photo: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    deviation = np.exp(rng.uniform(np.log(0.01), np.log(0.2)))
    noise = rng.standard_normal(photo.shape, np.float32) * np.float32(deviation)
    return np.clip(photo + noise, 0.0, 1.0)
