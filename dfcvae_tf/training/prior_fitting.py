"""Fits a prior to the aggregated posterior: where a trained encoder puts its images.

The density that is fitted is the mean of q(z|x) over the training images (Tomczak and
Welling 2018, "VAE with a VampPrior", equation 6), drawn anew for each step; what is
looked at to keep the best and to stop is the log-likelihood of draws of the test images'.

Where images have labels, a flow is fitted to p(z | label): some draws come without
theirs, so that it is p(z) as well; of attributes, any number is left out.
"""

import dataclasses
import math
import warnings
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
import tensorflow as tf
from absl import logging
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture as Estimator
from tqdm import tqdm

from dfcvae_tf.attribute_vectors import MIN_IMAGES
from dfcvae_tf.config import DataConfig, OptimizerConfig
from dfcvae_tf.data.run_images import first_batches
from dfcvae_tf.data.source import Source
from dfcvae_tf.labels import ATTRIBUTES, CLASSES, Labels, has_enough, labels_of
from dfcvae_tf.loaded_run import LoadedRun
from dfcvae_tf.models.flow import (
    FIXED,
    LABEL_KERNEL,
    OF_LABELS,
    CouplingFlow,
    Parameters,
    initial_parameters,
)
from dfcvae_tf.models.label_map import SHIFT
from dfcvae_tf.models.mixture import GaussianMixture
from dfcvae_tf.models.prior import STANDARD
from dfcvae_tf.prior_file import LABELS, save_prior
from dfcvae_tf.training.label_moments import (
    label_gain,
    moments_of_attributes,
    moments_of_classes,
)
from dfcvae_tf.training.optimizers import LearningRate, build_optimizer, decay_at

FLOW_STEPS = 3000
# With labels only a share of the draws tells of p(z): after these it is as good.
LABELLED_FLOW_STEPS = 5000
_BATCH = 512
_OPTIMIZER = OptimizerConfig(
    optimizer="adam",
    learning_rate=6e-3,
    schedule="cosine",
    warmup_steps=100,
    clip_norm=5.0,
    ema_decay=0.995,
)
_LOOK_EVERY = 100
_PATIENCE = 6  # looks without a better value

COMPONENTS = (50, 20, 10, 5, 2, 1)
# Components times dimensions: more covariances are neither better (on faces, 100
# dimensions, 10 were the best) nor fitted in minutes.
_MOST_MEANS = 1000
_MIXTURE_DRAWS = 60_000
_MIXTURE_ROUNDS = 100
_LEAST_VARIANCE = 1e-4
# Of a round, in nats a dimension: EM never ends gaining a little.
_LEAST_GAIN = 1e-3

# Draws of the test images' posteriors, the same for every look.
_HELD_OUT = 20_000
_ROWS = 1000
# Share of the draws that come without their labels. One attribute of many tells little, and
# what remains is nearly p(z); a class tells most.
_UNLABELLED = {CLASSES: 0.5, ATTRIBUTES: 0.2}
# What an attribute moves latents by is so much more in the end. Images with it differ from
# others in more than means and deviations; CelebA's Blond_Hair, at 1.4, is recognised in
# 77 % of what was asked for (balanced), at 1.6 in 81 %, as it is in reconstructions.
_EXAGGERATION = 1.6

# (z [N, D], and where it is given label [N, A]) -> log p(z | label), [N] float32, nats.
LogProb = Callable[..., tf.Tensor]


class Density(Protocol):
    """What can be fitted."""

    def log_prob(self, z: tf.Tensor) -> tf.Tensor:
        """log p(z), [N, D] -> [N] float32, nats."""


class Look(NamedTuple):
    """How far a fit has come.

    Attributes:
      step: how many it has made.
      parameters: of the prior as it is, name -> float32 array.
      log_prob: its density, until the next look.
    """

    step: int
    parameters: dict[str, np.ndarray]
    log_prob: LogProb


def fit_prior(
    model: LoadedRun,
    kind: str,
    data: DataConfig,
    source: Source,
    seed: int,
    labelled: bool = True,
) -> dict[str, Any]:
    """Fits a prior to a finished run's latents and puts it beside its weights.

    Args:
      model: the run.
      kind: "flow" or "gmm", or "standard": then nothing is fitted, and N(0, I) takes the
        place of what was.
      data: how the source's images are prepared.
      source: images like those the run was trained on.
      seed: of all that is drawn.
      labelled: whether a flow is to know the labels that the images have.

    Returns:
      What is known of the fit: `Fit.facts`; {} with "standard".

    Raises:
      UserError: an image cannot be read, or the disk is full or not writable.
    """
    if kind == STANDARD:
        save_prior(model.run, kind, {}, {})
        return {}
    logging.info("encoding the images of %s", source.name)
    train, test = (encode(model, data, source, split) for split in ("train", "test"))
    train, test = _with_usable_labels(train, test, kind, labelled)
    fit = _FITS[kind](train, test, seed)
    facts = {**fit.facts, "dataset": source.description}
    if train.labels is not None and LABEL_KERNEL in fit.parameters:
        facts[LABELS] = train.labels.facts()
    facts["num_images"] = dict(source.num_examples)
    save_prior(model.run, kind, fit.parameters, facts)
    return facts


def describe_fit(kind: str, facts: dict[str, Any]) -> str:
    """What is known of a fit, in words."""
    knows = given = ""
    if LABELS in facts:
        labels = Labels.from_facts(facts[LABELS])
        knows = f" that knows {len(labels.names)} {labels.kind}"
        given = "(with and without their labels) "
        if "label_gain_nats" in facts:
            knows += f" (worth {facts['label_gain_nats']:.2f} nats)"
    log_prob = facts["held_out_log_prob"]
    said = f"{kind}{knows}, held-out log-likelihood {log_prob:.4f} nats {given}"
    if facts["best_step"]:
        return f"{said}after {facts['best_step']} steps"
    return (
        f"{said}as it started, with the latents' means and deviations alone: every step "
        "made test images less likely; it takes more training images"
    )


def encode(
    model: LoadedRun, data: DataConfig, source: Source, split: str
) -> "Posteriors":
    """Encodes all images of a split, with the labels they have."""
    count = source.num_examples[split]
    labels = labels_of(source.class_names, source.attribute_names)
    codes, rows = [], []
    for batch in first_batches(model.config, source, data, split, count):
        codes.append(model.encode(batch["image"]))
        if labels is not None:
            rows.append(_label_rows(batch, labels))
    z_mean, z_log_var = (np.concatenate(part) for part in zip(*codes, strict=True))
    return Posteriors(z_mean, z_log_var, np.concatenate(rows) if rows else None, labels)


def _label_rows(batch: dict[str, np.ndarray], labels: Labels) -> np.ndarray:
    """What `labels.Labels` calls rows, of a batch, [n, A] int8."""
    if labels.kind == ATTRIBUTES:
        return np.where(batch["attributes"] > 0, 1, -1).astype(np.int8)
    return np.equal.outer(batch["label"], np.arange(len(labels.names))).astype(np.int8)


def _with_usable_labels(
    train: "Posteriors", test: "Posteriors", kind: str, labelled: bool
) -> tuple["Posteriors", "Posteriors"]:
    """Takes away the labels that a fit is not to know, or cannot."""
    labels = train.labels
    if not labelled or labels is None:
        return train.with_labels(None), test.with_labels(None)
    if kind != "flow":
        logging.warning("a prior of kind %s knows no labels; a flow does", kind)
        return train.with_labels(None), test.with_labels(None)
    assert train.label is not None
    enough = has_enough(train.label, labels)
    few = [name for name, fine in zip(labels.names, enough, strict=True) if not fine]
    if few:
        what = "of the class" if labels.kind == CLASSES else "with or without"
        logging.warning(
            "fewer than %d training images %s: %s; samples of it cannot be asked for",
            MIN_IMAGES,
            what,
            ", ".join(few),
        )
    keep = np.flatnonzero(enough)
    if len(keep) < (2 if labels.kind == CLASSES else 1):
        logging.warning("the prior knows no labels: too few of them have enough images")
        return train.with_labels(None), test.with_labels(None)
    return train.with_labels(keep), test.with_labels(keep)


@dataclass(frozen=True)
class Posteriors:
    """q(z|x) of N images.

    Attributes:
      z_mean, z_log_var: [N, D] float32.
      label: [N, A] int8, a row of `labels.Labels` each; None without labels.
      labels: what the columns of `label` are.
    """

    z_mean: np.ndarray
    z_log_var: np.ndarray
    label: np.ndarray | None = None
    labels: Labels | None = None

    def with_labels(self, columns: np.ndarray | None) -> "Posteriors":
        """Returns the same with some columns of its labels; with None, without any."""
        if columns is None or self.label is None or self.labels is None:
            return dataclasses.replace(self, label=None, labels=None)
        names = tuple(self.labels.names[column] for column in columns)
        return dataclasses.replace(
            self,
            label=self.label[:, columns],
            labels=dataclasses.replace(self.labels, names=names),
        )

    def draw(self, rng: np.random.Generator, count: int) -> np.ndarray:
        """[count, D] float32: one of each image, and again, as often as it takes."""
        return self.draw_rows(rng, count)[0]

    def draw_rows(
        self, rng: np.random.Generator, count: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """`draw`, and of which images they are, [count] int64."""
        rows = np.resize(rng.permutation(len(self.z_mean)), count)
        noise = rng.standard_normal((count, self.z_mean.shape[1]), np.float32)
        return self.z_mean[rows] + np.exp(0.5 * self.z_log_var[rows]) * noise, rows

    def moments(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean and standard deviation of the aggregated posterior, [D] float32 each."""
        variance = self.z_mean.var(axis=0) + np.exp(self.z_log_var).mean(axis=0)
        return self.z_mean.mean(axis=0), np.sqrt(variance)


@dataclass(frozen=True)
class Fit:
    """A prior that was fitted.

    Attributes:
      parameters: of the prior, name -> float32 array.
      facts: how it was fitted and how well, plain values.
    """

    parameters: dict[str, np.ndarray]
    facts: dict[str, Any]

    def without(self, names: Collection[str]) -> "Fit":
        """Returns the same without some of the parameters."""
        parameters = {n: v for n, v in self.parameters.items() if n not in names}
        count = sum(array.size for array in parameters.values())
        return Fit(parameters, {**self.facts, "num_parameters": count})


def fit_flow(train: Posteriors, test: Posteriors, seed: int) -> Fit:
    """Fits a coupling flow by stochastic gradients, to p(z | label) where there are any.

    Args:
      train: what it is fitted to.
      test: what tells when it is best.
      seed: of the start and of all draws.
    """
    num_labels = 0 if train.labels is None else len(train.labels.names)
    start = initial_parameters(*train.moments(), seed, num_labels)
    if train.label is not None and train.labels is not None:
        of_classes = train.labels.kind == CLASSES
        moments = moments_of_classes if of_classes else moments_of_attributes
        start |= moments(train.z_mean, train.z_log_var, train.label)
    fit = fit_by_gradients("flow", start, FIXED, CouplingFlow, train, test, seed)
    if train.labels is None:
        return fit
    z, label = _held_out(test, seed)
    assert label is not None
    gain = label_gain(start, train.z_mean, train.z_log_var, z, label)
    if gain <= 0:
        logging.warning(
            "labels make the latents of test images no likelier: the prior knows none; it "
            "takes more training images"
        )
        return fit.without(OF_LABELS)
    shift = fit.parameters[SHIFT]
    if train.labels.kind == ATTRIBUTES:
        shift = shift * np.float32(_EXAGGERATION)
    return Fit({**fit.parameters, SHIFT: shift}, {**fit.facts, "label_gain_nats": gain})


def fit_by_gradients(
    title: str,
    start: dict[str, np.ndarray],
    fixed: Collection[str],
    build: Callable[[Parameters], Density],
    train: Posteriors,
    test: Posteriors,
    seed: int,
) -> Fit:
    """Fits parameters by stochastic gradients of the log-likelihood.

    Args:
      title: in front of the progress bar.
      start: the parameters to start with, name -> float32 array.
      fixed: names of those that stay as they are.
      build: from parameters, as arrays or as variables, to what has a density.
      train: what it is fitted to.
      test: what tells when it is best.
      seed: of all draws.
    """
    names = [name for name in start if name not in fixed]
    learnt = [tf.Variable(start[name]) for name in names]
    density = _log_prob_of(build({**start, **dict(zip(names, learnt, strict=True))}))
    averages = [tf.Variable(variable) for variable in learnt]
    averaged = build({**start, **dict(zip(names, averages, strict=True))})
    log_prob = tf.function(_log_prob_of(averaged), reduce_retracing=True)
    steps = FLOW_STEPS if train.label is None else LABELLED_FLOW_STEPS
    schedule = LearningRate(_OPTIMIZER, steps)
    optimizer = build_optimizer(_OPTIMIZER, schedule)
    optimizer.build(learnt)
    z_mean, std_dev = tf.constant(train.z_mean), tf.exp(0.5 * train.z_log_var)
    count, dim = train.z_mean.shape
    labels = None if train.label is None else tf.constant(train.label)

    @tf.function
    def train_steps(first: tf.Tensor) -> None:
        for step in tf.range(first, first + _LOOK_EVERY):
            seeds = tf.stack([tf.constant(seed, tf.int64), step])
            rows = tf.random.stateless_uniform([_BATCH], seeds, 0, count, tf.int32)
            noise = tf.random.stateless_normal([_BATCH, dim], seeds + 2**32)
            z = tf.gather(z_mean, rows) + tf.gather(std_dev, rows) * noise
            label = None
            if labels is not None:
                draws = tf.random.stateless_uniform(
                    [_BATCH, labels.shape[1] + 2], seeds + 2**33
                )
                label = _asked(tf.gather(labels, rows), train.labels, draws)
            with tf.GradientTape() as tape:
                loss = -tf.reduce_mean(density(z, label))
            gradients = tape.gradient(loss, learnt)
            gradients, _ = tf.clip_by_global_norm(gradients, _OPTIMIZER.clip_norm)
            optimizer.apply_gradients(zip(gradients, learnt, strict=True))
            decay = decay_at(_OPTIMIZER.ema_decay, step)
            for average, variable in zip(averages, learnt, strict=True):
                average.assign(decay * average + (1.0 - decay) * variable)

    def looks() -> Iterator[Look]:
        yield Look(0, start, log_prob)
        for step in range(0, steps, _LOOK_EVERY):
            train_steps(tf.constant(step, tf.int64))
            now = {n: np.array(v) for n, v in zip(names, averages, strict=True)}
            yield Look(step + _LOOK_EVERY, start | now, log_prob)

    return _keep_best(title, looks(), steps, test, seed)


def _log_prob_of(density: Any) -> LogProb:
    """The function of a density, of one with `given` also of labels."""

    def log_prob(z: tf.Tensor, label: tf.Tensor | None = None) -> tf.Tensor:
        return (density if label is None else density.given(label)).log_prob(z)

    return log_prob


def _asked(label: tf.Tensor, labels: Labels | None, draws: tf.Tensor) -> tf.Tensor:
    """Leaves out the labels of some rows, and of attributes any number.

    Args:
      label: [N, A].
      labels: what its columns are.
      draws: [N, A + 2] float32, uniform in [0, 1).

    Returns:
      [N, A] float32, 0 where nothing is asked for.
    """
    assert labels is not None
    keep = draws[:, :1] >= _UNLABELLED[labels.kind]
    if labels.kind == ATTRIBUTES:
        # One half of the time, else two half of the time, and so on: so people ask.
        count = 1.0 - tf.math.floor(tf.math.log(draws[:, 1:2]) / math.log(2.0))
        place = tf.argsort(tf.argsort(draws[:, 2:]))
        keep = keep & (tf.cast(place, tf.float32) + 1.0 < count)
    return tf.where(keep, tf.cast(label, tf.float32), 0.0)


def fit_mixture(
    train: Posteriors, test: Posteriors, seed: int, most: int = COMPONENTS[0]
) -> Fit:
    """Fits mixtures of more and fewer Gaussians by EM and keeps the best.

    Args:
      train: what they are fitted to.
      test: what tells which is best, and when.
      seed: of the starts and of all draws.
      most: components; no more than there are images, and in many dimensions fewer.
    """
    images, dim = train.z_mean.shape
    most = min(most, images, max(1, _MOST_MEANS // dim))
    counts = [count for count in COMPONENTS if count <= most]
    fits = [_fit_components(train, test, seed, count) for count in counts]
    return max(fits, key=lambda fit: fit.facts["held_out_log_prob"])


def _fit_components(train: Posteriors, test: Posteriors, seed: int, count: int) -> Fit:
    rng = np.random.default_rng([seed, count])
    draws = max(_MIXTURE_DRAWS, len(train.z_mean))
    estimator = Estimator(
        count,
        reg_covar=_LEAST_VARIANCE,
        max_iter=1,
        warm_start=True,
        init_params="k-means++",
        random_state=seed,
    )

    mean, std = train.moments()

    def look(step: int, **parameters: np.ndarray) -> Look:
        # Draws lie in float32; so must the weights' sum.
        arrays = {name: np.float32(value) for name, value in parameters.items()}
        return Look(step, arrays, _log_prob_of(GaussianMixture(arrays)))

    def looks() -> Iterator[Look]:
        yield look(
            0,
            weights=np.ones(1),
            means=mean[np.newaxis],
            factors=np.diag(std)[np.newaxis],
        )
        for step in range(1, _MIXTURE_ROUNDS + 1):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ConvergenceWarning)  # a step is one
                estimator.fit(train.draw(rng, draws))
            yield look(
                step,
                weights=estimator.weights_,
                means=estimator.means_,
                factors=np.linalg.cholesky(estimator.covariances_),
            )

    title = f"gmm, {count} component{'s' if count > 1 else ''}"
    gain = _LEAST_GAIN * len(mean)
    return _keep_best(title, looks(), _MIXTURE_ROUNDS, test, seed, gain)


def _keep_best(
    title: str,
    looks: Iterator[Look],
    total: int,
    test: Posteriors,
    seed: int,
    least_gain: float = 0.0,
) -> Fit:
    """Takes looks until test images' draws have become no likelier for a while.

    Args:
      title: in front of the progress bar.
      looks: from time to time, the first before any step, the last at `total` steps.
      total: see `looks`.
      test: what the draws are of.
      seed: of the draws.
      least_gain: of log-likelihood, in nats, that is no standing still.
    """
    held_out, label = _held_out(test, seed)
    value, behind = -math.inf, 0
    with tqdm(total=total, desc=f"prior: {title}", unit="step") as progress:
        for look in looks:
            now = mean_log_prob(look.log_prob, held_out, label)
            behind = 0 if now > value + least_gain else behind + 1
            if not look.step or now > value:
                best, value = look, now
            progress.update(look.step - progress.n)
            progress.set_postfix_str(f"held-out log-likelihood {now:.4f} nats")
            if behind >= _PATIENCE:
                break
    facts = {
        "seed": seed,
        "steps": look.step,
        "best_step": best.step,
        "held_out_log_prob": value,
        "num_parameters": sum(array.size for array in best.parameters.values()),
    }
    return Fit(best.parameters, facts)


def _held_out(test: Posteriors, seed: int) -> tuple[np.ndarray, np.ndarray | None]:
    """Draws of the test images' posteriors [M, D], and what is asked of them, [M, A]."""
    count = max(_HELD_OUT, len(test.z_mean))
    rng = np.random.default_rng([seed, 1])
    z, rows = test.draw_rows(rng, count)
    if test.label is None:
        return z, None
    draws = rng.random((count, test.label.shape[1] + 2), np.float32)
    return z, _asked(test.label[rows], test.labels, draws).numpy()


def mean_log_prob(
    log_prob: LogProb, z: np.ndarray, label: np.ndarray | None = None
) -> float:
    """Mean of log p(z | label), z [N, D] and label [N, A] float32, in nats."""
    given = [z] if label is None else [z, label]
    parts = (np.split(rows, range(_ROWS, len(z), _ROWS)) for rows in given)
    values = [log_prob(*map(tf.constant, part)) for part in zip(*parts, strict=True)]
    return float(np.concatenate(values).mean())


_FITS: dict[str, Callable[[Posteriors, Posteriors, int], Fit]] = {
    "flow": fit_flow,
    "gmm": fit_mixture,
}
